"""Training of Tacotron 2: batches, losses, and teacher-forced validation on clips of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from tqdm import tqdm

from src import runtime
from src.config import Config
from src.data.batches import Batch, Batches, plan_buckets
from src.data.corpus import Corpus
from src.models.tacotron2.loss import Tacotron2Loss
from src.plotting import save_alignment_and_mel
from src.train.schedule import guided_attention_weight


class Tacotron2Task:
    """Tacotron 2 as a `src.train.task.Task`."""

    losses = ("loss", "mel_loss", "gate_loss", "guided_loss")

    def __init__(self, config: Config):
        self.config = config
        self.has_speakers = getattr(config.model, "n_speakers", 1) > 1

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Do nothing: Tacotron 2 takes nothing from the data before its first step."""

    def batches(self, corpus: Corpus) -> Batches:
        """Batches of whole clips of similar length."""
        data, train = self.config.data, self.config.train
        buckets = plan_buckets(
            corpus.text_lengths, corpus.mel_lengths, data.n_buckets, self.config.model.reduction_factor
        )
        ranks = runtime.rank(), runtime.world_size()
        return Batches(corpus, train.batch_size, buckets, train.seed, True, *ranks, workers=data.workers)

    def inputs(self, batch: Batch, step: int) -> tuple[Tensor, ...]:
        """Inputs of the function of `forward` at optimiser step `step`."""
        weight = Tensor(guided_attention_weight(step, self.config.train), ms.float32)
        arrays = (batch.text, batch.text_lengths, batch.mel, batch.mel_lengths)
        return (*map(Tensor, arrays), weight, *speakers_of(batch, self.has_speakers))

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """A function of `inputs` that returns the `losses`; training minimises the first."""
        loss = Tacotron2Loss(self.config, sum_over_ranks=runtime.all_reduce(), n_ranks=runtime.world_size())
        return teacher_forced(net, loss)

    def validator(self, net: nn.Cell, corpus: Corpus) -> "Validator":
        """The validator of `net` on `corpus`."""
        settings = self.config.train.batch_size, self.config.model.reduction_factor, self.config.data.workers
        return Validator(net, Tacotron2Loss(self.config), corpus, *settings, self.has_speakers)

    def save_example(self, validation: "Validation", folder: Path, step: int | None = None) -> Path:
        """Draw alignment and mel of a clip in a file named after the step. Returns its path."""
        clip = validation.example
        when, suffix = ("", "") if step is None else (f", step {step}", f"-{step}")
        picture = folder / f"alignment-and-mel{suffix}.png"
        save_alignment_and_mel(
            picture, clip.mel, clip.alignment, f"{clip.id}{when}, teacher forced", self.config.audio, clip.target_mel
        )
        return picture


def teacher_forced(net: nn.Cell, loss: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
    """A function: a batch, weight of guided attention -> loss, mel loss, gate loss, guided-attention loss.

    The speakers follow as a further argument if the network has several.
    """

    def forward(
        text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor, guided_weight: Tensor, *speakers: Tensor
    ):
        outputs = net(text, text_lengths, mel, mel_lengths, *speakers)
        return loss(outputs, mel, mel_lengths, text_lengths, guided_weight)

    return forward


def speakers_of(batch: Batch, wanted: bool) -> tuple[Tensor, ...]:
    """The numbers of a batch's speakers (B,) as a last argument of a network, if it has several."""
    return (Tensor(batch.speakers),) if wanted else ()


class Example(NamedTuple):
    """A clip as the network speaks it, teacher forced."""

    id: str
    mel: np.ndarray  # [n_mels, frames], after the postnet
    target_mel: np.ndarray  # [n_mels, frames]
    alignment: np.ndarray  # [decoder steps, text length]


class Validation(NamedTuple):
    """Means over all real frames or decoder steps; they do not depend on the batches and the number of ranks."""

    loss: float  # mel and gate loss, without guided attention, whose weight changes with the step
    mel_loss: float
    gate_loss: float
    # Mean over decoder steps of the largest attention weight: 1 is a sharp alignment, 1 / text length is none.
    alignment_score: float
    example: Example  # always the same clip
    measured: dict[str, int]  # frames and clips

    def __str__(self) -> str:
        return f"validation loss {self.loss:.4f}, alignment score {self.alignment_score:.2f}"

    @property
    def numbers(self) -> dict[str, float]:
        """The means by their names in the log."""
        losses = {f"val_{name}": getattr(self, name) for name in ("loss", "mel_loss", "gate_loss")}
        return {**losses, "alignment_score": self.alignment_score}


class Validator:
    """Validates `net` on a corpus; the ranks share it. All batches have one shape, so one graph is compiled.

    Args:
        net: called as `net(text, text_lengths, mel, mel_lengths)`, in evaluation mode.
        loss: called as `loss(outputs, mel, mel_lengths, text_lengths, guided_weight)` -> loss, mel loss, gate loss, ...
        has_speakers: `net` takes the numbers of the speakers too.
    """

    def __init__(
        self,
        net: nn.Cell,
        loss: nn.Cell,
        corpus: Corpus,
        batch_size: int,
        reduction_factor: int,
        workers: int = 2,
        has_speakers: bool = False,
    ):
        self.net, self.corpus, self.reduction_factor = net, corpus, reduction_factor
        self.has_speakers = has_speakers
        buckets = plan_buckets(corpus.text_lengths, corpus.mel_lengths, 1, reduction_factor)
        ranks = runtime.rank(), runtime.world_size()
        self.batches = Batches(corpus, min(batch_size, len(corpus)), buckets, 0, False, *ranks, workers=workers)

        @runtime.jit
        def forward(text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor, *speakers: Tensor):
            outputs = net(text, text_lengths, mel, mel_lengths, *speakers)
            _, mel_loss, gate_loss, _ = loss(outputs, mel, mel_lengths, text_lengths, Tensor(0.0, ms.float32))
            return mel_loss, gate_loss, outputs[1], outputs[3]

        self._forward = forward

    def __call__(self) -> Validation:
        """Measure one pass over the corpus."""
        self.net.set_train(False)
        frames = decoder_steps = 0
        mel_loss = gate_loss = attention = 0.0
        example = None
        batches = self.batches.epoch(0)
        for batch in tqdm(batches, "validation", len(self.batches), leave=False, dynamic_ncols=True, disable=None):
            arrays = (batch.text, batch.text_lengths, batch.mel, batch.mel_lengths)
            outputs = self._forward(*map(Tensor, arrays), *speakers_of(batch, self.has_speakers))
            batch_mel_loss, batch_gate_loss, mel, alignments = (value.asnumpy() for value in outputs)
            steps = -(-batch.mel_lengths // self.reduction_factor)  # (B,)
            mel_loss += float(batch_mel_loss) * int(batch.mel_lengths.sum())
            gate_loss += float(batch_gate_loss) * int(steps.sum())
            attention += sum(float(alignments[i, : steps[i]].max(-1).sum()) for i in range(len(steps)))
            frames += int(batch.mel_lengths.sum())
            decoder_steps += int(steps.sum())
            if example is None:
                example = self._example(batch, mel[0], alignments[0, : steps[0]])
        mel_loss, gate_loss, attention, frames, decoder_steps = runtime.total(
            mel_loss, gate_loss, attention, frames, decoder_steps
        )
        mel_loss, gate_loss = mel_loss / frames, gate_loss / decoder_steps
        measured = {"frames": int(frames), "clips": len(self.corpus)}
        return Validation(mel_loss + gate_loss, mel_loss, gate_loss, attention / decoder_steps, example, measured)

    def _example(self, batch: Batch, mel: np.ndarray, alignment: np.ndarray) -> Example:
        n_frames, n_symbols = batch.mel_lengths[0], batch.text_lengths[0]
        return Example(
            self.corpus.ids[batch.indices[0]], mel[:, :n_frames], batch.mel[0, :, :n_frames], alignment[:, :n_symbols]
        )

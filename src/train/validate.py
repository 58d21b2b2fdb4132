"""Teacher-forced losses over clips that training does not see."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.dataset import Batch, Batches, Corpus, plan_buckets


class Example(NamedTuple):
    """One clip as the network speaks it with the teacher's help."""

    id: str
    mel: np.ndarray  # [n_mels, frames], after the postnet
    target_mel: np.ndarray  # [n_mels, frames]
    alignment: np.ndarray  # [decoder steps, text length]


class Validation(NamedTuple):
    """Means over all real frames or decoder steps, which do not depend on how clips are batched."""

    loss: float  # mel and gate loss; guided attention is left out, so that values compare while its weight changes
    mel_loss: float
    gate_loss: float
    alignment_score: float  # mean over decoder steps of the largest attention weight: 1 is a sharp alignment, 1 / text length none
    example: Example  # always the same clip


class Validator:
    """Validates `net` on a corpus. All batches have one shape, so one graph is compiled.

    Args:
        net: called as `net(text, text_lengths, mel, mel_lengths)`; put in evaluation mode.
        loss: called as `loss(outputs, mel, mel_lengths, text_lengths, guided_weight)` -> loss, mel loss, gate loss, ...
    """

    def __init__(self, net: nn.Cell, loss: nn.Cell, corpus: Corpus, batch_size: int, reduction_factor: int, workers: int = 2):
        self.net, self.corpus, self.reduction_factor = net, corpus, reduction_factor
        buckets = plan_buckets(corpus.text_lengths, corpus.mel_lengths, 1, reduction_factor)
        self.batches = Batches(corpus, min(batch_size, len(corpus)), buckets, seed=0, shuffle=False, workers=workers)

        @ms.jit
        def forward(text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor):
            outputs = net(text, text_lengths, mel, mel_lengths)
            _, mel_loss, gate_loss, _ = loss(outputs, mel, mel_lengths, text_lengths, Tensor(0.0, ms.float32))
            return mel_loss, gate_loss, outputs[1], outputs[3]

        self._forward = forward

    def __call__(self) -> Validation:
        """One pass over the corpus."""
        self.net.set_train(False)
        frames = decoder_steps = 0
        mel_loss = gate_loss = attention = 0.0
        example = None
        for batch in self.batches.epoch(0):
            arrays = (batch.text, batch.text_lengths, batch.mel, batch.mel_lengths)
            batch_mel_loss, batch_gate_loss, mel, alignments = (value.asnumpy() for value in self._forward(*map(Tensor, arrays)))
            steps = -(-batch.mel_lengths // self.reduction_factor)  # (B,)
            mel_loss += float(batch_mel_loss) * int(batch.mel_lengths.sum())
            gate_loss += float(batch_gate_loss) * int(steps.sum())
            attention += sum(float(alignments[i, : steps[i]].max(-1).sum()) for i in range(len(steps)))
            frames += int(batch.mel_lengths.sum())
            decoder_steps += int(steps.sum())
            if example is None:
                example = self._example(batch, mel[0], alignments[0, : steps[0]])
        mel_loss, gate_loss = mel_loss / frames, gate_loss / decoder_steps
        return Validation(mel_loss + gate_loss, mel_loss, gate_loss, attention / decoder_steps, example)

    def _example(self, batch: Batch, mel: np.ndarray, alignment: np.ndarray) -> Example:
        n_frames, n_symbols = batch.mel_lengths[0], batch.text_lengths[0]
        return Example(self.corpus.ids[batch.indices[0]], mel[:, :n_frames], batch.mel[0, :, :n_frames], alignment[:, :n_symbols])

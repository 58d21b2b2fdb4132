"""Training WaveGlow: random segments, their negative log-likelihood, and the likelihood and sound of clips that training does not see."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn
from tqdm import tqdm

from src import runtime
from src.audio import mel_spectrogram, save_wav
from src.config import Config
from src.data.corpus import Corpus
from src.data.segments import SegmentBatch, Segments, decode
from src.errors import InputError
from src.models.waveglow.initialisation import fit_to_data
from src.models.waveglow.loss import WaveGlowLoss
from src.plotting import save_mels

EXAMPLE_SECONDS = 3  # of a clip that each validation turns into sound
FITTED_CLIPS, FITTED_SECONDS = 64, 10  # at most, that a fresh network's scales come from
FEWEST_SEGMENTS = 16  # that a validation measures; less would tell little


class WaveGlowTask:
    """WaveGlow as a `src.train.task.Task`."""

    losses = ("loss", "z_loss", "log_s", "log_det")

    def __init__(self, config: Config):
        self.config = config

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Scales and correlations of the beginnings of some clips from everywhere in the corpus."""
        clips = np.unique(np.linspace(0, len(corpus) - 1, FITTED_CLIPS).astype(int)).tolist()
        longest = FITTED_SECONDS * self.config.audio.sample_rate
        wavs = [decode(wav)[:longest] for (wav,) in corpus.stream(clips, self.config.data.workers, ["wav"])]
        mels = [mel_spectrogram(wav, self.config.audio) for wav in wavs]
        fit_to_data(net, np.concatenate(mels, 1), np.concatenate(wavs))

    def batches(self, corpus: Corpus) -> Segments:
        """One segment of each clip."""
        train = self.config.train
        ranks = runtime.rank(), runtime.world_size()
        return Segments(
            corpus,
            train.batch_size,
            self.config.audio,
            train.segment_length,
            train.seed,
            *ranks,
            workers=self.config.data.workers,
        )

    def inputs(self, batch: SegmentBatch, step: int) -> tuple[Tensor, ...]:
        """What `forward` takes; the same at every step."""
        return Tensor(batch.mel), Tensor(batch.audio)

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """Mel and audio -> the loss and its three terms: it is z_loss - log_s - log_det, each per sample."""
        loss = WaveGlowLoss(self.config.train.sigma)

        def forward(mel: Tensor, audio: Tensor):
            z, log_s_sum, log_det_sum = net(mel, audio)
            value, log_s, log_det = loss(z, log_s_sum, log_det_sum), log_s_sum / z.size, log_det_sum / z.size
            return value, value + log_s + log_det, log_s, log_det

        return forward

    def validator(self, net: nn.Cell, corpus: Corpus) -> "Validator":
        """What measures the network on `corpus`."""
        return Validator(net, self.forward(net), corpus, self.config)

    def save_example(self, validation: "Validation", folder: Path, step: int | None = None) -> Path:
        """Write what a clip sounds like, and its mel beneath that of the recording, in files named after the step of a training run.

        Returns:
            The picture of the mels.
        """
        clip, audio = validation.example, self.config.audio
        when, suffix = ("", "") if step is None else (f", step {step}", f"-{step}")
        wav = np.clip(np.nan_to_num(clip.wav), -1, 1)  # whatever an unready network says, its training goes on
        save_wav(folder / f"sample{suffix}.wav", wav, audio.sample_rate)
        mels = {"generated": mel_spectrogram(wav, audio), "recording": clip.mel}
        picture = folder / f"mel{suffix}.png"
        save_mels(picture, mels, f"{clip.id}{when}", audio)
        return picture


class Example(NamedTuple):
    """The beginning of a clip, and what the network made of its mel."""

    id: str
    mel: np.ndarray  # [n_mels, frames]
    wav: np.ndarray  # [frames * hop_length]


class Validation(NamedTuple):
    """Means over all samples of the validation segments."""

    loss: float  # negative log-likelihood without its constant
    z_loss: float
    log_s: float
    log_det: float
    example: Example  # always the same clip, from the same noise
    measured: dict[str, int]  # samples and clips

    def __str__(self) -> str:
        return f"validation loss {self.loss:.4f}"

    @property
    def numbers(self) -> dict[str, float]:
        """As the log names them."""
        return {f"val_{name}": getattr(self, name) for name in WaveGlowTask.losses}


class Validator:
    """Validates `net` on one segment of each clip, or on several if clips are few: always the same ones, shared out to the ranks.

    They pass one by one, and those that only fill up an epoch are left out, so that none counts twice.
    """

    def __init__(self, net: nn.Cell, forward: Callable[..., tuple[Tensor, ...]], corpus: Corpus, config: Config):
        self.net, self.corpus, self.config = net, corpus, config
        ranks = runtime.rank(), runtime.world_size()
        self.segments = Segments(
            corpus, 1, config.audio, config.train.segment_length, 0, *ranks, workers=config.data.workers
        )
        self._forward = runtime.jit(forward)

    def __call__(self) -> Validation:
        """One pass over the corpus."""
        self.net.set_train(False)
        sums, rank, n_ranks = np.zeros(len(WaveGlowTask.losses)), runtime.rank(), runtime.world_size()
        n_epochs = math.ceil(FEWEST_SEGMENTS / len(self.corpus))
        with tqdm(
            total=n_epochs * len(self.segments), desc="validation", leave=False, dynamic_ncols=True, disable=None
        ) as bar:
            for epoch in range(n_epochs):
                for step, batch in enumerate(self.segments.epoch(epoch)):
                    if step * n_ranks + rank < len(self.corpus):
                        losses = self._forward(Tensor(batch.mel), Tensor(batch.audio))
                        sums += [float(value.asnumpy()) for value in losses]
                    bar.update()
        n_segments = n_epochs * len(self.corpus)
        means = (np.array(runtime.total(*sums)) / n_segments).tolist()
        return Validation(
            *means, self._example(), {"samples": n_segments * self.segments.length, "clips": len(self.corpus)}
        )

    def _example(self) -> Example:
        audio = self.config.audio
        (wav,) = next(self.corpus.stream([0], 1, ["wav"]))
        wav = decode(wav)[: EXAMPLE_SECONDS * audio.sample_rate]
        mel = mel_spectrogram(wav, audio)
        try:
            made = self.net.infer(Tensor(mel[None])).asnumpy()[0]
        except InputError:  # a network that cannot be inverted; its training goes on
            made = np.full(mel.shape[1] * audio.hop_length, np.nan, np.float32)
        return Example(self.corpus.ids[0], mel, made)

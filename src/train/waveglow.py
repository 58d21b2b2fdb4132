"""Training of WaveGlow: random segments, their negative log-likelihood, and validation on clips of their own.

The light network also has a spectral loss of the sound that it makes, as in WG-WaveNet (Hsu & Lee 2020, arXiv
2005.07412).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src import runtime
from src.audio import mel_spectrogram
from src.config import Config
from src.data.corpus import Corpus
from src.data.mel_file import open_mels
from src.data.segments import SegmentBatch, Segments, decode
from src.errors import InputError
from src.models.spectral_loss import SpectralLoss, target_spectra
from src.models.waveglow.initialisation import fit_to_data
from src.models.waveglow.loss import WaveGlowLoss
from src.train.mean_losses import mean_losses
from src.train.sound import EXAMPLE_SECONDS, Example, save_sound

FITTED_CLIPS, FITTED_SECONDS = 64, 10  # at most, to initialise a fresh network from


class WaveGlowTask:
    """WaveGlow as a `src.train.task.Task`."""

    def __init__(self, config: Config):
        self.config = config
        self.spectral = config.model.spectral_weight > 0
        self.losses = ("loss", "z_loss", "log_s", "log_det") + ("spectral_loss",) * self.spectral

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Fit the scales and correlations of a fresh network to the beginnings of clips from all over the corpus."""
        clips = np.unique(np.linspace(0, len(corpus) - 1, FITTED_CLIPS).astype(int)).tolist()
        longest = FITTED_SECONDS * self.config.audio.sample_rate
        wavs = [decode(wav)[:longest] for (wav,) in corpus.stream(clips, self.config.data.workers, ["wav"])]
        given = open_mels(self.config, corpus)
        mels = [mel_spectrogram(wav, self.config.audio) for wav in wavs]
        if given:
            mels = [given.read(clip)[:, : mel.shape[1]] for clip, mel in zip(clips, mels, strict=True)]
        fit_to_data(net, np.concatenate(mels, 1), np.concatenate(wavs))

    def batches(self, corpus: Corpus) -> Segments:
        """Batches of segments, one from each clip per epoch."""
        train = self.config.train
        ranks = runtime.rank(), runtime.world_size()
        settings = train.batch_size, self.config.audio, train.segment_length, train.seed
        return Segments(corpus, *settings, *ranks, self.config.data.workers, open_mels(self.config, corpus))

    def inputs(self, batch: SegmentBatch, step: int) -> tuple[Tensor, ...]:
        """Inputs of the function of `forward`. Noise and latents are drawn for the step, and losses weighted by it."""
        model, shape = self.config.model, batch.audio.shape
        number = step * runtime.world_size() + runtime.rank()
        stream = np.random.default_rng((self.config.train.seed, number, 2))
        audio = batch.audio
        if model.audio_noise:
            audio = audio + np.float32(model.audio_noise) * stream.standard_normal(shape, np.float32)
        if not self.spectral:
            return Tensor(batch.mel), Tensor(audio)
        weights = (1.0, 0.0) if step < model.spectral_from else (model.likelihood_weight, model.spectral_weight)
        latents = np.float32(model.sigma) * stream.standard_normal(
            (len(audio), shape[1] // model.n_group, model.n_group), np.float32
        )
        targets = target_spectra(batch.audio, self.config.audio)
        return (
            *(Tensor(np.ascontiguousarray(array)) for array in (batch.mel, audio, latents, *targets)),
            *(Tensor(weight, ms.float32) for weight in weights),
        )

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """A function of the `inputs` -> the losses that `losses` names, each per sample.

        The loss is the negative log-likelihood, z_loss - log_s - log_det, or the weighted sum of it and the spectral
        loss.
        """
        loss = WaveGlowLoss(self.config.train.sigma)
        edge = self.config.audio.n_fft // 2  # samples at each end that lack their neighbours' share

        def likelihood(mel: Tensor, audio: Tensor):
            z, log_s_sum, log_det_sum = net(mel, audio)
            value, log_s, log_det = loss(z, log_s_sum, log_det_sum), log_s_sum / z.size, log_det_sum / z.size
            return value, value + log_s + log_det, log_s, log_det

        if not self.spectral:
            return likelihood
        spectral_loss = SpectralLoss(self.config.audio)

        def both(mel: Tensor, audio: Tensor, latents: Tensor, *others: Tensor):
            value, z_loss, log_s, log_det = likelihood(mel, audio)
            distance = spectral_loss(net.generate(mel, latents)[:, edge:-edge], others[:-2])
            return others[-2] * value + others[-1] * distance, z_loss, log_s, log_det, distance

        return both

    def validator(self, net: nn.Cell, corpus: Corpus) -> "Validator":
        """The validator of `net` on `corpus`."""
        return Validator(net, self, corpus)

    def save_example(self, validation: "Validation", folder: Path, step: int | None = None) -> Path:
        """Write the sound of a clip, and a picture of its mel and the recording's, in files named after the step.

        Returns:
            The picture.
        """
        return save_sound(validation.example, self.config.audio, folder, step)


class Validation(NamedTuple):
    """Means over all samples of the validation segments."""

    loss: float  # that training minimises in the end; without a spectral loss the negative log-likelihood
    terms: dict[str, float]  # the others by their names
    example: Example  # always the same clip, from the same noise
    measured: dict[str, int]  # samples and clips

    def __str__(self) -> str:
        return f"validation loss {self.loss:.4f}"

    @property
    def numbers(self) -> dict[str, float]:
        """The means by their names in the log."""
        return {f"val_{name}": value for name, value in {"loss": self.loss, **self.terms}.items()}


class Validator:
    """Validates `net` on segments of the clips; see `mean_losses`."""

    def __init__(self, net: nn.Cell, task: WaveGlowTask, corpus: Corpus):
        self.net, self.task, self.corpus, config = net, task, corpus, task.config
        ranks = runtime.rank(), runtime.world_size()
        settings = 1, config.audio, config.train.segment_length, 0
        self.segments = Segments(corpus, *settings, *ranks, config.data.workers, open_mels(config, corpus))
        self._forward = runtime.jit(task.forward(net))

    def __call__(self) -> Validation:
        """Measure one pass over the corpus."""
        self.net.set_train(False)

        def losses(batch: SegmentBatch, number: int) -> tuple[Tensor, ...]:
            # As at the end of training, so that a loss of any step can be compared.
            return self._forward(*self.task.inputs(batch, self.task.config.model.spectral_from + number))

        means, measured = mean_losses(self.segments, losses, len(self.task.losses))
        terms = dict(zip(self.task.losses, means, strict=True))
        return Validation(terms.pop("loss"), terms, self._example(), measured)

    def _example(self) -> Example:
        audio = self.task.config.audio
        (wav,) = next(self.corpus.stream([0], 1, ["wav"]))
        wav = decode(wav)[: EXAMPLE_SECONDS * audio.sample_rate]
        mel = mel_spectrogram(wav, audio)
        if self.segments.mels:
            mel = self.segments.mels.read(0)[:, : mel.shape[1]]
        try:
            sound = self.net.infer(Tensor(mel[None])).asnumpy()[0]
        except InputError:  # the network cannot be inverted yet; training continues
            sound = np.full(mel.shape[1] * audio.hop_length, np.nan, np.float32)
        return Example(self.corpus.ids[0], mel, sound)

"""Training of the harmonic vocoder: segments with their pitch, spectral losses, validation on clips of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn

from src import runtime
from src.audio import mel_spectrogram
from src.config import Config
from src.data.corpus import Corpus
from src.data.mel_file import open_mels
from src.data.pitch import PitchBatch, PitchRange, PitchSegments, continuous, keep_pitches, pitches
from src.data.segments import decode
from src.models.harmonic.loss import HarmonicLoss
from src.models.sampling import noise_and_phase
from src.models.spectral_loss import target_spectra
from src.train.mean_losses import mean_losses
from src.train.sound import EXAMPLE_SECONDS, Example, save_sound

PITCH_WEIGHT = 0.3  # of the errors of pitch and voicing, whose network is one of its own
STATISTICS_CLIPS = 256  # at most, of which the mel's mean and deviation are taken
SPOKEN_CLIPS = 4  # at most, whose mels a validation compares
LEAST_DEVIATION = 1e-2  # of a band or the pitch, so that none is blown up


class HarmonicTask:
    """The harmonic vocoder as a `src.train.task.Task`."""

    losses = ("loss", "spectral_loss", "pitch_loss", "voicing_loss")

    def __init__(self, config: Config):
        self.config = config
        self.within = PitchRange(config.model.pitch_min, config.model.pitch_max)

    def initialise(self, net: nn.Cell, corpus: Corpus) -> None:
        """Measure mean and deviation of mel and pitch on clips from all over the corpus."""
        workers = self.config.data.workers
        clips = np.unique(np.linspace(0, len(corpus) - 1, STATISTICS_CLIPS).astype(int)).tolist()
        frames = np.concatenate([mel for (mel,) in corpus.stream(clips, workers, ["mel"])])
        self._measure_pitch(corpus)
        tracks = pitches(corpus, self.config.audio, self.within, workers)
        heard = [continuous(track, self.within) for track in tracks]
        log_f0 = np.concatenate([pitch[voiced > 0] for pitch, voiced in heard])
        log_f0 = log_f0 if len(log_f0) else np.log(self.within)
        for name, values in (("mel", frames), ("pitch", log_f0[:, None])):
            net.parameters_dict()[f"{name}_mean"].set_data(Tensor(values.mean(0).astype(np.float32)))
            deviation = np.maximum(values.std(0), LEAST_DEVIATION).astype(np.float32)
            net.parameters_dict()[f"{name}_deviation"].set_data(Tensor(deviation))

    def batches(self, corpus: Corpus) -> PitchSegments:
        """Batches of segments, one from each clip per epoch."""
        return self._segments(corpus, self.config.train.batch_size, self.config.train.seed)

    def inputs(self, batch: PitchBatch, step: int) -> tuple[Tensor, ...]:
        """Inputs of the function of `forward`. Noise and phase of the source are drawn for the step."""
        train = self.config.train
        size, n_samples = batch.audio.shape
        first = (step * runtime.world_size() + runtime.rank()) * size
        noise, start = noise_and_phase([(train.seed, first + item) for item in range(size)], n_samples)
        targets = target_spectra(batch.audio, self.config.audio)
        arrays = (batch.mel, batch.pitch, batch.voiced, noise, start, *targets)
        return tuple(Tensor(np.ascontiguousarray(array)) for array in arrays)

    def forward(self, net: nn.Cell) -> Callable[..., tuple[Tensor, ...]]:
        """A function: mel, pitch, voicing, noise, phase, `target_spectra` -> the losses that `losses` names."""
        loss = HarmonicLoss(self.config.audio)

        def forward(mel: Tensor, log_f0: Tensor, voiced: Tensor, noise: Tensor, start: Tensor, *targets: Tensor):
            outputs = net(mel, log_f0, voiced, noise, start)
            spectral, pitch, voicing = loss(outputs, targets, log_f0, voiced, net.pitch_mean, net.pitch_deviation)
            return spectral + PITCH_WEIGHT * (pitch + voicing), spectral, pitch, voicing

        return forward

    def validator(self, net: nn.Cell, corpus: Corpus) -> "Validator":
        """The validator of `net` on `corpus`."""
        return Validator(net, self, self._segments(corpus, 1, 0), corpus)

    def save_example(self, validation: "Validation", folder: Path, step: int | None = None) -> Path:
        """Write the sound of a clip, and a picture of its mel and the recording's, in files named after the step.

        Returns:
            The picture.
        """
        return save_sound(validation.example, self.config.audio, folder, step)

    def _measure_pitch(self, corpus: Corpus) -> None:
        with runtime.first_rank_first():  # which measures what is not yet kept
            keep_pitches(corpus, self.config.audio, self.within, self.config.data.workers)

    def _segments(self, corpus: Corpus, batch_size: int, seed: int) -> PitchSegments:
        mels = open_mels(self.config, corpus)  # first, as the pitch may take an hour
        self._measure_pitch(corpus)
        ranks = runtime.rank(), runtime.world_size()
        settings = batch_size, self.config.audio, self.config.train.segment_length, seed
        return PitchSegments(corpus, *settings, *ranks, self.config.data.workers, mels, within=self.within)


class Validation(NamedTuple):
    """Means over the validation segments, and the mel of speech by the network's own pitch."""

    loss: float
    spectral_loss: float
    pitch_loss: float
    voicing_loss: float
    mel_rmse: float  # of the logarithm, of whole clips (their first seconds)
    example: Example  # always the same clip, from the same noise
    measured: dict[str, int]  # samples and clips

    def __str__(self) -> str:
        return f"validation loss {self.loss:.4f}, mel of its speech off by {self.mel_rmse:.3f}"

    @property
    def numbers(self) -> dict[str, float]:
        """The means by their names in the log."""
        return {f"val_{name}": getattr(self, name) for name in (*HarmonicTask.losses, "mel_rmse")}


class Validator:
    """Validates `net` on segments of the clips, see `mean_losses`, and speaks some clips."""

    def __init__(self, net: nn.Cell, task: HarmonicTask, segments: PitchSegments, corpus: Corpus):
        self.net, self.task, self.segments, self.corpus = net, task, segments, corpus
        self._forward = runtime.jit(task.forward(net))

    def __call__(self) -> Validation:
        """Measure one pass over the corpus."""
        self.net.set_train(False)

        def losses(batch: PitchBatch, number: int) -> tuple[Tensor, ...]:
            return self._forward(*self.task.inputs(batch, number))

        means, measured = mean_losses(self.segments, losses, len(HarmonicTask.losses))
        return Validation(*means, *self._speak(), measured)

    def _speak(self) -> tuple[float, Example]:
        """Root mean square error of the mel over the beginnings of the first clips; the first of them."""
        audio, squares, example = self.task.config.audio, [], None
        clips = range(min(SPOKEN_CLIPS, len(self.corpus)))
        for clip, (wav,) in zip(clips, self.corpus.stream(clips, 1, ["wav"]), strict=True):
            mel = mel_spectrogram(decode(wav)[: EXAMPLE_SECONDS * audio.sample_rate], audio)
            sound = self.net.infer(Tensor(mel[None])).asnumpy()[0]
            difference = mel_spectrogram(np.nan_to_num(sound), audio)[:, : mel.shape[1]] - mel
            squares.append((difference**2).ravel())
            example = example or Example(self.corpus.ids[clip], mel, sound)
        return float(np.sqrt(np.concatenate(squares).mean())), example

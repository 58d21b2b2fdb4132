"""The harmonic vocoder: from a mel spectrogram to pulses and noise, each filtered frame by frame.

The design is a source-filter model at frame rate, close to the neural homomorphic vocoder (Liu et al. 2020) and to DDSP
(Engel et al. 2020); the source follows a predicted pitch, as in Wang et al. 2019. A network reads pitch and voicing
from the mel. Another one predicts two magnitudes for each frame and bin: of the minimum-phase filter of the pulses, and
of the noise's filter. Both are relative to the mel, spread over the bins.
"""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.audio import mel_filters
from src.config import AudioConfig, Config
from src.errors import InputError
from src.models.fourier_bases import hann
from src.models.harmonic.bases import minimum_phase_matrix, spread_matrix
from src.models.harmonic.inference import HarmonicInference
from src.models.harmonic.source import PulseTrain
from src.models.harmonic.windows import HarmonicStream, given_noise, speak_whole
from src.models.inputs import check_inputs
from src.models.layers import Conv1d, Linear
from src.models.ops import add_bias, matmul
from src.models.sampling import Seed, drawn_noise, item_seed
from src.models.spectra import Spectra, Spectrum

LOUDEST = 6.0  # log magnitude of a filter, so that its exponential stays finite
QUIETEST_NOISE = 1.5  # nats below the mel, at which a fresh network's noise begins


class ConvStack(nn.Cell):
    """Convolution, residual blocks h + silu(conv(norm(h))), linear layer: (B, T, n_in) -> (B, T, n_out)."""

    def __init__(self, n_in: int, n_out: int, n_channels: int, n_layers: int, kernel_size: int):
        super().__init__()
        self.start = Conv1d(n_in, n_channels, kernel_size)
        self.norms = nn.CellList([nn.LayerNorm((n_channels,), epsilon=1e-5) for _ in range(n_layers)])
        self.convs = nn.CellList([Conv1d(n_channels, n_channels, kernel_size) for _ in range(n_layers)])
        self.end = Linear(n_channels, n_out, gain=0.1)
        self.end.bias.set_data(Tensor(np.zeros(n_out, np.float32)))

    def construct(self, x: Tensor) -> Tensor:
        h = self.start(x)
        for norm, conv in zip(self.norms, self.convs):  # noqa: B905  graph mode knows no strict
            y = conv(norm(h))
            h = h + y * ops.Sigmoid()(y)
        return self.end(h)


class HarmonicVocoder(nn.Cell):
    """The network with the sizes in `config.model` and `config.audio`; `config` is an attribute."""

    def __init__(self, config: Config):
        super().__init__()
        model, audio = config.model, config.audio
        self.config, self.audio = config, audio
        self.hop_length, self.n_bins = audio.hop_length, audio.n_fft // 2 + 1
        self.pitch = ConvStack(audio.n_mels, 2, model.pitch_channels, model.pitch_layers, model.kernel_size)
        n_inputs, n_outputs = audio.n_mels + 2, 2 * self.n_bins
        self.filters = ConvStack(n_inputs, n_outputs, model.filter_channels, model.filter_layers, model.kernel_size)
        self.mel_mean = _statistic("mel_mean", audio.n_mels, -5.0)
        self.mel_deviation = _statistic("mel_deviation", audio.n_mels, 2.0)
        self.pitch_mean, self.pitch_deviation = _statistic("pitch_mean", 1, 5.0), _statistic("pitch_deviation", 1, 0.3)
        self.pulse_train, self.spectra = PulseTrain(audio), Spectra(audio)
        self.spread, self.phase_matrix = Tensor(spread_matrix(audio)), Tensor(minimum_phase_matrix(audio.n_fft))
        self.level = Tensor(source_level(audio))
        self.synthesis = HarmonicInference(self)

    def construct(
        self, mel: Tensor, log_f0: Tensor, voiced: Tensor, noise: Tensor, start: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run in the training direction, with a given pitch.

        Args:
            mel: float32 (B, n_mels, T).
            log_f0: natural logarithm of the pitch in Hz (B, T), also where there is no voice.
            voiced: 1 at frames with a voice, else 0 (B, T).
            noise: standard normal (B, T * hop_length).
            start: phase of the pulses at the first frame in cycles (B, 1).

        Returns:
            audio (B, T * hop_length); predicted logarithm of the pitch (B, T), and logit of voicing (B, T).
        """
        frames = self.normalise(mel)
        predicted, logit = self.predict_pitch(frames)
        spectrum = self.spectrum(mel, frames, log_f0, voiced, noise, start)
        return self.spectra.inverse(spectrum, mel.shape[0]), predicted, logit

    def normalise(self, mel: Tensor) -> Tensor:
        """Frames (B, T, n_mels) of a mel (B, n_mels, T), each band with mean 0 and deviation 1 over the corpus."""
        n_batch, n_mels, n_time = mel.shape
        rows = mel.swapaxes(1, 2).reshape(-1, n_mels)
        scaled = add_bias(rows, -self.mel_mean) * ops.broadcast_to((1 / self.mel_deviation).reshape(1, -1), rows.shape)
        return scaled.reshape(n_batch, n_time, n_mels)

    def log_bands(self, mel: Tensor) -> Tensor:
        """Natural logarithm of the magnitudes of bands, (B * T, n_mels), of a mel (B, n_mels, T)."""
        bands = mel.swapaxes(1, 2).reshape(-1, mel.shape[1])
        if self.audio.compression == "ln":
            return bands
        floor, ceiling = float(np.log(self.audio.mel_floor)), float(np.log(self.audio.mel_ceiling))
        return bands * (ceiling - floor) + floor

    def predict_pitch(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the pitch and logit of voicing, each (B, T), of normalised frames (B, T, n_mels)."""
        n_batch, n_time, _ = frames.shape
        height, logit = ops.Split(2, 2)(self.pitch(frames))
        log_f0 = height * self.pitch_deviation + self.pitch_mean
        return log_f0.reshape(n_batch, n_time), logit.reshape(n_batch, n_time)

    def spectrum(
        self, mel: Tensor, frames: Tensor, log_f0: Tensor, voiced: Tensor, noise: Tensor, start: Tensor
    ) -> Spectrum:
        """Filtered pulses and noise, as a spectrum of B * T frames; arguments as `construct` has them."""
        height = ((log_f0 - self.pitch_mean) / self.pitch_deviation * voiced).expand_dims(2)
        outputs = self.filters(ops.Concat(2)((frames, voiced.expand_dims(2), height)))
        corrections = ops.Split(1, 2)(outputs.reshape(-1, 2 * self.n_bins))
        base = matmul(add_bias(self.log_bands(mel), self.level), self.spread)
        log_pulse_filter = ops.minimum(base + corrections[0], Tensor(LOUDEST, ms.float32))
        log_noise_filter = ops.minimum(base + corrections[1] - QUIETEST_NOISE, Tensor(LOUDEST, ms.float32))
        phase = matmul(log_pulse_filter, self.phase_matrix)
        magnitude = ops.exp(log_pulse_filter)
        real, imaginary = magnitude * ops.cos(phase), magnitude * ops.sin(phase)
        pulses = self.spectra(ops.stop_gradient(self.pulse_train(ops.exp(log_f0), voiced, start)))
        hiss, hiss_gain = self.spectra(noise), ops.exp(log_noise_filter)
        return (
            real * pulses[0] - imaginary * pulses[1] + hiss_gain * hiss[0],
            real * pulses[1] + imaginary * pulses[0] + hiss_gain * hiss[1],
        )

    def infer(
        self, mel: Tensor, sigma: float | None = None, noise: Tensor | None = None, seed: int | Sequence[Seed] = 0
    ) -> Tensor:
        """Turn a mel spectrogram into audio, by the network's own pitch.

        Args:
            mel: float32 (B, n_mels, F), F at least 2.
            sigma: standard deviation of the noise; by default 1.
            noise: standard normal (B, F * hop_length). By default each item has a stream of its own, drawn from `seed`
                (see `src.models.sampling.item_seed`).
            seed: one for the batch, or one per item.

        Returns:
            float32 (B, F * hop_length).

        Raises:
            InputError: a mel of another shape, of one frame, or with NaN or infinities; a sigma that is negative or not
                finite; noise of another shape.
        """
        mel = mel.asnumpy() if isinstance(mel, Tensor) else np.asarray(mel)
        check_inputs(mel, 1.0 if sigma is None else sigma, self.config.audio.n_mels)
        if noise is not None:
            noise = noise.asnumpy() if isinstance(noise, Tensor) else np.asarray(noise)
            expected = len(mel), mel.shape[2] * self.hop_length
            if noise.shape != expected:
                raise InputError(f"the noise has shape {list(noise.shape)}; expected {list(expected)}")
        wavs = []
        for item, one in enumerate(mel):
            own = item_seed(seed, item) if isinstance(seed, int | np.integer) else seed[item]
            stream = self.stream(sigma, own, None if noise is None else noise[item])
            wavs.append(speak_whole(stream, one))
        return Tensor(np.stack(wavs))

    def stream(
        self, sigma: float | None = None, seed: Seed = (0, 0), noise: np.ndarray | None = None
    ) -> HarmonicStream:
        """Begin to speak a mel that comes piece by piece; the sound is that of `infer`.

        Args:
            sigma: standard deviation of the noise; by default 1.
            seed: of noise and phase.
            noise: standard normal [F * hop_length], of a mel of F frames, in the place of the drawn one.
        """
        self.set_train(False)
        draw, start = drawn_noise(seed)
        if noise is not None:
            draw = given_noise(noise, self.hop_length)
        return self.synthesis.stream(draw, start, sigma)

    def remove_weight_norm(self) -> None:
        """Do nothing: this network has no weight norm. Programs call it on every vocoder."""


def _statistic(name: str, size: int, value: float) -> Parameter:
    """A parameter that is measured once on the corpus, not trained."""
    return Parameter(Tensor(np.full(size, value, np.float32)), name=name, requires_grad=False)


def source_level(audio: AudioConfig) -> np.ndarray:
    """Logarithm of the gain that gives a source of unit power a mel of 1 in each band, float32 [n_mels]."""
    power = (hann(audio.n_fft, audio.win_length) ** 2).sum()
    return -np.log(np.maximum(mel_filters(audio).sum(1), 1e-8) * np.sqrt(power)).astype(np.float32)

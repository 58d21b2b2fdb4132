"""From a mel spectrogram to sound by the network's own pitch, and the correction of the sound to the mel.

One graph does everything. It is compiled once per number of frames, which are rounded up, so that few are compiled.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.audio import mel_filters
from src.config import Config
from src.models.harmonic.padding import padded, unpadded
from src.models.harmonic.spectra import Spectra, Spectrum, magnitudes, scaled, spread_matrix
from src.models.ops import matmul

LARGEST_GAIN = 3.0  # nats, of a band in one correction
SMALLEST = 1e-7  # magnitude by which a spectrum is divided at least
UPDATES = 20  # of the estimate of linear magnitudes, as src.audio.griffin_lim has them


class MelCorrection(nn.Cell):
    """Brings the mel of a waveform nearer to the wanted one; then its phases nearer to its magnitudes.

    A correction multiplies the spectrum by the gain that each band lacks, spread over the bins. Phase iterations are
    those of Griffin & Lim (1984), from the waveform's phases, on the geometric mean of its magnitudes and of those that
    the mel alone suggests.
    """

    def __init__(self, config: Config, spectra: Spectra):
        super().__init__(auto_prefix=False)
        audio, model = config.audio, config.model
        self.spectra = [spectra]
        self.n_corrections, self.n_iterations = model.mel_corrections, model.phase_iterations
        filters = mel_filters(audio)
        self.to_mel, self.spread = Tensor(filters.T.copy()), Tensor(spread_matrix(audio))
        self.from_mel, self.overlaps = Tensor(filters), Tensor((filters.T @ filters).astype(np.float32))
        self.floor = audio.mel_floor

    def construct(self, audio: Tensor, wanted: Tensor) -> Tensor:
        """Correct audio (B, T * hop_length) to the logarithm of mel magnitudes `wanted` (B * T, n_mels)."""
        spectra, n_batch = self.spectra[0], audio.shape[0]
        for _ in range(self.n_corrections):
            audio = spectra.inverse(self.corrected(spectra(audio), wanted), n_batch)
        if self.n_iterations > 0:
            spectrum = spectra(audio)
            target = ops.sqrt(magnitudes(spectrum) * self.linear_magnitudes(wanted))
            for _ in range(self.n_iterations):
                spectrum = spectra(spectra.inverse(with_magnitudes(spectrum, target), n_batch))
            audio = spectra.inverse(with_magnitudes(spectrum, target), n_batch)
        return audio

    def corrected(self, spectrum: Spectrum, wanted: Tensor) -> Spectrum:
        """Multiply a spectrum by the gain of each band, spread over the bins."""
        mel = matmul(magnitudes(spectrum), self.to_mel)
        lacking = wanted - ops.log(ops.maximum(mel, Tensor(self.floor, ms.float32)))
        lacking = ops.clip_by_value(lacking, Tensor(-LARGEST_GAIN, ms.float32), Tensor(LARGEST_GAIN, ms.float32))
        return scaled(spectrum, ops.exp(matmul(lacking, self.spread)))

    def linear_magnitudes(self, wanted: Tensor) -> Tensor:
        """Estimate magnitudes (N, bins) from those of bands (N, n_mels), as `src.audio.griffin_lim` does."""
        target = matmul(ops.exp(wanted), self.from_mel)
        linear = target
        for _ in range(UPDATES):
            linear = linear * target / ops.maximum(matmul(linear, self.overlaps), Tensor(1e-12, ms.float32))
        return linear


def with_magnitudes(spectrum: Spectrum, target: Tensor) -> Spectrum:
    """Keep the phases of a spectrum and give it other magnitudes."""
    return scaled(spectrum, target / ops.maximum(magnitudes(spectrum), Tensor(SMALLEST, ms.float32)))


class Speaker(nn.Cell):
    """The graph of inference: mel, noise, phase -> audio."""

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list: its parameters are not this cell's
        model = net.config.model
        self.low, self.high = float(np.log(model.pitch_min)), float(np.log(model.pitch_max))
        self.correction = MelCorrection(net.config, net.spectra)

    def construct(self, mel: Tensor, noise: Tensor, start: Tensor) -> Tensor:
        """mel (B, n_mels, T), noise (B, T * hop_length), phase of the pulses (B, 1) -> audio (B, T * hop_length)."""
        net = self.net[0]
        frames = net.normalise(mel)
        log_f0, logit = net.predict_pitch(frames)
        log_f0 = ops.clip_by_value(log_f0, Tensor(self.low, ms.float32), Tensor(self.high, ms.float32))
        voiced = ops.Cast()(logit > 0, ms.float32)
        audio = net.spectra.inverse(net.spectrum(mel, frames, log_f0, voiced, noise, start), mel.shape[0])
        return self.correction(audio, net.log_bands(mel))


class HarmonicInference:
    """Inference of a `HarmonicVocoder`: mel (B, n_mels, F), noise (B, F * hop), phases (B, 1) -> audio (B, F * hop)."""

    def __init__(self, net: nn.Cell):
        self.hop_length = net.config.audio.hop_length
        self.speaker = Speaker(net)

    def __call__(self, mel: np.ndarray, noise: np.ndarray, starts: np.ndarray) -> np.ndarray:
        mel_padded, noise = padded(mel, noise, self.hop_length)
        items = zip(mel_padded, noise, starts, strict=True)  # one by one, so that a batch needs no graph of its own
        audio = [self.speaker(*(Tensor(array[None]) for array in item)).asnumpy() for item in items]
        return unpadded(np.concatenate(audio), mel.shape[2], self.hop_length)

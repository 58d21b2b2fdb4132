"""The training losses of the harmonic vocoder: spectra at several resolutions, and the pitch."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.harmonic.bases import hann
from src.models.harmonic.spectra import Fourier, Spectrum

FLOOR = 1e-7  # power added before the logarithm: about that of the rounding of 16-bit samples


def sizes(audio: AudioConfig) -> tuple[int, int, int]:
    """The windows of the spectral loss in samples, every half of which a frame begins."""
    return audio.n_fft // 2, audio.n_fft, 2 * audio.n_fft


def target_spectra(audio: np.ndarray, settings: AudioConfig) -> list[np.ndarray]:
    """Logarithms of the power spectrograms that `SpectralLoss` compares with, each float32 (B * T, bins).

    They are computed on the host by fast transforms, since no gradient goes through them.

    Args:
        audio: the recordings (B, samples); half of n_fft is left out at both ends, as in `HarmonicLoss`.
    """
    edge, spectra = settings.n_fft // 2, []
    for size in sizes(settings):
        frames = np.lib.stride_tricks.sliding_window_view(audio[:, edge:-edge], size, 1)[:, :: size // 2]
        spectrum = np.fft.rfft(frames * hann(size, size).astype(np.float32)).reshape(-1, size // 2 + 1)
        spectra.append(np.log(spectrum.real**2 + spectrum.imag**2 + FLOOR).astype(np.float32))
    return spectra


class SpectralLoss(nn.Cell):
    """Distance of waveforms from recordings by the magnitudes of three spectrograms (Yamamoto et al. 2020, eq. 4-6).

    Each adds the spectral convergence, which sees what is loud, and the mean difference of logarithms, which sees what
    is faint.
    """

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.transforms = nn.CellList([Fourier(size, size // 2, size) for size in sizes(audio)])

    def construct(self, audio: Tensor, targets: tuple[Tensor, ...]) -> Tensor:
        """audio (B, samples) and `target_spectra` -> scalar."""
        n_batch, total = audio.shape[0], 0.0
        for transform, theirs in zip(self.transforms, targets):  # noqa: B905  graph mode knows no strict
            ours = log_power(transform(audio))
            magnitude, wanted = ops.exp(0.5 * ours), ops.exp(0.5 * theirs)
            difference = (magnitude - wanted).square().reshape(n_batch, -1).sum(1)
            convergence = ops.sqrt(difference / wanted.square().reshape(n_batch, -1).sum(1) + 1e-8)
            total = total + convergence.mean() + 0.5 * ops.abs(ours - theirs).mean()
        return total / len(self.transforms)


def log_power(spectrum: Spectrum) -> Tensor:
    """Logarithm of the power (N, bins) of a spectrum."""
    return ops.log(spectrum[0].square() + spectrum[1].square() + FLOOR)


class HarmonicLoss(nn.Cell):
    """Spectral loss of the waveform, and the errors of pitch and voicing."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.edge = audio.n_fft // 2  # samples at each end that lack their neighbours' share
        self.spectral = SpectralLoss(audio)

    def construct(
        self,
        outputs: tuple[Tensor, Tensor, Tensor],
        targets: tuple[Tensor, ...],
        log_f0: Tensor,
        voiced: Tensor,
        pitch_deviation: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the losses of a batch.

        Args:
            outputs: of `HarmonicVocoder`.
            targets: `target_spectra` of the recordings.
            log_f0, voiced: their pitch and voicing (B, T).
            pitch_deviation: of `log_f0` over the corpus (1,).

        Returns:
            spectral loss; mean square error of the pitch in deviations, over voiced frames; binary cross-entropy of
            voicing.
        """
        speech, predicted, logit = outputs
        spectral = self.spectral(speech[:, self.edge : -self.edge], targets)
        square = ((predicted - log_f0) / pitch_deviation).square() * voiced
        pitch = square.sum() / ops.maximum(voiced.sum(), Tensor(1.0, ms.float32))
        # max(z, 0) - z y + ln(1 + exp(-|z|)), which cannot overflow
        cross_entropy = ops.relu(logit) - logit * voiced + ops.log(1 + ops.exp(-ops.abs(logit)))
        return spectral, pitch, cross_entropy.mean()

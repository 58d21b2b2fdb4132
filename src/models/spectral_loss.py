"""The loss of waveforms by the magnitudes of their spectra, at several resolutions."""

import math

import numpy as np
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.fourier_bases import hann
from src.models.spectra import Fourier, Spectrum

FLOOR = 1e-7  # power added before the logarithm: about that of the rounding of 16-bit samples


def sizes(audio: AudioConfig) -> tuple[int, int, int]:
    """The windows of the spectral loss in samples, every half of which a frame begins."""
    return audio.n_fft // 2, audio.n_fft, 2 * audio.n_fft


def target_spectra(audio: np.ndarray, settings: AudioConfig) -> list[np.ndarray]:
    """Logarithms of the power spectrograms that `SpectralLoss` compares with, each float32 (B * T, bins).

    They are computed on the host by fast transforms, since no gradient goes through them.

    Args:
        audio: the recordings (B, samples); half of n_fft is left out at both ends, as must be of what is compared.
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
    """Logarithm of the power plus `FLOOR` (N, bins) of a spectrum."""
    # Not ops.log: on CPU it rounds by how its threads share the work, which MindSpore tries out at each start, and a
    # resumed run would differ from one that went on.
    return ops.log1p((spectrum[0].square() + spectrum[1].square()) * (1 / FLOOR)) + math.log(FLOOR)

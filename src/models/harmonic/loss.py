"""The training losses of the harmonic vocoder: spectra at several resolutions, and the pitch."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.harmonic.spectra import Fourier, Spectrum

FLOOR = 1e-7  # squared magnitude added before the root: about the rounding of 16-bit samples
OVERLAP = 4  # hops in a window


class SpectralLoss(nn.Cell):
    """Distance of two waveforms (B, samples) by the magnitudes of three spectrograms (Yamamoto et al. 2020, eq. 4-6).

    The windows are half, once and twice `audio.n_fft`. Each adds the spectral convergence, which sees what is loud, and
    the mean difference of logarithms, which sees what is faint.
    """

    def __init__(self, audio: AudioConfig):
        super().__init__()
        sizes = audio.n_fft // 2, audio.n_fft, 2 * audio.n_fft
        self.transforms = nn.CellList([Fourier(size, size // OVERLAP, size) for size in sizes])

    def construct(self, audio: Tensor, target: Tensor) -> Tensor:
        total = 0.0
        for transform in self.transforms:
            ours, theirs = log_power(transform(audio)), ops.stop_gradient(log_power(transform(target)))
            n_batch = audio.shape[0]
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
        audio: Tensor,
        log_f0: Tensor,
        voiced: Tensor,
        pitch_deviation: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the losses of a batch.

        Args:
            outputs: of `HarmonicVocoder`.
            audio: the recordings (B, samples).
            log_f0, voiced: their pitch and voicing (B, T).
            pitch_deviation: of `log_f0` over the corpus (1,).

        Returns:
            spectral loss; mean square error of the pitch in deviations, over voiced frames; binary cross-entropy of
            voicing.
        """
        speech, predicted, logit = outputs
        spectral = self.spectral(speech[:, self.edge : -self.edge], audio[:, self.edge : -self.edge])
        square = ((predicted - log_f0) / pitch_deviation).square() * voiced
        pitch = square.sum() / ops.maximum(voiced.sum(), Tensor(1.0, ms.float32))
        # max(z, 0) - z y + ln(1 + exp(-|z|)), which cannot overflow
        cross_entropy = ops.relu(logit) - logit * voiced + ops.log(1 + ops.exp(-ops.abs(logit)))
        return spectral, pitch, cross_entropy.mean()

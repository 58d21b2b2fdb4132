"""The training losses of the harmonic vocoder: spectra, and the pitch."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.spectral_loss import SpectralLoss

SPREAD_WEIGHT = 4.0  # of the error of the pitch's spread, beside the square error of the pitch


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
        pitch_mean: Tensor,
        pitch_deviation: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the losses of a batch.

        Args:
            outputs: of `HarmonicVocoder`.
            targets: `target_spectra` of the recordings.
            log_f0, voiced: their pitch and voicing (B, T).
            pitch_mean, pitch_deviation: of `log_f0` over the corpus (1,).

        Returns:
            spectral loss; error of the pitch, see `pitch_error`; binary cross-entropy of voicing.
        """
        speech, predicted, logit = outputs
        spectral = self.spectral(speech[:, self.edge : -self.edge], targets)
        pitch = pitch_error((predicted - pitch_mean) / pitch_deviation, (log_f0 - pitch_mean) / pitch_deviation, voiced)
        # max(z, 0) - z y + ln(1 + exp(-|z|)), which cannot overflow
        cross_entropy = ops.relu(logit) - logit * voiced + ops.log1p(ops.exp(-ops.abs(logit)))
        return spectral, pitch, cross_entropy.mean()


def pitch_error(ours: Tensor, theirs: Tensor, voiced: Tensor) -> Tensor:
    """Error of a pitch over voiced frames: the mean square of its differences, and that of its spread.

    Where a mel is blurred, the square error alone is least for a melody that is drawn towards the mean. So the spread
    around the mean of the corpus is compared too, item by item, as global variance is in the training of other models
    of speech (Toda & Young 2009).

    Args:
        ours, theirs: pitch in deviations from the mean of the corpus (B, T).
        voiced: 1 at frames with a voice, else 0 (B, T).
    """
    n_voiced = voiced.sum(1)
    square = (ours - theirs).square() * voiced
    spread = (_deviation(ours, voiced) - _deviation(theirs, voiced)).square()
    return square.sum() / ops.maximum(n_voiced.sum(), Tensor(1.0, ms.float32)) + SPREAD_WEIGHT * spread.mean()


def _deviation(pitch: Tensor, voiced: Tensor) -> Tensor:
    """Root mean square over voiced frames (B,); the same for all items without any."""
    n_voiced = ops.maximum(voiced.sum(1), Tensor(1.0, ms.float32))
    return ops.sqrt((pitch.square() * voiced).sum(1) / n_voiced + 1e-4)

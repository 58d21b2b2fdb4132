"""From a mel spectrogram to sound by the network's own pitch, and the correction of the sound to the mel.

A graph speaks, another one corrects, again and again. Each is compiled once per number of frames, which are rounded up,
so that few are compiled.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.audio import mel_filters
from src.config import Config
from src.models.harmonic.padding import padded, unpadded
from src.models.harmonic.spectra import Spectra, magnitudes, scaled, spread_matrix
from src.models.ops import matmul

LARGEST_GAIN = 3.0  # nats, of a band in one correction


class MelCorrection(nn.Cell):
    """A step that brings the mel of a waveform nearer to the wanted one.

    The spectrum is multiplied by the gain that each band lacks, spread over the bins, and made that of a waveform, as
    in the iterations of Griffin & Lim (1984); the fine structure between the bands stays. The next step starts beyond
    that, further in the direction of the change, as in their fast form (Perraudin et al. 2013).
    """

    def __init__(self, config: Config, spectra: Spectra):
        super().__init__(auto_prefix=False)
        audio = config.audio
        self.spectra = [spectra]
        self.to_mel, self.spread = Tensor(mel_filters(audio).T.copy()), Tensor(spread_matrix(audio))
        self.floor, self.momentum = audio.mel_floor, config.model.correction_momentum

    def construct(
        self, real: Tensor, imaginary: Tensor, real_before: Tensor, imaginary_before: Tensor, wanted: Tensor
    ) -> tuple[Tensor, ...]:
        """Take a step for one item.

        Args:
            real, imaginary: the spectrum to correct (T, bins).
            real_before, imaginary_before: that of the step before (T, bins), or the same at the first.
            wanted: logarithm of the magnitudes of bands (T, n_mels).

        Returns:
            The spectrum to correct next; the spectrum of the corrected waveform; the waveform (1, T * hop_length).
        """
        mel = matmul(magnitudes((real, imaginary)), self.to_mel)
        lacking = wanted - ops.log(ops.maximum(mel, Tensor(self.floor, ms.float32)))
        lacking = ops.clip_by_value(lacking, Tensor(-LARGEST_GAIN, ms.float32), Tensor(LARGEST_GAIN, ms.float32))
        gain = ops.exp(matmul(lacking, self.spread))
        audio = self.spectra[0].inverse(scaled((real, imaginary), gain), 1)
        real, imaginary = self.spectra[0](audio)
        further_real = real + self.momentum * (real - real_before)
        further_imaginary = imaginary + self.momentum * (imaginary - imaginary_before)
        return further_real, further_imaginary, real, imaginary, audio


class Speaker(nn.Cell):
    """The graph from mel, noise and phase to a waveform that is not corrected yet."""

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list: its parameters are not this cell's
        model = net.config.model
        self.low, self.high = float(np.log(model.pitch_min)), float(np.log(model.pitch_max))

    def construct(self, mel: Tensor, noise: Tensor, start: Tensor) -> tuple[Tensor, ...]:
        """Speak an item.

        Args:
            mel: (1, n_mels, T).
            noise: (1, T * hop_length).
            start: phase of the pulses at the first frame in cycles (1, 1).

        Returns:
            The waveform (1, T * hop_length), its spectrum, and the logarithm of the magnitudes of bands (T, n_mels).
        """
        net = self.net[0]
        frames = net.normalise(mel)
        log_f0, logit = net.predict_pitch(frames)
        log_f0 = ops.clip_by_value(log_f0, Tensor(self.low, ms.float32), Tensor(self.high, ms.float32))
        voiced = ops.Cast()(logit > 0, ms.float32)
        audio = net.spectra.inverse(net.spectrum(mel, frames, log_f0, voiced, noise, start), 1)
        real, imaginary = net.spectra(audio)
        return audio, real, imaginary, net.log_bands(mel)


class HarmonicInference:
    """Inference of a `HarmonicVocoder`: mel (B, n_mels, F), noise (B, F * hop), phases (B, 1) -> audio (B, F * hop)."""

    def __init__(self, net: nn.Cell):
        self.hop_length, self.n_corrections = net.config.audio.hop_length, net.config.model.mel_corrections
        self.speaker, self.correction = Speaker(net), MelCorrection(net.config, net.spectra)

    def __call__(self, mel: np.ndarray, noise: np.ndarray, starts: np.ndarray) -> np.ndarray:
        whole, noise = padded(mel, noise, self.hop_length)
        return unpadded(self.speak(whole, noise, starts), mel.shape[2], self.hop_length)

    def speak(self, mel: np.ndarray, noise: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Turn mels into sound without frames around them, item by item, so that a batch needs no graph of its own."""
        return np.concatenate([self._item(*item) for item in zip(mel, noise, starts, strict=True)])

    def _item(self, *arrays: np.ndarray) -> np.ndarray:
        audio, *spectrum, wanted = self.speaker(*(Tensor(array[None]) for array in arrays))
        before = spectrum
        for _ in range(self.n_corrections):
            *spectrum, real, imaginary, audio = self.correction(*spectrum, *before, wanted)
            before = real, imaginary
        return audio.asnumpy()

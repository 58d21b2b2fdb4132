"""From a mel spectrogram to sound by the network's own pitch, and the correction of the sound to the mel.

A graph speaks. It is compiled once per number of frames, which are rounded up, so that few are compiled. The correction
runs on the host.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.harmonic.correction import MelCorrection
from src.models.harmonic.padding import CONTEXT, padded, unpadded


class Speaker(nn.Cell):
    """The graph from mel, noise and phase to a waveform that is not corrected yet."""

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list: its parameters are not this cell's
        model = net.config.model
        self.low, self.high = float(np.log(model.pitch_min)), float(np.log(model.pitch_max))

    def construct(self, mel: Tensor, noise: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Speak an item.

        Args:
            mel: (1, n_mels, T).
            noise: (1, T * hop_length).
            start: phase of the pulses at the first frame in cycles (1, 1).

        Returns:
            The waveform (1, T * hop_length), and the logarithm of the magnitudes of bands (T, n_mels).
        """
        net = self.net[0]
        frames = net.normalise(mel)
        log_f0, logit = net.predict_pitch(frames)
        log_f0 = ops.clip_by_value(log_f0, Tensor(self.low, ms.float32), Tensor(self.high, ms.float32))
        voiced = ops.Cast()(logit > 0, ms.float32)
        audio = net.spectra.inverse(net.spectrum(mel, frames, log_f0, voiced, noise, start), 1)
        return audio, net.log_bands(mel)


class HarmonicInference:
    """Inference of a `HarmonicVocoder`: mel (B, n_mels, F), noise (B, F * hop), phases (B, 1) -> audio (B, F * hop)."""

    def __init__(self, net: nn.Cell):
        self.hop_length = net.config.audio.hop_length
        self.speaker, self.correction = Speaker(net), MelCorrection(net.config)

    def __call__(self, mel: np.ndarray, noise: np.ndarray, starts: np.ndarray) -> np.ndarray:
        whole, noise = padded(mel, noise, self.hop_length)
        return unpadded(self.speak(whole, noise, starts, mel.shape[2] + 2 * CONTEXT), mel.shape[2], self.hop_length)

    def speak(self, mel: np.ndarray, noise: np.ndarray, starts: np.ndarray, n_frames: int) -> np.ndarray:
        """Turn the first frames of mels into sound, without frames around them: (B, n_frames * hop_length).

        Items are spoken one by one, so that a batch needs no graph of its own.
        """
        return np.stack([self._item(n_frames, *item) for item in zip(mel, noise, starts, strict=True)])

    def _item(self, n_frames: int, *arrays: np.ndarray) -> np.ndarray:
        audio, wanted = self.speaker(*(Tensor(array[None]) for array in arrays))
        return self.correction(audio.asnumpy()[0, : n_frames * self.hop_length], wanted.asnumpy()[:n_frames])

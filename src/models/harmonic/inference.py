"""From a mel spectrogram to sound by the network's own pitch, and the correction of the sound to the mel.

A graph speaks windows of one shape (see `src.models.harmonic.windows`). The correction runs on the host.
"""

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.harmonic.correction import MelCorrection
from src.models.harmonic.source import fraction
from src.models.harmonic.windows import HarmonicStream, Window


class WindowGraph(nn.Cell):
    """The graph from mel, noise and phase to a waveform that is not corrected yet."""

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list: its parameters are not this cell's
        model = net.config.model
        self.low, self.high = float(np.log(model.pitch_min)), float(np.log(model.pitch_max))

    def construct(self, mel: Tensor, noise: Tensor, start: Tensor, anchor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Speak a window.

        Args:
            mel: (1, n_mels, T).
            noise: (1, T * hop_length).
            start: phase of the pulses in cycles at frame `anchor` (1, 1).
            anchor: int32 (1,).

        Returns:
            The waveform (1, T * hop_length), the logarithm of the magnitudes of bands (T, n_mels), and the phase of the
            pulses at each frame (1, T).
        """
        net = self.net[0]
        frames = net.normalise(mel)
        log_f0, logit = net.predict_pitch(frames)
        log_f0 = ops.clip_by_value(log_f0, Tensor(self.low, ms.float32), Tensor(self.high, ms.float32))
        voiced = ops.Cast()(logit > 0, ms.float32)
        phase = net.pulse_train.phase_at_frames(ops.exp(log_f0), ops.zeros((1, 1), ms.float32))
        first = fraction(start - ops.gather(phase, anchor, 1))
        audio = net.spectra.inverse(net.spectrum(mel, frames, log_f0, voiced, noise, first), 1)
        n_frames = phase.shape[1]
        return audio, net.log_bands(mel), fraction(phase + ops.broadcast_to(first, (1, n_frames)))


class HarmonicInference:
    """Inference of a `HarmonicVocoder`, window by window."""

    def __init__(self, net: nn.Cell):
        self.hop_length = net.config.audio.hop_length
        self.graph, self.correction = WindowGraph(net), MelCorrection(net.config)

    def stream(self, draw: Callable[[int], np.ndarray], start: float, sigma: float | None = None) -> HarmonicStream:
        """Begin to speak a mel; arguments as `HarmonicStream` has them."""
        return HarmonicStream(self.window, draw, start, self.hop_length, sigma)

    def window(self, window: Window, corrected: slice) -> tuple[np.ndarray, np.ndarray]:
        """Speak a window, as `src.models.harmonic.windows.SpeakWindow` says."""
        audio, wanted, phase = self.graph(*(Tensor(array) for array in window))
        return self.correction(audio.asnumpy()[0], wanted.asnumpy(), corrected)[None], phase.asnumpy()

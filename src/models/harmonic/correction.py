"""The correction of a waveform to a mel spectrogram, on the host as Griffin-Lim is.

Fast transforms take less than half of the time of products in a graph on a CPU, and no compilation for each length.
"""

import functools

import numpy as np
import scipy
import threadpoolctl

from src.audio import mel_filters
from src.config import Config
from src.models.harmonic.bases import hann, overlap_gain, spread_matrix

LARGEST_GAIN = 3.0  # nats, of a band in one step
# Shares of the fine structure of the waveform's mel: a wanted mel that has less than the first lacks it, one that has
# more than the second has it.
BLURRED, SHARP = 0.6, 0.9
NEIGHBOURS = np.float32([1, 2, 3, 2, 1]) / 9  # weights of bands whose mean is a mel without its fine structure
FRAMES = 9  # over which fine structure is compared


class MelCorrection:
    """Brings the mel of a waveform nearer to the wanted one, `model.mel_corrections` times.

    The spectrum is multiplied by the gain that each band lacks, spread over the bins, and made that of a waveform, as
    in the iterations of Griffin & Lim (1984); the fine structure between the bands stays. The next step starts beyond
    that, further in the direction of the change, as in their fast form (Perraudin et al. 2013).

    An acoustic network's mels are blurred: their bands lack the differences from one to the next by which a mel shows
    harmonics. Corrected to such a mel, a voice would become a whisper. There the wanted mel is given the fine structure
    of the waveform.

    Frame t is centred at sample t * hop_length; the waveform is 0 beyond its ends.
    """

    def __init__(self, config: Config):
        audio = config.audio
        self.n_fft, self.hop_length, self.win_length = audio.n_fft, audio.hop_length, audio.win_length
        self.floor = np.float32(audio.mel_floor)
        self.n_steps = config.model.mel_corrections
        self.momentum = np.float32(config.model.correction_momentum)
        self.window = hann(audio.n_fft, audio.win_length).astype(np.float32)
        self.to_mel, self.spread = np.ascontiguousarray(mel_filters(audio).T), spread_matrix(audio)
        self.fine = np.eye(audio.n_mels, dtype=np.float32) - _mean_of_neighbours(audio.n_mels)

    def __call__(self, audio: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Correct a waveform.

        Args:
            audio: float32 (T * hop_length,).
            wanted: natural logarithm of the magnitudes of bands, float32 (T, n_mels).

        Returns:
            float32 (T * hop_length,).
        """
        # The products are too small for several threads, which would only keep other work from the cores.
        with _blas().limit(limits=1, user_api="blas"):
            return self._corrected(audio, wanted)

    def _corrected(self, audio: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        before = self.transform(audio)
        if self.n_steps:
            wanted = self.sharpened(wanted, np.log(np.maximum(np.abs(before) @ self.to_mel, self.floor)))
        spectrum = before.copy()
        weight = overlap_gain(len(spectrum), self.n_fft, self.hop_length, self.win_length)
        for _ in range(self.n_steps):
            mel = np.abs(spectrum) @ self.to_mel
            lacking = wanted - np.log(np.maximum(mel, self.floor, out=mel), out=mel)
            gain = np.clip(lacking, -LARGEST_GAIN, LARGEST_GAIN, out=lacking) @ self.spread
            spectrum *= np.exp(gain, out=gain)
            audio = self.inverse(spectrum, weight)
            found = self.transform(audio)
            spectrum = found - before
            spectrum *= self.momentum
            spectrum += found
            before = found
        return audio

    def sharpened(self, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Put the fine structure of a mel into another one, where that is blurred; both float32 (T, n_mels)."""
        ours, theirs = wanted @ self.fine, found @ self.fine
        share = np.sqrt(_power(ours) / np.maximum(_power(theirs), 1e-6))
        return wanted + np.clip((SHARP - share) / (SHARP - BLURRED), 0, 1)[:, None] * (theirs - ours)

    def transform(self, audio: np.ndarray) -> np.ndarray:
        """STFT complex64 (T, bins) of float32 (T * hop_length,)."""
        padded = np.zeros(len(audio) + self.n_fft - self.hop_length, np.float32)
        padded[self.n_fft // 2 :][: len(audio)] = audio
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop_length]
        return scipy.fft.rfft(frames * self.window, overwrite_x=True)

    def inverse(self, spectrum: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The waveform float32 (T * hop_length,) whose STFT is nearest to complex64 (T, bins).

        Args:
            weight: `overlap_gain` of T frames.
        """
        frames = scipy.fft.irfft(spectrum, self.n_fft, overwrite_x=True)
        frames *= self.window
        return self._overlapping(frames) * weight

    def _overlapping(self, frames: np.ndarray) -> np.ndarray:
        """Add up frames (T, n_fft), a hop apart, and cut T * hop_length samples from the middle of the first one on."""
        n_frames, n_blocks = len(frames), -(-self.n_fft // self.hop_length)
        if lacking := n_blocks * self.hop_length - self.n_fft:
            frames = np.pad(frames, ((0, 0), (0, lacking)))
        blocks = frames.reshape(n_frames, n_blocks, self.hop_length)
        total = np.zeros((n_frames + n_blocks, self.hop_length), np.float32)
        for i in range(n_blocks):
            total[i : i + n_frames] += blocks[:, i]
        begin = self.n_fft // 2
        return total.reshape(-1)[begin : begin + n_frames * self.hop_length]


def _mean_of_neighbours(n_bands: int) -> np.ndarray:
    """Matrix float32 [n_bands, n_bands] from bands to means of `NEIGHBOURS`, fewer at the ends."""
    reach = len(NEIGHBOURS) // 2
    means = sum(weight * np.eye(n_bands, k=k, dtype=np.float32) for k, weight in enumerate(NEIGHBOURS, -reach))
    return means / means.sum(0)


def _power(fine: np.ndarray) -> np.ndarray:
    """Mean power of a fine structure (T, n_mels) around each frame, float32 (T,)."""
    return scipy.ndimage.uniform_filter1d((fine**2).mean(1), FRAMES, mode="constant")


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()

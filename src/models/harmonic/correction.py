"""The correction of a waveform to a mel spectrogram, on the host as Griffin-Lim is.

Fast transforms take less than half of the time of products in a graph on a CPU, and no compilation for each length.
"""

import functools

import numpy as np
import scipy
import threadpoolctl

from src.audio import mel_filters
from src.config import Config
from src.models.fourier_bases import hann, overlap_gain
from src.models.harmonic.bases import spread_matrix

LARGEST_GAIN = np.float32(3.0)  # nats, of a band in one step
# Shares of the fine structure of the waveform's mel: a wanted mel that has less than the first lacks it, one that has
# more than the second has it.
BLURRED, SHARP = 0.6, 0.9
NEIGHBOURS = np.float32([1, 2, 3, 2, 1]) / 9  # weights of bands whose mean is a mel without its fine structure
FRAMES = 9  # over which fine structure is compared
# A blurred mel is sharpened in time: each band less its smooth course, of a Gaussian of this deviation, this much more.
COURSE, SHARPENING = 2.0, 0.6  # frames; share
LOUDER = 0.17  # nats that this adds to the level of speech, on average, and that are taken off again
BINS_OF_A_PART = 128  # products with parts of this size leave out most zeros


class MelCorrection:
    """Brings the mel of a waveform nearer to the wanted one, `model.mel_corrections` times.

    The spectrum is multiplied by the gain that each band lacks, spread over the bins, and made that of a waveform, as
    in the iterations of Griffin & Lim (1984); the fine structure between the bands stays. The next step starts beyond
    that, further in the direction of the change, as in their fast form (Perraudin et al. 2013).

    An acoustic network's mels are blurred: their bands lack the differences from one to the next by which a mel shows
    harmonics. Corrected to such a mel, a voice would become a whisper. There the wanted mel is given the fine structure
    of the waveform. It is blurred in time as well, which costs consonants, so there it is sharpened (unsharp masking).

    Frame t is centred at sample t * hop_length; the waveform is 0 beyond its ends.
    """

    def __init__(self, config: Config):
        audio = config.audio
        self.n_fft, self.hop_length, self.win_length = audio.n_fft, audio.hop_length, audio.win_length
        self.floor = np.float32(audio.mel_floor)
        self.n_steps = config.model.mel_corrections
        self.momentum = np.float32(config.model.correction_momentum)
        self.window = hann(audio.n_fft, audio.win_length).astype(np.float32)
        self.n_blocks = -(-audio.n_fft // audio.hop_length)
        filters, spread = mel_filters(audio).T, spread_matrix(audio)
        self.n_bins = int(np.flatnonzero(filters.any(1))[-1]) + 1  # the others have the gain of the last one of these
        self.to_mel, self.spread = _parts(filters[: self.n_bins]), _parts(spread[:, : self.n_bins].T)
        self.fine = np.eye(audio.n_mels, dtype=np.float32) - _mean_of_neighbours(audio.n_mels)

    def __call__(self, audio: np.ndarray, wanted: np.ndarray, frames: slice = slice(None)) -> np.ndarray:
        """Correct a waveform.

        Args:
            audio: float32 (T * hop_length,).
            wanted: natural logarithm of the magnitudes of bands, float32 (T, n_mels).
            frames: those that are corrected, as if there were no others.

        Returns:
            float32 (T * hop_length,).
        """
        first, end, _ = frames.indices(len(wanted))
        samples = slice(first * self.hop_length, end * self.hop_length)
        whole = audio.copy()
        # The products are too small for several threads, which would only keep other work from the cores.
        with _blas().limit(limits=1, user_api="blas"):
            whole[samples] = self._corrected(audio[samples], wanted[first:end])
        return whole

    def _corrected(self, audio: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        n_frames, n_samples = len(wanted), len(audio)
        weight = overlap_gain(n_frames, self.n_fft, self.hop_length, self.win_length)
        gain = np.empty((n_frames, self.n_bins), np.float32)
        begin = audio  # of a step
        for step in range(self.n_steps):
            spectrum = self.transform(begin)
            mel = self.log_mel(spectrum, gain)
            if step == 0:
                wanted = self.sharpened(wanted, mel)
            lacking = np.subtract(wanted, mel, out=mel)
            np.minimum(lacking, LARGEST_GAIN, out=lacking)
            np.maximum(lacking, -LARGEST_GAIN, out=lacking)
            for bins, bands, part in self.spread:
                np.matmul(lacking[:, bands], part.T, out=gain[:, bins])
            np.exp(gain, out=gain)
            spectrum[:, : self.n_bins] *= gain
            spectrum[:, self.n_bins :] *= gain[:, -1:]
            found = self.inverse(spectrum, weight)
            # The transform is linear: further in the direction of the change of the waveform is so in its spectrum.
            begin = np.subtract(found, audio, out=np.empty(n_samples, np.float32))
            begin *= self.momentum
            begin += found
            audio = found
        return audio

    def log_mel(self, spectrum: np.ndarray, magnitude: np.ndarray | None = None) -> np.ndarray:
        """Natural logarithm of the magnitudes of bands, float32 (T, n_mels), of complex64 (T, bins).

        Args:
            magnitude: float32 (T, n_bins), which is written over.
        """
        magnitude = np.abs(spectrum[:, : self.n_bins], out=magnitude)
        mel = np.zeros((len(spectrum), len(self.fine)), np.float32)
        for bins, bands, part in self.to_mel:
            mel[:, bands] += magnitude[:, bins] @ part
        return np.log(np.maximum(mel, self.floor, out=mel), out=mel)

    def sharpened(self, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Sharpen a mel where it is blurred: its bands by the fine structure of another one; its course by itself.

        Args:
            wanted: float32 (T, n_mels).
            found: float32 (T, n_mels), with the fine structure.
        """
        ours, theirs = wanted @ self.fine, found @ self.fine
        share = np.sqrt(_power(ours) / np.maximum(_power(theirs), 1e-6))
        blurred = np.clip((SHARP - share) / (SHARP - BLURRED), 0, 1)[:, None]
        course = scipy.ndimage.gaussian_filter1d(wanted, COURSE, axis=0, mode="nearest", truncate=3)
        sharper = np.float32(SHARPENING) * (wanted - course) - np.float32(LOUDER)
        return wanted + blurred * (theirs - ours + sharper)

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
        n_frames, n_blocks = len(frames), self.n_blocks
        if lacking := n_blocks * self.hop_length - self.n_fft:
            frames = np.pad(frames, ((0, 0), (0, lacking)))
        blocks = frames.reshape(n_frames, n_blocks, self.hop_length)
        total = np.zeros((n_frames + n_blocks, self.hop_length), np.float32)
        for i in range(n_blocks):
            total[i : i + n_frames] += blocks[:, i]
        begin = self.n_fft // 2
        return total.reshape(-1)[begin : begin + n_frames * self.hop_length]


def _parts(matrix: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
    """Pieces of a matrix [bins, bands] that hold all that is not 0: a bin belongs to few bands, and those are near."""
    parts = []
    for first in range(0, len(matrix), BINS_OF_A_PART):
        part = matrix[first : first + BINS_OF_A_PART]
        used = np.flatnonzero(part.any(0))
        bands = slice(used[0], used[-1] + 1) if len(used) else slice(0, 0)
        parts.append((slice(first, first + len(part)), bands, np.ascontiguousarray(part[:, bands])))
    return parts


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

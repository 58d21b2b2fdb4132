"""Short-time Fourier transforms as matrix products with fixed bases, which every backend runs and differentiates.

A spectrum is a pair of real and imaginary parts, each (B * T, bins). Window and cosines are even about the middle of a
frame and sines are odd. So a frame is folded there first: the sum of its halves is multiplied by cosines, and their
difference by sines, which halves the work.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.config import AudioConfig
from src.models.fourier_bases import half_basis, overlap_gain
from src.models.ops import matmul

Spectrum = tuple[Tensor, Tensor]


@ms.constexpr
def overlap_gain_tensor(n_frames: int, n_fft: int, hop_length: int, win_length: int) -> Tensor:
    """`overlap_gain` as a constant of a graph, (1, samples)."""
    return Tensor(overlap_gain(n_frames, n_fft, hop_length, win_length)[None])


class Fourier(nn.Cell):
    """The STFT without padding, and its transposition, for frames of `n_fft` samples every `hop_length`.

    n_fft and win_length must be even, and the hop at most half of n_fft.
    """

    def __init__(self, n_fft: int, hop_length: int, win_length: int):
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.n_blocks = -(-(n_fft // 2) // hop_length)  # hops in half a frame
        self.n_half = self.n_blocks * hop_length
        cosines, sines = half_basis(n_fft, hop_length, win_length)
        # A bin between the first and the last stands for its mirror image as well.
        share = np.where(np.isin(np.arange(n_fft // 2 + 1), (0, n_fft // 2)), 1, 2)[:, None] / n_fft
        self.cosines, self.sines = _constant(cosines), _constant(sines)
        self.inverse_cosines, self.inverse_sines = _constant(share * cosines.T), _constant(share * sines.T)
        self.exchange = _constant(np.eye(hop_length)[::-1])

    def construct(self, x: Tensor) -> Spectrum:
        """Transform x (B, samples), T whole frames from its start: a pair of (B * T, bins)."""
        n_frames = (x.shape[1] - self.n_fft) // self.hop_length + 1
        n_blocks = n_frames + self.n_blocks - 1
        first = self._blocks(x, 1, n_blocks)
        second = self._reverse(self._blocks(x, self.n_fft - self.n_half, n_blocks))
        forwards, backwards = (), ()
        for i in range(self.n_blocks):
            forwards += (first[:, i : i + n_frames],)
            backwards += (second[:, self.n_blocks - 1 - i : self.n_blocks - 1 - i + n_frames],)
        forward = ops.Concat(2)(forwards).reshape(-1, self.n_half)
        backward = ops.Concat(2)(backwards).reshape(-1, self.n_half)
        return matmul(forward + backward, self.cosines), matmul(forward - backward, self.sines)

    def overlap_add(self, spectrum: Spectrum, n_batch: int) -> tuple[Tensor, Tensor]:
        """Windowed inverse transforms of T frames, added up where they overlap.

        Returns:
            Two parts of the waveform, each (B, (T + n_blocks - 1) * hop_length), the first from sample 1 on, the second
            from sample n_fft - n_half on.
        """
        even, odd = matmul(spectrum[0], self.inverse_cosines), matmul(spectrum[1], self.inverse_sines)
        first = (even + odd).reshape(n_batch, -1, self.n_half)
        second = (even - odd).reshape(n_batch, -1, self.n_half)
        backward = self._reverse(self._added(second, True))
        return self._added(first, False).reshape(n_batch, -1), backward.reshape(n_batch, -1)

    def _added(self, frames: Tensor, descending: bool) -> Tensor:
        """Add the blocks of T frames, (B, T, n_half), each a hop behind the one before: (B, T + n_blocks - 1, hop)."""
        n_batch, last, hop_length = frames.shape[0], self.n_blocks - 1, self.hop_length
        total = None
        for i in range(self.n_blocks):
            block = last - i if descending else i
            part = frames[:, :, block * hop_length : (block + 1) * hop_length]
            if i > 0:
                part = ops.Concat(1)((ops.zeros((n_batch, i, hop_length), part.dtype), part))
            if i < last:
                part = ops.Concat(1)((part, ops.zeros((n_batch, last - i, hop_length), part.dtype)))
            total = part if i == 0 else total + part
        return total

    def _blocks(self, x: Tensor, begin: int, n_blocks: int) -> Tensor:
        return x[:, begin : begin + n_blocks * self.hop_length].reshape(x.shape[0], n_blocks, self.hop_length)

    def _reverse(self, blocks: Tensor) -> Tensor:
        """Reverse the samples in each block (B, N, hop_length), by a product that is exact."""
        return matmul(blocks.reshape(-1, self.hop_length), self.exchange).reshape(blocks.shape)


class Spectra(nn.Cell):
    """The STFT of `audio` and its inverse: T * hop_length samples <-> T frames.

    Frame t is centred at sample t * hop_length; the waveform is 0 beyond its ends.
    """

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.n_fft, self.hop_length, self.win_length = audio.n_fft, audio.hop_length, audio.win_length
        self.fourier = Fourier(self.n_fft, self.hop_length, self.win_length)

    def construct(self, x: Tensor) -> Spectrum:
        """Transform x (B, T * hop_length): a pair of (B * T, bins)."""
        before = ops.zeros((x.shape[0], self.n_fft // 2), x.dtype)
        if self.n_fft // 2 == self.hop_length:
            return self.fourier(ops.Concat(1)((before, x)))
        after = ops.zeros((x.shape[0], self.n_fft // 2 - self.hop_length), x.dtype)
        return self.fourier(ops.Concat(1)((before, x, after)))

    def inverse(self, spectrum: Spectrum, n_batch: int) -> Tensor:
        """Transform spectra of T frames back: (B, T * hop_length), the nearest waveform (Griffin & Lim 1984)."""
        n_frames = spectrum[0].shape[0] // n_batch
        n_samples, middle, n_half = n_frames * self.hop_length, self.n_fft // 2, self.fourier.n_half
        first, second = self.fourier.overlap_add(spectrum, n_batch)
        first = first[:, middle - 1 : middle - 1 + n_samples]
        lacking = n_samples - first.shape[1]
        if lacking > 0:
            first = ops.Concat(1)((first, ops.zeros((n_batch, lacking), first.dtype)))
        x = first + second[:, n_half - middle : n_half - middle + n_samples]
        gain = overlap_gain_tensor(n_frames, self.n_fft, self.hop_length, self.win_length)
        return x * ops.broadcast_to(gain, x.shape)


def _constant(array: np.ndarray) -> Tensor:
    return Tensor(np.ascontiguousarray(array, np.float32))

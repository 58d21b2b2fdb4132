"""Short-time Fourier transforms in operators of ONNX, in two steps as Cooley & Tukey (1965) have them.

With n_fft = P * Q, sample Q a + b of a frame and bin c + P d: a transform over a, and for each c one over b, with the
factors between them in its matrix. Of a real signal, c from 0 to P / 2 is enough. All are products of small matrices, a
tenth of the work of one over whole frames.

A spectrum therefore is in the order of `places`: bins c + P d, some of which are above n_fft / 2 and stand for the
conjugate of bin n_fft - c - P d. Those with c = 0 and c = P / 2 come with their conjugates.
"""

import math

import numpy as np

from src.config import AudioConfig
from src.export.onnx.graph_builder import Graph
from src.models.fourier_bases import SMALLEST_WEIGHT, hann


class Transform:
    """The STFT of a harmonic vocoder, zeros beyond the ends, and its inverse.

    Attributes:
        bins: bin of each place, up to n_fft / 2.
        signs: -1 where the place has the conjugate of that bin, else 1.
    """

    def __init__(self, graph: Graph, audio: AudioConfig):
        self.graph, self.n_fft, self.hop = graph, audio.n_fft, audio.hop_length
        n = self.n_fft
        self.p = p = next(size for size in range(math.isqrt(n), 0, -1) if n % size == 0)
        self.q = q = n // p
        c, d = np.arange(p // 2 + 1)[:, None, None], np.arange(q)
        places = (c[:, 0] + p * d).reshape(-1)
        self.bins, self.signs = np.minimum(places, n - places), np.where(2 * places > n, -1.0, 1.0)
        self.window = hann(n, audio.win_length)
        over_a = np.exp(-2j * np.pi * c[:, 0] * np.arange(p) / p)  # [c, a]
        over_b = np.exp(-2j * np.pi * (c * d[:, None] / n + np.outer(d, d) / q))  # [c, b, d]
        self.over_a = np.stack((over_a.real, over_a.imag), 1).reshape(-1, p)  # [(c, part), a]
        # [c, (part, b), d] for the real and the imaginary part of the outcome.
        self.over_b = [np.concatenate(parts, 1) for parts in ((over_b.real, -over_b.imag), (over_b.imag, over_b.real))]
        share = np.where((c[:, 0] == 0) | (2 * c[:, 0] == p), 1, 2) / n
        self.back_a = np.stack((share * over_a.real, share * over_a.imag), 1).reshape(-1, p).T
        back = over_b.conj().swapaxes(1, 2)  # [c, d, b]
        # [c, d, (part, b)] for the real and the imaginary part of the spectrum.
        self.back_b = [np.concatenate(parts, 2) for parts in ((back.real, back.imag), (-back.imag, back.real))]

    def among_places(self, matrix: np.ndarray) -> np.ndarray:
        """A matrix from bins to an odd function of them, such as a phase, between rows of places."""
        read = np.zeros((len(self.bins), matrix.shape[0]))  # each bin at one place of it
        read[np.unique(self.bins, return_index=True)[1], np.arange(matrix.shape[0])] = 1
        return read @ matrix[:, self.bins] * self.signs

    def forward(self, waves: list[str], like: str) -> list[tuple[str, str]]:
        """Transform waves (B, samples): real and imaginary parts (B * T, places); `like` (B, ..., T) has the sizes."""
        graph = self.graph
        n_frames = graph("Gather", graph("Shape", like), graph.constant(-1))
        frames = graph("Concat", *(self._frames(wave, n_frames) for wave in waves), axis=0)
        first = graph("MatMul", graph.constant(self.over_a), frames)  # (rows, (c, part), b)
        first = graph("Reshape", first, graph.constant([0, self.p // 2 + 1, 2 * self.q]))
        first = graph("Transpose", first, perm=[1, 0, 2])
        parts = [self._rows(graph("MatMul", first, graph.constant(matrix))) for matrix in self.over_b]
        real, imaginary = (graph("Split", part, n=len(waves), axis=0) for part in parts)
        return list(zip(real, imaginary, strict=True))

    def inverse(self, real: str, imaginary: str, like: str) -> str:
        """Transform a spectrum (B * T, places) back, (B, T * hop_length); `like` (B, ..., T) has the sizes."""
        graph = self.graph
        shape = graph.constant([0, self.p // 2 + 1, self.q])
        turned = [graph("Transpose", graph("Reshape", part, shape), perm=[1, 0, 2]) for part in (real, imaginary)]
        first = graph(
            "Add",
            *(graph("MatMul", part, graph.constant(matrix)) for part, matrix in zip(turned, self.back_b, strict=True)),
        )
        first = graph("Reshape", graph("Transpose", first, perm=[1, 0, 2]), graph.constant([0, -1, self.q]))
        frames = graph("MatMul", graph.constant(self.back_a), first)  # (rows, a, b)
        sizes = graph("Shape", like)
        n_batch, n_frames = (graph("Gather", sizes, graph.constant([place])) for place in (0, -1))
        one = graph.constant([1])
        shape = graph("Concat", n_batch, n_frames, graph.constant([self.n_fft]), axis=0)
        frames = graph("Mul", graph("Reshape", frames, shape), graph.constant(self.window))
        square = graph("Expand", graph.constant(self.window**2), graph("Concat", one, n_frames, one, axis=0))
        weight = graph("Max", self._overlapping(square), graph.constant(SMALLEST_WEIGHT))
        return graph("Div", self._overlapping(frames), weight)

    def _rows(self, x: str) -> str:
        """(c, rows, d) -> (rows, places)."""
        turned = self.graph("Transpose", x, perm=[1, 0, 2])
        return self.graph("Reshape", turned, self.graph.constant([0, len(self.bins)]))

    def _frames(self, wave: str, n_frames: str) -> str:
        """Windowed frames (B * T, P, Q) of a wave, put together of blocks that hops and frames have in common."""
        graph, n, hop = self.graph, self.n_fft, self.hop
        block = math.gcd(n, hop)
        padded = graph.pad(wave, 2, 1, n // 2, n - hop - n // 2)
        blocks = graph("Reshape", padded, graph.constant([0, -1, block]))
        step = graph.constant(hop // block)
        starts = graph("Range", graph.constant(0), graph("Mul", n_frames, step), step)
        places = graph("Add", graph.unsqueeze(starts, 1), graph.constant(np.arange(n // block)))
        frames = graph("Reshape", graph("Gather", blocks, places, axis=1), graph.constant([-1, n]))
        windowed = graph("Mul", frames, graph.constant(self.window))
        return graph("Reshape", windowed, graph.constant([-1, self.p, self.q]))

    def _overlapping(self, frames: str) -> str:
        """Add up frames (B, T, n_fft), a hop apart: (B, T * hop_length) from the middle of the first one on."""
        graph, n, hop = self.graph, self.n_fft, self.hop
        n_blocks = -(-n // hop)
        frames = graph.pad(frames, 3, 2, 0, n_blocks * hop - n)
        pieces = [
            graph.pad(piece, 3, 1, i, n_blocks - i) for i, piece in enumerate(graph.split(frames, 2, [hop] * n_blocks))
        ]
        total = pieces[0]
        for piece in pieces[1:]:
            total = graph("Add", total, piece)
        wave = graph("Reshape", total, graph.constant([0, -1]))
        after = n_blocks * hop - n // 2
        return graph.cut(wave, 1, n // 2, -after)

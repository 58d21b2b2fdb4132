"""Limits of the machine, measured: products, memory, the start of a kernel of a MindSpore graph, reading and FFT."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import scipy
import soundfile
import threadpoolctl
from mindspore import Tensor, nn, ops

from benchmarks.counting import recurrent_products
from benchmarks.report import count_cores
from src import runtime
from src.config import load_config

MATRIX, COPIED = 2048, 2**27  # side of the matrices, bytes of the vectors that show the limits of the machine
CHUNK = 2**15  # numbers of a piece of a vector, which stays in the cache between two operations
CHAIN = 400  # kernels of the graph that shows what starting one takes
REPEATS = 5


def best_seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of some runs, after one that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


class Product(nn.Cell):
    """A times B, `times` times in a graph, one after the other; the layouts are those of MatMul, and B^T A^T."""

    def __init__(self, layout: str, times: int):
        super().__init__()
        self.times, self.columns = times, layout == "columns"
        self.matmul = ops.MatMul(transpose_b=layout == "weight transposed")

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        total = 0.0
        for _ in range(self.times):
            a = ops.Depend()(a, total)  # so that they run one after the other, and are not merged
            total = self.matmul(b, a)[:1, :1] if self.columns else self.matmul(a, b)[:1, :1]
        return total


def products(shapes: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """GFLOP/s of products (rows, inner size, columns) by MindSpore in its best layout, and by NumPy."""
    random, found = np.random.default_rng(0), []
    for rows, inner, columns in shapes:
        a = random.standard_normal((rows, inner), np.float32)
        b = random.standard_normal((inner, columns), np.float32)
        gflop = 2 * rows * inner * columns / 1e9
        times = max(1, min(8, int(2 / gflop)))
        operands = {"plain": (a, b), "weight transposed": (a, b.T.copy())}
        if rows <= 64:  # as `matmul_state` of src/models/ops.py has it
            operands["columns"] = (a.T.copy(), b.T.copy())
        speeds = {}
        for layout, arrays in operands.items():
            tensors, cell = [Tensor(array) for array in arrays], Product(layout, times)
            speeds[layout] = times * gflop / best_seconds(lambda cell=cell, tensors=tensors: cell(*tensors).asnumpy())
        best = max(speeds, key=speeds.get)
        by_numpy = gflop / min(best_seconds(lambda a=a, b=b: a @ b), best_seconds(lambda a=a, b=b: b.T @ a.T))
        found.append({"shape": [rows, inner, columns], "mindspore": speeds[best], "layout": best, "numpy": by_numpy})
    return found


def memory() -> dict[str, float]:
    """GB/s of all cores: triad (a = b + s c: two arrays read, one written), and reading two arrays (their product)."""
    n_cores = count_cores()
    n = COPIED // 4 // n_cores
    arrays = [[np.ones(n, np.float32) for _ in range(3)] for _ in range(n_cores)]

    def triad(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        piece = np.empty(CHUNK, np.float32)
        for first in range(0, n - CHUNK + 1, CHUNK):
            part = slice(first, first + CHUNK)
            np.multiply(c[part], np.float32(3), out=piece)
            np.add(b[part], piece, out=a[part])

    def read(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        for first in range(0, n - CHUNK + 1, CHUNK):
            np.dot(b[first : first + CHUNK], c[first : first + CHUNK])

    with ThreadPoolExecutor(n_cores) as pool, threadpoolctl.threadpool_limits(1, "blas"):
        seconds = {
            name: best_seconds(lambda work=work: list(pool.map(lambda each: work(*each), arrays)))
            for name, work in (("triad", triad), ("read", read))
        }
    moved = n // CHUNK * CHUNK * 4 * n_cores / 1e9
    return {"triad_gbytes_per_s": 3 * moved / seconds["triad"], "read_gbytes_per_s": 2 * moved / seconds["read"]}


class Chain(nn.Cell):
    """Kernels that compute next to nothing, each from the one before."""

    def __init__(self, n_kernels: int):
        super().__init__()
        self.n_kernels = n_kernels

    def construct(self, x: Tensor, y: Tensor) -> Tensor:
        for _ in range(self.n_kernels):
            x = x + y
        return x


def launch_us() -> float:
    """Microseconds that a kernel of a graph takes besides its work: the difference between two lengths of a chain."""
    x, y = Tensor(np.zeros(8, np.float32)), Tensor(np.ones(8, np.float32))
    seconds = {}
    for n_kernels in (CHAIN // 2, CHAIN):
        chain = Chain(n_kernels)
        seconds[n_kernels] = best_seconds(lambda chain=chain: chain(x, y).asnumpy(), 20)
    return 1e6 * (seconds[CHAIN] - seconds[CHAIN // 2]) / (CHAIN - CHAIN // 2)


def large_product() -> float:
    """GFLOP/s of a large square product by MindSpore."""
    return products([(MATRIX, MATRIX, MATRIX)])[0]["mindspore"]


def by_type() -> dict[str, float | None]:
    """GFLOP/s of a product by the type of its numbers, a quarter of the large one; None where there is no kernel."""
    found: dict[str, float | None] = {}
    array, gflop = np.ones((MATRIX // 2, MATRIX // 2), np.float32), MATRIX**3 / 4e9
    for name in ("float32", "float16", "bfloat16"):
        matrix, cell = Tensor(array, getattr(ms, name)), Product("plain", 1)
        try:
            found[name] = gflop / best_seconds(lambda cell=cell, matrix=matrix: cell(matrix, matrix).asnumpy(), 2)
        except (RuntimeError, TypeError, ValueError):  # what MindSpore raises where an operator has no such kernel
            found[name] = None
    return found


def limits(config: dict, seed: int, batch_size: int, n_frames: int) -> Callable[[], dict[str, Any]]:
    """Prepare to measure. A run returns the limits of this machine, those of products also at a training's shapes."""
    runtime.setup(seed)
    config = load_config(config)

    def run() -> dict[str, Any]:
        shapes = recurrent_products(config, batch_size, n_frames)
        names = ["large", *(name for name, _, _ in shapes)]
        sizes = [(MATRIX, MATRIX, MATRIX), *(shape for _, shape, _ in shapes)]
        found = [{"name": name, **row} for name, row in zip(names, products(sizes), strict=True)]
        fastest = max(max(row["mindspore"], row["numpy"]) for row in found)
        speeds = {"products": found, "gflops": fastest, "gflops_by_type": by_type()}
        return {"limits": {**speeds, **memory(), "launch_us": launch_us()}}

    return run


def reading(folder: str, config: dict) -> Callable[[], None]:
    """Prepare the least that a mel spectrogram takes. A run reads each wav of `folder` and transforms its frames."""
    audio, paths = load_config(config).audio, sorted(Path(folder).glob("*.wav"))
    window = np.hanning(audio.n_fft).astype(np.float32)

    def run() -> None:
        for path in paths:
            wav, _ = soundfile.read(path, dtype="float32")
            frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, audio.n_fft // 2), audio.n_fft)
            scipy.fft.rfft(frames[:: audio.hop_length] * window, overwrite_x=True)

    return run

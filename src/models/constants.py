"""Constants of graphs, made by functions that MindSpore calls while it compiles.

Their arguments must be known then and be given by position. NumPy inside a graph would make constants too, but as
arrays, which MindSpore 2.10 compares with each other again and again, so that compilation grows with their size: a
training step of 16 clips took 22 s to compile for 200 frames and 36 s for 800.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor


@ms.constexpr
def ones(shape: tuple[int, ...]) -> Tensor:
    """Ones, float32 of `shape`."""
    return Tensor(np.ones(shape, np.float32))


@ms.constexpr
def positions(n: int) -> Tensor:
    """0, 1, ... n - 1, int32 (n,). `ops.arange` would add half a second or more to the compilation of a graph."""
    return Tensor(np.arange(n, dtype=np.int32))


@ms.constexpr
def repeated(n_rows: int, n: int) -> Tensor:
    """0 n times, 1 n times, ... n_rows - 1 n times, int32 (n_rows * n,)."""
    return Tensor(np.arange(n_rows, dtype=np.int32).repeat(n))


@ms.constexpr
def unfold_index(n_time: int, kernel_size: int, dilation: int) -> Tensor:
    """Indices into the padded sequence by which `unfold` gathers the taps of each position.

    int32 (n_time * kernel_size,), tap by tap.
    """
    return Tensor((np.arange(n_time)[:, None] + dilation * np.arange(kernel_size)).reshape(-1).astype(np.int32))


@ms.constexpr
def unfold_backward_index(n_time: int, kernel_size: int) -> Tensor:
    """Indices that gather the gradient of `unfold` (dilation 1) position by position: int32 (n_time * kernel_size,).

    For position t and tap k, the index is the row of the gradient in which t is tap k. Where there is none, it is one
    beyond the last row.
    """
    centre = np.arange(n_time)[:, None] - np.arange(kernel_size) + kernel_size // 2  # the position whose tap k is t
    inside = (centre >= 0) & (centre < n_time)
    index = np.where(inside, centre * kernel_size + np.arange(kernel_size), n_time * kernel_size)
    return Tensor(index.reshape(-1).astype(np.int32))


@ms.constexpr
def identities(size: int, n: int = 1) -> Tensor:
    """n identity matrices one below the other, float32 [n * size, size]."""
    return Tensor(np.tile(np.eye(size, dtype=np.float32), (n, 1)))

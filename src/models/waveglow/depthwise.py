"""Convolution of each channel by itself: the first half of a depthwise separable convolution."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.models.layers import uniform
from src.models.ops import broadcast_rows, depend, parameter_view
from src.models.precision import cast, to_float32


class DepthwiseConvolution(nn.Cell):
    """Convolution of each channel of x (B, T, C) with its column of weight [kernel_size, C] -> (B * T, C).

    It keeps only x for its gradient. Sums are in x's type.
    """

    def __init__(self, kernel_size: int, dilation: int):
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        n_rows, result = x.shape[0] * x.shape[1], None
        rows, shifted = self._rows(weight, x), self._shifted(x)
        for i in range(self.kernel_size):
            share = shifted[i] * broadcast_rows(rows[i], n_rows)
            result = share if i == 0 else result + share
        return result

    def bprop(self, x, weight, out, dout):  # noqa: ANN001, ANN201
        n_rows, dx, dweight = dout.shape[0], None, ()
        x = depend(x, dout)  # otherwise the graph would keep the shifted x of the forward pass
        rows, shifted, backward = self._rows(weight, x), self._shifted(x), self._shifted(dout.reshape(x.shape))
        for i in range(self.kernel_size):
            dweight += (to_float32(shifted[i] * dout).sum(0),)
            # dx is the same convolution of dout, with the taps in reverse order.
            share = backward[i] * broadcast_rows(rows[self.kernel_size - 1 - i], n_rows)
            dx = share if i == 0 else dx + share
        return dx.reshape(x.shape), cast(ops.Stack(0)(dweight), weight.dtype)

    def _rows(self, weight: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return ops.Unstack(0)(cast(weight, x.dtype))

    def _shifted(self, x: Tensor) -> tuple[Tensor, ...]:
        """Views of x by each tap, (B * T, C), 0 beyond the ends."""
        n_batch, n_time, n_channels = x.shape
        edge = ops.zeros((n_batch, self.kernel_size // 2 * self.dilation, n_channels), x.dtype)
        padded, taps = ops.Concat(1)((edge, x, edge)), ()
        for i in range(self.kernel_size):
            taps += (padded[:, i * self.dilation : i * self.dilation + n_time].reshape(-1, n_channels),)
        return taps


class Depthwise(nn.Cell):
    """Depthwise convolution with a weight [kernel_size, C]: (B, T, C) -> (B * T, C).

    It starts near the identity, so that a deep stack passes signals on.
    """

    def __init__(self, n_channels: int, kernel_size: int, dilation: int):
        super().__init__()
        weight = uniform((kernel_size, n_channels), kernel_size**-0.5).asnumpy()
        weight[kernel_size // 2] += 1
        self.weight = Parameter(Tensor(weight.astype(np.float32)), name="weight")
        self.convolution = DepthwiseConvolution(kernel_size, dilation)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolution(x, parameter_view(self.weight))

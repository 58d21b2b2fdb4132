"""Layers that both networks are built from. All of them keep channels last, (B, T, C), and weights as [in, out].

A convolution gathers shifted frames and multiplies once: on CPU this is far faster than the Conv2D kernel that
`nn.Conv1d` uses, and matrix products are what accelerators do best.
"""

from collections.abc import Callable
from typing import Literal

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.models.ops import (
    broadcast_last,
    broadcast_rows,
    depend,
    dropout_mask_from_output,
    parameter_view,
    tanh,
    unfold,
)
from src.models.precision import MixedPrecision, cast, to_float32

PYTORCH_BATCH_NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.9
Activation = Literal["linear", "relu", "tanh"]
ACTIVATIONS = {"linear": ops.identity, "relu": ops.relu, "tanh": ops.tanh}
INITIAL_GAINS = {"linear": 1.0, "relu": 2**0.5, "tanh": 5 / 3}  # of initial weights before these activations


def xavier_uniform(shape: tuple[int, ...], fan_in: int, fan_out: int, gain: float = 1.0) -> Tensor:
    """Initial weights, float32 of `shape`, by Glorot & Bengio 2010, eq. 16, from NumPy's global generator."""
    bound = gain * np.sqrt(6.0 / (fan_in + fan_out))
    return Tensor(np.random.uniform(-bound, bound, shape).astype(np.float32))


def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    """Initial weights, float32 of `shape`, uniform in [-bound, bound], from NumPy's global generator."""
    return Tensor(np.random.uniform(-bound, bound, shape).astype(np.float32))


class Product(MixedPrecision):
    """Matrix product of x (N, n_in) and weight [n_in, n_out] -> (N, n_out)."""

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.cast_output(ops.MatMul()(self.cast_operand(x), self.cast_operand(weight)))

    def bprop(self, x, weight, out, dout):  # noqa: ANN001, ANN201
        dout = self.cast_operand(dout)
        dweight = cast(ops.MatMul(transpose_a=True)(self.cast_operand(x), dout), weight.dtype)
        dx = cast(ops.MatMul(transpose_b=True)(dout, self.cast_operand(weight)), x.dtype)
        return depend(dx, dweight), dweight


class AddBias(nn.Cell):
    """Sum of x (N, C) and bias [C], in x's type."""

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        return ops.BiasAdd()(x, cast(bias, x.dtype))

    def bprop(self, x, bias, out, dout):  # noqa: ANN001, ANN201
        dbias = to_float32(dout).sum(0)
        return depend(dout, dbias), dbias


class Linear(nn.Cell):
    """Linear layer x W + b over the last axis: (..., n_in) -> (..., n_out)."""

    def __init__(self, n_in: int, n_out: int, bias: bool = True, gain: float = 1.0):
        super().__init__()
        self.weight = Parameter(xavier_uniform((n_in, n_out), n_in, n_out, gain), name="weight")
        self.bias = Parameter(uniform((n_out,), n_in**-0.5), name="bias") if bias else None
        self.product, self.add_bias = Product(), AddBias()
        self.n_in, self.n_out = n_in, n_out

    def construct(self, x: Tensor) -> Tensor:
        view = parameter_view if self.training else ops.identity
        y = self.product(x.reshape(-1, self.n_in), view(self.weight))
        if self.bias is not None:
            y = self.add_bias(y, view(self.bias))
        return y.reshape((*x.shape[:-1], self.n_out))


class Convolution(MixedPrecision):
    """Convolution of x (B, T, n_in) with weight [kernel_size * n_in, n_out] -> (B * T, n_out).

    It keeps only x for its gradient, not the gathered taps.
    """

    def __init__(self, dilation: int = 1):
        super().__init__()
        self.dilation = dilation

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        taps = unfold(self.cast_operand(x), weight.shape[0] // x.shape[2], self.dilation)
        return self.cast_output(ops.MatMul()(taps, self.cast_operand(weight)))

    def bprop(self, x, weight, out, dout):  # noqa: ANN001, ANN201
        n_batch, n_time, n_in = x.shape
        n_out = weight.shape[1]
        kernel_size = weight.shape[0] // n_in
        # Without `depend` the graph would reuse the taps of the forward pass, and so keep kernel_size times x.
        x_operand, weight_operand = depend(self.cast_operand(x), dout), depend(self.cast_operand(weight), dout)
        dout = self.cast_operand(dout)
        dweight = ops.MatMul(transpose_a=True)(unfold(x_operand, kernel_size, self.dilation), dout)
        dout = depend(dout, dweight)  # the taps of one array at a time
        # dx is the same convolution of dout, with the taps in reverse order and in and out exchanged.
        taps = ops.Unstack(0)(weight_operand.reshape(kernel_size, n_in, n_out))
        reversed_weight = ops.Concat(1)(taps[::-1])  # [n_in, kernel_size * n_out]
        columns = unfold(dout.reshape(n_batch, n_time, n_out), kernel_size, self.dilation)
        dx = ops.MatMul(transpose_b=True)(columns, reversed_weight)
        return cast(dx, x.dtype).reshape(x.shape), cast(dweight, weight.dtype)


class Conv1d(nn.Cell):
    """Convolution that keeps the length: (B, T, n_in) -> (B, T, n_out).

    Row k * n_in + i of `weight` is tap k, channel i.

    Raises:
        ValueError: the kernel size is even and so has no middle.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, gain: float = 1.0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel size {kernel_size} is even; an odd one keeps the length")
        fan_in = n_in * kernel_size
        self.weight = Parameter(xavier_uniform((fan_in, n_out), fan_in, n_out * kernel_size, gain), name="weight")
        self.bias = Parameter(uniform((n_out,), fan_in**-0.5), name="bias")
        self.convolution, self.add_bias = Convolution(), AddBias()
        self.n_out, self.kernel_size = n_out, kernel_size

    def construct(self, x: Tensor) -> Tensor:
        view = parameter_view if self.training else ops.identity
        return self.add_bias(self.convolution(x, view(self.weight)), view(self.bias)).reshape(
            (*x.shape[:2], self.n_out)
        )


class BatchNorm(nn.Cell):
    """Batch normalisation (Ioffe & Szegedy 2015) of (B, T, C), then an activation and, while training, dropout.

    The training statistics leave out padded positions; with `sync_batch_norm` they are those of all ranks' batches
    together. Normalisation, activation and dropout are one layer because their joint gradient needs less memory.
    """

    def __init__(self, n_channels: int, activation: Activation = "linear", dropout: float = 0.0):
        super().__init__()
        self.gamma = Parameter(Tensor(np.ones(n_channels, np.float32)), name="gamma")
        self.beta = Parameter(Tensor(np.zeros(n_channels, np.float32)), name="beta")
        self.moving_mean = Parameter(Tensor(np.zeros(n_channels, np.float32)), name="moving_mean", requires_grad=False)
        self.moving_variance = Parameter(
            Tensor(np.ones(n_channels, np.float32)), name="moving_variance", requires_grad=False
        )
        self.activation, self.activate = activation, ACTIVATIONS[activation]
        self.normalize = MaskedNormalization(activation, dropout)
        self.assign = ops.Assign()

    def construct(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) and mask (B, T, 1), 1 at real positions, 0 at padding -> (B, T, C), 0 at padding."""
        if self.training:
            y, mean, variance, count = self.normalize(x, mask, parameter_view(self.gamma), parameter_view(self.beta))
            self._update(ops.stop_gradient(mean), ops.stop_gradient(variance), ops.stop_gradient(count))
            return y
        rows = x.reshape(-1, x.shape[2])
        scale = self.gamma * ops.rsqrt(self.moving_variance + PYTORCH_BATCH_NORM_EPS)
        y = ops.BiasAdd()(rows * broadcast_rows(scale, rows.shape[0]), self.beta - self.moving_mean * scale)
        y = tanh(y, True) if self.activation == "tanh" else self.activate(y)
        return (y * broadcast_last(mask.reshape(-1, 1), x.shape[2])).reshape(x.shape)

    def _update(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        unbiased = variance * count / ops.maximum(count - 1.0, Tensor(1.0, ms.float32))
        self.assign(self.moving_mean, BATCH_NORM_MOMENTUM * self.moving_mean + (1 - BATCH_NORM_MOMENTUM) * mean)
        self.assign(
            self.moving_variance, BATCH_NORM_MOMENTUM * self.moving_variance + (1 - BATCH_NORM_MOMENTUM) * unbiased
        )


class MaskedNormalization(nn.Cell):
    """Training step of `BatchNorm`, with its own gradient, over the real positions of (B, T, C).

    y = dropout(activation((x - mean) / sqrt(variance + eps) * gamma + beta)). Automatic differentiation would keep many
    arrays of the size of x. This keeps x and y, whose zeros show what dropout took. Mean, biased variance (C,) and the
    number of positions are returned too; no gradient flows through them. Float32 inside; y has x's type.
    """

    def __init__(self, activation: Activation, dropout: float):
        super().__init__()
        self.activation, self.dropout = activation, dropout
        self.activate = ACTIVATIONS[activation]
        self.sum_over_ranks: Callable[[Tensor], Tensor] = ops.identity

    def construct(self, x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        shape, dtype = x.shape, x.dtype
        # (B * T, C): a sum over one leading axis is many times as fast as over two.
        x = to_float32(x).reshape(-1, shape[2])
        count = ops.maximum(self.sum_over_ranks(mask.sum()), Tensor(1.0, ms.float32))
        full_mask = broadcast_last(mask.reshape(-1, 1), x.shape[1])
        mean = self.sum_over_ranks((x * full_mask).sum(0)) / count
        centred = ops.BiasAdd()(x, -mean) * full_mask
        variance = self.sum_over_ranks((centred * centred).sum(0)) / count
        scale = gamma * ops.rsqrt(variance + PYTORCH_BATCH_NORM_EPS)
        y = self.activate(ops.BiasAdd()(centred * broadcast_rows(scale, x.shape[0]), beta)) * full_mask
        return ops.dropout(cast(y, dtype).reshape(shape), self.dropout, True), mean, variance, count

    def bprop(self, x, mask, gamma, beta, out, dout):  # noqa: ANN001, ANN201
        y, mean, variance, count = out
        dy, shape, dtype = dout[0], x.shape, x.dtype
        # Without `depend` the graph would keep the broadcast mask and the centred x of the forward pass.
        x, mask, mean, variance = depend(x, dy), depend(mask, dy), depend(mean, dy), depend(variance, dy)
        x, y, dy = (to_float32(array).reshape(-1, shape[2]) for array in (x, depend(y, dy), dy))
        full_mask = broadcast_last(mask.reshape(-1, 1), x.shape[1])
        if self.activation == "tanh":
            undropped = y * (1 - self.dropout)
            dy = dy * (1 - undropped * undropped)
        # y is 0 where nothing passed. A kept value that is exactly 0 counts as dropped (its channel is constant).
        dy = dy * (
            dropout_mask_from_output(y, self.dropout) if self.activation == "relu" or self.dropout > 0 else full_mask
        )
        # Ioffe & Szegedy 2015, sec. 3, with the derivatives by gamma, beta and x combined.
        scale = ops.rsqrt(variance + PYTORCH_BATCH_NORM_EPS)
        # Not 0 at padding, but everything that it is multiplied by is.
        normalized = ops.BiasAdd()(x, -mean) * broadcast_rows(scale, x.shape[0])
        dbeta = dy.sum(0)
        dgamma = (dy * normalized).sum(0)
        through_mean, through_variance = self.sum_over_ranks(dbeta) / count, self.sum_over_ranks(dgamma) / count
        dx = ops.BiasAdd()(dy - normalized * broadcast_rows(through_variance, x.shape[0]), -through_mean)
        dx = dx * broadcast_rows(gamma * scale, x.shape[0]) * full_mask
        return cast(dx, dtype).reshape(shape), ops.zeros_like(mask), dgamma, dbeta


def sync_batch_norm(net: nn.Cell, sum_over_ranks: Callable[[Tensor], Tensor]) -> None:
    """Make every batch normalisation in `net` take its training statistics over the batches of all ranks.

    Args:
        sum_over_ranks: an operator for graphs that sums a tensor over the ranks.
    """
    for _, cell in net.cells_and_names():
        if isinstance(cell, MaskedNormalization):
            cell.sum_over_ranks = sum_over_ranks


class ConvBatchNorm(nn.Cell):
    """Convolution, batch normalisation, activation, dropout: (B, T, n_in) -> (B, T, n_out), 0 at padding.

    Encoder and postnet are stacks of these.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, activation: Activation, dropout: float):
        super().__init__()
        self.conv = Conv1d(n_in, n_out, kernel_size, INITIAL_GAINS[activation])
        self.norm = BatchNorm(n_out, activation, dropout)

    def construct(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.norm(self.conv(x), mask)

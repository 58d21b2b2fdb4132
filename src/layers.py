"""The layers both networks are built from. All of them keep channels last, (B, T, C), and weights as [in, out].

A convolution is a gather of shifted frames and one matrix product: on CPU this is far faster than the Conv2D kernel that
`nn.Conv1d` uses, and matrix products are what the accelerators are best at.
"""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

PYTORCH_BATCH_NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.9
RELU_GAIN, TANH_GAIN = 2**0.5, 5 / 3  # of initial weights before these activations


def xavier_uniform(shape: tuple[int, ...], fan_in: int, fan_out: int, gain: float = 1.0) -> Tensor:
    """Float32 values of `shape` drawn from NumPy's global generator, as in Glorot & Bengio 2010, eq. 16."""
    bound = gain * np.sqrt(6.0 / (fan_in + fan_out))
    return Tensor(np.random.uniform(-bound, bound, shape).astype(np.float32))


def spread(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x broadcast to `shape` by an operator of its own.

    An arithmetic operator that broadcasts by itself is slower on CPU, and its kernel keeps index tables several times the
    size of its output for as long as the graph lives.
    """
    return ops.broadcast_to(x, shape)


def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    """Float32 values of `shape` drawn evenly from [-bound, bound] by NumPy's global generator."""
    return Tensor(np.random.uniform(-bound, bound, shape).astype(np.float32))


class Linear(nn.Cell):
    """x W + b over the last axis: (..., n_in) -> (..., n_out)."""

    def __init__(self, n_in: int, n_out: int, bias: bool = True, gain: float = 1.0):
        super().__init__()
        self.weight = Parameter(xavier_uniform((n_in, n_out), n_in, n_out, gain), name="weight")
        self.bias = Parameter(uniform((n_out,), n_in**-0.5), name="bias") if bias else None
        self.n_in, self.n_out = n_in, n_out

    def construct(self, x: Tensor) -> Tensor:
        y = ops.MatMul()(x.reshape(-1, self.n_in), self.weight)
        if self.bias is not None:
            y = ops.BiasAdd()(y, self.bias)
        return y.reshape((*x.shape[:-1], self.n_out))


def neighbourhood(x: Tensor, kernel_size: int) -> Tensor:
    """x (B, T, C) -> (B * T, kernel_size * C): at each position what stands around it, tap by tap, 0 beyond the edges."""
    n_batch, n_time, n_channels = x.shape
    edge = ops.zeros((n_batch, kernel_size // 2, n_channels), x.dtype)
    padded = ops.Concat(1)((edge, x, edge))
    index = Tensor((np.arange(n_time)[:, None] + np.arange(kernel_size)).reshape(-1).astype(np.int32))
    return ops.gather(padded, index, 1).reshape(n_batch * n_time, kernel_size * n_channels)


def neighbourhood_backward(dcolumns: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of `neighbourhood` for x of `shape` (B, T, C): dcolumns (B * T, kernel_size * C) -> (B, T, C)."""
    n_batch, n_time, n_channels = shape
    kernel_size = dcolumns.shape[1] // n_channels
    seen_by = np.arange(n_time)[:, None] - np.arange(kernel_size) + kernel_size // 2  # position whose tap k is this one
    inside = (seen_by >= 0) & (seen_by < n_time)
    index = np.where(inside, seen_by * kernel_size + np.arange(kernel_size), n_time * kernel_size)  # the last row is 0
    taps = dcolumns.reshape(n_batch, n_time * kernel_size, n_channels)
    taps = ops.Concat(1)((taps, ops.zeros((n_batch, 1, n_channels), taps.dtype)))
    gathered = ops.gather(taps, Tensor(index.reshape(-1).astype(np.int32)), 1)
    return gathered.reshape(n_batch, n_time, kernel_size, n_channels).sum(2)


class Convolution(nn.Cell):
    """x (B, T, n_in), weight [kernel_size * n_in, n_out] -> (B * T, n_out); keeps x alone for its gradient, not the gathered taps."""

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return ops.MatMul()(neighbourhood(x, weight.shape[0] // x.shape[2]), weight)

    def bprop(self, x, weight, out, dout):  # noqa: ANN001, ANN201
        n_batch, n_time, n_in = x.shape
        n_out = weight.shape[1]
        kernel_size = weight.shape[0] // n_in
        dweight = ops.MatMul(transpose_a=True)(neighbourhood(x, kernel_size), dout)
        # By x: the same convolution over dout, with the taps in reverse order and in and out exchanged.
        taps = ops.gather(weight.reshape(kernel_size, n_in, n_out), Tensor(np.arange(kernel_size)[::-1].astype(np.int32)), 0)
        reversed_weight = ops.Transpose()(taps, (0, 2, 1)).reshape(kernel_size * n_out, n_in)
        dx = ops.MatMul()(neighbourhood(dout.reshape(n_batch, n_time, n_out), kernel_size), reversed_weight)
        return dx.reshape(x.shape), dweight


class Conv1d(nn.Cell):
    """Convolution that keeps the length: (B, T, n_in) -> (B, T, n_out). Row k * n_in + i of `weight` is tap k, channel i.

    Raises:
        ValueError: even kernel size, which has no middle.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, gain: float = 1.0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel size {kernel_size} is even; an odd one keeps the length")
        fan_in = n_in * kernel_size
        self.weight = Parameter(xavier_uniform((fan_in, n_out), fan_in, n_out * kernel_size, gain), name="weight")
        self.bias = Parameter(uniform((n_out,), fan_in**-0.5), name="bias")
        self.convolution = Convolution()
        self.n_out = n_out

    def construct(self, x: Tensor) -> Tensor:
        return ops.BiasAdd()(self.convolution(x, self.weight), self.bias).reshape((*x.shape[:2], self.n_out))


class BatchNorm(nn.Cell):
    """Batch normalisation (Ioffe & Szegedy 2015) of (B, T, C) whose training statistics leave padded positions out."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.gamma = Parameter(Tensor(np.ones(n_channels, np.float32)), name="gamma")
        self.beta = Parameter(Tensor(np.zeros(n_channels, np.float32)), name="beta")
        self.moving_mean = Parameter(Tensor(np.zeros(n_channels, np.float32)), name="moving_mean", requires_grad=False)
        self.moving_variance = Parameter(Tensor(np.ones(n_channels, np.float32)), name="moving_variance", requires_grad=False)
        self.normalize = MaskedNormalization()
        self.assign = ops.Assign()

    def construct(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) and mask (B, T, 1), 1 at real positions, 0 at padding -> (B, T, C), 0 at padding."""
        if self.training:
            y, mean, variance = self.normalize(x, mask, self.gamma, self.beta)
            self._update(ops.stop_gradient(mean), ops.stop_gradient(variance), mask.sum())
            return y
        scale = self.gamma * ops.rsqrt(self.moving_variance + PYTORCH_BATCH_NORM_EPS)
        shift = self.beta - self.moving_mean * scale
        return (x * spread(scale, x.shape) + spread(shift, x.shape)) * spread(mask, x.shape)

    def _update(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        unbiased = variance * count / ops.maximum(count - 1.0, Tensor(1.0, ms.float32))
        self.assign(self.moving_mean, BATCH_NORM_MOMENTUM * self.moving_mean + (1 - BATCH_NORM_MOMENTUM) * mean)
        self.assign(self.moving_variance, BATCH_NORM_MOMENTUM * self.moving_variance + (1 - BATCH_NORM_MOMENTUM) * unbiased)


class MaskedNormalization(nn.Cell):
    """(x - mean) / sqrt(variance + eps) * gamma + beta over the real positions of (B, T, C), with its own gradient.

    Automatic differentiation would keep many arrays of the size of x; this keeps x alone. Also returns mean and biased variance (C,),
    through which no gradient flows.
    """

    def construct(self, x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count = ops.maximum(mask.sum(), Tensor(1.0, ms.float32))
        everywhere = spread(mask, x.shape)
        mean = (x * everywhere).sum((0, 1)) / count
        centred = (x - spread(mean, x.shape)) * everywhere
        variance = (centred * centred).sum((0, 1)) / count
        scale = gamma * ops.rsqrt(variance + PYTORCH_BATCH_NORM_EPS)
        return (centred * spread(scale, x.shape) + spread(beta, x.shape)) * everywhere, mean, variance

    def bprop(self, x, mask, gamma, beta, out, dout):  # noqa: ANN001, ANN201
        # Ioffe & Szegedy 2015, sec. 3, the derivatives by gamma, beta and x put together.
        _, mean, variance = out
        count = ops.maximum(mask.sum(), Tensor(1.0, ms.float32))
        scale = ops.rsqrt(variance + PYTORCH_BATCH_NORM_EPS)
        everywhere = spread(mask, x.shape)
        normalized = (x - spread(mean, x.shape)) * spread(scale, x.shape) * everywhere
        dy = dout[0] * everywhere
        dbeta = dy.sum((0, 1))
        dgamma = (dy * normalized).sum((0, 1))
        dx = (
            (dy - normalized * spread(dgamma / count, x.shape) - spread(dbeta / count, x.shape))
            * spread(gamma * scale, x.shape)
            * everywhere
        )
        return dx, ops.zeros_like(mask), dgamma, dbeta


class ConvBatchNorm(nn.Cell):
    """Convolution and batch normalisation, the pair that encoder and postnet stack: (B, T, n_in) -> (B, T, n_out), 0 at padding."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, gain: float):
        super().__init__()
        self.conv = Conv1d(n_in, n_out, kernel_size, gain)
        self.norm = BatchNorm(n_out)

    def construct(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.norm(self.conv(x), mask)


def length_mask(lengths: Tensor, n_time: int) -> Tensor:
    """Float32 (B, n_time), 1 before each item's length and 0 from there on; `lengths` is int32 (B,)."""
    return (ops.arange(n_time) < lengths.reshape(-1, 1)).astype(ms.float32)

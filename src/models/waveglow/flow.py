"""One step of flow: an invertible 1x1 convolution, then an affine coupling with scale and shift from a WaveNet.

The WaveNet's convolutions may be depthwise separable, as in SqueezeWave (Zhai et al. 2020, arXiv 2001.05685).
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.config import WaveGlowConfig
from src.models.layers import AddBias, Convolution, Product, uniform
from src.models.ops import broadcast_to, depend, parameter_view, repeat_rows, tanh
from src.models.precision import MixedPrecision, cast, to_float32
from src.models.waveglow.depthwise import Depthwise

Values = TypeVar("Values", Tensor, np.ndarray)


def couple(x: Values, log_scale: Values, shift: Values, exp: Callable[[Values], Values] = ops.exp) -> Values:
    """The affine coupling towards noise (Prenger et al. 2018, sec. 2.1), elementwise: x exp(log_scale) + shift.

    Takes tensors, or arrays with `numpy.exp` as `exp`.
    """
    return x * exp(log_scale) + shift


def uncouple(y: Values, log_scale: Values, shift: Values, exp: Callable[[Values], Values] = ops.exp) -> Values:
    """The inverse of `couple`: (y - shift) exp(-log_scale)."""
    return (y - shift) * exp(-log_scale)


def exact_tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent of x."""
    return tanh(x, True)


def bound(log_scale: Values, limit: float, tanh: Callable[[Values], Values] = exact_tanh) -> Values:
    """Keep log scales within plus and minus `limit`, smoothly; 0: leave them as they are.

    Takes tensors, or arrays with `numpy.tanh` as `tanh`.
    """
    return limit * tanh(log_scale * (1 / limit)) if limit else log_scale


class WeightNormConv(nn.Cell):
    """Parameters of a convolution with weight norm (Salimans & Kingma 2016, eq. 2): w = v g / ||v|| per output channel.

    `weight_v` [kernel_size * n_in, n_out], `weight_g` [n_out], `bias` [n_out].
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int = 1):
        super().__init__()
        fan_in = n_in * kernel_size
        self.weight_v = Parameter(uniform((fan_in, n_out), fan_in**-0.5), name="weight_v")
        self.weight_g = Parameter(Tensor(np.linalg.norm(self.weight_v.asnumpy(), axis=0)), name="weight_g")
        self.bias = Parameter(uniform((n_out,), fan_in**-0.5), name="bias")
        self.normed = True

    def construct(self) -> Tensor:
        """The weight [kernel_size * n_in, n_out]."""
        if not self.normed:
            return parameter_view(self.weight)
        v = parameter_view(self.weight_v)
        scale = parameter_view(self.weight_g) * ops.rsqrt((v * v).sum(0))
        return v * broadcast_to(scale, v.shape)

    def folded(self) -> np.ndarray:
        """Compute the weight on the host, in float64."""
        if not self.normed:
            return self.weight.asnumpy()
        v = self.weight_v.asnumpy().astype(np.float64)
        return v * (self.weight_g.asnumpy() / np.linalg.norm(v, axis=0))

    def remove_weight_norm(self) -> None:
        """Replace the parameters `weight_g` and `weight_v` by one, `weight`."""
        if self.normed:
            self.weight = Parameter(
                Tensor(self.folded().astype(np.float32)), name=self.weight_v.name.replace("weight_v", "weight")
            )
            del self.weight_v, self.weight_g
            self.normed = False


class GatedUnit(nn.Cell):
    """Gated activation, tanh times sigmoid (van den Oord et al. 2016, eq. 2): (N, 2C) -> (N, C).

    The first half of the channels goes through the exact tanh, the second through sigmoid. Only the input is kept for
    the gradient; automatic differentiation would keep every intermediate result. Float32 inside; x's type in and out.
    """

    def construct(self, x: Tensor) -> Tensor:
        signal, gate = ops.Split(1, 2)(to_float32(x))
        return cast(tanh(signal, True) * ops.Sigmoid()(gate), x.dtype)

    def bprop(self, x, out, dout):  # noqa: ANN001, ANN201
        x = depend(x, dout)  # otherwise the graph would keep the split and activated values of the forward pass
        signal, gate = ops.Split(1, 2)(to_float32(x))
        activated, sigmoid = tanh(signal, True), ops.Sigmoid()(gate)
        through_gate = to_float32(dout) * sigmoid
        dx = ops.Concat(1)((through_gate * (1.0 - activated * activated), through_gate * activated * (1.0 - sigmoid)))
        return (cast(dx, x.dtype),)


class WN(nn.Cell):
    """WaveNet of a coupling: convolutions, dilated or separable, not causal, conditioned on the mel spectrogram.

    Half of the channels go in; log scale and shift of the other half come out.
    """

    def __init__(self, n_half: int, n_condition: int, model: WaveGlowConfig):
        super().__init__()
        width, n_layers = model.wn_channels, model.wn_layers
        self.n_half, self.n_layers = n_half, n_layers
        self.separable, self.log_scale_limit = model.wn_separable, model.log_scale_limit
        kernel_size, dilations = model.wn_kernel_size, [model.wn_dilation_base**i for i in range(n_layers)]
        self.start = WeightNormConv(n_half, width)
        self.cond_layer = WeightNormConv(n_condition, 2 * width * n_layers)  # all layers' side by side
        if self.separable:
            self.depthwise = nn.CellList([Depthwise(width, kernel_size, dilation) for dilation in dilations])
        else:
            self.convolutions = nn.CellList([Convolution(dilation) for dilation in dilations])
        taps = 1 if self.separable else kernel_size
        self.in_layers = nn.CellList([WeightNormConv(width, 2 * width, taps) for _ in range(n_layers)])
        widths = [2 * width] * (n_layers - 1) + [width]  # no residual from the last layer
        self.res_skip_layers = nn.CellList([WeightNormConv(width, n_out) for n_out in widths])
        self.end = ZeroLinear(width, 2 * n_half)
        self.gate, self.product, self.add_bias = GatedUnit(), Product(), AddBias()

    def construct(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log scale and shift, each (B, T, n_half).

        Args:
            x: (B, T, n_half).
            condition: (N, n_condition), a row for one position, or for several that follow each other; B * T in all.
        """
        n_batch, n_time, _ = x.shape
        # (B * T, width)
        h = self.add_bias(self.product(x.reshape(-1, self.n_half), self.start()), parameter_view(self.start.bias))
        conditions = self.add_bias(self.product(condition, self.cond_layer()), parameter_view(self.cond_layer.bias))
        n_positions = h.shape[0] // condition.shape[0]
        if n_positions > 1:
            conditions = repeat_rows(conditions, n_positions)
        conditions = ops.Split(1, self.n_layers)(conditions)
        skips = None
        for i in range(self.n_layers):
            layer, res_skip = self.in_layers[i], self.res_skip_layers[i]
            steps = h.reshape(n_batch, n_time, -1)
            if self.separable:  # noqa: SIM108  a graph compiles the branch that exists, and both sides of an expression
                convolved = self.product(self.depthwise[i](steps), layer())
            else:
                convolved = self.convolutions[i](steps, layer())
            gated = self.gate(self.add_bias(convolved, parameter_view(layer.bias)) + conditions[i])
            skip = self.add_bias(self.product(gated, res_skip()), parameter_view(res_skip.bias))
            if i < self.n_layers - 1:
                residual, skip = ops.Split(1, 2)(skip)
                h = h + residual
            skips = skip if i == 0 else skips + skip
        shift, log_scale = ops.Split(1, 2)(self.end(skips))
        return bound(log_scale, self.log_scale_limit).reshape(x.shape), shift.reshape(x.shape)

    def folded_taps(self, i: int) -> np.ndarray:
        """The weight [kernel_size * width, 2 width] of layer i's convolution as a whole, in float64, on the host."""
        weight = self.in_layers[i].folded()
        if not self.separable:
            return weight
        taps = self.depthwise[i].weight.asnumpy().astype(np.float64)  # [kernel_size, width]
        return (taps[:, :, None] * weight).reshape(-1, weight.shape[1])


class ZeroLinear(MixedPrecision):
    """Linear layer that starts as 0, so that the coupling starts as the identity: (N, n_in) -> float32 (N, n_out)."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((n_in, n_out), np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(n_out, np.float32)), name="bias")

    def construct(self, x: Tensor) -> Tensor:
        return ops.BiasAdd()(to_float32(ops.MatMul()(self.cast_operand(x), self.cast_operand(self.weight))), self.bias)


class InvertibleConv(MixedPrecision):
    """Invertible 1x1 convolution, x W over the channels (Kingma & Dhariwal 2018, sec. 3.2).

    It starts as a rotation: orthogonal, with determinant 1.
    """

    def __init__(self, n_channels: int):
        super().__init__()
        rotation = np.linalg.qr(np.random.standard_normal((n_channels, n_channels)))[0]
        if np.linalg.det(rotation) < 0:
            rotation[:, 0] *= -1
        self.weight = Parameter(Tensor(rotation.astype(np.float32)), name="weight")

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C) -> (B, T, C) and log |det W|, a scalar."""
        # slogdet (an LU decomposition, whose gradient is the inverse transposed) is documented for Ascend, GPU and CPU.
        # It sums logarithms, so nothing overflows in float32. A negative determinant, which training may reach, is no
        # NaN.
        mixed = ops.MatMul()(self.cast_operand(x.reshape(-1, x.shape[2])), self.cast_operand(self.weight))
        return to_float32(mixed).reshape(x.shape), ops.slogdet(self.weight)[1]

    def inverse(self, x: Tensor) -> Tensor:
        """Undo `construct`: x (B, T, C) -> (B, T, C). In float32, because small steps of x W may count much in x."""
        return ops.MatMul()(x.reshape(-1, x.shape[2]), ops.inverse(self.weight)).reshape(x.shape)


class Flow(nn.Cell):
    """One step towards noise: mix the channels, then couple: one half decides scale and shift of the other.

    Activations are kept for the gradient, although a flow could recompute its input from its output. Recomputing every
    flow saved no memory on CPU (2.06 GB instead of 2.00; 8 segments of 8000 samples, small network), and took about a
    third longer.
    """

    def __init__(self, n_channels: int, n_condition: int, model: WaveGlowConfig):
        super().__init__()
        self.convinv = InvertibleConv(n_channels)
        self.wn = WN(n_channels // 2, n_condition, model)

    def construct(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C), condition as `WN` takes it -> (B, T, C), log scale (B, T, C / 2), log |det W| (scalar)."""
        mixed, log_det = self.convinv(x)
        kept, changed = ops.Split(2, 2)(mixed)
        log_scale, shift = self.wn(kept, condition)
        return ops.Concat(2)((kept, couple(changed, log_scale, shift))), log_scale, log_det

    def inverse(self, x: Tensor, condition: Tensor) -> Tensor:
        """Undo `construct`: x (B, T, C), condition as there -> (B, T, C)."""
        kept, changed = ops.Split(2, 2)(x)
        log_scale, shift = self.wn(kept, condition)
        return self.convinv.inverse(ops.Concat(2)((kept, uncouple(changed, log_scale, shift))))

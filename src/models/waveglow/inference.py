"""From noise to sound, flow by flow and chunk by chunk, with weights brought into the form that costs least.

A flow needs of the flow before it only the `n_group` numbers of each position, so these are kept for the whole audio, and
everything that is wide lives for one chunk of one flow: memory does not grow with the length but for the audio itself.
Around each chunk so many positions are computed too, and thrown away, as the dilated convolutions of one coupling reach.
All flows and chunks run through one graph, compiled once per size of window; weights are its arguments, and what a window's frames give
to all of them, which another graph makes once.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn, ops

from src.errors import diverged
from src.models.ops import broadcast_last, unfold
from src.models.waveglow.flow import WN, Flow, uncouple

CHUNK = 512  # frames of one chunk of a long mel spectrogram
WINDOW_MULTIPLE = 16  # frames; one graph is compiled per window size rounded up to this


class FoldedFlow(NamedTuple):
    """What one flow needs for the way back."""

    unmix: np.ndarray  # (C, C), the inverse of the 1x1 convolution
    weights: list[Tensor]  # of `Coupling`


def convolve_in_pairs(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Convolution of x (T, C) by three taps, weight [3 C, N], 0 beyond the ends; T is a multiple of twice the dilation. -> (T, N)

    Two positions a dilation apart come from four products in place of six: Lavin & Gray 2016, sec. 4.1, F(2, 3).
    """
    n_time, n_channels = x.shape
    even, odd = ops.Split(1, 2)(x.reshape(-1, 2 * dilation * n_channels))  # (T / 2 dilation, dilation * C)
    edge = ops.zeros((1, dilation * n_channels), x.dtype)
    before, after = ops.Concat(0)((edge, odd[:-1])), ops.Concat(0)((even[1:], edge))
    first, middle, last = ops.Split(0, 3)(weight)
    outer = (first + last) * 0.5
    products = ()
    for combined, weights in (
        (before - odd, first),
        (even + odd, outer + 0.5 * middle),
        (odd - even, outer - 0.5 * middle),
        (even - after, last),
    ):
        products += (ops.MatMul()(combined.reshape(-1, n_channels), weights),)
    even, odd = products[0] + products[1] + products[2], products[1] - products[2] - products[3]
    n_pairs = before.shape[0]
    return ops.Concat(1)((even.reshape(n_pairs, -1), odd.reshape(n_pairs, -1))).reshape(n_time, -1)


class Condition(nn.Cell):
    """What all couplings hear of one window: frames (1, n_frames - 1 + F, n_mels), upsampled, and 1 for the biases, (T, C + 1)."""

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.upsample = [net.upsample]  # in a list: the network owns it

    def construct(self, frames: Tensor) -> Tensor:
        condition = self.upsample[0](frames)
        return ops.Concat(1)((condition, ops.ones((condition.shape[0], 1), condition.dtype)))


class Coupling(nn.Cell):
    """`WN` for one window of one item, without weight norm, and without what is linear and can be multiplied in advance.

    The skip connections only meet in `end`, so each layer's share of the result comes straight from its gated units. These are
    tanh(a) sigmoid(b) = 2 (sigmoid(2a) - 1/2) sigmoid(b), whose factors are in the weights before and behind. And the first
    layer's convolution comes straight from the few channels that `start` would widen.
    """

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.n_layers, self.kernel_size = net.config.model.wn_layers, net.config.model.wn_kernel_size

    def construct(self, x: Tensor, condition: Tensor, *weights: Tensor) -> Tensor:
        """x (T, n_half + 1) and `Condition` (T, C + 1) -> shift and log scale (T, 2 n_half).

        The last column of x is 1 inside the audio; beyond its ends x is 0, and every convolution has to see 0 there.

        Weights: `start` with its bias as last row, the bias of the result; then for each layer the matrices to the units from taps and
        from condition, that from units to the result; and, for all layers but the last, that from units to residual, and its bias.
        """
        start, bias = weights[:2]
        h = ops.MatMul()(x, start)
        inside = broadcast_last(x[:, x.shape[1] - 1 :], h.shape[1])
        result = None
        for i in range(self.n_layers):
            from_taps, from_condition, out_of_units = weights[2 + 5 * i : 5 + 5 * i]
            if i > 0 and self.kernel_size == 3 and h.shape[0] % 2 ** (i + 1) == 0:
                from_x = convolve_in_pairs(h, from_taps, 2**i)
            else:
                taps = unfold((x if i == 0 else h).expand_dims(0), self.kernel_size, 2**i)
                from_x = ops.MatMul()(taps, from_taps)
            signal, gate = ops.Split(1, 2)(ops.Sigmoid()(from_x + ops.MatMul()(condition, from_condition)))
            units = (signal - 0.5) * gate
            share = ops.MatMul()(units, out_of_units)
            result = share if i == 0 else result + share
            if i < self.n_layers - 1:
                residual, residual_bias = weights[5 + 5 * i : 7 + 5 * i]
                h = (h + ops.BiasAdd()(ops.MatMul()(units, residual), residual_bias)) * inside
        return ops.BiasAdd()(result, bias)


class WaveGlowInference:
    """The way back of a `WaveGlow`: (B, n_mels, F) and noise (B, T, n_group), channels in order of use, to audio (B, F * hop)."""

    def __init__(self, net: nn.Cell):
        model, hop_length = net.config.model, net.config.audio.hop_length
        self.net, self.condition, self.coupling, self.kept = [net], Condition(net), Coupling(net), None
        self.n_positions = hop_length // model.n_group  # of one frame
        self.n_half = model.n_group // 2
        self.halo = -(-(model.wn_kernel_size // 2 * (2**model.wn_layers - 1)) // self.n_positions)  # frames
        self.n_early_every, self.n_early_size = model.n_early_every, model.n_early_size
        n_joins = (model.n_flows - 1) // model.n_early_every
        self.latent_splits = [model.n_group - n_joins * model.n_early_size] + [model.n_early_size] * n_joins

    def prepare(self, keep: bool = False) -> list[FoldedFlow]:
        """Weights for the way back; with `keep` these are used from now on, whatever becomes of the network's."""
        flows = self.kept or [self._fold(flow) for flow in self.net[0].flows]
        if keep:
            self.kept = flows
        return flows

    def __call__(self, mel: np.ndarray, z: np.ndarray) -> np.ndarray:
        flows = self.prepare()
        return np.stack([self._item(flows, frames.T, latents) for frames, latents in zip(mel, z, strict=True)])

    def _item(self, flows: list[FoldedFlow], frames: np.ndarray, z: np.ndarray) -> np.ndarray:
        used = self.latent_splits[0]
        x = z[:, :used]
        context = self.net[0].upsample.n_frames - 1  # frames that upsampling looks back

        @lru_cache(
            maxsize=1
        )  # a mel spectrogram of one window is upsampled once for all flows; of a longer one no more is kept
        def condition(first: int, end: int) -> Tensor:
            return self.condition(Tensor(window(frames, first - context, end)[None]))

        for k in reversed(range(len(flows))):
            kept, changed = np.split(x, 2, axis=1)
            shift, log_scale = self._shift_and_log_scale(flows[k].weights, kept, len(frames), condition)
            x = np.concatenate((kept, uncouple(changed, log_scale, shift, np.exp)), 1) @ flows[k].unmix
            if k > 0 and k % self.n_early_every == 0:
                x = np.concatenate((z[:, used : used + self.n_early_size], x), 1)
                used += self.n_early_size
        return x.reshape(-1)

    def _shift_and_log_scale(
        self, weights: list[Tensor], kept: np.ndarray, n_frames: int, condition: Callable[[int, int], Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Shift and log scale, each (T, n_half), chunk by chunk; `condition` gives that of a window, by its first frame and its end."""
        n_half, n_positions = kept.shape[1], self.n_positions
        x = np.concatenate(
            (kept, np.zeros((len(kept), self.n_half - n_half)), np.ones((len(kept), 1))), 1, dtype=np.float32
        )
        results = []
        for begin in range(0, n_frames, CHUNK):
            end, first = min(begin + CHUNK, n_frames), max(begin - self.halo, 0)
            wanted = min(end + self.halo, n_frames) - first
            size = min(-(-wanted // WINDOW_MULTIPLE) * WINDOW_MULTIPLE, CHUNK + 2 * self.halo)
            x_window = window(x, first * n_positions, (first + size) * n_positions)
            result = self.coupling(Tensor(x_window), condition(first, first + size), *weights).asnumpy()
            results.append(result[(begin - first) * n_positions : (end - first) * n_positions])
        result = np.concatenate(results)
        return result[:, :n_half], result[:, self.n_half : self.n_half + n_half]

    def _fold(self, flow: Flow) -> FoldedFlow:
        """In float64; n_half is filled up with zeros to that of the outermost flow, so that one graph serves all."""
        wn: WN = flow.wn
        n_half, n_layers = wn.n_half, wn.n_layers
        width = wn.start.bias.shape[0]

        def both_halves(matrix: np.ndarray) -> np.ndarray:
            filled = np.zeros((*matrix.shape[:-1], 2 * self.n_half))
            filled[..., :n_half], filled[..., self.n_half : self.n_half + n_half] = np.split(matrix, 2, axis=-1)
            return filled

        end = both_halves(wn.end.weight.asnumpy().astype(np.float64))
        bias = both_halves(wn.end.bias.asnumpy().astype(np.float64))
        conditions = np.split(wn.cond_layer.folded(), n_layers, axis=1)
        condition_biases = np.split(wn.cond_layer.bias.asnumpy(), n_layers)
        doubled = np.repeat((2.0, 1.0), width)
        start = np.concatenate(
            (wn.start.folded(), np.zeros((self.n_half - n_half, width)), wn.start.bias.asnumpy()[None])
        )
        layers: list[np.ndarray] = []
        for i in range(n_layers):
            res_skip, res_skip_bias = wn.res_skip_layers[i].folded(), wn.res_skip_layers[i].bias.asnumpy()
            taps = wn.in_layers[i].folded()
            if i == 0:
                taps = (start @ taps.reshape(-1, width, 2 * width)).reshape(-1, 2 * width)
            units_bias = wn.in_layers[i].bias.asnumpy() + condition_biases[i]
            from_condition = np.concatenate((conditions[i], units_bias[None]))
            layers += [taps * doubled, from_condition * doubled, 2 * res_skip[:, -width:] @ end]
            bias = bias + res_skip_bias[-width:] @ end
            if i < n_layers - 1:
                layers += [2 * res_skip[:, :width], res_skip_bias[:width]]
        weights = [Tensor(np.ascontiguousarray(array, np.float32)) for array in (start, bias, *layers)]
        try:
            unmix = np.linalg.inv(flow.convinv.weight.asnumpy().astype(np.float64))
        except np.linalg.LinAlgError:
            raise diverged("a 1x1 convolution of the network cannot be inverted") from None
        return FoldedFlow(unmix.astype(np.float32), weights)


def window(rows: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Rows `begin` to `end` of an array, zeros where it has none."""
    inside = rows[max(begin, 0) : max(end, 0)]
    return np.pad(inside, ((max(-begin, 0), end - max(begin, 0) - len(inside)), (0, 0)))

"""From latents to audio, flow by flow and chunk by chunk, with weights folded into the cheapest form.

Between flows, only `n_group` numbers per position are kept for the whole audio. Everything wide lives for one chunk of
one flow, so that memory does not grow with the length, apart from the audio itself. Each chunk is computed with a halo:
as many positions on each side as the dilated convolutions of one coupling reach, which are then discarded. All flows
and chunks run through one graph, compiled once per window size. Its arguments are the weights and the upsampled frames
of the window, which a second graph computes once for all flows.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn, ops

from src.errors import diverged
from src.models.ops import broadcast_last, repeat_rows, unfold
from src.models.waveglow.flow import WN, Flow, bound, uncouple

CHUNK = 512  # frames per chunk of a long mel spectrogram
WINDOW_MULTIPLE = 16  # frames; window sizes are rounded up to this, and one graph is compiled per size


class FoldedFlow(NamedTuple):
    """Weights of one flow in the form for inference."""

    unmix: np.ndarray  # (C, C), the inverse of the 1x1 convolution
    weights: list[Tensor]  # see `Coupling`


def convolve_in_pairs(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Convolution of x (T, C) with three taps, weight [3 C, N], 0 beyond the ends: -> (T, N).

    T must be a multiple of twice the dilation. Two positions a dilation apart take four products instead of six (Lavin
    & Gray 2016, sec. 4.1, F(2, 3)).
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
    """Upsampled or repeated frames of one window, the condition of all couplings.

    (1, n_frames - 1 + F, n_mels) -> (T, C + 1). The last column is 1; it multiplies the biases.
    """

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        self.upsample = [net.upsample]  # in a list: the network owns it
        self.n_repeats = net.hop_length // net.n_group if net.by_frames else 1

    def construct(self, frames: Tensor) -> Tensor:
        condition = self.upsample[0](frames)
        if self.n_repeats > 1:
            condition = repeat_rows(condition, self.n_repeats)
        return ops.Concat(1)((condition, ops.ones((condition.shape[0], 1), condition.dtype)))


class Coupling(nn.Cell):
    """`WN` for one window of one item, without weight norm and with linear layers multiplied together in advance.

    `end` is folded into the skip connections, so that each layer adds its share of the result directly. The gated units
    are tanh(a) sigmoid(b) = 2 (sigmoid(2a) - 1/2) sigmoid(b), with both factors 2 folded into the weights before and
    after. `start` is folded into the first layer's convolution, which reads the few channels directly.
    """

    def __init__(self, net: nn.Cell):
        super().__init__(auto_prefix=False)
        model = net.config.model
        self.n_layers, self.kernel_size = model.wn_layers, model.wn_kernel_size
        self.dilation_base = model.wn_dilation_base

    def construct(self, x: Tensor, condition: Tensor, *weights: Tensor) -> Tensor:
        """x (T, n_half + 1) and `Condition` (T, C + 1) -> shift and log scale before its bound (T, 2 n_half).

        The last column of x is 1 inside the audio. Beyond the ends of the audio x is 0, and every convolution must see
        0 there.

        Weights: `start` with its bias as last row; the bias of the result. Then for each layer the matrices from taps
        to units, from condition to units, from units to the result; and, except for the last layer, the matrix from
        units to the residual and its bias.
        """
        start, bias = weights[:2]
        h = ops.MatMul()(x, start)
        inside = broadcast_last(x[:, x.shape[1] - 1 :], h.shape[1])
        result = None
        for i in range(self.n_layers):
            taps_weight, condition_weight, result_weight = weights[2 + 5 * i : 5 + 5 * i]
            dilation = self.dilation_base**i
            if i > 0 and self.kernel_size == 3 and h.shape[0] % (2 * dilation) == 0:
                convolved = convolve_in_pairs(h, taps_weight, dilation)
            else:
                taps = unfold((x if i == 0 else h).expand_dims(0), self.kernel_size, dilation)
                convolved = ops.MatMul()(taps, taps_weight)
            signal, gate = ops.Split(1, 2)(ops.Sigmoid()(convolved + ops.MatMul()(condition, condition_weight)))
            units = (signal - 0.5) * gate
            share = ops.MatMul()(units, result_weight)
            result = share if i == 0 else result + share
            if i < self.n_layers - 1:
                residual_weight, residual_bias = weights[5 + 5 * i : 7 + 5 * i]
                h = (h + ops.BiasAdd()(ops.MatMul()(units, residual_weight), residual_bias)) * inside
        return ops.BiasAdd()(result, bias)


class WaveGlowInference:
    """Inference of a `WaveGlow`: mel (B, n_mels, F), latents (B, T, n_group) in order of use -> audio (B, F * hop)."""

    def __init__(self, net: nn.Cell):
        model, hop_length = net.config.model, net.config.audio.hop_length
        self.net = net
        self.condition, self.coupling = Condition(net), Coupling(net)
        self.prepared: list[FoldedFlow] | None = None
        self.n_positions = hop_length // model.n_group  # per frame
        self.n_half = model.n_group // 2
        reach = model.wn_kernel_size // 2 * sum(model.wn_dilation_base**i for i in range(model.wn_layers))
        self.halo = -(-reach // self.n_positions)  # frames
        self.log_scale_limit = model.log_scale_limit
        self.n_early_every, self.n_early_size = model.n_early_every, model.n_early_size
        n_joins = (model.n_flows - 1) // model.n_early_every
        self.latent_splits = [model.n_group - n_joins * model.n_early_size] + [model.n_early_size] * n_joins

    def prepare(self, keep: bool = False) -> list[FoldedFlow]:
        """Fold the weights of all flows; with `keep` the result is used from now on, even if the network changes."""
        flows = self.prepared or [self._fold(flow) for flow in self.net.flows]
        if keep:
            self.prepared = flows
        return flows

    def split_latents(self, z: np.ndarray) -> list[np.ndarray]:
        """Split latents (B, n_group, T), channels in order of use, into the arrays that `WaveGlow.infer` takes."""
        return np.split(z, np.cumsum(self.latent_splits)[:-1], 1)

    def __call__(self, mel: np.ndarray, z: np.ndarray) -> np.ndarray:
        flows = self.prepare()
        return np.stack([self._item(flows, frames.T, latents) for frames, latents in zip(mel, z, strict=True)])

    def _item(self, flows: list[FoldedFlow], frames: np.ndarray, z: np.ndarray) -> np.ndarray:
        n_used = self.latent_splits[0]
        x = z[:, :n_used]
        context = self.net.upsample.n_frames - 1  # frames that upsampling looks back

        # All flows share the condition of a mel of one window. Of a longer mel, that of one window is kept.
        @lru_cache(maxsize=1)
        def condition(first: int, end: int) -> Tensor:
            return self.condition(Tensor(window(frames, first - context, end)[None]))

        for k in reversed(range(len(flows))):
            kept, changed = np.split(x, 2, axis=1)
            shift, log_scale = self._shift_and_log_scale(flows[k].weights, kept, len(frames), condition)
            x = np.concatenate((kept, uncouple(changed, log_scale, shift, np.exp)), 1) @ flows[k].unmix
            if k > 0 and k % self.n_early_every == 0:
                x = np.concatenate((z[:, n_used : n_used + self.n_early_size], x), 1)
                n_used += self.n_early_size
        return x.reshape(-1)

    def _shift_and_log_scale(
        self, weights: list[Tensor], kept: np.ndarray, n_frames: int, condition: Callable[[int, int], Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute shift and log scale, each (T, n_half), chunk by chunk.

        `condition(first, end)` is the condition of the window of these frames.
        """
        n_half, n_positions = kept.shape[1], self.n_positions
        padding, one = np.zeros((len(kept), self.n_half - n_half)), np.ones((len(kept), 1))
        x = np.concatenate((kept, padding, one), 1, dtype=np.float32)
        results = []
        for begin in range(0, n_frames, CHUNK):
            end, first = min(begin + CHUNK, n_frames), max(begin - self.halo, 0)
            wanted = min(end + self.halo, n_frames) - first
            size = min(-(-wanted // WINDOW_MULTIPLE) * WINDOW_MULTIPLE, CHUNK + 2 * self.halo)
            x_window = window(x, first * n_positions, (first + size) * n_positions)
            result = self.coupling(Tensor(x_window), condition(first, first + size), *weights).asnumpy()
            results.append(result[(begin - first) * n_positions : (end - first) * n_positions])
        result = np.concatenate(results)
        log_scale = result[:, self.n_half : self.n_half + n_half]
        return result[:, :n_half], bound(log_scale, self.log_scale_limit, np.tanh)

    def _fold(self, flow: Flow) -> FoldedFlow:
        """Fold a flow's weights, in float64.

        Zeros pad n_half to that of the outermost flow, so that one graph serves all flows.
        """
        wn: WN = flow.wn
        n_half, n_layers = wn.n_half, wn.n_layers
        width = wn.start.bias.shape[0]

        def padded_halves(matrix: np.ndarray) -> np.ndarray:
            filled = np.zeros((*matrix.shape[:-1], 2 * self.n_half))
            filled[..., :n_half], filled[..., self.n_half : self.n_half + n_half] = np.split(matrix, 2, axis=-1)
            return filled

        end = padded_halves(wn.end.weight.asnumpy().astype(np.float64))
        bias = padded_halves(wn.end.bias.asnumpy().astype(np.float64))
        conditions = np.split(wn.cond_layer.folded(), n_layers, axis=1)
        condition_biases = np.split(wn.cond_layer.bias.asnumpy(), n_layers)
        doubled = np.repeat((2.0, 1.0), width)  # the signal's half: sigmoid(2a)
        start = np.concatenate(
            (wn.start.folded(), np.zeros((self.n_half - n_half, width)), wn.start.bias.asnumpy()[None])
        )
        layers: list[np.ndarray] = []
        for i in range(n_layers):
            res_skip, res_skip_bias = wn.res_skip_layers[i].folded(), wn.res_skip_layers[i].bias.asnumpy()
            taps = wn.folded_taps(i)
            if i == 0:
                taps = (start @ taps.reshape(-1, width, 2 * width)).reshape(-1, 2 * width)
            units_bias = wn.in_layers[i].bias.asnumpy() + condition_biases[i]
            condition = np.concatenate((conditions[i], units_bias[None]))
            layers += [taps * doubled, condition * doubled, 2 * res_skip[:, -width:] @ end]
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
    """Rows `begin` to `end` of an array, zeros beyond its ends."""
    inside = rows[max(begin, 0) : max(end, 0)]
    return np.pad(inside, ((max(-begin, 0), end - max(begin, 0) - len(inside)), (0, 0)))

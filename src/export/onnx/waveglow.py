"""WaveGlow's inference in operators of ONNX, with the folded weights of `src.models.waveglow.inference`."""

import numpy as np

from src.config import WaveGlowConfig
from src.export.onnx.graph_builder import Graph
from src.models.waveglow.inference import FoldedFlow
from src.models.waveglow.model import WaveGlow


def waveglow(graph: Graph, net: WaveGlow) -> dict[str, str]:
    """`mel` (B, n_mels, F), `noise` (B, n_group, T) with T = F * hop / n_group -> audio (B, F * hop)."""
    model, latent_splits = net.config.model, net.synthesis.latent_splits
    condition = repeated(graph, net) if net.by_frames else upsampled(graph, net)
    latents = graph.split(graph("Transpose", "noise", perm=[0, 2, 1]), 2, latent_splits)
    x, n_channels = latents.pop(0), latent_splits[0]
    flows = net.synthesis.prepare()
    for k in reversed(range(len(flows))):
        n_half, widest = n_channels // 2, model.n_group // 2
        kept, changed = graph.split(x, 2, [n_half, n_half])
        seen = graph.pad(kept, 3, 2, 0, widest - n_half) if n_half < widest else kept
        result = coupling(graph, flows[k], graph.pad(seen, 3, 2, 0, 1, value=1.0), condition, model)
        shift, log_scale = graph.cut(result, 2, 0, n_half), graph.cut(result, 2, widest, widest + n_half)
        if limit := model.log_scale_limit:
            scaled = graph("Tanh", graph("Mul", log_scale, graph.constant(1 / limit)))
            log_scale = graph("Mul", scaled, graph.constant(float(limit)))
        changed = graph("Mul", graph("Sub", changed, shift), graph("Exp", graph("Neg", log_scale)))
        x = graph.linear(graph("Concat", kept, changed, axis=2), flows[k].unmix)
        if k > 0 and k % model.n_early_every == 0:
            x = graph("Concat", latents.pop(0), x, axis=2)
            n_channels += model.n_early_size
    return {"audio": graph("Reshape", x, graph.constant([0, -1]))}


def upsampled(graph: Graph, net: WaveGlow) -> str:
    """Upsample `mel` to the couplings' condition (B, F * hop / n_group, n_mels * n_group + 1), last column 1."""
    upsample = net.upsample
    frames = graph.pad(graph("Transpose", "mel", perm=[0, 2, 1]), 3, 1, upsample.n_frames - 1, 0)
    bias = (
        upsample.bias.asnumpy().reshape(1, -1, 1).repeat(upsample.n_groups, 0).repeat(upsample.n_group, 2).reshape(-1)
    )
    windows = graph.linear(shifted(graph, frames, upsample.n_frames, 1), upsample.weight.asnumpy(), bias)
    condition = graph("Reshape", windows, graph.constant([0, -1, upsample.n_mels * upsample.n_group]))
    return graph.pad(condition, 3, 2, 0, 1, value=1.0)


def repeated(graph: Graph, net: WaveGlow) -> str:
    """Repeat the transformed frames of `mel` for their positions: (B, F * hop / n_group, n_mels + 1), last column 1."""
    frame, n_repeats = net.upsample, net.hop_length // net.n_group
    rows = graph.linear(graph("Transpose", "mel", perm=[0, 2, 1]), frame.weight.asnumpy(), frame.bias.asnumpy())
    beside = graph("Concat", *[rows] * n_repeats, axis=2)
    return graph.pad(graph("Reshape", beside, graph.constant([0, -1, frame.n_mels])), 3, 2, 0, 1, value=1.0)


def coupling(graph: Graph, flow: FoldedFlow, x: str, condition: str, model: WaveGlowConfig) -> str:
    """`src.models.waveglow.inference.Coupling`: x (B, T, n_half + 1) and condition -> (B, T, 2 n_half).

    The last columns of x and condition are 1.
    """
    start, bias, *weights = (weight.asnumpy() for weight in flow.weights)
    h, result = graph.linear(x, start), ""
    for i in range(model.wn_layers):
        from_taps, from_condition, out_of_units, *residual = weights[5 * i : 5 * i + 5]
        dilation = model.wn_dilation_base**i
        edge = model.wn_kernel_size // 2 * dilation
        taps = shifted(graph, graph.pad(x if i == 0 else h, 3, 1, edge, edge), model.wn_kernel_size, dilation)
        sums = graph.linear(graph("Concat", taps, condition, axis=2), np.concatenate((from_taps, from_condition)))
        signal, gate = graph.split(graph("Sigmoid", sums), 2, [len(out_of_units)] * 2)
        units = graph("Mul", graph("Sub", signal, graph.constant(0.5)), gate)
        share = graph.linear(units, out_of_units, bias if i == 0 else None)
        result = graph("Add", result, share) if i else share
        if residual:
            h = graph("Add", h, graph.linear(units, *residual))
    return result


def shifted(graph: Graph, x: str, n: int, step: int) -> str:
    """Concatenate `n` views of x (B, T + (n - 1) * step, C), each `step` later than the one before: (B, T, n * C)."""
    last = (n - 1) * step
    return graph(
        "Concat", *(graph.cut(x, 1, i * step, i * step - last if i < n - 1 else None) for i in range(n)), axis=2
    )

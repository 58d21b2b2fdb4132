"""Our WaveGlow parameters against the tensors of other implementations, as a table of `src.convert.Entry`.

Layouts: weight norm as `weight_g` / `weight_v` or folded into `weight`, layer by layer; `cond_layer` of all layers or
`cond_layers.{i}` (DeepLearningExamples); `res_skip_layers.{i}` or the older `res_layers.{i}` and `skip_layers.{i}`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from src.convert import Entry
from src.errors import InputError


def waveglow_sizes(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The configuration keys that the tensors tell.

    Early outputs are told by the sizes of the 1x1 convolutions; when none leaves, `n_early_every` is `n_flows`.

    Raises:
        InputError: a tensor that tells a size is missing.
    """

    def shape(name: str, n_dims: int) -> tuple[int, ...]:
        found = next((np.shape(tensors[full]) for full in (f"{name}.weight", f"{name}.weight_v") if full in tensors), None)
        if found is None or len(found) != n_dims:
            raise InputError(f"tensor {name}.weight {'is missing' if found is None else f'has shape {list(found)}'}")
        return found

    n_mels, _, upsample_kernel_size = shape("upsample", 3)
    n_flows = _count(tensors, "convinv.")
    channels = [shape(f"convinv.{k}.conv", 3)[0] for k in range(n_flows)]
    drops = [k for k in range(1, n_flows) if channels[k] < channels[k - 1]]
    return {
        "audio.n_mels": n_mels,
        "model.name": "waveglow",
        "model.n_flows": n_flows,
        "model.n_group": channels[0],
        "model.n_early_every": drops[0] if drops else n_flows,
        "model.n_early_size": channels[drops[0] - 1] - channels[drops[0]] if drops else 2,
        "model.wn_layers": _count(tensors, "WN.0.in_layers."),
        "model.wn_channels": shape("WN.0.start", 3)[0],
        "model.wn_kernel_size": shape("WN.0.in_layers.0", 3)[2],
        "model.upsample_kernel_size": upsample_kernel_size,
    }


def waveglow_table(tensors: Mapping[str, np.ndarray], hop_length: int) -> list[Entry]:
    """Our parameters against NVIDIA's tensors, for as many flows and layers as `tensors` has.

    Args:
        hop_length: stride of the transposed convolution in samples, which no tensor tells.
    """
    sizes = waveglow_sizes(tensors)
    n_group, n_layers = sizes["model.n_group"], sizes["model.wn_layers"]
    table = [
        Entry(("upsample.weight",), ("upsample.weight",), lambda weight: (_upsample(weight, hop_length, n_group),)),
        Entry(("upsample.bias",), ("upsample.bias",), lambda bias: (bias,)),
    ]
    for k in range(sizes["model.n_flows"]):
        ours, theirs = f"flows.{k}.wn", f"WN.{k}"
        table.append(Entry((f"flows.{k}.convinv.weight",), (f"convinv.{k}.conv.weight",), lambda weight: (weight[:, :, 0].T,)))
        table.append(Entry((f"{ours}.end.weight",), (f"{theirs}.end.weight",), lambda weight: (weight[:, :, 0].T,)))
        table.append(Entry((f"{ours}.end.bias",), (f"{theirs}.end.bias",), lambda bias: (bias,)))
        table.append(_weight_norm(tensors, f"{ours}.start", [f"{theirs}.start"]))
        split = f"{theirs}.cond_layers.0.bias" in tensors
        conditions = [f"{theirs}.cond_layers.{i}" for i in range(n_layers)] if split else [f"{theirs}.cond_layer"]
        table.append(_weight_norm(tensors, f"{ours}.cond_layer", conditions))
        for i in range(n_layers):
            table.append(_weight_norm(tensors, f"{ours}.in_layers.{i}", [f"{theirs}.in_layers.{i}"]))
            parts = [f"{theirs}.res_skip_layers.{i}"]
            if f"{theirs}.skip_layers.{i}.bias" in tensors:
                residual = [f"{theirs}.res_layers.{i}"] if i < n_layers - 1 else []
                parts = [*residual, f"{theirs}.skip_layers.{i}"]
            table.append(_weight_norm(tensors, f"{ours}.res_skip_layers.{i}", parts))
    return table


def _weight_norm(tensors: Mapping[str, np.ndarray], ours: str, parts: list[str]) -> Entry:
    """Their convolutions `parts`, stacked along the output, as our weight, gain and bias."""
    kinds = ("weight_g", "weight_v", "bias") if f"{parts[0]}.weight_v" in tensors else ("weight", "bias")

    def convert(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        *gain, weight, bias = (np.concatenate(arrays[i :: len(kinds)]) for i in range(len(kinds)))
        n_out, n_in, kernel_size = weight.shape
        columns = weight.transpose(2, 1, 0).reshape(kernel_size * n_in, n_out)
        return columns, gain[0].reshape(n_out) if gain else np.linalg.norm(columns, axis=0), bias

    theirs = tuple(f"{part}.{kind}" for part in parts for kind in kinds)
    return Entry(tuple(f"{ours}.{kind}" for kind in ("weight_v", "weight_g", "bias")), theirs, convert)


def _upsample(weight: np.ndarray, hop_length: int, n_group: int) -> np.ndarray:
    """Transposed convolution (in, out, kernel) -> [frames * in, hop / group * out * group], the oldest frame first."""
    n_in, n_out, kernel_size = weight.shape
    taps = weight.reshape(n_in, n_out, kernel_size // hop_length, hop_length // n_group, n_group)[:, :, ::-1]
    return taps.transpose(2, 0, 3, 1, 4).reshape(kernel_size // hop_length * n_in, hop_length * n_out)


def _count(tensors: Mapping[str, np.ndarray], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)})

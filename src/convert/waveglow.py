"""WaveGlow: the public NVIDIA implementation (github.com/NVIDIA/waveglow) and ours, in both directions.

Ours has matrices as [in, out], convolutions as [kernel * in, out], and the upsampling as a matrix from frames to
groups of samples.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from src.config import Config, WaveGlowConfig
from src.convert.mapping import Arrays, PublicLayout, TensorMapping, count_layers, same, shapes_of
from src.errors import InputError

DLE_CONFIG = {
    "n_mel_channels": "audio.n_mels",
    **{name: f"model.{name}" for name in ("n_flows", "n_group", "n_early_every", "n_early_size")},
    **{
        f"WN_config.{name}": f"model.wn_{name.removeprefix('n_')}" for name in ("n_layers", "n_channels", "kernel_size")
    },
}


def is_waveglow(tensors: Iterable[str]) -> bool:
    """Return whether tensors with these names of NVIDIA's are a WaveGlow."""
    return any(name.startswith("WN.") for name in tensors)


def unify(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring the tensors of any version to the newest form: `cond_layer`, `res_skip_layers`, weight norm as in training.

    Older versions and DeepLearningExamples have `cond_layers.{i}`, older ones also `res_layers.{i}` and
    `skip_layers.{i}`; for inference people fold weight norm away. Parts without the rest of their whole keep their
    names, which no network has.
    """
    found = dict(tensors)
    for first in [name for name in found if re.fullmatch(r"WN\.\d+\.cond_layers\.0\.\w+", name)]:
        flow, kind = first.split(".cond_layers.0.")
        names = (f"{flow}.cond_layers.{i}.{kind}" for i in itertools.count())
        _merge(found, list(itertools.takewhile(found.__contains__, names)), f"{flow}.cond_layer.{kind}")
    for skip in [name for name in found if re.fullmatch(r"WN\.\d+\.skip_layers\.\d+\.\w+", name)]:
        residual = skip.replace(".skip_layers.", ".res_layers.")  # the last layer has none
        _merge(
            found, [residual, skip] if residual in found else [skip], skip.replace(".skip_layers.", ".res_skip_layers.")
        )
    for name in [
        name for name in found if re.fullmatch(r"WN\.\d+\.(start|cond_layer|(in|res_skip)_layers\.\d+)\.weight", name)
    ]:
        weight = found.pop(name)
        gain = np.sqrt((weight**2).sum(tuple(range(1, weight.ndim)), keepdims=True))
        # A filter of zeros has no direction: any one will do, times 0.
        found |= {f"{name}_g": gain, f"{name}_v": np.where(gain == 0, np.ones_like(weight), weight)}
    return found


def waveglow_sizes(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the configuration keys that the shapes of unified tensors tell.

    The sizes of the 1x1 convolutions tell the early outputs. If no channels leave early, `n_early_every` is `n_flows`;
    any larger number would do as well.

    Raises:
        InputError: tensors that tell sizes are missing or have another number of dimensions.
    """
    n_flows = max(1, count_layers(tensors, "convinv."))
    mixers = [f"convinv.{k}.conv.weight" for k in range(n_flows)]
    shapes = shapes_of(
        tensors, dict.fromkeys(("upsample.weight", "WN.0.start.weight_v", "WN.0.in_layers.0.weight_v", *mixers), 3)
    )
    n_mels, _, upsample_kernel_size = shapes["upsample.weight"]
    channels = [shapes[name][0] for name in mixers]
    drops = [k for k in range(1, n_flows) if channels[k] < channels[k - 1]]
    early = {"model.n_early_every": n_flows}
    if drops:
        early = {"model.n_early_every": drops[0], "model.n_early_size": channels[drops[0] - 1] - channels[drops[0]]}
    n_layers = count_layers(tensors, "WN.0.in_layers.")
    if n_flows * n_layers > len(tensors):
        raise InputError(f"there are too few tensors for {n_flows} flows of {n_layers} layers")
    return {
        "audio.n_mels": n_mels,
        "model.name": "waveglow",
        "model.n_flows": n_flows,
        "model.n_group": channels[0],
        **early,
        "model.wn_layers": n_layers,
        "model.wn_channels": shapes["WN.0.start.weight_v"][0],
        "model.wn_kernel_size": shapes["WN.0.in_layers.0.weight_v"][2],
        "model.upsample_kernel_size": upsample_kernel_size,
    }


def waveglow_mapping(config: Config) -> list[TensorMapping]:
    """Return the mapping between our parameters and NVIDIA's tensors.

    Raises:
        InputError: the network is not one that the public implementation can be.
    """
    model, n_mels = config.model, config.audio.n_mels
    for key in ("conditioning", "wn_separable", "wn_dilation_base", "log_scale_limit"):
        if getattr(model, key) != getattr(WaveGlowConfig(), key):
            raise InputError(f"model.{key} is {getattr(model, key)}, which the public WaveGlow does not have")
    width = model.wn_channels
    mapping = [_upsample(config), same("upsample.bias", "upsample.bias", (n_mels,))]
    for k in range(model.n_flows):
        n_channels = model.n_group - k // model.n_early_every * model.n_early_size
        ours, theirs = f"flows.{k}.wn", f"WN.{k}"
        mapping += [
            _matrix(f"flows.{k}.convinv.weight", f"convinv.{k}.conv.weight", n_channels, n_channels),
            _matrix(f"{ours}.end.weight", f"{theirs}.end.weight", n_channels, width),
            same(f"{ours}.end.bias", f"{theirs}.end.bias", (n_channels,)),
            _weight_norm(f"{ours}.start", f"{theirs}.start", n_channels // 2, width),
            _weight_norm(
                f"{ours}.cond_layer", f"{theirs}.cond_layer", n_mels * model.n_group, 2 * width * model.wn_layers
            ),
        ]
        for i in range(model.wn_layers):
            n_out = width if i == model.wn_layers - 1 else 2 * width  # the last layer has no residual
            mapping.append(
                _weight_norm(f"{ours}.in_layers.{i}", f"{theirs}.in_layers.{i}", width, 2 * width, model.wn_kernel_size)
            )
            mapping.append(_weight_norm(f"{ours}.res_skip_layers.{i}", f"{theirs}.res_skip_layers.{i}", width, n_out))
    return mapping


def split_conditions(tensors: Mapping[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """Return `tensors` with `cond_layers.{i}` in place of each `cond_layer`, as DeepLearningExamples names them."""
    split: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if ".cond_layer." in name:
            parts = np.split(array, config.model.wn_layers)
            split |= {name.replace("cond_layer", f"cond_layers.{i}"): part for i, part in enumerate(parts)}
        else:
            split[name] = array
    return split


def _merge(found: dict[str, np.ndarray], parts: list[str], whole: str) -> None:
    """Stack convolutions along the output."""
    if (
        all(part in found for part in parts)
        and len({found[part].shape[1:] for part in parts}) == 1
        and found[parts[0]].ndim > 0
    ):
        found[whole] = np.concatenate([found.pop(part) for part in parts])


def _matrix(ours: str, theirs: str, n_out: int, n_in: int) -> TensorMapping:
    return TensorMapping(
        (ours,), {theirs: (n_out, n_in, 1)}, lambda weight: (weight[:, :, 0].T,), lambda weight: (weight.T[:, :, None],)
    )


def _weight_norm(ours: str, theirs: str, n_in: int, n_out: int, kernel_size: int = 1) -> TensorMapping:
    kinds = ("weight_g", "weight_v", "bias")
    shapes = ((n_out, 1, 1), (n_out, n_in, kernel_size), (n_out,))

    def flatten(gain: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Arrays:
        return gain.reshape(-1), weight.transpose(2, 1, 0).reshape(-1, n_out), bias

    def unfold(gain: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Arrays:
        return gain.reshape(-1, 1, 1), weight.reshape(kernel_size, n_in, n_out).transpose(2, 1, 0), bias

    return TensorMapping(
        tuple(f"{ours}.{kind}" for kind in kinds),
        {f"{theirs}.{kind}": shape for kind, shape in zip(kinds, shapes, strict=True)},
        flatten,
        unfold,
    )


def _upsample(config: Config) -> TensorMapping:
    """Map a transposed convolution (in, out, kernel) to (frames * in, hop / group * out * group), oldest first."""
    n_mels, n_group, hop_length = config.audio.n_mels, config.model.n_group, config.audio.hop_length
    n_frames = config.model.upsample_kernel_size // hop_length

    def flatten(weight: np.ndarray) -> Arrays:
        taps = weight.reshape(n_mels, n_mels, n_frames, hop_length // n_group, n_group)[:, :, ::-1]
        return (taps.transpose(2, 0, 3, 1, 4).reshape(n_frames * n_mels, hop_length * n_mels),)

    def unfold(matrix: np.ndarray) -> Arrays:
        taps = matrix.reshape(n_frames, n_mels, hop_length // n_group, n_mels, n_group).transpose(1, 3, 0, 2, 4)
        return (taps[:, :, ::-1].reshape(n_mels, n_mels, n_frames * hop_length),)

    shape = (n_mels, n_mels, config.model.upsample_kernel_size)
    return TensorMapping(("upsample.weight",), {"upsample.weight": shape}, flatten, unfold)


LAYOUT = PublicLayout(is_waveglow, waveglow_sizes, waveglow_mapping, DLE_CONFIG, split_conditions)

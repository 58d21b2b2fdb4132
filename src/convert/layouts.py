"""The layouts of other implementations, each brought to the names of NVIDIA's."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from src.convert.tacotron2 import ATTENTION, BATCH_NORM
from src.convert.waveglow import is_waveglow, unify
from src.errors import InputError

_TRAINING_STATE = re.compile(
    r"moment[12]\.|"  # of each weight, by Adam
    r"(.+\.)?(beta[12]_power|learning_rate|global_step|loss_scale|scale_sense|current_iterator_step|last_overflow_iterator_step|epoch_num|"
    r"step_num)$"
)


def rename_dle(name: str) -> str:
    """DeepLearningExamples and NGC: the wrapper of data-parallel training may stand in front of each name."""
    return re.sub(r"^module\.(1\.)?", "", name)


def rename_torchaudio(name: str) -> str:
    """torchaudio.models.Tacotron2: convolutions and linear layers are not wrapped."""
    name = re.sub(r"(\.convolutions\.\d+\.0|\.location_conv)\.(weight|bias)$", r"\1.conv.\2", name)
    linear = r"(\.(?:query_layer|memory_layer|v|location_dense|linear_projection|gate_layer|prenet\.layers\.\d+))\.(weight|bias)$"
    return re.sub(linear, r"\1.linear_layer.\2", name)


def rename_zoo(name: str) -> str:
    """The MindSpore model zoo, `research` and `official` alike."""
    name = name.removeprefix("model.").replace("decoder.decode.", "decoder.")
    layer = re.fullmatch(r"((?:encoder|postnet)\.convolutions)\.(\d+)\.(.+)", name)
    if layer and int(layer[2]) % 6 == 0:  # six cells a layer, the convolution is the first of them
        return f"{layer[1]}.{int(layer[2]) // 6}.0.{layer[3]}"
    if layer and int(layer[2]) % 6 == 2 and layer[3] in BATCH_NORM:
        return f"{layer[1]}.{int(layer[2]) // 6}.1.{BATCH_NORM[layer[3]]}"
    name = re.sub(r"^(decoder\.prenet\.layers\.\d+)\.0\.", r"\1.", name)
    name = re.sub(r"\.linear1\.(weight|bias)$", r".\1_ih", name)
    name = re.sub(r"\.linear2\.(weight|bias)$", r".\1_hh", name)
    name = re.sub(r"^decoder\.memory_layer\.", f"{ATTENTION}.memory_layer.", name)
    return name.replace("embedding.embedding_table", "embedding.weight")


def is_training_state(name: str) -> bool:
    """Whether a tensor beside the model zoo's weights belongs to optimiser, schedule or loss scaling, and is left out knowingly."""
    return bool(_TRAINING_STATE.match(name))


class Layout(NamedTuple):
    """How a layout is told, and what brings it to NVIDIA's names."""

    mark: str  # pattern of a tensor's name that no other layout has
    rename: Callable[[str], str]


LAYOUTS = {
    "nvidia": Layout(rf"{ATTENTION}\.query_layer\.linear_layer\.weight|WN\.0\.cond_layer\.bias", str),
    "dle": Layout(
        rf"module\.(1\.)?({ATTENTION}\.query_layer\.linear_layer\.weight|WN\.0\.cond_layer\.bias)"
        r"|(module\.(1\.)?)?WN\.0\.cond_layers\.0\.bias",  # NVIDIA's own first version had these too
        rename_dle,
    ),
    "torchaudio": Layout(rf"{ATTENTION}\.query_layer\.weight", rename_torchaudio),
    "zoo": Layout(r"(model\.)?decoder\.decode\.attention_layer\.query_layer\.linear_layer\.weight", rename_zoo),
}


def to_nvidia_names(tensors: Mapping[str, np.ndarray], layout: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """`tensors` under NVIDIA's names and in their shapes, and the names of those left out because they belong to a training.

    What has no name in NVIDIA's layout keeps one under which it will be complained of.

    Raises:
        InputError: two tensors would have the same name.
    """
    left_out = [name for name in tensors if layout == "zoo" and is_training_state(name)]
    renamed: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if name in left_out:
            continue
        new = LAYOUTS[layout].rename(name)
        if new in renamed:
            raise InputError(f"{name} is there twice, under different names")
        renamed[new] = value
    if is_waveglow(renamed):
        renamed = unify(renamed)
    if layout == "zoo":
        # Convolutions are written as two-dimensional, and batch normalisation counts no batches.
        renamed = {
            name: value.squeeze(2) if value.ndim == 4 and value.shape[2] == 1 else value
            for name, value in renamed.items()
        }
        counters = [
            name.replace("running_var", "num_batches_tracked") for name in renamed if name.endswith("running_var")
        ]
        renamed |= {name: np.zeros((), np.int64) for name in counters}
    return renamed, left_out


def recognise(tensors: Mapping[str, Any], layout: str = "auto") -> str:
    """The layout of `tensors`, told by their names; it must be `layout` unless that is `auto`.

    Raises:
        InputError: not a layout that can be converted, or not the one asked for.
    """
    found = [name for name, each in LAYOUTS.items() if any(re.fullmatch(each.mark, tensor) for tensor in tensors)]
    if len(found) == 1 and layout in ("auto", found[0]):
        return found[0]
    wanted = f"one of the layouts known ({', '.join(LAYOUTS)})" if layout == "auto" else layout
    but = f"but like {found[0]}" if found else f"the first are {', '.join(list(tensors)[:3]) or 'none at all'}"
    raise InputError(f"the tensors are not named like {wanted}; {but}")

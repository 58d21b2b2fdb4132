"""The layouts of other implementations, and how each is brought to the names of NVIDIA's."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from src.convert.coqui import Coqui, is_training_aid, rename_coqui, unify_coqui
from src.convert.tacotron2 import ATTENTION, BATCH_NORM
from src.convert.waveglow import is_waveglow, unify
from src.errors import InputError

_TRAINING_STATE = re.compile(
    r"moment[12]\.|"  # of each weight, by Adam
    r"(.+\.)?(beta[12]_power|learning_rate|global_step|loss_scale|scale_sense|current_iterator_step|"
    r"last_overflow_iterator_step|epoch_num|step_num)$"
)
_TOP = "embedding|encoder|decoder|postnet|upsample|convinv|WN"  # first parts of names; `1.` stands before nothing else
_PREFIX = re.compile(rf"((module|model|generator|net|tacotron2|waveglow)\.|1\.(?=({_TOP})\.))*")


def rename_pytorch(name: str) -> str:
    """Strip the prefixes of data-parallel training, compilation and trainers; rename parametrized weight norm.

    Since PyTorch 2.0 `weight_g` and `weight_v` may be called `parametrizations.weight.original0` and `original1`.
    """
    name = _PREFIX.sub("", _compiled(name), count=1)
    return re.sub(r"\.parametrizations\.weight\.original([01])$", lambda part: f".weight_{'gv'[int(part[1])]}", name)


def rename_torchaudio(name: str) -> str:
    """Rename a tensor of torchaudio.models.Tacotron2, whose convolutions and linear layers are not wrapped."""
    name = re.sub(r"(\.convolutions\.\d+\.0|\.location_conv)\.(weight|bias)$", r"\1.conv.\2", rename_pytorch(name))
    linear = (
        r"(\.(?:query_layer|memory_layer|v|location_dense|linear_projection|gate_layer|prenet\.layers\.\d+))"
        r"\.(weight|bias)$"
    )
    return re.sub(linear, r"\1.linear_layer.\2", name)


def rename_zoo(name: str) -> str:
    """Rename a tensor of the MindSpore model zoo, `research` and `official` alike."""
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
    """Return whether a tensor of the model zoo's belongs to the optimiser, the schedule or the loss scaling."""
    return bool(_TRAINING_STATE.match(name))


class Layout(NamedTuple):
    """A naming scheme: how it is recognised, and the way to NVIDIA's names."""

    mark: str  # pattern of a tensor's name, without prefixes, that no other layout has
    rename: Callable[[str], str]


QUERY_LAYER = rf"{ATTENTION}\.query_layer"
LAYOUTS = {
    "nvidia": Layout(rf"{QUERY_LAYER}\.linear_layer\.weight|WN\.0\.cond_layer\.bias", rename_pytorch),
    # DeepLearningExamples and NGC. NVIDIA's first WaveGlow had cond_layers too.
    "dle": Layout(
        rf"module\.({QUERY_LAYER}\.linear_layer\.weight|WN\.0\.cond_layer\.bias)|WN\.0\.cond_layers\.0\.bias",
        rename_pytorch,
    ),
    "torchaudio": Layout(rf"{QUERY_LAYER}\.weight", rename_torchaudio),
    "zoo": Layout(r"decoder\.decode\.attention_layer\.query_layer\.linear_layer\.weight", rename_zoo),
    "coqui": Layout(
        r"decoder\.attention\.query_layer\.linear_layer\.weight", lambda name: rename_coqui(rename_pytorch(name))
    ),
}
UNFIT = {
    r"(tts\.)?dec\.att\.mlp_dec\.weight": (
        "is ESPnet's Tacotron 2: its attention looks at the decoder's state before each step, "
        "and its second LSTM does not see the context, so no weights make this network compute the same"
    ),
    r"decoder\.attention\.(N_a\.0|key_layer)\.weight": (
        "is coqui's Tacotron 2 with Graves or dynamic convolution attention; only attention_type original converts"
    ),
}


def to_nvidia_names(
    tensors: Mapping[str, np.ndarray], layout: str, claims: Coqui | None = None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return `tensors` under NVIDIA's names and in their shapes, and the names of those that only training uses.

    A tensor without a place in NVIDIA's layout keeps a name that `src.convert.mapping.misfits` reports.

    Args:
        claims: settings of coqui's that decide how its tensors are read; needed with that layout only.

    Raises:
        InputError: two tensors would have the same name.
    """
    unused = {"zoo": is_training_state, "coqui": is_training_aid}.get(layout, lambda name: False)
    left_out = {name: value for name, value in tensors.items() if unused(name)}
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
    if layout == "zoo":  # its convolutions are two-dimensional
        renamed = {
            name: value.squeeze(2) if value.ndim == 4 and value.shape[2] == 1 else value
            for name, value in renamed.items()
        }
    if layout == "coqui":
        renamed = unify_coqui(renamed, claims or Coqui())
    counters = [name.replace("running_var", "num_batches_tracked") for name in renamed if name.endswith("running_var")]
    return {**{name: np.zeros((), np.int64) for name in counters}, **renamed}, list(left_out)


def recognise(tensors: Iterable[str], layout: str = "auto") -> str:
    """Return the layout of tensors with these names; it must be `layout` unless that is `auto`.

    Raises:
        InputError: not a layout that can be converted, or not the one asked for.
    """
    names = list(tensors)
    found = layouts_of(names)
    if len(found) == 1 and layout in ("auto", found[0]):
        return found[0]
    for name in names:
        for mark, complaint in UNFIT.items():
            if re.fullmatch(mark, rename_pytorch(name)):
                raise InputError(complaint)
    wanted = f"one of the layouts known ({', '.join(LAYOUTS)})" if layout == "auto" else layout
    but = f"but like {found[0]}" if found else f"the first are {', '.join(names[:3]) or 'none at all'}"
    raise InputError(f"the tensors are not named like {wanted}; {but}")


def layouts_of(names: Collection[str]) -> list[str]:
    """Return the layouts whose marks are among these names of tensors."""
    stripped = {rename_pytorch(name) for name in names}
    stripped |= {f"module.{rename_pytorch(name)}" for name in names if "module." in _PREFIX.match(_compiled(name))[0]}
    found = [layout for layout, each in LAYOUTS.items() if any(re.fullmatch(each.mark, name) for name in stripped)]
    return [layout for layout in found if layout != "nvidia" or "dle" not in found]


def _compiled(name: str) -> str:
    """Strip what `torch.compile` puts before the names of a module, wherever that stands in the network."""
    return name.replace("_orig_mod.", "")

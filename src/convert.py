"""Checkpoints of other Tacotron 2 implementations turned into ours.

Every layout is first brought to the names of the public NVIDIA implementation (github.com/NVIDIA/tacotron2), then through
one table to ours, where matrices are [in, out] and convolutions [kernel * in, out].
"""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src import create_model
from src.checkpoint import copy_strictly, network_parameters, save_checkpoint
from src.config import Config, load_config
from src.errors import InputError, some_of
from src.text import SYMBOLS

LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
ATTENTION = "decoder.attention_layer"
LOCATION = f"{ATTENTION}.location_layer"


class Entry(NamedTuple):
    """One line of the table: some of our parameters and the tensors they are made of."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    convert: Callable[..., tuple[np.ndarray, ...]]  # their arrays -> our arrays


def convert(
    source: str | Path,
    destination: str | Path,
    layout: str = "auto",
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read a foreign checkpoint and write it as ours.

    Args:
        source: a PyTorch file, read without running the code that pickles can carry.
        destination: path of the `.ckpt` to write.
        layout: `nvidia`, or `auto` to tell by the tensors' names.
        config: YAML file with what tensors do not tell (audio settings above all); None means the LJSpeech defaults.
        overrides: dotted keys that go before that file, `{"audio.mel_floor": 1e-4}`.

    Returns:
        The configuration stored in the new checkpoint, sizes as the tensors have them.

    Raises:
        InputError: unreadable or unknown file, a tensor missing, left over or of the wrong shape; overrides that the tensors contradict.
    """
    source, destination = Path(source), Path(destination)
    if destination.suffix != ".ckpt":
        raise InputError(f"{destination}: the converted checkpoint needs a name that ends in .ckpt")
    tensors = read_torch(source)
    try:
        recognise(tensors, layout)
        weights = from_nvidia(tensors)
        sizes = nvidia_sizes(tensors)
        for key in set(sizes) & set(overrides or {}):
            if overrides[key] != sizes[key]:
                raise InputError(f"{key} is {sizes[key]} by its tensors, not {overrides[key]}")
        converted = load_config(config, {**(overrides or {}), **sizes})
        net = create_model(config=converted)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    copy_strictly(weights, network_parameters(net), f"{source}: tensors that do not make one network")
    save_checkpoint(destination, net, converted, extra={"converted_from": source.name})
    return converted


def recognise(tensors: Mapping[str, np.ndarray], layout: str = "auto") -> str:
    """The layout of `tensors`, told by their names; it must be `layout` unless that is `auto`.

    Raises:
        InputError: not a layout that can be converted.
    """
    if f"{ATTENTION}.query_layer.linear_layer.weight" in tensors:
        return "nvidia"
    wanted = "one of the layouts known (nvidia)" if layout == "auto" else layout
    raise InputError(f"the tensors are not named like {wanted}; the first are {', '.join(list(tensors)[:3]) or 'none at all'}")


def from_nvidia(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our float32 weights by parameter name out of tensors under NVIDIA's names, each of which is used exactly once.

    Raises:
        InputError: a tensor is missing, unknown, or does not fit its neighbours.
    """
    rest = dict(tensors)
    weights: dict[str, np.ndarray] = {}
    for entry in nvidia_table(tensors):
        missing = [name for name in entry.theirs if name not in rest]
        if missing:
            raise InputError(f"tensor {missing[0]} is missing")
        arrays = [np.asarray(rest.pop(name)) for name in entry.theirs]
        try:
            made = entry.convert(*arrays)
        except ValueError as error:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in zip(entry.theirs, arrays, strict=True))
            raise InputError(f"shapes that do not go together: {shapes}") from error
        weights |= {name: np.ascontiguousarray(array, np.float32) for name, array in zip(entry.ours, made, strict=True)}
    if rest:
        raise InputError(f"no use for tensor {some_of(list(rest))}")
    return weights


def nvidia_sizes(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The configuration keys that the shapes of NVIDIA's tensors tell.

    Raises:
        InputError: a tensor that tells a size is missing, or the alphabet is not ours.
    """

    def shape(name: str, n_dims: int) -> tuple[int, ...]:
        if name not in tensors:
            raise InputError(f"tensor {name} is missing")
        if np.ndim(tensors[name]) != n_dims:
            raise InputError(f"tensor {name} has shape {list(np.shape(tensors[name]))}, expected {n_dims} dimensions")
        return np.shape(tensors[name])

    n_symbols, encoder_dim = shape("embedding.weight", 2)
    if n_symbols != len(SYMBOLS):
        raise InputError(f"embedding.weight knows {n_symbols} symbols, not our {len(SYMBOLS)}; its text ids would mean something else")
    prenet_dim, n_frame = shape("decoder.prenet.layers.0.linear_layer.weight", 2)
    postnet_dim, n_mels, postnet_kernel_size = shape("postnet.convolutions.0.0.conv.weight", 3)
    location_filters, _, location_kernel_size = shape(f"{LOCATION}.location_conv.conv.weight", 3)
    if n_frame % n_mels:
        raise InputError(f"the prenet takes {n_frame} numbers, which is no multiple of the {n_mels} mel bands of the postnet")
    return {
        "audio.n_mels": n_mels,
        "model.name": "tacotron2",
        "model.n_symbols": n_symbols,
        "model.encoder_dim": encoder_dim,
        "model.encoder_layers": _count(tensors, "encoder"),
        "model.encoder_kernel_size": shape("encoder.convolutions.0.0.conv.weight", 3)[2],
        "model.prenet_dim": prenet_dim,
        "model.attention_rnn_dim": shape("decoder.attention_rnn.weight_hh", 2)[1],
        "model.attention_dim": shape(f"{ATTENTION}.query_layer.linear_layer.weight", 2)[0],
        "model.location_filters": location_filters,
        "model.location_kernel_size": location_kernel_size,
        "model.decoder_rnn_dim": shape("decoder.decoder_rnn.weight_hh", 2)[1],
        "model.postnet_dim": postnet_dim,
        "model.postnet_layers": _count(tensors, "postnet"),
        "model.postnet_kernel_size": postnet_kernel_size,
        "model.reduction_factor": n_frame // n_mels,
    }


def nvidia_table(tensors: Mapping[str, np.ndarray]) -> list[Entry]:
    """Our parameters against NVIDIA's tensors, for as many convolutions as `tensors` has."""
    table = [Entry(("embedding",), ("embedding.weight",), _same)]
    for part in ("encoder", "postnet"):
        for i in range(_count(tensors, part)):
            table += _conv_batch_norm(f"{part}.convolutions.{i}", f"{part}.convolutions.{i}")
    for ours, suffix in (("forwards", ""), ("backwards", "_reverse")):
        table.append(_lstm(f"encoder.lstm.{ours}", [f"encoder.lstm.{name}_l0{suffix}" for name in LSTM]))
    table += [
        _matrix("decoder.prenet.first.weight", "decoder.prenet.layers.0.linear_layer.weight"),
        _matrix("decoder.prenet.second.weight", "decoder.prenet.layers.1.linear_layer.weight"),
        _lstm("decoder.attention", [f"decoder.attention_rnn.{name}" for name in LSTM]),  # rows: prenet, context, hidden
        _lstm("decoder.lstm", [f"decoder.decoder_rnn.{name}" for name in LSTM]),  # rows: attention hidden, context, hidden
        _matrix("decoder.attention.query", f"{ATTENTION}.query_layer.linear_layer.weight"),
        _matrix("decoder.attention.keys.weight", f"{ATTENTION}.memory_layer.linear_layer.weight"),
        _matrix("decoder.attention.v", f"{ATTENTION}.v.linear_layer.weight"),
        Entry(("decoder.attention.location_conv",), (f"{LOCATION}.location_conv.conv.weight",), _conv),
        _matrix("decoder.attention.location_dense", f"{LOCATION}.location_dense.linear_layer.weight"),
        Entry(  # the gate is the last column of our projection
            ("decoder.projection.weight", "decoder.projection.bias"),
            tuple(f"decoder.{layer}.linear_layer.{kind}" for kind in ("weight", "bias") for layer in ("linear_projection", "gate_layer")),
            lambda weight, gate_weight, bias, gate_bias: (np.concatenate((weight, gate_weight)).T, np.concatenate((bias, gate_bias))),
        ),
    ]
    return table


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch file (`{name: tensor}`, or such a dict under `state_dict`) as float32 arrays, without running pickled code.

    Raises:
        InputError: PyTorch is not installed; no such file; damaged; more than tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        import torch  # noqa: PLC0415  only conversion needs it, and it is large
    except ImportError as error:
        hint = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        raise InputError(f"{path}: reading a PyTorch file needs PyTorch; install it with `{hint}`") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cut off, no PyTorch file, or one that holds pickled code, which is never run") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: no tensors by name in it, neither at the top nor under 'state_dict'")
    return {name: value.float().numpy() for name, value in state.items()}


def _conv_batch_norm(ours: str, theirs: str) -> list[Entry]:
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    return [
        Entry((f"{ours}.conv.weight",), (f"{theirs}.0.conv.weight",), _conv),
        Entry((f"{ours}.conv.bias",), (f"{theirs}.0.conv.bias",), _same),
        *(Entry((f"{ours}.norm.{mine}",), (f"{theirs}.1.{name}",), _same) for mine, name in names.items()),
        Entry((), (f"{theirs}.1.num_batches_tracked",), lambda _: ()),  # a counter our moving averages do without
    ]


def _matrix(ours: str, theirs: str) -> Entry:
    return Entry((ours,), (theirs,), lambda weight: (weight.T,))


def _lstm(ours: str, theirs: list[str]) -> Entry:
    return Entry(
        (f"{ours}.weight", f"{ours}.bias"),
        tuple(theirs),
        lambda from_input, from_hidden, bias, hidden_bias: (np.concatenate((from_input, from_hidden), axis=1).T, bias + hidden_bias),
    )


def _conv(weight: np.ndarray) -> tuple[np.ndarray]:
    n_out, n_in, kernel_size = weight.shape
    return (weight.transpose(2, 1, 0).reshape(kernel_size * n_in, n_out),)


def _same(array: np.ndarray) -> tuple[np.ndarray]:
    return (array,)


def _count(tensors: Mapping[str, np.ndarray], part: str) -> int:
    return len({name.split(".")[2] for name in tensors if name.startswith(f"{part}.convolutions.")})

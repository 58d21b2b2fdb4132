"""The layout of the public NVIDIA implementation (github.com/NVIDIA/tacotron2) against ours, in both directions.

Ours has matrices as [in, out], convolutions as [kernel * in, out], one bias per LSTM, and the gate as last column of the projection.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from src.config import Tacotron2Config
from src.errors import InputError

LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
ATTENTION = "decoder.attention_layer"
LOCATION = f"{ATTENTION}.location_layer"
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

Arrays = tuple[np.ndarray, ...]


class Entry(NamedTuple):
    """One line of the table: some of our parameters and the tensors they are made of."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    to_ours: Callable[..., Arrays]
    to_theirs: Callable[..., Arrays]


def from_nvidia(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our float32 weights by parameter name out of tensors under NVIDIA's names that `misfits` finds nothing wrong with."""
    weights: dict[str, np.ndarray] = {}
    for entry in nvidia_table(_model(tensors)):
        made = entry.to_ours(*(np.asarray(tensors[name]) for name in entry.theirs))
        weights |= {name: np.ascontiguousarray(array, np.float32) for name, array in zip(entry.ours, made, strict=True)}
    return weights


def misfits(tensors: Mapping[str, np.ndarray], parameters: Mapping[str, np.ndarray]) -> list[str]:
    """What keeps tensors under NVIDIA's names from being exactly the network of our `parameters`: missing, left over, misshapen ones."""
    wanted = {name: array.shape for name, array in to_nvidia(parameters, _model(tensors)).items()}
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"there is no use for {name}" for name in tensors if name not in wanted]
    shapes = {name: (list(np.shape(array)), list(wanted[name])) for name, array in tensors.items() if name in wanted}
    return problems + [f"{name} is {found}, expected {shape}" for name, (found, shape) in shapes.items() if found != shape]


def to_nvidia(weights: Mapping[str, np.ndarray], model: Tacotron2Config) -> dict[str, np.ndarray]:
    """The tensors under NVIDIA's names that `from_nvidia` makes exactly these weights of."""
    tensors: dict[str, np.ndarray] = {}
    for entry in nvidia_table(model):
        made = entry.to_theirs(*(weights[name] for name in entry.ours))
        tensors |= {name: np.array(array, order="C") for name, array in zip(entry.theirs, made, strict=True)}
    return tensors


def nvidia_sizes(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The configuration keys that the shapes of NVIDIA's tensors tell.

    Raises:
        InputError: a tensor that tells a size is missing or has another number of dimensions.
    """

    def shape(name: str, n_dims: int) -> tuple[int, ...]:
        if name not in tensors:
            raise InputError(f"tensor {name} is missing")
        if np.ndim(tensors[name]) != n_dims:
            raise InputError(f"tensor {name} has shape {list(np.shape(tensors[name]))}, expected {n_dims} dimensions")
        return np.shape(tensors[name])

    n_symbols, encoder_dim = shape("embedding.weight", 2)
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


def nvidia_table(model: Tacotron2Config) -> list[Entry]:
    """Our parameters against NVIDIA's tensors."""
    table = [Entry(("embedding",), ("embedding.weight",), _same, _same)]
    parts = (("encoder", model.encoder_layers, model.encoder_kernel_size), ("postnet", model.postnet_layers, model.postnet_kernel_size))
    for part, n_layers, kernel_size in parts:
        for i in range(n_layers):
            table += _conv_batch_norm(f"{part}.convolutions.{i}", kernel_size)
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
        _conv("decoder.attention.location_conv", f"{LOCATION}.location_conv.conv.weight", model.location_kernel_size),
        _matrix("decoder.attention.location_dense", f"{LOCATION}.location_dense.linear_layer.weight"),
        Entry(
            ("decoder.projection.weight", "decoder.projection.bias"),
            tuple(f"decoder.{layer}.linear_layer.{kind}" for kind in ("weight", "bias") for layer in ("linear_projection", "gate_layer")),
            lambda weight, gate_weight, bias, gate_bias: (np.concatenate((weight, gate_weight)).T, np.concatenate((bias, gate_bias))),
            lambda weight, bias: (weight.T[:-1], weight.T[-1:], bias[:-1], bias[-1:]),
        ),
    ]
    return table


def _model(tensors: Mapping[str, np.ndarray]) -> Tacotron2Config:
    return Tacotron2Config(**{key.removeprefix("model."): size for key, size in nvidia_sizes(tensors).items() if key.startswith("model.")})


def _conv_batch_norm(name: str, kernel_size: int) -> list[Entry]:
    return [
        _conv(f"{name}.conv.weight", f"{name}.0.conv.weight", kernel_size),
        Entry((f"{name}.conv.bias",), (f"{name}.0.conv.bias",), _same, _same),
        *(Entry((f"{name}.norm.{mine}",), (f"{name}.1.{theirs}",), _same, _same) for mine, theirs in BATCH_NORM.items()),
        # a counter that our moving averages do without, and a strict load of theirs does not
        Entry((), (f"{name}.1.num_batches_tracked",), lambda _: (), lambda: (np.zeros((), np.int64),)),
    ]


def _matrix(ours: str, theirs: str) -> Entry:
    return Entry((ours,), (theirs,), _transpose, _transpose)


def _lstm(ours: str, theirs: list[str]) -> Entry:
    def split(weight: np.ndarray, bias: np.ndarray) -> Arrays:
        n_in = weight.shape[0] - weight.shape[1] // 4
        return weight[:n_in].T, weight[n_in:].T, bias, np.zeros_like(bias)

    return Entry(
        (f"{ours}.weight", f"{ours}.bias"),
        tuple(theirs),
        lambda from_input, from_hidden, bias, hidden_bias: (np.concatenate((from_input, from_hidden), axis=1).T, bias + hidden_bias),
        split,
    )


def _conv(ours: str, theirs: str, kernel_size: int) -> Entry:
    def flatten(weight: np.ndarray) -> Arrays:
        n_out, n_in, size = weight.shape
        return (weight.transpose(2, 1, 0).reshape(size * n_in, n_out),)

    def unfold(weight: np.ndarray) -> Arrays:
        return (weight.reshape(kernel_size, -1, weight.shape[1]).transpose(2, 1, 0),)

    return Entry((ours,), (theirs,), flatten, unfold)


def _transpose(array: np.ndarray) -> Arrays:
    return (array.T,)


def _same(array: np.ndarray) -> Arrays:
    return (array,)


def _count(tensors: Mapping[str, np.ndarray], part: str) -> int:
    return len({name.split(".")[2] for name in tensors if name.startswith(f"{part}.convolutions.")})

"""Tacotron 2 of the public NVIDIA implementation (github.com/NVIDIA/tacotron2) against ours, in both directions.

Ours has matrices as [in, out], convolutions as [kernel * in, out], one bias per LSTM, and the gate as last column of the projection.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from src.config import Config
from src.convert.mapping import Arrays, PublicLayout, TensorMapping, count_layers, same, shapes_of
from src.errors import InputError

LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
ATTENTION = "decoder.attention_layer"
LOCATION = f"{ATTENTION}.location_layer"
PRENET = "decoder.prenet.layers.0.linear_layer.weight"
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

DLE_CONFIG = {  # keys of the configuration that their training checkpoints carry
    "n_mel_channels": "audio.n_mels",
    "n_symbols": "model.n_symbols",
    "symbols_embedding_dim": "model.encoder_dim",
    "encoder_embedding_dim": "model.encoder_dim",
    "encoder_n_convolutions": "model.encoder_layers",
    "encoder_kernel_size": "model.encoder_kernel_size",
    "n_frames_per_step": "model.reduction_factor",
    "prenet_dim": "model.prenet_dim",
    "attention_rnn_dim": "model.attention_rnn_dim",
    "attention_dim": "model.attention_dim",
    "attention_location_n_filters": "model.location_filters",
    "attention_location_kernel_size": "model.location_kernel_size",
    "decoder_rnn_dim": "model.decoder_rnn_dim",
    "postnet_embedding_dim": "model.postnet_dim",
    "postnet_n_convolutions": "model.postnet_layers",
    "postnet_kernel_size": "model.postnet_kernel_size",
    "p_attention_dropout": "model.attention_dropout",
    "p_decoder_dropout": "model.decoder_dropout",
    "gate_threshold": "model.gate_threshold",
    "max_decoder_steps": "model.max_decoder_steps",
}


def is_tacotron2(tensors: Iterable[str]) -> bool:
    """Return whether tensors of these names, under NVIDIA's, are a Tacotron 2."""
    return any(name.startswith("decoder.") for name in tensors)


def tacotron2_sizes(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The configuration keys that the shapes of NVIDIA's tensors tell.

    Raises:
        InputError: tensors that tell sizes are missing or have another number of dimensions; the prenet takes no whole number of frames.
    """

    query = f"{ATTENTION}.query_layer.linear_layer.weight"
    location_conv = f"{LOCATION}.location_conv.conv.weight"
    matrices = ("embedding.weight", PRENET, "decoder.attention_rnn.weight_hh", query, "decoder.decoder_rnn.weight_hh")
    convolutions = ("encoder.convolutions.0.0.conv.weight", location_conv, "postnet.convolutions.0.0.conv.weight")
    shapes = shapes_of(tensors, dict.fromkeys(matrices, 2) | dict.fromkeys(convolutions, 3))
    n_symbols, encoder_dim = shapes["embedding.weight"]
    prenet_dim, n_frame = shapes[PRENET]
    postnet_dim, n_mels, postnet_kernel_size = shapes["postnet.convolutions.0.0.conv.weight"]
    location_filters, _, location_kernel_size = shapes[location_conv]
    if n_mels == 0 or n_frame % n_mels:
        raise InputError(
            f"the prenet takes {n_frame} numbers, which is no multiple of the {n_mels} mel bands of the postnet"
        )
    return {
        "audio.n_mels": n_mels,
        "model.name": "tacotron2",
        "model.n_symbols": n_symbols,
        "model.encoder_dim": encoder_dim,
        "model.encoder_layers": count_layers(tensors, "encoder.convolutions."),
        "model.encoder_kernel_size": shapes["encoder.convolutions.0.0.conv.weight"][2],
        "model.prenet_dim": prenet_dim,
        "model.attention_rnn_dim": shapes["decoder.attention_rnn.weight_hh"][1],
        "model.attention_dim": shapes[query][0],
        "model.location_filters": location_filters,
        "model.location_kernel_size": location_kernel_size,
        "model.decoder_rnn_dim": shapes["decoder.decoder_rnn.weight_hh"][1],
        "model.postnet_dim": postnet_dim,
        "model.postnet_layers": count_layers(tensors, "postnet.convolutions."),
        "model.postnet_kernel_size": postnet_kernel_size,
        "model.reduction_factor": n_frame // n_mels,
    }


def tacotron2_mapping(config: Config) -> list[TensorMapping]:
    """Our parameters against NVIDIA's tensors."""
    model = config.model
    mapping = [same("embedding", "embedding.weight")]
    parts = (
        ("encoder", model.encoder_layers, model.encoder_kernel_size),
        ("postnet", model.postnet_layers, model.postnet_kernel_size),
    )
    for part, n_layers, kernel_size in parts:
        for i in range(n_layers):
            mapping += _conv_batch_norm(f"{part}.convolutions.{i}", kernel_size)
    for ours, suffix in (("forwards", ""), ("backwards", "_reverse")):
        mapping.append(_lstm(f"encoder.lstm.{ours}", [f"encoder.lstm.{name}_l0{suffix}" for name in LSTM]))
    mapping += [
        _matrix("decoder.prenet.first.weight", PRENET),
        _matrix("decoder.prenet.second.weight", "decoder.prenet.layers.1.linear_layer.weight"),
        _lstm("decoder.attention", [f"decoder.attention_rnn.{name}" for name in LSTM]),  # rows: prenet, context, hidden
        _lstm(
            "decoder.lstm", [f"decoder.decoder_rnn.{name}" for name in LSTM]
        ),  # rows: attention hidden, context, hidden
        _matrix("decoder.attention.query", f"{ATTENTION}.query_layer.linear_layer.weight"),
        _matrix("decoder.attention.keys.weight", f"{ATTENTION}.memory_layer.linear_layer.weight"),
        _matrix("decoder.attention.v", f"{ATTENTION}.v.linear_layer.weight"),
        _conv("decoder.attention.location_conv", f"{LOCATION}.location_conv.conv.weight", model.location_kernel_size),
        _matrix("decoder.attention.location_dense", f"{LOCATION}.location_dense.linear_layer.weight"),
        TensorMapping(
            ("decoder.projection.weight", "decoder.projection.bias"),
            tuple(
                f"decoder.{layer}.linear_layer.{kind}"
                for kind in ("weight", "bias")
                for layer in ("linear_projection", "gate_layer")
            ),
            lambda weight, gate_weight, bias, gate_bias: (
                np.concatenate((weight, gate_weight)).T,
                np.concatenate((bias, gate_bias)),
            ),
            lambda weight, bias: (weight.T[:-1], weight.T[-1:], bias[:-1], bias[-1:]),
        ),
    ]
    return mapping


def _conv_batch_norm(name: str, kernel_size: int) -> list[TensorMapping]:
    return [
        _conv(f"{name}.conv.weight", f"{name}.0.conv.weight", kernel_size),
        same(f"{name}.conv.bias", f"{name}.0.conv.bias"),
        *(same(f"{name}.norm.{mine}", f"{name}.1.{theirs}") for mine, theirs in BATCH_NORM.items()),
        # a counter that our moving averages do without, and a strict load of theirs does not
        TensorMapping((), (f"{name}.1.num_batches_tracked",), lambda _: (), lambda: (np.zeros((), np.int64),)),
    ]


def _matrix(ours: str, theirs: str) -> TensorMapping:
    return TensorMapping((ours,), (theirs,), _transpose, _transpose)


def _lstm(ours: str, theirs: list[str]) -> TensorMapping:
    def split(weight: np.ndarray, bias: np.ndarray) -> Arrays:
        n_in = weight.shape[0] - weight.shape[1] // 4
        return weight[:n_in].T, weight[n_in:].T, bias, np.zeros_like(bias)

    return TensorMapping(
        (f"{ours}.weight", f"{ours}.bias"),
        tuple(theirs),
        lambda from_input, from_hidden, bias, hidden_bias: (
            np.concatenate((from_input, from_hidden), axis=1).T,
            bias + hidden_bias,
        ),
        split,
    )


def _conv(ours: str, theirs: str, kernel_size: int) -> TensorMapping:
    def flatten(weight: np.ndarray) -> Arrays:
        n_out, n_in, size = weight.shape
        return (weight.transpose(2, 1, 0).reshape(size * n_in, n_out),)

    def unfold(weight: np.ndarray) -> Arrays:
        return (weight.reshape(kernel_size, -1, weight.shape[1]).transpose(2, 1, 0),)

    return TensorMapping((ours,), (theirs,), flatten, unfold)


def _transpose(array: np.ndarray) -> Arrays:
    return (array.T,)


LAYOUT = PublicLayout(is_tacotron2, tacotron2_sizes, tacotron2_mapping, DLE_CONFIG)

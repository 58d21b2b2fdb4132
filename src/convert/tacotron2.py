"""Tacotron 2: the public NVIDIA implementation (github.com/NVIDIA/tacotron2) and ours, in both directions.

Ours has matrices as [in, out], convolutions as [kernel * in, out], one bias per LSTM, and the gate as last column of
the projection.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from src.config import Config
from src.convert.mapping import Arrays, PublicLayout, TensorMapping, count_layers, same, shapes_of
from src.errors import InputError

ATTENTION = "decoder.attention_layer"
LOCATION = f"{ATTENTION}.location_layer"
QUERY = f"{ATTENTION}.query_layer.linear_layer.weight"
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
    """Return the configuration keys that the shapes of NVIDIA's tensors tell.

    Raises:
        InputError: tensors that tell sizes are missing or have another number of dimensions; the prenet takes no whole
            number of frames.
    """
    location_conv = f"{LOCATION}.location_conv.conv.weight"
    matrices = ("embedding.weight", PRENET, "decoder.attention_rnn.weight_hh", QUERY, "decoder.decoder_rnn.weight_hh")
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
        "model.attention_dim": shapes[QUERY][0],
        "model.location_filters": location_filters,
        "model.location_kernel_size": location_kernel_size,
        "model.decoder_rnn_dim": shapes["decoder.decoder_rnn.weight_hh"][1],
        "model.postnet_dim": postnet_dim,
        "model.postnet_layers": count_layers(tensors, "postnet.convolutions."),
        "model.postnet_kernel_size": postnet_kernel_size,
        "model.reduction_factor": n_frame // n_mels,
    }


def tacotron2_mapping(config: Config) -> list[TensorMapping]:
    """Return the mapping between our parameters and NVIDIA's tensors."""
    model, n_mels = config.model, config.audio.n_mels
    encoder_dim, attention_dim = model.encoder_dim, model.attention_dim
    encoder = [encoder_dim] * (model.encoder_layers + 1)
    postnet = [n_mels, *[model.postnet_dim] * (model.postnet_layers - 1), n_mels]
    n_frame, n_read = n_mels * model.reduction_factor, model.decoder_rnn_dim + encoder_dim
    n_filters, location_width = model.location_filters, model.location_kernel_size
    if config.model.n_speakers > 1:
        raise InputError("a network of several speakers (model.n_speakers) has no counterpart among public checkpoints")
    mapping = [same("embedding", "embedding.weight", (model.n_symbols, encoder_dim))]
    for part, widths, kernel_size in (
        ("encoder", encoder, model.encoder_kernel_size),
        ("postnet", postnet, model.postnet_kernel_size),
    ):
        for i, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
            mapping += _conv_batch_norm(f"{part}.convolutions.{i}", n_in, n_out, kernel_size)
    for ours, suffix in (("forwards", "_l0"), ("backwards", "_l0_reverse")):
        mapping.append(_lstm(f"encoder.lstm.{ours}", "encoder.lstm", suffix, encoder_dim, encoder_dim // 2))
    attention_rnn_in, decoder_rnn_in = model.prenet_dim + encoder_dim, model.attention_rnn_dim + encoder_dim
    return [
        *mapping,
        _matrix("decoder.prenet.first.weight", PRENET, model.prenet_dim, n_frame),
        _matrix("decoder.prenet.second.weight", PRENET.replace(".0.", ".1."), model.prenet_dim, model.prenet_dim),
        # Rows of the first: prenet, context, hidden; of the second: attention hidden, context, hidden.
        _lstm("decoder.attention", "decoder.attention_rnn", "", attention_rnn_in, model.attention_rnn_dim),
        _lstm("decoder.lstm", "decoder.decoder_rnn", "", decoder_rnn_in, model.decoder_rnn_dim),
        _matrix("decoder.attention.query", QUERY, attention_dim, model.attention_rnn_dim),
        _matrix("decoder.attention.keys.weight", QUERY.replace("query", "memory"), attention_dim, encoder_dim),
        _matrix("decoder.attention.v", f"{ATTENTION}.v.linear_layer.weight", 1, attention_dim),
        _conv("decoder.attention.location_conv", f"{LOCATION}.location_conv.conv.weight", 2, n_filters, location_width),
        _matrix(
            "decoder.attention.location_dense",
            f"{LOCATION}.location_dense.linear_layer.weight",
            attention_dim,
            n_filters,
        ),
        _projection(n_frame, n_read),
    ]


def _projection(n_frame: int, n_read: int) -> TensorMapping:
    return TensorMapping(
        ("decoder.projection.weight", "decoder.projection.bias"),
        {
            "decoder.linear_projection.linear_layer.weight": (n_frame, n_read),
            "decoder.gate_layer.linear_layer.weight": (1, n_read),
            "decoder.linear_projection.linear_layer.bias": (n_frame,),
            "decoder.gate_layer.linear_layer.bias": (1,),
        },
        lambda weight, gate_weight, bias, gate_bias: (
            np.concatenate((weight, gate_weight)).T,
            np.concatenate((bias, gate_bias)),
        ),
        lambda weight, bias: (weight.T[:-1], weight.T[-1:], bias[:-1], bias[-1:]),
    )


def _conv_batch_norm(name: str, n_in: int, n_out: int, kernel_size: int) -> list[TensorMapping]:
    return [
        _conv(f"{name}.conv.weight", f"{name}.0.conv.weight", n_in, n_out, kernel_size),
        same(f"{name}.conv.bias", f"{name}.0.conv.bias", (n_out,)),
        *(same(f"{name}.norm.{mine}", f"{name}.1.{theirs}", (n_out,)) for mine, theirs in BATCH_NORM.items()),
        # Our moving averages need no counter; a strict load of theirs does.
        TensorMapping((), {f"{name}.1.num_batches_tracked": ()}, lambda _: (), lambda: (np.zeros((), np.int64),)),
    ]


def _matrix(ours: str, theirs: str, n_out: int, n_in: int) -> TensorMapping:
    return TensorMapping((ours,), {theirs: (n_out, n_in)}, _transpose, _transpose)


def _lstm(ours: str, theirs: str, suffix: str, n_in: int, n_hidden: int) -> TensorMapping:
    def split(weight: np.ndarray, bias: np.ndarray) -> Arrays:
        return weight[:n_in].T, weight[n_in:].T, bias, np.zeros_like(bias)

    return TensorMapping(
        (f"{ours}.weight", f"{ours}.bias"),
        {
            f"{theirs}.weight_ih{suffix}": (4 * n_hidden, n_in),
            f"{theirs}.weight_hh{suffix}": (4 * n_hidden, n_hidden),
            f"{theirs}.bias_ih{suffix}": (4 * n_hidden,),
            f"{theirs}.bias_hh{suffix}": (4 * n_hidden,),
        },
        lambda from_input, from_hidden, bias, hidden_bias: (
            np.concatenate((from_input, from_hidden), axis=1).T,
            bias + hidden_bias,
        ),
        split,
    )


def _conv(ours: str, theirs: str, n_in: int, n_out: int, kernel_size: int) -> TensorMapping:
    def flatten(weight: np.ndarray) -> Arrays:
        return (weight.transpose(2, 1, 0).reshape(kernel_size * n_in, n_out),)

    def unfold(weight: np.ndarray) -> Arrays:
        return (weight.reshape(kernel_size, n_in, n_out).transpose(2, 1, 0),)

    return TensorMapping((ours,), {theirs: (n_out, n_in, kernel_size)}, flatten, unfold)


def _transpose(array: np.ndarray) -> Arrays:
    return (array.T,)


LAYOUT = PublicLayout(is_tacotron2, tacotron2_sizes, tacotron2_mapping, DLE_CONFIG)

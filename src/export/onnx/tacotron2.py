"""Tacotron 2 in operators of ONNX: encoder, one decoder step, postnet.

`src.export.onnx.inference` has the loop over decoder steps.
"""

import numpy as np

from src.export.onnx.graph_builder import Graph
from src.models.layers import PYTORCH_BATCH_NORM_EPS, ConvBatchNorm
from src.models.lstm import LSTM
from src.models.tacotron2.attention import MASKED
from src.models.tacotron2.model import Tacotron2


def encoder(graph: Graph, net: Tacotron2) -> dict[str, str]:
    """`text` int32 (B, L), `text_lengths` int32 (B,) -> memory (B, L, E), keys (B, A, L), energy_mask (B, L)."""
    mask = graph.mask("text", 1, "text_lengths")
    embedded = graph("Gather", graph.constant(net.embedding.asnumpy()), "text")  # (B, L, E)
    x = graph("Mul", graph("Transpose", embedded, perm=[0, 2, 1]), graph.unsqueeze(mask, 1))
    for layer in net.encoder.convolutions:
        x = convolution(graph, x, layer, "Relu", mask)
    weights = [lstm_weights(direction) for direction in (net.encoder.lstm.forwards, net.encoder.lstm.backwards)]
    w, r, b = (graph.constant(np.stack(arrays)) for arrays in zip(*weights, strict=True))
    x = graph("Transpose", x, perm=[2, 0, 1])
    n_hidden = net.encoder.lstm.forwards.n_hidden
    y = graph("LSTM", x, w, r, b, "text_lengths", direction="bidirectional", hidden_size=n_hidden)  # (L, 2, B, H)
    memory = graph("Reshape", graph("Transpose", y, perm=[2, 0, 1, 3]), graph.constant([0, 0, -1]))
    if net.n_speakers > 1:
        voice = net.speaker_embedding.asnumpy()[net.voice]
        memory = graph("Add", memory, graph("Mul", graph.unsqueeze(mask, 2), graph.constant(voice)))
    keys = graph("Transpose", graph.linear(memory, net.decoder.attention.keys.weight.asnumpy()), perm=[0, 2, 1])
    padding = graph("Sub", graph.constant(np.float32(1)), mask)
    return {"memory": memory, "keys": keys, "energy_mask": graph("Mul", padding, graph.constant(np.float32(MASKED)))}


def decoder_step(graph: Graph, net: Tacotron2) -> dict[str, str]:
    """`Decoder.step`, with the names that states and constants have there; keys are (B, A, L)."""
    decoder, attention = net.decoder, net.decoder.attention
    first, second = graph.split("dropout_mask", 1, [decoder.prenet.n_out] * 2)
    x = graph("Mul", graph("Relu", graph.linear("frame", decoder.prenet.first.weight.asnumpy())), first)
    x = graph("Mul", graph("Relu", graph.linear(x, decoder.prenet.second.weight.asnumpy())), second)
    attention_hidden, attention_cell = lstm_step(graph, [x, "context", "attention_hidden"], "attention_cell", attention)

    conv, dense = (
        weight.asnumpy().astype(np.float64) for weight in (attention.location_conv, attention.location_dense)
    )
    location = (conv @ dense).reshape(-1, 2, dense.shape[1])  # (taps, weights and their sum, A)
    history = graph("Concat", graph.unsqueeze("weights", 1), graph.unsqueeze("weights_cum", 1), axis=1)
    reach = len(location) // 2
    from_location = graph(
        "Conv", history, graph.constant(location.transpose(2, 1, 0)), pads=[reach, reach]
    )  # (B, A, L)
    query = graph.unsqueeze(graph.linear(attention_hidden, attention.query.asnumpy()), 2)
    activation = graph("Tanh", graph("Add", graph("Add", from_location, query), "keys"))
    energy = graph.squeeze(graph("MatMul", graph.constant(attention.v.asnumpy().T), activation), 1)
    weights = graph("Softmax", graph("Add", energy, "energy_mask"), axis=-1)
    context = graph.squeeze(graph("MatMul", graph.unsqueeze(weights, 1), "memory"), 1)

    decoder_hidden, decoder_cell = lstm_step(
        graph, [attention_hidden, context, "decoder_hidden"], "decoder_cell", decoder.lstm
    )
    output = graph("Concat", decoder_hidden, context, axis=1)
    output = graph.linear(output, decoder.projection.weight.asnumpy(), decoder.projection.bias.asnumpy())
    frame, gate = graph.split(output, 1, [decoder.n_frame, 1])
    weights_cum = graph("Add", "weights_cum", weights)
    state = {
        "attention_hidden": attention_hidden,
        "attention_cell": attention_cell,
        "context": context,
        "weights": weights,
        "weights_cum": weights_cum,
        "decoder_hidden": decoder_hidden,
        "decoder_cell": decoder_cell,
    }
    return {"next_frame": frame, "gate": graph("Sigmoid", graph.squeeze(gate, 1))} | {
        f"next_{name}": state[name] for name in state
    }


def postnet(graph: Graph, net: Tacotron2) -> dict[str, str]:
    """`mel` (B, n_mels, T), `mel_lengths` int32 (B,) -> mel_postnet (B, n_mels, T), 0 at padding."""
    mask = graph.mask("mel", 2, "mel_lengths")
    x = mel = graph("Mul", "mel", graph.unsqueeze(mask, 1))
    layers = list(net.postnet.convolutions)
    for i, layer in enumerate(layers):
        x = convolution(graph, x, layer, "Tanh" if i < len(layers) - 1 else "Identity", mask)
    return {"mel_postnet": graph("Add", mel, x)}


def convolution(graph: Graph, x: str, layer: ConvBatchNorm, activation: str, mask: str) -> str:
    """Convolution, batch norm (folded into the weights) and activation: (B, C, T) -> (B, C', T), 0 at padding."""
    norm = layer.norm
    gamma, beta, mean, variance = (
        parameter.asnumpy().astype(np.float64)
        for parameter in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + PYTORCH_BATCH_NORM_EPS)
    weight = layer.conv.weight.asnumpy().reshape(layer.conv.kernel_size, -1, layer.conv.n_out) * scale
    bias = (layer.conv.bias.asnumpy() - mean) * scale + beta
    reach = layer.conv.kernel_size // 2
    y = graph("Conv", x, graph.constant(weight.transpose(2, 1, 0)), graph.constant(bias), pads=[reach, reach])
    return graph("Mul", graph(activation, y), graph.unsqueeze(mask, 1))


def lstm_step(graph: Graph, inputs: list[str], c: str, layer: LSTM) -> tuple[str, str]:
    """One step of an LSTM: new h and c. `layer` has weight [inputs, 4H], bias [4H] and n_hidden; gates i, f, g, o."""
    gates = graph.linear(graph("Concat", *inputs, axis=1), layer.weight.asnumpy(), layer.bias.asnumpy())
    i, f, g, o = graph.split(gates, 1, [layer.n_hidden] * 4)
    c = graph("Add", graph("Mul", graph("Sigmoid", f), c), graph("Mul", graph("Sigmoid", i), graph("Tanh", g)))
    return graph("Mul", graph("Sigmoid", o), graph("Tanh", c)), c


def lstm_weights(layer: LSTM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of ONNX's LSTM: W (4H, n_in), R (4H, H), B (8H,); its gates are in the order i, o, f, c."""
    n = layer.n_hidden
    order = np.concatenate([np.arange(n) + gate * n for gate in (0, 3, 1, 2)])
    weight, bias = layer.weight.asnumpy()[:, order], layer.bias.asnumpy()[order]
    return weight[:-n].T, weight[-n:].T, np.concatenate((bias, np.zeros_like(bias)))

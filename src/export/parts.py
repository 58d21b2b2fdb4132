"""Tacotron 2 in parts whose loop runs on the host: encoder, some decoder steps, postnet. Names of what passes between.

ONNX files are compared with these cells. MINDIR files of fixed sizes are made of them: no part has a loop in its graph.
"""

import numpy as np
from mindspore import Tensor, nn, ops

from src.export.artifact import Arrays, TensorSpec
from src.models.lstm import BidirectionalLSTM, lstm_step, reverse_by_length
from src.models.ops import length_mask, matmul_fp32, transpose, unstack
from src.models.tacotron2.model import Tacotron2

UNROLLED = 16  # steps of an LSTM in one function; as many functions in a row nest as deep again in MindSpore's compiler


class EncoderPart(nn.Cell):
    """text (B, L), lengths (B,) -> memory (B, L, E), keys (B, A, L), energy mask (B, L)."""

    def __init__(self, net: Tacotron2):
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory, energy_mask = self.net.encode(text, text_lengths)
        return memory, self.net.decoder.attention.keys(memory).swapaxes(1, 2), energy_mask


class UnrolledEncoderPart(EncoderPart):
    """`EncoderPart` for texts (1, L) of a fixed L, without a loop: the steps of the LSTMs stand one after the other."""

    def construct(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net = self.net
        embedded, energy_mask = net.embed(text, text_lengths)
        x = net.encoder.convolve(embedded, text_lengths)
        memory = transpose(self.recur(net.encoder.lstm, x, text_lengths), (1, 0, 2))
        memory = net.add_speaker(memory, text_lengths)
        return memory, net.decoder.attention.keys(memory).swapaxes(1, 2), energy_mask

    def recur(self, lstm: BidirectionalLSTM, x: Tensor, lengths: Tensor) -> Tensor:
        """`lstm` of x (L, 1, n_in), both directions at once: (L, 1, 2 * n_hidden)."""
        n_steps, _, n_in = x.shape
        gates, state_weights = (), ()
        for layer, sequence in ((lstm.forwards, x), (lstm.backwards, reverse_by_length(x, lengths))):
            gates = (*gates, ops.BiasAdd()(matmul_fp32(sequence.reshape(-1, n_in), layer.weight[:n_in]), layer.bias))
            state_weights = (*state_weights, layer.weight[n_in:])
        steps = unstack(ops.Stack(1)(gates).expand_dims(2))  # L of (2, 1, 4 * n_hidden)
        weights = ops.Stack(0)(state_weights)
        h = c = ops.zeros((2, 1, lstm.forwards.n_hidden), x.dtype)
        states = ()
        for first in range(0, n_steps, UNROLLED):
            h, c, some = self.some_steps(steps[first : first + UNROLLED], weights, h, c)
            states = states + some
        forwards, backwards = unstack(ops.Stack(1)(states))  # each (L, 1, n_hidden)
        return lstm.join(forwards, backwards, lengths)

    def some_steps(
        self, gates: tuple[Tensor, ...], weights: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Continue from h and c (2, 1, n_hidden) by the gate sums of a few steps; returns the last and all h."""
        states = ()
        for step in gates:
            h, c = lstm_step(step + ops.BatchMatMul()(h, weights), c)
            states = (*states, h)
        return h, c, states


class DecoderStepsPart(nn.Cell):
    """`n_steps` of `Decoder.step` in a row; with one step, without the axis of steps."""

    def __init__(self, net: Tacotron2, n_steps: int):
        super().__init__(auto_prefix=False)
        self.decoder, self.n_steps = net.decoder, n_steps

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs in order: frame, dropout masks (K, B, 2P), the seven states, memory, keys, energy mask.

        Returns frames (K, B, n_frame), gates (K, B), attention weights (K, B, L), and the states after the last step.
        """
        frame, masks, state = inputs[0], unstack(inputs[1]), inputs[2:9]
        constants = self.constants(inputs)
        frames, gates, alignments = (), (), ()
        for i in range(self.n_steps):
            frame, gate, state = self.decoder.step(frame, masks[i], state, constants)
            frames, gates, alignments = (*frames, frame), (*gates, gate), (*alignments, state[3])
        return (ops.Stack(0)(frames), ops.Stack(0)(gates), ops.Stack(0)(alignments), *state)

    def constants(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Constants of `Decoder.step` from the inputs."""
        memory, keys, energy_mask = inputs[9:]
        location, weights = self.decoder.attention.location(), self.decoder.state_weights(inputs[0].shape[0])
        return (memory, keys.swapaxes(1, 2), energy_mask, location, *weights)


class DecoderStepPart(DecoderStepsPart):
    """One step: as `DecoderStepsPart`, without the axis of steps, and without the weights, which are among the states.

    Args:
        net: the network.
    """

    def __init__(self, net: Tacotron2):
        super().__init__(net, 1)

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs in order: frame, dropout mask (B, 2P), the seven states, memory, keys, energy mask."""
        frame, gate, state = self.decoder.step(inputs[0], inputs[1], inputs[2:9], self.constants(inputs))
        return (frame, gate, *state)


class PostnetPart(nn.Cell):
    """mel (B, n_mels, T) and lengths (B,) -> (B, n_mels, T)."""

    def __init__(self, net: Tacotron2):
        super().__init__(auto_prefix=False)
        self.postnet = net.postnet

    def construct(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        mask = length_mask(mel_lengths, mel.shape[2]).expand_dims(2)
        return self.postnet(mel.swapaxes(1, 2), mask).swapaxes(1, 2)


# Names, for a batch and a number of symbols that are fixed or, by a name, dynamic


def text_specs(n_batch: int | str, symbols: int | str) -> dict[str, TensorSpec]:
    """Inputs of the encoder."""
    return {
        "text": TensorSpec("int32", (n_batch, symbols), "symbol ids, padded with 0"),
        "text_lengths": TensorSpec("int32", (n_batch,), "symbols of each text; padding follows them"),
    }


def encoded_specs(net: Tacotron2, n_batch: int | str, symbols: int | str) -> dict[str, TensorSpec]:
    """Outputs of the encoder, which are inputs of each decoder step."""
    model = net.config.model
    return {
        "memory": TensorSpec("float32", (n_batch, symbols, model.encoder_dim), "outputs of the encoder"),
        "keys": TensorSpec("float32", (n_batch, model.attention_dim, symbols), "projection of memory for attention"),
        "energy_mask": TensorSpec("float32", (n_batch, symbols), "0 at symbols, very negative at padding"),
    }


def state_specs(net: Tacotron2, n_batch: int | str, symbols: int | str) -> dict[str, TensorSpec]:
    """State of the decoder, which each step replaces; zeros at first."""
    model = net.config.model
    n_attention, n_decoder = model.attention_rnn_dim, model.decoder_rnn_dim
    meaning = "output of the attention LSTM; the whole state is zeros at first"
    return {
        "attention_hidden": TensorSpec("float32", (n_batch, n_attention), meaning),
        "attention_cell": TensorSpec("float32", (n_batch, n_attention), "cell state of the attention LSTM"),
        "context": TensorSpec("float32", (n_batch, model.encoder_dim), "attention's weighted sum of memory"),
        "weights": TensorSpec("float32", (n_batch, symbols), "attention weights"),
        "weights_cum": TensorSpec("float32", (n_batch, symbols), "sum of the attention weights so far"),
        "decoder_hidden": TensorSpec("float32", (n_batch, n_decoder), "output of the decoder LSTM"),
        "decoder_cell": TensorSpec("float32", (n_batch, n_decoder), "cell state of the decoder LSTM"),
    }


def decoder_example(
    inputs: dict[str, TensorSpec], random: np.random.Generator, sizes: dict[str, int], dropout_mask: np.ndarray
) -> Arrays:
    """Random inputs of decoder steps; `sizes` are those of dynamic axes, by name."""
    arrays = {
        name: (0.5 * random.standard_normal([sizes.get(size, size) for size in spec.shape])).astype(np.float32)
        for name, spec in inputs.items()
    }
    weights = random.random(arrays["weights"].shape, np.float32)
    weights /= weights.sum(1, keepdims=True)
    known = {"dropout_mask": dropout_mask, "weights": weights, "weights_cum": 3 * weights}
    return arrays | known | {"energy_mask": np.zeros_like(weights)}


def frame_spec(net: Tacotron2, shape: tuple[int | str, ...]) -> TensorSpec:
    """A step's mel frames; `shape` is what comes before their values."""
    meaning = f"{net.reduction_factor} mel frames side by side, before the postnet; zeros at first"
    return TensorSpec("float32", (*shape, net.decoder.n_frame), meaning)


def dropout_mask_spec(net: Tacotron2, shape: tuple[int | str, ...]) -> TensorSpec:
    """The prenet's dropout mask; `shape` is what comes before its values."""
    model = net.config.model
    share = 1 - model.prenet_dropout
    values = f"{1 / share:g} with probability {share:g}, otherwise 0" if share < 1 else "all 1"
    meaning = f"dropout mask of the prenet: {values}; all 1 turns dropout off"
    return TensorSpec("float32", (*shape, 2 * model.prenet_dim), meaning)


def gate_spec(net: Tacotron2, shape: tuple[int | str, ...]) -> TensorSpec:
    """The stop gate, of `shape`."""
    threshold = net.config.model.gate_threshold
    return TensorSpec("float32", shape, f"probability that the speech ends here; it ends above {threshold:g}")

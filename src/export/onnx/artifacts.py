"""ONNX files of all networks, and the networks in memory that they are compared with.

The graphs are written operator by operator, because MindSpore 2.10's exporters cannot: they fail at loops, freeze sizes
that the graph computes at those of the example, and lack operators of the postnet (Rsqrt) and the decoder step (Split
along a negative axis).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from src.config import Config
from src.export.artifact import Arrays, Artifact, TensorSpec, noise_meaning
from src.export.onnx import harmonic as onnx_harmonic
from src.export.onnx import tacotron2 as onnx_tacotron2
from src.export.onnx import waveglow as onnx_waveglow
from src.export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from src.export.onnx.inference import OnnxFile
from src.models.harmonic.model import HarmonicVocoder
from src.models.ops import length_mask
from src.models.sampling import latents, noise_and_phase, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.models.waveglow.model import WaveGlow

LIMIT = 2e-5
# The rounding of a phase counts once for each of a hundred harmonics, and corrections carry it on.
HARMONIC_LIMIT = 5e-3
NOTES = {"opset": OPSET, "ir_version": IR_VERSION}


class EncoderReference(nn.Cell):
    """text (B, L), lengths (B,) -> memory (B, L, E), keys (B, A, L), energy mask (B, L)."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.net = net

    def construct(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory, energy_mask = self.net.encode(text, text_lengths)
        return memory, self.net.decoder.attention.keys(memory).swapaxes(1, 2), energy_mask


class StepReference(nn.Cell):
    """`Decoder.step` with the inputs and outputs of the ONNX file."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.decoder = net.decoder

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs in the file's order: frame, dropout mask, the seven states, memory, keys, energy mask."""
        memory, keys, energy_mask = inputs[9:]
        location, weights = self.decoder.attention.location(), self.decoder.state_weights(inputs[0].shape[0])
        constants = (memory, keys.swapaxes(1, 2), energy_mask, location, *weights)
        frame, gate, state = self.decoder.step(inputs[0], inputs[1], inputs[2:9], constants)
        return (frame, gate, *state)


class PostnetReference(nn.Cell):
    """mel (B, n_mels, T) and lengths (B,) -> (B, n_mels, T)."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.postnet = net.postnet

    def construct(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        mask = length_mask(mel_lengths, mel.shape[2]).expand_dims(2)
        return self.postnet(mel.swapaxes(1, 2), mask).swapaxes(1, 2)


def tacotron2_artifacts(reference: Tacotron2) -> list[Artifact]:
    """Encoder, decoder step and postnet."""
    random = np.random.default_rng(0)
    return [_encoder(reference, random), _decoder_step(reference, random), _postnet(reference, random)]


def _encoder(reference: Tacotron2, random: np.random.Generator) -> Artifact:
    config, n_symbols = reference.config, reference.config.model.n_symbols
    inputs = {
        "text": TensorSpec("int32", ("batch", "symbols"), "symbol ids, padded with 0"),
        "text_lengths": TensorSpec("int32", ("batch",), "symbols of each text; padding follows them"),
    }

    def example(n_batch: int, length: int) -> Arrays:
        text = random.integers(1, n_symbols, (n_batch, length), np.int32)
        return {"text": text, "text_lengths": np.linspace(length, max(1, length // 2), n_batch).astype(np.int32)}

    cell, examples = EncoderReference(reference), [example(2, 9), example(1, 30)]
    outputs = _encoded(reference)
    return _artifact(config, reference, "encoder", onnx_tacotron2.encoder, inputs, outputs, cell, examples)


def _encoded(reference: Tacotron2) -> dict[str, TensorSpec]:
    """Outputs of the encoder, which are inputs of each decoder step."""
    model = reference.config.model
    return {
        "memory": TensorSpec("float32", ("batch", "symbols", model.encoder_dim), "outputs of the encoder"),
        "keys": TensorSpec("float32", ("batch", model.attention_dim, "symbols"), "projection of memory for attention"),
        "energy_mask": TensorSpec("float32", ("batch", "symbols"), "0 at symbols, very negative at padding"),
    }


def _state(reference: Tacotron2) -> dict[str, TensorSpec]:
    """State of the decoder, which each step replaces; zeros at first."""
    model = reference.config.model
    n_attention, n_decoder = model.attention_rnn_dim, model.decoder_rnn_dim
    meaning = "output of the attention LSTM; the whole state is zeros at first"
    return {
        "attention_hidden": TensorSpec("float32", ("batch", n_attention), meaning),
        "attention_cell": TensorSpec("float32", ("batch", n_attention), "cell state of the attention LSTM"),
        "context": TensorSpec("float32", ("batch", model.encoder_dim), "attention's weighted sum of memory"),
        "weights": TensorSpec("float32", ("batch", "symbols"), "attention weights"),
        "weights_cum": TensorSpec("float32", ("batch", "symbols"), "sum of the attention weights so far"),
        "decoder_hidden": TensorSpec("float32", ("batch", n_decoder), "output of the decoder LSTM"),
        "decoder_cell": TensorSpec("float32", ("batch", n_decoder), "cell state of the decoder LSTM"),
    }


def _decoder_step(reference: Tacotron2, random: np.random.Generator) -> Artifact:
    config, model = reference.config, reference.config.model
    meaning = f"{reference.reduction_factor} mel frames side by side, before the postnet; zeros at first"
    frame = TensorSpec("float32", ("batch", reference.decoder.n_frame), meaning)
    share = 1 - model.prenet_dropout
    values = f"{1 / share:g} with probability {share:g}, otherwise 0" if share < 1 else "all 1"
    meaning = f"dropout mask of the prenet: {values}; all 1 turns dropout off"
    dropout_mask = TensorSpec("float32", ("batch", 2 * model.prenet_dim), meaning)
    meaning = f"probability that the speech ends here; it ends above {model.gate_threshold:g}"
    gate, state = TensorSpec("float32", ("batch",), meaning), _state(reference)
    inputs = {"frame": frame, "dropout_mask": dropout_mask} | state | _encoded(reference)
    outputs = {"next_frame": frame, "gate": gate} | {f"next_{name}": spec for name, spec in state.items()}

    def example(n_batch: int, length: int) -> Arrays:
        sizes = {"batch": n_batch, "symbols": length}
        arrays = {
            name: (0.5 * random.standard_normal([sizes.get(size, size) for size in spec.shape])).astype(np.float32)
            for name, spec in inputs.items()
        }
        weights = random.random((n_batch, length), np.float32)
        weights /= weights.sum(1, keepdims=True)
        return arrays | {
            "dropout_mask": prenet_dropout_mask(model, list(range(n_batch)), 1)[0],
            "weights": weights,
            "weights_cum": 3 * weights,
            "energy_mask": np.zeros_like(weights),
        }

    cell, examples = StepReference(reference), [example(2, 9), example(1, 30)]
    build = onnx_tacotron2.decoder_step
    artifact = _artifact(config, reference, "decoder_step", build, inputs, outputs, cell, examples)
    return replace(artifact, scales={"gate": 1.0})  # a probability


def _postnet(reference: Tacotron2, random: np.random.Generator) -> Artifact:
    mel = TensorSpec("float32", ("batch", reference.n_mels, "frames"), "mel spectrogram")
    lengths = TensorSpec("int32", ("batch",), "frames of each mel spectrogram; padding follows them")
    inputs, outputs = {"mel": mel, "mel_lengths": lengths}, {"mel_postnet": mel}

    def example(n_batch: int, n_frames: int) -> Arrays:
        lengths = np.linspace(n_frames, n_frames // 2, n_batch).astype(np.int32)
        mel = random.standard_normal((n_batch, reference.n_mels, n_frames), np.float32)
        return {"mel": mel, "mel_lengths": lengths}

    cell, examples = PostnetReference(reference), [example(2, 31), example(1, 5)]
    return _artifact(reference.config, reference, "postnet", onnx_tacotron2.postnet, inputs, outputs, cell, examples)


def waveglow_artifacts(reference: WaveGlow) -> list[Artifact]:
    """The one file of a WaveGlow, whose weight norm is removed first."""
    reference.remove_weight_norm()
    audio, model = reference.config.audio, reference.config.model
    n_positions = audio.hop_length // model.n_group
    inputs = {
        "mel": TensorSpec("float32", ("batch", audio.n_mels, "frames"), "mel spectrogram"),
        "noise": TensorSpec("float32", ("batch", model.n_group, "positions"), noise_meaning(reference.config)),
    }
    outputs = {"audio": TensorSpec("float32", ("batch", "samples"), f"{audio.hop_length} samples for each frame")}
    random = np.random.default_rng(0)

    def example(n_batch: int, n_frames: int) -> Arrays:
        noise = model.sigma * latents(0, n_batch, n_frames * n_positions, model.n_group).swapaxes(1, 2)
        return {"mel": random.standard_normal((n_batch, audio.n_mels, n_frames), np.float32), "noise": noise}

    def sound(mel: Tensor, noise: Tensor) -> Tensor:
        return reference.infer(mel, 1.0, noise=reference.synthesis.split_latents(noise.asnumpy()))

    examples = [example(1, 5), example(2, 23)]
    return [
        _artifact(reference.config, reference, "waveglow", onnx_waveglow.waveglow, inputs, outputs, sound, examples)
    ]


def harmonic_artifacts(reference: HarmonicVocoder) -> list[Artifact]:
    """The one file of a harmonic vocoder."""
    audio = reference.config.audio
    mel = TensorSpec("float32", ("batch", audio.n_mels, "frames"), "mel spectrogram")
    noise = TensorSpec("float32", ("batch", "samples"), f"normal values, {audio.hop_length} for each frame")
    start = TensorSpec("float32", ("batch", 1), "phase of the pulses at the first frame, from 0 to 1")
    inputs = {"mel": mel, "noise": noise, "start": start}
    outputs = {"audio": noise._replace(meaning=f"{audio.hop_length} samples for each frame")}
    random = np.random.default_rng(0)

    def example(n_batch: int, n_frames: int) -> Arrays:
        mel = random.standard_normal((n_batch, audio.n_mels, n_frames), np.float32) - 4
        drawn = noise_and_phase(list(range(n_batch)), n_frames * audio.hop_length)
        return dict(zip(inputs, (mel, *drawn), strict=True))

    def sound(*arrays: Tensor) -> Tensor:
        return Tensor(reference.synthesis.speak(*(array.asnumpy() for array in arrays)))

    reference.set_train(False)
    build, examples = onnx_harmonic.harmonic, [example(2, 24), example(1, 9)]
    artifact = _artifact(reference.config, reference, "harmonic", build, inputs, outputs, sound, examples)
    return [replace(artifact, limit=HARMONIC_LIMIT)]


def _artifact(
    config: Config,
    net: nn.Cell,
    name: str,
    build: Callable[[Graph, nn.Cell], dict[str, str]],
    inputs: dict[str, TensorSpec],
    outputs: dict[str, TensorSpec],
    reference: Callable[..., Tensor | tuple[Tensor, ...]],
    examples: list[Arrays],
) -> Artifact:
    """Complete an artifact by how ONNX files are written and loaded.

    Args:
        build: adds the nodes to a graph, and returns the name of each output's value in it.
        reference: takes the inputs as tensors, and returns the outputs in their order.
    """
    if isinstance(reference, nn.Cell):
        reference.set_train(False)

    def write(path: Path) -> None:
        graph = Graph()
        values = build(graph, net)
        graph.save(path, inputs, {name: (spec, values[name]) for name, spec in outputs.items()})

    def run_reference(arrays: Arrays) -> Arrays:
        found = reference(*(Tensor(np.ascontiguousarray(arrays[name])) for name in inputs))
        found = found if isinstance(found, tuple) else (found,)
        return {name: value.asnumpy() for name, value in zip(outputs, found, strict=True)}

    def reload(path: Path) -> OnnxFile:
        return OnnxFile(path.read_bytes())

    return Artifact(name, inputs, outputs, write, run_reference, reload, examples, LIMIT, config, dict(NOTES))

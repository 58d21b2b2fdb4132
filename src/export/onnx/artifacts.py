"""The ONNX files of both networks, and the parts of the live networks that they are compared with.

MindSpore 2.10's exporters fail at loops, keep sizes computed inside the graph as those of the example, and do not know what the postnet
(Rsqrt) and the decoder step (Split along a negative axis) hold; so these graphs are written operator by operator.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from src.config import Config
from src.export.artifact import Arrays, Artifact, TensorSpec
from src.export.onnx import tacotron2 as onnx_tacotron2
from src.export.onnx import waveglow as onnx_waveglow
from src.export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from src.export.onnx.inference import OnnxFile
from src.models.ops import length_mask
from src.models.sampling import latents, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.models.waveglow.model import WaveGlow

LIMIT = 1e-4
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
        """Inputs in the order of the file: frame, dropout mask, the seven states, memory, keys, energy mask."""
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
    config, model = reference.config, reference.config.model
    n_mels, n_frame, n_memory = reference.n_mels, reference.decoder.n_frame, model.encoder_dim
    lengths = TensorSpec("int32", ("batch",), "symbols of each text; what follows them is padding")
    memory = TensorSpec("float32", ("batch", "symbols", n_memory), "what the encoder makes of the text")
    keys = TensorSpec("float32", ("batch", model.attention_dim, "symbols"), "memory as attention compares with it")
    energy_mask = TensorSpec("float32", ("batch", "symbols"), "0 at symbols, very negative at padding")
    encoded = {"memory": memory, "keys": keys, "energy_mask": energy_mask}
    frame = TensorSpec(
        "float32",
        ("batch", n_frame),
        f"{reference.reduction_factor} mel frames side by side, before the postnet; zeros at first",
    )
    state = {
        "attention_hidden": TensorSpec(
            "float32",
            ("batch", model.attention_rnn_dim),
            "output of the attention LSTM; the whole state is zeros at first",
        ),
        "attention_cell": TensorSpec("float32", ("batch", model.attention_rnn_dim), "cell state of the attention LSTM"),
        "context": TensorSpec("float32", ("batch", n_memory), "what attention reads from the memory"),
        "weights": TensorSpec("float32", ("batch", "symbols"), "attention weights"),
        "weights_cum": TensorSpec("float32", ("batch", "symbols"), "sum of the attention weights so far"),
        "decoder_hidden": TensorSpec("float32", ("batch", model.decoder_rnn_dim), "output of the decoder LSTM"),
        "decoder_cell": TensorSpec("float32", ("batch", model.decoder_rnn_dim), "cell state of the decoder LSTM"),
    }
    share = 1 - model.prenet_dropout
    drawn = f"0, or with probability {share:g} {1 / share:g}" if share < 1 else "all 1"
    dropout_mask = TensorSpec(
        "float32", ("batch", 2 * model.prenet_dim), f"factors that are the prenet's dropout: {drawn}; 1 turns it off"
    )
    gate = TensorSpec(
        "float32", ("batch",), f"probability that the speech ends here; above {model.gate_threshold:g} it does"
    )
    mel = TensorSpec("float32", ("batch", n_mels, "frames"), "mel spectrogram")
    random = np.random.default_rng(0)

    def texts(n_batch: int, length: int) -> Arrays:
        ids = random.integers(1, model.n_symbols, (n_batch, length), np.int32)
        return {"text": ids, "text_lengths": np.linspace(length, max(1, length // 2), n_batch).astype(np.int32)}

    def step(n_batch: int, length: int) -> Arrays:
        sizes = {"batch": n_batch, "symbols": length}
        specs = {"frame": frame, "dropout_mask": dropout_mask} | state | encoded
        arrays = {
            name: (0.5 * random.standard_normal([sizes.get(size, size) for size in spec.shape])).astype(np.float32)
            for name, spec in specs.items()
        }
        weights = random.random((n_batch, length), np.float32)
        weights /= weights.sum(1, keepdims=True)
        drawn = prenet_dropout_mask(model, list(range(n_batch)), 1)[0]
        return arrays | {
            "dropout_mask": drawn,
            "weights": weights,
            "weights_cum": 3 * weights,
            "energy_mask": np.zeros_like(weights),
        }

    def mels(n_batch: int, n_frames: int) -> Arrays:
        lengths = np.linspace(n_frames, n_frames // 2, n_batch).astype(np.int32)
        return {"mel": random.standard_normal((n_batch, n_mels, n_frames), np.float32), "mel_lengths": lengths}

    text = {"text": TensorSpec("int32", ("batch", "symbols"), "symbol ids, padded with 0"), "text_lengths": lengths}
    states = {f"next_{name}": spec for name, spec in state.items()}
    steps = (
        {"frame": frame, "dropout_mask": dropout_mask} | state | encoded,
        {"next_frame": frame, "gate": gate} | states,
    )
    mel_in = {"mel": mel, "mel_lengths": TensorSpec("int32", ("batch",), "frames of each")}
    encoder = _artifact(
        config,
        reference,
        "encoder",
        onnx_tacotron2.encoder,
        text,
        encoded,
        EncoderReference(reference),
        [texts(2, 9), texts(1, 30)],
    )
    decoder = _artifact(
        config,
        reference,
        "decoder_step",
        onnx_tacotron2.decoder_step,
        *steps,
        StepReference(reference),
        [step(2, 9), step(1, 30)],
    )
    mel_out, examples = {"mel_postnet": mel}, [mels(2, 31), mels(1, 5)]
    return [
        encoder,
        decoder,
        _artifact(
            config, reference, "postnet", onnx_tacotron2.postnet, mel_in, mel_out, PostnetReference(reference), examples
        ),
    ]


def waveglow_artifacts(reference: WaveGlow) -> list[Artifact]:
    """The one file of a WaveGlow, whose weight norm is folded away."""
    reference.remove_weight_norm()
    audio, model = reference.config.audio, reference.config.model
    n_positions = audio.hop_length // model.n_group
    meaning = f"normal values, {n_positions} positions for each frame, times sigma ({model.sigma:g} by default); channels in order of use"
    inputs = {
        "mel": TensorSpec("float32", ("batch", audio.n_mels, "frames"), "mel spectrogram"),
        "noise": TensorSpec("float32", ("batch", model.n_group, "positions"), meaning),
    }
    outputs = {"audio": TensorSpec("float32", ("batch", "samples"), f"{audio.hop_length} samples for each frame")}
    random = np.random.default_rng(0)

    def example(n_batch: int, n_frames: int) -> Arrays:
        noise = model.sigma * latents(0, n_batch, n_frames * n_positions, model.n_group).swapaxes(1, 2)
        return {"mel": random.standard_normal((n_batch, audio.n_mels, n_frames), np.float32), "noise": noise}

    def sound(mel: Tensor, noise: Tensor) -> Tensor:
        ends = np.cumsum(reference.synthesis.latent_splits)[:-1]
        return reference.infer(mel, 1.0, noise=np.split(noise.asnumpy(), ends, 1))

    examples = [example(1, 5), example(2, 23)]
    return [
        _artifact(reference.config, reference, "waveglow", onnx_waveglow.waveglow, inputs, outputs, sound, examples)
    ]


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
    """What all ONNX files have in common; `reference` takes the inputs as tensors and gives the outputs in their order."""
    if isinstance(reference, nn.Cell):
        reference.set_train(False)

    def write(path: Path) -> None:
        graph = Graph()
        values = build(graph, net)
        graph.save(path, inputs, {name: (spec, values[name]) for name, spec in outputs.items()})

    def run_live(arrays: Arrays) -> Arrays:
        found = reference(*(Tensor(np.ascontiguousarray(arrays[name])) for name in inputs))
        found = found if isinstance(found, tuple) else (found,)
        return {name: value.asnumpy() for name, value in zip(outputs, found, strict=True)}

    def reload(path: Path) -> OnnxFile:
        return OnnxFile(path.read_bytes())

    return Artifact(name, inputs, outputs, write, run_live, reload, examples, LIMIT, config, dict(NOTES))

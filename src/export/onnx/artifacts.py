"""The ONNX files of both networks, and the parts of the live networks that they are compared with.

MindSpore 2.10's exporters fail at loops, keep sizes computed inside the graph as those of the example, and do not know what the postnet
(Rsqrt) and the decoder step (Split along a negative axis) hold; so these graphs are written operator by operator.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from src.config import Config
from src.export.artifact import Arrays, Part, Port
from src.export.onnx import tacotron2 as onnx_tacotron2
from src.export.onnx import waveglow as onnx_waveglow
from src.export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from src.export.onnx.inference import OnnxFile
from src.models.ops import length_mask
from src.models.sampling import latents, prenet_keep
from src.models.tacotron2.model import Tacotron2
from src.models.waveglow.model import WaveGlow

LIMIT = 1e-4
NOTES = {"opset": OPSET, "ir_version": IR_VERSION}


class LiveEncoder(nn.Cell):
    """text (B, L), lengths (B,) -> memory (B, L, E), keys (B, A, L), energy mask (B, L)."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.net = net

    def construct(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory, energy_mask = self.net.encode(text, text_lengths)
        return memory, self.net.decoder.attention.keys(memory).swapaxes(1, 2), energy_mask


class LiveStep(nn.Cell):
    """`Decoder.step` with the inputs and outputs of the ONNX file."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.decoder = net.decoder

    def construct(self, frame, keep, h, c, context, weights, summed, hidden, cell, memory, keys, energy_mask):  # noqa: ANN001, ANN201
        attention, state = self.decoder.attention, (h, c, context, weights, summed, hidden, cell)
        fixed = (memory, keys.swapaxes(1, 2), energy_mask, attention.location(), *self.decoder.state_weights(frame.shape[0]))
        frame, gate, state = self.decoder.step(frame, keep, state, fixed)
        return (frame, gate, *state)


class LivePostnet(nn.Cell):
    """mel (B, n_mels, T) and lengths (B,) -> (B, n_mels, T)."""

    def __init__(self, net: Tacotron2):
        super().__init__()
        self.postnet = net.postnet

    def construct(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        mask = length_mask(mel_lengths, mel.shape[2]).expand_dims(2)
        return self.postnet(mel.swapaxes(1, 2), mask).swapaxes(1, 2)


def tacotron2_parts(live: Tacotron2) -> list[Part]:
    """Encoder, decoder step and postnet."""
    config, model = live.config, live.config.model
    n_mels, n_frame, n_memory = live.n_mels, live.decoder.n_frame, model.encoder_dim
    lengths = Port("int32", ("batch",), "symbols of each text; what follows them is padding")
    memory = Port("float32", ("batch", "symbols", n_memory), "what the encoder makes of the text")
    keys = Port("float32", ("batch", model.attention_dim, "symbols"), "memory as attention compares with it")
    energy_mask = Port("float32", ("batch", "symbols"), "0 at symbols, very negative at padding")
    encoded = {"memory": memory, "keys": keys, "energy_mask": energy_mask}
    frame = Port("float32", ("batch", n_frame), f"{live.reduction_factor} mel frames side by side, before the postnet; zeros at first")
    state = {
        "h": Port("float32", ("batch", model.attention_rnn_dim), "output of the attention LSTM; the whole state is zeros at first"),
        "c": Port("float32", ("batch", model.attention_rnn_dim), "cell state of the attention LSTM"),
        "context": Port("float32", ("batch", n_memory), "what attention heard"),
        "weights": Port("float32", ("batch", "symbols"), "attention weights"),
        "summed": Port("float32", ("batch", "symbols"), "sum of the attention weights so far"),
        "hidden": Port("float32", ("batch", model.decoder_rnn_dim), "output of the decoder LSTM"),
        "cell": Port("float32", ("batch", model.decoder_rnn_dim), "cell state of the decoder LSTM"),
    }
    share = 1 - model.prenet_dropout
    drawn = f"0, or with probability {share:g} {1 / share:g}" if share < 1 else "all 1"
    keep = Port("float32", ("batch", 2 * model.prenet_dim), f"factors that are the prenet's dropout: {drawn}; 1 turns it off")
    gate = Port("float32", ("batch",), f"probability that the speech ends here; above {model.gate_threshold:g} it does")
    mel = Port("float32", ("batch", n_mels, "frames"), "mel spectrogram")
    random = np.random.default_rng(0)

    def texts(n_batch: int, length: int) -> Arrays:
        ids = random.integers(1, model.n_symbols, (n_batch, length), np.int32)
        return {"text": ids, "text_lengths": np.linspace(length, max(1, length // 2), n_batch).astype(np.int32)}

    def step(n_batch: int, length: int) -> Arrays:
        sizes = {"batch": n_batch, "symbols": length}
        ports = {"frame": frame, "keep": keep} | state | encoded
        arrays = {
            name: (0.5 * random.standard_normal([sizes.get(size, size) for size in port.shape])).astype(np.float32)
            for name, port in ports.items()
        }
        weights = random.random((n_batch, length), np.float32)
        weights /= weights.sum(1, keepdims=True)
        drawn = prenet_keep(model, list(range(n_batch)), 1)[0]
        return arrays | {"keep": drawn, "weights": weights, "summed": 3 * weights, "energy_mask": np.zeros_like(weights)}

    def mels(n_batch: int, n_frames: int) -> Arrays:
        lengths = np.linspace(n_frames, n_frames // 2, n_batch).astype(np.int32)
        return {"mel": random.standard_normal((n_batch, n_mels, n_frames), np.float32), "mel_lengths": lengths}

    text = {"text": Port("int32", ("batch", "symbols"), "symbol ids, padded with 0"), "text_lengths": lengths}
    states = {f"next_{name}": port for name, port in state.items()}
    steps = {"frame": frame, "keep": keep} | state | encoded, {"next_frame": frame, "gate": gate} | states
    mel_in = {"mel": mel, "mel_lengths": Port("int32", ("batch",), "frames of each")}
    encoder = part(config, live, "encoder", onnx_tacotron2.encoder, text, encoded, LiveEncoder(live), [texts(2, 9), texts(1, 30)])
    decoder = part(config, live, "decoder_step", onnx_tacotron2.decoder_step, *steps, LiveStep(live), [step(2, 9), step(1, 30)])
    mel_out, examples = {"mel_postnet": mel}, [mels(2, 31), mels(1, 5)]
    return [encoder, decoder, part(config, live, "postnet", onnx_tacotron2.postnet, mel_in, mel_out, LivePostnet(live), examples)]


def waveglow_parts(live: WaveGlow) -> list[Part]:
    """The one file of a WaveGlow, whose weight norm is folded away."""
    live.remove_weight_norm()
    audio, model = live.config.audio, live.config.model
    n_positions = audio.hop_length // model.n_group
    meaning = f"normal values, {n_positions} positions for each frame, times sigma ({model.sigma:g} by default); channels in order of use"
    inputs = {
        "mel": Port("float32", ("batch", audio.n_mels, "frames"), "mel spectrogram"),
        "noise": Port("float32", ("batch", model.n_group, "positions"), meaning),
    }
    outputs = {"audio": Port("float32", ("batch", "samples"), f"{audio.hop_length} samples for each frame")}
    random = np.random.default_rng(0)

    def example(n_batch: int, n_frames: int) -> Arrays:
        noise = model.sigma * latents(0, n_batch, n_frames * n_positions, model.n_group).swapaxes(1, 2)
        return {"mel": random.standard_normal((n_batch, audio.n_mels, n_frames), np.float32), "noise": noise}

    def sound(mel: Tensor, noise: Tensor) -> Tensor:
        ends = np.cumsum(live.synthesis.joining)[:-1]
        return live.infer(mel, 1.0, noise=np.split(noise.asnumpy(), ends, 1))

    examples = [example(1, 5), example(2, 23)]
    return [part(live.config, live, "waveglow", onnx_waveglow.waveglow, inputs, outputs, sound, examples)]


def part(
    config: Config,
    net: nn.Cell,
    name: str,
    build: Callable[[Graph, nn.Cell], dict[str, str]],
    inputs: dict[str, Port],
    outputs: dict[str, Port],
    live: Callable[..., Tensor | tuple[Tensor, ...]],
    examples: list[Arrays],
) -> Part:
    """What all ONNX files have in common; `live` takes the inputs as tensors and gives the outputs in their order."""
    if isinstance(live, nn.Cell):
        live.set_train(False)

    def write(path: Path) -> None:
        graph = Graph()
        values = build(graph, net)
        graph.save(path, inputs, {name: (port, values[name]) for name, port in outputs.items()})

    def run_live(arrays: Arrays) -> Arrays:
        found = live(*(Tensor(np.ascontiguousarray(arrays[name])) for name in inputs))
        found = found if isinstance(found, tuple) else (found,)
        return {name: value.asnumpy() for name, value in zip(outputs, found, strict=True)}

    def reload(path: Path) -> OnnxFile:
        return OnnxFile(path.read_bytes())

    return Part(name, inputs, outputs, write, run_live, reload, examples, LIMIT, config, dict(NOTES))

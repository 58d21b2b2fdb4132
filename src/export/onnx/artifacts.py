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
from src.export.harmonic_specs import harmonic_inputs, harmonic_outputs
from src.export.onnx import harmonic as onnx_harmonic
from src.export.onnx import tacotron2 as onnx_tacotron2
from src.export.onnx import waveglow as onnx_waveglow
from src.export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from src.export.onnx.inference import OnnxFile
from src.export.parts import (
    DecoderStepPart,
    EncoderPart,
    PostnetPart,
    decoder_example,
    dropout_mask_spec,
    encoded_specs,
    frame_spec,
    gate_spec,
    state_specs,
    text_specs,
)
from src.models.harmonic.model import HarmonicVocoder
from src.models.sampling import latents, noise_and_phase, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.models.waveglow.model import WaveGlow

LIMIT = 2e-5
# The rounding of a phase counts once for each of a hundred harmonics, and corrections carry it on.
HARMONIC_LIMIT = 5e-3
NOTES = {"opset": OPSET, "ir_version": IR_VERSION}


def tacotron2_artifacts(reference: Tacotron2) -> list[Artifact]:
    """Encoder, decoder step and postnet."""
    random = np.random.default_rng(0)
    return [_encoder(reference, random), _decoder_step(reference, random), _postnet(reference, random)]


def _encoder(reference: Tacotron2, random: np.random.Generator) -> Artifact:
    config, n_symbols = reference.config, reference.config.model.n_symbols
    inputs, outputs = text_specs("batch", "symbols"), encoded_specs(reference, "batch", "symbols")

    def example(n_batch: int, length: int) -> Arrays:
        text = random.integers(1, n_symbols, (n_batch, length), np.int32)
        return {"text": text, "text_lengths": np.linspace(length, max(1, length // 2), n_batch).astype(np.int32)}

    cell, examples = EncoderPart(reference), [example(2, 9), example(1, 30)]
    return _artifact(config, reference, "encoder", onnx_tacotron2.encoder, inputs, outputs, cell, examples)


def _decoder_step(reference: Tacotron2, random: np.random.Generator) -> Artifact:
    config, model = reference.config, reference.config.model
    frame, state = frame_spec(reference, ("batch",)), state_specs(reference, "batch", "symbols")
    inputs = {"frame": frame, "dropout_mask": dropout_mask_spec(reference, ("batch",))} | state
    inputs |= encoded_specs(reference, "batch", "symbols")
    gate = gate_spec(reference, ("batch",))
    outputs = {"next_frame": frame, "gate": gate} | {f"next_{name}": spec for name, spec in state.items()}

    def example(n_batch: int, length: int) -> Arrays:
        dropout_mask = prenet_dropout_mask(model, list(range(n_batch)), 1)[0]
        return decoder_example(inputs, random, {"batch": n_batch, "symbols": length}, dropout_mask)

    cell, examples = DecoderStepPart(reference), [example(2, 9), example(1, 30)]
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

    cell, examples = PostnetPart(reference), [example(2, 31), example(1, 5)]
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
    inputs = harmonic_inputs(audio, "batch", "frames", "samples")
    outputs = harmonic_outputs(audio, "batch", "frames", "samples")
    random = np.random.default_rng(0)

    def example(n_batch: int, n_frames: int) -> Arrays:
        mel = random.standard_normal((n_batch, audio.n_mels, n_frames), np.float32) - 4
        drawn = noise_and_phase(list(range(n_batch)), n_frames * audio.hop_length)
        return dict(zip(inputs, (mel, *drawn, np.array([n_frames // 2], np.int32)), strict=True))

    def sound(*tensors: Tensor) -> tuple[Tensor, ...]:
        *arrays, anchor = (tensor.asnumpy() for tensor in tensors)
        found = []
        for item in zip(*(array[:, None] for array in arrays), strict=True):
            wave, bands, phase = reference.synthesis.graph(*(Tensor(array) for array in (*item, anchor)))
            found.append((wave.asnumpy(), bands.asnumpy().T[None], phase.asnumpy()))
        return tuple(Tensor(np.concatenate(parts)) for parts in zip(*found, strict=True))

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

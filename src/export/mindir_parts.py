"""MINDIR files of fixed sizes and without loops, for runtimes that load no `while`: their loops run on the host.

Of Tacotron 2: encoder, a few decoder steps, postnet; of WaveGlow: so many frames. `src.export.mindir_inference` drives
them.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from mindspore import Tensor, nn

from src.errors import InputError
from src.export.artifact import Arrays, Artifact, TensorSpec, noise_meaning
from src.export.cells import WaveGlowExport
from src.export.mindir import mindir_artifact
from src.export.parts import (
    DecoderStepPart,
    DecoderStepsPart,
    EncoderPart,
    PostnetPart,
    UnrolledEncoderPart,
    decoder_example,
    dropout_mask_spec,
    encoded_specs,
    frame_spec,
    gate_spec,
    state_specs,
    text_specs,
)
from src.models.sampling import latents, prenet_dropout_mask
from src.models.tacotron2.model import TEXT_MULTIPLE, Tacotron2
from src.models.waveglow.model import WaveGlow

DECODER_STEPS = 10  # in one file; the last call computes up to 9 for nothing
ALIGNMENTS = "attention weights of each step"


def tacotron2_parts(reference: Tacotron2, max_symbols: int, frames: int) -> list[Artifact]:
    """The parts of a Tacotron 2 for one text.

    Args:
        reference: the network in memory.
        max_symbols: of the longest text, rounded up to a multiple of `TEXT_MULTIPLE`.
        frames: of the mel spectrogram that the postnet takes.

    Raises:
        InputError: `frames` are too few for the postnet.
    """
    symbols, random = -(-max_symbols // TEXT_MULTIPLE) * TEXT_MULTIPLE, np.random.default_rng(0)
    return [
        _encoder(reference, symbols, random),
        _decoder(reference, symbols, random),
        _postnet(reference, frames, random),
    ]


def _encoder(reference: Tacotron2, symbols: int, random: np.random.Generator) -> Artifact:
    inputs, outputs = text_specs(1, symbols), encoded_specs(reference, 1, symbols)

    def example(length: int) -> Arrays:
        text = np.zeros((1, symbols), np.int32)
        text[:, :length] = random.integers(1, reference.config.model.n_symbols, length)
        return {"text": text, "text_lengths": np.array([length], np.int32)}

    cell, examples = UnrolledEncoderPart(reference), [example(symbols // 3), example(symbols)]
    return _artifact(reference, "encoder", cell, inputs, outputs, EncoderPart(reference), examples, max_symbols=symbols)


def _decoder(reference: Tacotron2, symbols: int, random: np.random.Generator) -> Artifact:
    model, state = reference.config.model, state_specs(reference, 1, symbols)
    inputs = {"frame": frame_spec(reference, (1,)), "dropout_mask": dropout_mask_spec(reference, (DECODER_STEPS, 1))}
    inputs |= state | encoded_specs(reference, 1, symbols)
    outputs = {
        "frames": frame_spec(reference, (DECODER_STEPS, 1)),
        "gates": gate_spec(reference, (DECODER_STEPS, 1)),
        "alignments": TensorSpec("float32", (DECODER_STEPS, 1, symbols), ALIGNMENTS),
        **{f"next_{name}": spec for name, spec in state.items()},
    }
    step = DecoderStepPart(reference)
    step.set_train(False)

    def one_by_one(*arrays: Tensor) -> tuple[Tensor, ...]:
        frame, masks, current, constants = arrays[0], arrays[1].asnumpy(), arrays[2:9], arrays[9:]
        frames, gates, alignments = [], [], []
        for mask in masks:
            frame, gate, *current = step(frame, Tensor(mask), *current, *constants)
            for found, value in ((frames, frame), (gates, gate), (alignments, current[3])):
                found.append(value.asnumpy())
        return (*(Tensor(np.stack(found)) for found in (frames, gates, alignments)), *current)

    masks = prenet_dropout_mask(model, [0], DECODER_STEPS)
    examples = [decoder_example(inputs, random, {}, masks)]
    cell = DecoderStepsPart(reference, DECODER_STEPS)
    artifact = _artifact(
        reference,
        "decoder_steps",
        cell,
        inputs,
        outputs,
        one_by_one,
        examples,
        max_symbols=symbols,
        steps=DECODER_STEPS,
    )
    return replace(artifact, scales={"gates": 1.0})  # probabilities


def _postnet(reference: Tacotron2, frames: int, random: np.random.Generator) -> Artifact:
    reach = reference.postnet.reach
    _need_frames(frames, (reach, reach), "the postnet")
    mel = TensorSpec("float32", (1, reference.n_mels, frames), "mel spectrogram")
    lengths = TensorSpec("int32", (1,), "frames of the mel spectrogram; padding follows them")
    inputs, outputs = {"mel": mel, "mel_lengths": lengths}, {"mel_postnet": mel}
    examples = [
        {"mel": random.standard_normal(mel.shape, np.float32), "mel_lengths": np.array([n], np.int32)}
        for n in (frames, frames // 2)
    ]
    net = PostnetPart(reference)
    return _artifact(
        reference,
        "postnet",
        PostnetPart(reference),
        inputs,
        outputs,
        net,
        examples,
        frames=frames,
        reach=[reach, reach],
    )


def waveglow_part(reference: WaveGlow, frames: int) -> list[Artifact]:
    """The one file of a WaveGlow for `frames` frames, whose weight norm is removed first.

    Raises:
        InputError: they are too few.
    """
    audio, model = reference.config.audio, reference.config.model
    n_positions = audio.hop_length // model.n_group
    reference.remove_weight_norm()
    cell = WaveGlowExport(reference)
    _need_frames(frames, cell.reach, "this WaveGlow")
    inputs = {
        "mel": TensorSpec("float32", (1, audio.n_mels, frames), "mel spectrogram"),
        "noise": TensorSpec("float32", (1, model.n_group, frames * n_positions), noise_meaning(reference.config)),
        "mel_lengths": TensorSpec("int32", (1,), "frames of the mel spectrogram; padding follows them"),
    }
    meaning = f"{audio.hop_length} samples for each frame, 0 for padding"
    outputs = {"audio": TensorSpec("float32", (1, frames * audio.hop_length), meaning)}
    random = np.random.default_rng(0)

    def example(length: int) -> Arrays:
        noise = model.sigma * latents(0, 1, frames * n_positions, model.n_group).swapaxes(1, 2)
        mel = random.standard_normal((1, audio.n_mels, frames), np.float32)
        return {"mel": mel, "noise": noise, "mel_lengths": np.array([length], np.int32)}

    def sound(mel: Tensor, noise: Tensor, mel_lengths: Tensor) -> Tensor:
        length = int(mel_lengths.asnumpy()[0])
        noise = reference.synthesis.split_latents(noise.asnumpy()[:, :, : length * n_positions])
        wav = reference.infer(mel.asnumpy()[:, :, :length], 1.0, noise=noise).asnumpy()
        return Tensor(np.pad(wav, ((0, 0), (0, (frames - length) * audio.hop_length))))

    examples = [example(frames), example(frames // 2)]
    return [
        _artifact(
            reference, "waveglow_frames", cell, inputs, outputs, sound, examples, frames=frames, reach=list(cell.reach)
        )
    ]


def _need_frames(frames: int, reach: tuple[int, int], what: str) -> None:
    """Make sure that a file of `frames` frames gives some whose context, `reach` before and after, is inside."""
    if frames <= sum(reach):
        raise InputError(
            f"--fixed_frames {frames}: {what} hears {reach[0]} frames before and {reach[1]} after each; "
            f"give more than {sum(reach)}"
        )


def _artifact(
    net: Tacotron2 | WaveGlow,
    name: str,
    cell: nn.Cell,
    inputs: dict[str, TensorSpec],
    outputs: dict[str, TensorSpec],
    reference: Callable[..., Tensor | tuple[Tensor, ...]],
    examples: list[Arrays],
    **notes: int | list[int],
) -> Artifact:
    """A part: `reference` takes its inputs as tensors, and returns its outputs in their order."""
    cell.set_train(False)
    if isinstance(reference, nn.Cell):
        reference.set_train(False)

    def run(arrays: Arrays) -> Arrays:
        found = reference(*(Tensor(np.ascontiguousarray(arrays[each])) for each in inputs))
        found = found if isinstance(found, tuple) else (found,)
        return {each: value.asnumpy() for each, value in zip(outputs, found, strict=True)}

    return mindir_artifact(net.config, name, cell, inputs, outputs, run, examples, False, notes)

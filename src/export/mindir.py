"""MINDIR files of both networks, and AIR files, which only Ascend can write."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.config import Config
from src.errors import InputError, one_line
from src.export.artifact import Arrays, Artifact, TensorSpec, noise_meaning, read_described
from src.export.cells import SpectralSubtraction, Tacotron2Export, WaveGlowExport
from src.models.sampling import item_seed, latents, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.models.tacotron2.stopping import STOP_REASONS
from src.models.waveglow.denoiser import Denoiser
from src.models.waveglow.model import WaveGlow

LIMIT = 1e-5
FIXED_FRAMES = 400  # of the mel spectrogram for an AIR file, which cannot have dynamic sizes
SET_INPUTS = (
    "a GraphCell takes texts of different lengths only after set_inputs; src.export.mindir.load_mindir does that"
)


def load_mindir(path: str | Path) -> nn.GraphCell:
    """Load a MINDIR file as a cell that takes every size which its description calls dynamic.

    Without `set_inputs`, MindSpore compiles anew for each size; 2.10 fails at the second size of a graph with loops.

    Raises:
        InputError: the file or its description is missing or damaged. MindSpore opens the path again after this check.
    """
    path = Path(path)
    description = read_described(path)[1]
    try:
        specs = {spec.pop("name"): TensorSpec(**spec) for spec in description["inputs"]}
        return load_cell(path, specs)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = one_line(error)[:200]
        raise InputError(f"{path}: is not what export.py wrote ({reason}); export again") from error


def load_cell(path: Path, inputs: dict[str, TensorSpec]) -> nn.GraphCell:
    """Load a MINDIR file as a cell for `inputs`, without looking at its description."""
    cell = nn.GraphCell(ms.load(str(path)))
    cell.set_inputs(*placeholders(inputs))
    return cell


def placeholders(inputs: dict[str, TensorSpec]) -> list[Tensor]:
    """Empty tensors with the shapes of `inputs`, None for dynamic sizes."""
    shapes = [[size if isinstance(size, int) else None for size in spec.shape] for spec in inputs.values()]
    return [
        Tensor(shape=shape, dtype=getattr(ms, spec.dtype)) for spec, shape in zip(inputs.values(), shapes, strict=True)
    ]


def tacotron2_artifacts(reference: Tacotron2, max_symbols: int, fixed: bool) -> list[Artifact]:
    """The one file of a Tacotron 2.

    Args:
        reference: the network in memory.
        max_symbols: of the longest text; see `Tacotron2Export`.
        fixed: without dynamic sizes, as AIR needs it.
    """
    cell, model = Tacotron2Export(reference, max_symbols), reference.config.model
    n_symbols = cell.max_symbols
    inputs, outputs = _tacotron2_inputs(cell, fixed), _tacotron2_outputs(cell)
    random = np.random.default_rng(0)

    def example(length: int) -> Arrays:
        text = random.integers(1, model.n_symbols, (1, length), np.int32)
        if fixed:
            text = np.pad(text, ((0, 0), (0, n_symbols - length)))
        arrays = {"text": text, "text_lengths": np.array([length], np.int32)}
        if cell.has_dropout:
            arrays["dropout_mask"] = prenet_dropout_mask(model, [item_seed(0, 0)], cell.n_steps)
        return arrays

    def speak(arrays: Arrays) -> Arrays:
        text = np.pad(arrays["text"], ((0, 0), (0, n_symbols - arrays["text"].shape[1])))
        speech = reference.generate(Tensor(text), Tensor(arrays["text_lengths"]), 0)
        whole = {name: np.zeros(spec.shape, spec.dtype) for name, spec in outputs.items()}
        mel, alignments = speech.mel.asnumpy(), speech.alignments.asnumpy()
        whole["mel"][:, :, : mel.shape[2]] = mel
        whole["mel_lengths"][:] = speech.mel_lengths.asnumpy()
        whole["alignments"][:, : alignments.shape[1]] = alignments
        whole["stop_reasons"][:] = [STOP_REASONS.index(reason) for reason in speech.stop_reasons]
        return whole

    examples = [example(min(length, n_symbols)) for length in (7, 40)]
    notes = {"max_symbols": n_symbols, "loading": SET_INPUTS}
    return [mindir_artifact(reference.config, "tacotron2", cell, inputs, outputs, speak, examples, fixed, notes)]


def _tacotron2_inputs(cell: Tacotron2Export, fixed: bool) -> dict[str, TensorSpec]:
    n_symbols = cell.max_symbols
    meaning = f"symbol ids, at most {n_symbols}; further ones are not spoken"
    inputs = {
        "text": TensorSpec("int32", (1, n_symbols if fixed else "symbols"), meaning),
        "text_lengths": TensorSpec("int32", (1,), "symbols of the text; padding follows them"),
    }
    if cell.has_dropout:
        share = f"{1 - cell.net.config.model.prenet_dropout:g}"
        meaning = (
            f"dropout mask of the prenet: 1 / {share} with probability {share}, otherwise 0; "
            "see src.models.sampling.prenet_dropout_mask"
        )
        inputs["dropout_mask"] = TensorSpec("float32", cell.dropout_mask_shape, meaning)
    return inputs


def _tacotron2_outputs(cell: Tacotron2Export) -> dict[str, TensorSpec]:
    net, n_steps = cell.net, cell.n_steps
    mel = (1, net.n_mels, n_steps * net.reduction_factor)
    alignments = (1, n_steps, cell.max_symbols)
    reasons = ", ".join(f"{code} {reason}" for code, reason in enumerate(STOP_REASONS))
    return {
        "mel": TensorSpec("float32", mel, "mel spectrogram, 0 beyond its length"),
        "mel_lengths": TensorSpec("int32", (1,), "frames of the mel spectrogram"),
        "alignments": TensorSpec(
            "float32", alignments, "attention weights of each decoder step, 0 after the last step"
        ),
        "stop_reasons": TensorSpec("int32", (1,), f"why the speech ended: {reasons}"),
    }


def waveglow_artifacts(reference: WaveGlow, fixed: bool) -> list[Artifact]:
    """The files of a WaveGlow and of its denoiser; `reference` and `fixed` as in `tacotron2_artifacts`."""
    audio, model = reference.config.audio, reference.config.model
    n_positions = audio.hop_length // model.n_group
    frames = FIXED_FRAMES if fixed else "frames"
    samples = FIXED_FRAMES * audio.hop_length if fixed else "samples"
    sizes = [FIXED_FRAMES] if fixed else [5, 23]
    inputs = {
        "mel": TensorSpec("float32", (1, audio.n_mels, frames), "mel spectrogram of at least 2 frames"),
        "noise": TensorSpec(
            "float32",
            (1, model.n_group, FIXED_FRAMES * n_positions if fixed else "positions"),
            noise_meaning(reference.config),
        ),
    }
    wav = TensorSpec("float32", (1, samples), f"{audio.hop_length} samples for each frame")
    random = np.random.default_rng(0)

    def example(n_frames: int) -> Arrays:
        mel = random.standard_normal((1, audio.n_mels, n_frames), np.float32)
        return {"mel": mel, "noise": model.sigma * latents(0, 1, n_frames * n_positions, model.n_group).swapaxes(1, 2)}

    def sound(arrays: Arrays) -> Arrays:
        noise = reference.synthesis.split_latents(arrays["noise"])
        return {"audio": reference.infer(arrays["mel"], 1.0, noise=noise).asnumpy()}

    reference.remove_weight_norm()
    denoiser = Denoiser(reference)
    spoken = [
        {"audio": random.standard_normal((1, n * audio.hop_length), np.float32), "strength": np.ones(1, np.float32)}
        for n in sizes
    ]

    def denoise(arrays: Arrays) -> Arrays:
        return {"denoised": denoiser(arrays["audio"][0], float(arrays["strength"][0]))[None]}

    config, examples = reference.config, [example(n) for n in sizes]
    strength = TensorSpec("float32", (1,), "how much of the network's own hum is removed, such as 0.01")
    denoiser_inputs, cell = {"audio": wav, "strength": strength}, SpectralSubtraction(denoiser)
    return [
        mindir_artifact(config, "waveglow", WaveGlowExport(reference), inputs, {"audio": wav}, sound, examples, fixed),
        mindir_artifact(config, "denoiser", cell, denoiser_inputs, {"denoised": wav}, denoise, spoken, fixed),
    ]


def mindir_artifact(
    config: Config,
    name: str,
    cell: nn.Cell,
    inputs: dict[str, TensorSpec],
    outputs: dict[str, TensorSpec],
    reference: Callable[[Arrays], Arrays],
    examples: list[Arrays],
    fixed: bool,
    notes: dict[str, Any] | None = None,
) -> Artifact:
    """Complete an artifact by how MindSpore writes `cell` and loads the file."""

    def write(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:  # MindSpore refuses paths with spaces or accents
            file = Path(folder) / path.name
            ms.export(cell, *placeholders(inputs), file_name=str(file), file_format="AIR" if fixed else "MINDIR")
            if not file.is_file():
                raise InputError(f"{path.name}: the network is too large for one file")
            file.chmod(0o644)
            shutil.move(file, path)

    def reload(path: Path) -> Callable[[Arrays], Arrays]:
        loaded = load_cell(path, inputs)

        def run(arrays: Arrays) -> Arrays:
            found = loaded(*(Tensor(arrays[name]) for name in inputs))
            found = found if isinstance(found, tuple) else (found,)
            return {name: values.asnumpy() for name, values in zip(outputs, found, strict=True)}

        return run

    return Artifact(
        name,
        inputs,
        outputs,
        write,
        reference,
        None if fixed else reload,
        examples,
        LIMIT,
        config,
        notes or {},
        cell=cell,
    )

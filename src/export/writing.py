"""Writing a network as files for inference, each with a description, once all of them are verified."""

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import src
from src import runtime
from src.audio import mel_signature
from src.checkpoint import Checkpoint, load_checkpoint
from src.config import imported, network_of
from src.errors import InputError
from src.export.artifact import Artifact, description_of, relative_difference
from src.files import sha256_of
from src.models.factory import create_model

FileFormat = Literal["MINDIR", "ONNX", "AIR"]


class ExportMismatch(RuntimeError):
    """An exported file whose outputs differ from the network's."""


def export(
    checkpoint: str | Path,
    file_format: FileFormat,
    output_dir: str | Path,
    overrides: dict[str, Any] | None = None,
    max_symbols: int | None = None,
    verify: bool = True,
    speaker: str | None = None,
    fixed_frames: int | None = None,
) -> list[tuple[Path, float | None]]:
    """Write the files of a network, and beside each its description as `.json`.

    Args:
        checkpoint: of any registered network.
        overrides: configuration values by dotted key.
        max_symbols: longest text of a MINDIR or AIR file of Tacotron 2, which cuts off longer ones. Rounded up to a
            multiple of 32; by default `text.max_sentence_length`, although cleaned texts may be longer.
        speaker: name or number of the voice of the files, for a network of several; by default the first.
        verify: run each file on fixed inputs and compare. AIR files are not verified, as MindSpore cannot read them.
        fixed_frames: of MINDIR, write the network a second time, in parts of fixed sizes and without loops, that take
            so many frames at once; see `src.export.mindir_parts`.

    Returns:
        The files and the largest relative difference of each to the network, None if unverified.

    Raises:
        InputError: unusable checkpoint or overrides, a checkpoint that changes meanwhile, a folder that cannot be
            written, AIR without an Ascend, missing packages, options that the format or the network does not have.
        ExportMismatch: a file differs from the network by more than its limit; then `output_dir` is left as it was.
    """
    runtime.setup()
    if file_format == "AIR":
        runtime.need_ascend("AIR, deprecated by MindSpore (take MINDIR), can only be written")
    checkpoint, output_dir = Path(checkpoint), Path(output_dir)
    digest = sha256_of(checkpoint)
    loaded = load_checkpoint(checkpoint)
    if max_symbols is not None and (network_of(loaded.config).kind != "acoustic" or file_format == "ONNX"):
        raise InputError(
            "--max_symbols is for MINDIR and AIR files of Tacotron 2; others take texts and mels of any length"
        )
    if fixed_frames is not None and file_format != "MINDIR":
        raise InputError("--fixed_frames is for MINDIR files; those of other formats have no loops, or one size")
    artifacts = make_artifacts(loaded, file_format, overrides, max_symbols, speaker, fixed_frames)
    if sha256_of(checkpoint) != digest:  # hash and content must belong together
        raise InputError(f"{checkpoint}: has changed while it was exported; run this again when nothing writes to it")
    origin = {"file": checkpoint.name, "sha256": digest, "step": loaded.step}
    try:
        return _write_all(artifacts, file_format, output_dir, origin, overrides or {}, verify)
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be written ({error.strerror})") from error


def _write_all(
    artifacts: list[Artifact],
    file_format: FileFormat,
    output_dir: Path,
    origin: dict[str, Any],
    overrides: dict[str, Any],
    verify: bool,
) -> list[tuple[Path, float | None]]:
    """Write and verify all files in a temporary folder, then move them into `output_dir`."""
    output_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output_dir, prefix=".export") as temporary:
        done = []
        for artifact in artifacts:
            file = Path(temporary) / f"{artifact.name}.{file_format.lower()}"
            artifact.write(file)
            difference = _verified(artifact, file) if verify and artifact.reload else None
            content = describe(artifact, file, file_format, origin, difference, overrides)
            description = description_of(file)
            description.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            done.append((file, description, difference))
        for file, description, _ in done:
            (output_dir / description.name).unlink(missing_ok=True)  # never beside a file that it does not describe
            file.replace(output_dir / file.name)
            description.replace(output_dir / description.name)
    return [(output_dir / file.name, difference) for file, _, difference in done]


def make_artifacts(
    checkpoint: Checkpoint,
    file_format: FileFormat,
    overrides: dict[str, Any] | None,
    max_symbols: int | None,
    speaker: str | None = None,
    fixed_frames: int | None = None,
) -> list[Artifact]:
    """Return the files that a network has in a format; the arguments are those of `export`.

    Raises:
        InputError: the network has none in it; packages missing.
    """
    net = create_model(checkpoint=checkpoint, overrides=overrides)
    network = network_of(net.config)
    if file_format not in network.exporters:
        raise InputError(f"{checkpoint.path}: a {network.name} cannot be written as {file_format}")
    if speaker is not None:
        if network.kind != "acoustic":
            raise InputError(f"--speaker is for a network that speaks text; {checkpoint.path} is a {network.name}")
        net.choose_voice(speaker)
    options: dict[str, Any] = {}
    if file_format != "ONNX" and network.kind == "acoustic":
        options["max_symbols"] = max_symbols or net.config.text.max_sentence_length
    fixed = {} if file_format == "ONNX" else {"fixed": file_format == "AIR"}
    artifacts = imported(network.exporters[file_format])(net, **options, **fixed)
    if fixed_frames and f"{file_format} parts" in network.exporters:
        artifacts += imported(network.exporters[f"{file_format} parts"])(net, **options, frames=fixed_frames)
    return artifacts


def describe(
    artifact: Artifact,
    file: Path,
    file_format: FileFormat,
    origin: dict[str, Any],
    difference: float | None,
    overrides: dict[str, Any],
) -> dict[str, Any]:
    """Return the description of `file` for the `.json` beside it; `origin` describes the checkpoint."""
    config = artifact.config
    return {
        "file": file.name,
        "format": file_format,
        "network": config.model.name,
        "inputs": [{"name": name, **spec._asdict()} for name, spec in artifact.inputs.items()],
        "outputs": [{"name": name, **spec._asdict()} for name, spec in artifact.outputs.items()],
        **artifact.notes,
        "mel_signature": mel_signature(config.audio),
        "symbols": config.text.symbols,
        "sha256": sha256_of(file),
        "checkpoint": origin,
        "overrides": overrides,
        "largest_relative_difference": difference,
        "written_by": {"tacotron2": src.__version__, "mindspore": version("mindspore")},
        "config": config.to_dict(),
    }


def _verified(artifact: Artifact, file: Path) -> float:
    run = artifact.reload(file)
    difference = max(
        relative_difference(run(example), artifact.reference(example), artifact.scales) for example in artifact.examples
    )
    if not difference <= artifact.limit:
        found = f"differs from the network by {difference:.1e}, more than {artifact.limit:.0e}"
        raise ExportMismatch(f"{file.name}: {found}; nothing was written")
    return difference

"""ONNX files of a checkpoint, written once and kept in the user's cache, for speech on CPUs without MindSpore."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from src.errors import InputError
from src.export.inference import FREE
from src.files import cache_folder, sha256_of

if TYPE_CHECKING:
    from src.export.onnx.inference import OnnxHarmonic, OnnxTacotron2, OnnxWaveGlow
    from src.export.onnx.processes import HarmonicProcesses

KEPT = 8  # checkpoints, of up to 110 MB each; the least recently used are deleted
ROOT = Path(__file__).resolve().parents[3]
Precision = Literal["float32", "int8"]  # of the weights of a decoder step
# What the files depend on.
WRITES = "export.py", "src/audio.py", "src/mel_filters.py", "src/export", "src/models", "src/checkpoint", "src/config"


def runs_onnx() -> bool:
    """Return whether onnxruntime and onnx are installed, there is a cache, and DEVICE_TARGET names no accelerator."""
    installed = all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnx"))
    return bool(installed and cache_folder()) and os.environ.get("DEVICE_TARGET", "CPU") == "CPU"


def chooses_onnx(runtime: str, overrides: dict[str, Any]) -> bool:
    """Return whether ONNX Runtime speaks: where "onnx" is wanted, or "auto" and no file fixes what is overridden."""
    return runtime == "onnx" or (runtime == "auto" and runs_onnx() and set(overrides) <= FREE)


def load_onnx(
    checkpoint: Path,
    vocoder_checkpoint: Path | None,
    overrides: dict[str, Any],
    threads: int = 0,
    precision: Precision = "float32",
    processes: int = 0,
) -> tuple[OnnxTacotron2, OnnxHarmonic | HarmonicProcesses | OnnxWaveGlow | None]:
    """Load the ONNX files of an acoustic network and of a vocoder, see `onnx_files`.

    Args:
        overrides: configuration values of the acoustic network by dotted key.
        threads: that a network computes with; 0: as many as there are cores.
        precision: of the weights of the acoustic network's decoder steps.
        processes: of the harmonic vocoder; 0: this one.

    Raises:
        InputError: a checkpoint cannot be used or is of the other kind, or files fix what is overridden.
    """
    from src.export.onnx.inference import OnnxTacotron2, onnx_vocoder  # noqa: PLC0415  (an extra package)

    folders = onnx_files(*(path for path in (checkpoint, vocoder_checkpoint) if path))
    if not (folders[0] / "decoder_step.onnx").exists():
        raise no_speech(checkpoint, next(folders[0].glob("*.onnx")).stem)
    if vocoder_checkpoint and (folders[1] / "decoder_step.onnx").exists():
        raise InputError(f"{vocoder_checkpoint}: is a tacotron2, no vocoder")
    if precision == "int8":
        folders[0] = _in_int8(folders[0])
    if vocoder_checkpoint and processes and (folders[1] / "harmonic.onnx").exists():
        from src.export.onnx.processes import HarmonicProcesses  # noqa: PLC0415

        vocoder = HarmonicProcesses(folders[1], processes)
    else:
        vocoder = onnx_vocoder(folders[1], threads) if vocoder_checkpoint else None
    return OnnxTacotron2(folders[0], overrides, threads), vocoder


def no_speech(checkpoint: Path, name: str) -> InputError:
    """The error of a vocoder's checkpoint in the place of an acoustic one."""
    return InputError(f"{checkpoint}: is a {name}, which speaks no text; it may be meant as --vocoder_checkpoint")


def onnx_files(*checkpoints: Path) -> list[Path]:
    """Return for each checkpoint a folder with its ONNX files; they are written if they are not in the cache.

    A process each writes them, all at the same time, so that this one need not load MindSpore.

    Raises:
        InputError: a checkpoint cannot be used, or the cache cannot be written.
    """
    with ThreadPoolExecutor(len(checkpoints)) as pool:
        return list(pool.map(_files, checkpoints))


def _files(checkpoint: Path) -> Path:
    facts = sha256_of(checkpoint) + _code_sha256()
    root = cache_folder()
    if not root:
        raise InputError("ONNX files need the cache, and GRAPH_CACHE is off")
    folder = root / f"onnx-{hashlib.sha256(facts.encode()).hexdigest()[:32]}"
    return _kept(folder, functools.partial(_export, checkpoint))


def _in_int8(folder: Path) -> Path:
    """Return a folder with the files of another one, whose decoder steps have weights in 8 bits."""

    def write(aside: Path) -> None:
        from src.export.onnx.quantisation import quantise  # noqa: PLC0415  (an extra package)

        shutil.copytree(folder, aside, dirs_exist_ok=True)
        quantise(aside / "decoder_step.onnx")

    return _kept(folder.with_name(f"{folder.name}-int8"), write)


def _kept(folder: Path, write: Callable[[Path], None]) -> Path:
    """Have a folder of the cache written, if it is not there, and the least recently used ones deleted."""
    if not folder.is_dir():
        _write(folder, write)
    with contextlib.suppress(OSError):
        folder.touch()
        ours = sorted(folder.parent.glob("onnx-*"), key=lambda path: path.stat().st_mtime)
        for old in ours[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _write(folder: Path, write: Callable[[Path], None]) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new"))
    except OSError as error:
        raise InputError(f"{folder.parent}: cannot be written ({error.strerror}); GRAPH_CACHE names another") from error
    try:
        write(aside)
        with contextlib.suppress(OSError):  # another process was faster
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _export(checkpoint: Path, folder: Path) -> None:
    command = [
        sys.executable,
        ROOT / "export.py",
        "--checkpoint",
        checkpoint,
        "--file_format",
        "ONNX",
        "--no-verify",
    ]
    environment = os.environ | {"DEVICE_TARGET": "CPU"}
    done = subprocess.run(
        [*map(str, command), "--output_dir", str(folder)],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
    )
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1].removeprefix("error: ")
        raise InputError(reason)


def _code_sha256() -> str:
    files = [
        file for name in WRITES for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()

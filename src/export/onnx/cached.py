"""ONNX files of a checkpoint, written once and kept in the user's cache, for speech on CPUs without MindSpore."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import InputError
from src.files import cache_folder, sha256_of

if TYPE_CHECKING:
    from src.export.onnx.inference import OnnxHarmonic, OnnxTacotron2, OnnxWaveGlow

KEPT = 8  # checkpoints, of up to 110 MB each; the least recently used are deleted
ROOT = Path(__file__).resolve().parents[3]
# What the files depend on.
WRITES = "export.py", "src/audio.py", "src/export", "src/models", "src/checkpoint", "src/config"


def runs_onnx() -> bool:
    """Return whether onnxruntime and onnx are installed, there is a cache, and DEVICE_TARGET names no accelerator."""
    installed = all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnx"))
    return bool(installed and cache_folder()) and os.environ.get("DEVICE_TARGET", "CPU") == "CPU"


def load_onnx(
    checkpoint: Path, vocoder_checkpoint: Path | None, overrides: dict[str, Any], threads: int = 0
) -> tuple[OnnxTacotron2, OnnxHarmonic | OnnxWaveGlow | None]:
    """Load the ONNX files of an acoustic network and of a vocoder, see `onnx_files`.

    Args:
        overrides: configuration values of the acoustic network by dotted key.
        threads: that a network computes with; 0: as many as there are cores.

    Raises:
        InputError: a checkpoint cannot be used or is of the other kind, or files fix what is overridden.
    """
    from src.export.onnx.inference import OnnxTacotron2, onnx_vocoder  # noqa: PLC0415  (an extra package)

    folders = onnx_files(*(path for path in (checkpoint, vocoder_checkpoint) if path))
    if not (folders[0] / "decoder_step.onnx").exists():
        raise no_speech(checkpoint, next(folders[0].glob("*.onnx")).stem)
    if vocoder_checkpoint and (folders[1] / "decoder_step.onnx").exists():
        raise InputError(f"{vocoder_checkpoint}: is a tacotron2, no vocoder")
    net = OnnxTacotron2(folders[0], overrides, threads)
    return net, onnx_vocoder(folders[1], threads) if vocoder_checkpoint else None


def no_speech(checkpoint: Path, name: str) -> InputError:
    """The error of a vocoder's checkpoint in the place of an acoustic one."""
    return InputError(f"{checkpoint}: is a {name}, which speaks no text; it may be meant as --waveglow_checkpoint")


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
    if not folder.is_dir():
        _write(checkpoint, folder)
    with contextlib.suppress(OSError):
        folder.touch()
        ours = sorted(root.glob("onnx-*"), key=lambda path: path.stat().st_mtime)
        for old in ours[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _write(checkpoint: Path, folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new"))
    except OSError as error:
        raise InputError(f"{folder.parent}: cannot be written ({error.strerror}); GRAPH_CACHE names another") from error
    try:
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
            [*map(str, command), "--output_dir", str(aside)],
            capture_output=True,
            check=False,
            text=True,
            env=environment,
        )
        if done.returncode:
            reason = (done.stderr.strip() or "no message").splitlines()[-1].removeprefix("error: ")
            raise InputError(reason)
        with contextlib.suppress(OSError):  # another process was faster
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _code_sha256() -> str:
    files = [
        file for name in WRITES for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()

"""Numbered checkpoints in a training run's folder: list them, load the newest readable one, delete old ones."""

import re
import warnings
from pathlib import Path

from src.checkpoint.content import Checkpoint
from src.checkpoint.file import load_checkpoint
from src.errors import InputError


def numbered(output_dir: str | Path) -> list[Path]:
    """Checkpoints `<network>-<step>.ckpt` of a training run, oldest first."""
    steps = {path: re.fullmatch(r"\w+-(\d+)", path.stem) for path in Path(output_dir).glob("*.ckpt")}
    return sorted((path for path, step in steps.items() if step), key=lambda path: int(steps[path][1]))


def latest(output_dir: str | Path) -> Checkpoint:
    """Load the newest readable checkpoint of a training run.

    Newer damaged ones are renamed to `<name>.damaged`, so that `prune` does not count them, with a warning.

    Raises:
        InputError: there is none, or a damaged one cannot be renamed.
    """
    if not Path(output_dir).is_dir():
        raise InputError(f"{output_dir}: no such run to resume")
    damaged: dict[Path, InputError] = {}
    for path in reversed(numbered(output_dir)):
        try:
            checkpoint = load_checkpoint(path)
        except InputError as error:
            damaged[path] = error
            continue
        for other, problem in damaged.items():
            try:
                other.rename(f"{other}.damaged")
            except OSError as error:
                raise InputError(f"{problem}; it cannot be renamed out of the way ({error.strerror})") from error
            warnings.warn(f"{problem}; renamed to {other.name}.damaged, {path.name} is taken instead", stacklevel=2)
        return checkpoint
    reason = f" ({next(iter(damaged.values()))})" if damaged else ""
    raise InputError(f"{output_dir}: no usable checkpoint to resume from{reason}; delete the folder to start anew")


def prune(output_dir: str | Path, keep: int) -> None:
    """Delete all but the newest `keep` numbered checkpoints. `best.ckpt` has no number and stays."""
    for path in numbered(output_dir)[:-keep]:
        path.unlink(missing_ok=True)

"""What a format's module says about each of its files, and what the description beside one says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.config import Config
from src.errors import InputError
from src.files import sha256_of

Arrays = dict[str, np.ndarray]


class TensorSpec(NamedTuple):
    """An input or output. Sizes that are texts are dynamic; the same text means the same size."""

    dtype: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass
class Artifact:
    """One file.

    Attributes:
        name: its stem.
        inputs: by name, in order.
        outputs: by name, in order.
        write: puts the file where it is told.
        live: what the network in memory makes of inputs.
        reload: makes of the path of a file what turns inputs into outputs; None if nothing here can.
        examples: inputs to compare the two on, of more than one size where sizes are dynamic.
        limit: largest relative difference allowed.
        config: that of the network, overrides included.
        notes: whatever else belongs into the description.
    """

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    write: Callable[[Path], None]
    reference: Callable[[Arrays], Arrays]
    reload: Callable[[Path], Callable[[Arrays], Arrays]] | None
    examples: list[Arrays]
    limit: float
    config: Config
    notes: dict[str, Any] = field(default_factory=dict)


def description_of(path: Path) -> Path:
    """Where the description of a file lies. It has the whole name in its own, as formats share stems."""
    return path.with_name(f"{path.name}.json")


def read_described(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The content of a file that export.py has written, and its description.

    Raises:
        InputError: one of the two cannot be read, or they do not belong together.
    """
    beside = description_of(path)
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); export.py writes it") from error
    except ValueError as error:
        raise InputError(f"{beside}: is no description by export.py") from error
    if not isinstance(description, dict) or description.get("sha256") != sha256_of(content):
        raise InputError(f"{path}: is damaged, or not the file that {beside.name} describes")
    return content, description


def relative_difference(found: Arrays, expected: Arrays) -> float:
    """The largest difference of two sets of arrays, each as a share of the largest magnitude in the expected array."""
    worst = 0.0
    for name, values in expected.items():
        if found[name].shape != values.shape:
            return float("inf")
        scale = max(np.abs(values).max(), np.finfo(np.float32).tiny)
        difference = np.abs(found[name].astype(np.float64) - values).max() / scale
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    return worst

"""Exported files: what each format declares about a file, and the description (JSON) beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.config import Config
from src.errors import InputError, quote
from src.files import read_bytes, read_json, sha256_of

Arrays = dict[str, np.ndarray]


class TensorSpec(NamedTuple):
    """An input or output of a file. A size given as a name is dynamic; equal names mean equal sizes."""

    dtype: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass
class Artifact:
    """One exported file, and the network in memory that it is compared with.

    Attributes:
        name: stem of the file's name.
        inputs: specs by name, in order.
        outputs: specs by name, in order.
        write: writes the file to a path.
        reference: runs the network in memory: inputs -> outputs.
        reload: loads a file: path -> a function from inputs to outputs. None if MindSpore cannot read the format.
        examples: inputs of the comparison, of more than one size where sizes are dynamic.
        limit: largest relative difference allowed.
        config: configuration of the network, overrides included.
        notes: further entries of the description.
        scales: smallest magnitude that differences of an output are relative to, by name; for values such as
            probabilities, which can all be tiny.
        cell: the cell that MindSpore writes; None where it does not write the file.
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
    scales: dict[str, float] = field(default_factory=dict)
    cell: Any = None


def noise_meaning(config: Config) -> str:
    """Describe the input `noise` of a WaveGlow's file."""
    n_positions = config.audio.hop_length // config.model.n_group
    return (
        f"normal values, {n_positions} positions for each frame, times sigma ({config.model.sigma:g} by default); "
        "channels in order of use"
    )


def description_of(path: Path) -> Path:
    """Path of a file's description: the file's whole name and `.json`, as files of several formats share a stem."""
    return path.with_name(f"{path.name}.json")


def read_described(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Read a file written by export.py, and its description.

    Raises:
        InputError: one of the two cannot be read, or they do not belong together.
    """
    description_path = description_of(path)
    try:
        description, content = read_json(description_path), read_bytes(path)
    except InputError as error:
        raise InputError(f"{error}; export.py writes {path.name} and {description_path.name}") from error
    if not isinstance(description, dict) or description.get("sha256") != sha256_of(content):
        raise InputError(f"{path}: is damaged, or not the file that {description_path.name} describes; export again")
    if description.get("file") != path.name:
        raise InputError(f"{path}: was written by export.py as {quote(str(description.get('file')))}; export again")
    return content, description


def relative_difference(found: Arrays, expected: Arrays, scales: Mapping[str, float] | None = None) -> float:
    """Largest difference between two sets of arrays, relative to the largest magnitude in each expected array.

    It is infinite if shapes differ or a difference is not finite. For `scales` see `Artifact`.
    """
    worst = 0.0
    for name, values in expected.items():
        if found[name].shape != values.shape:
            return float("inf")
        scale = max(np.abs(values).max(), (scales or {}).get(name, 0), np.finfo(np.float32).tiny)
        difference = np.abs(found[name].astype(np.float64) - values).max() / scale
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    return worst

"""The mapping between our parameters and the tensors of NVIDIA's implementations, readable in both directions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from src.config import Config
from src.errors import InputError, some_of

Arrays = tuple[np.ndarray, ...]
Shape = tuple[int, ...]


class PublicLayout(NamedTuple):
    """How the public checkpoints of one network become ours. Tensors have NVIDIA's names, in their newest form."""

    recognises: Callable[[Mapping[str, np.ndarray]], bool]  # tells this network's tensors from those of others
    sizes: Callable[[Mapping[str, np.ndarray]], dict[str, Any]]  # the configuration keys that tensors tell
    mapping: Callable[[Config], list["TensorMapping"]]
    dle_config: Mapping[str, str]  # keys of the configuration in DeepLearningExamples' training checkpoints: ours
    # From NVIDIA's form to that of DeepLearningExamples, without the `module.` before each name.
    to_dle: Callable[[Mapping[str, np.ndarray], Config], dict[str, np.ndarray]] = lambda tensors, config: dict(tensors)


class TensorMapping(NamedTuple):
    """One entry: some of our parameters, and the tensors they are made of."""

    ours: tuple[str, ...]
    theirs: Mapping[str, Shape]  # by name, in the order in which `to_ours` takes them
    to_ours: Callable[..., Arrays]
    to_theirs: Callable[..., Arrays]


def same(ours: str, theirs: str, shape: Shape) -> TensorMapping:
    """Map a tensor that both sides hold alike."""
    return TensorMapping((ours,), {theirs: shape}, lambda array: (array,), lambda array: (array,))


def shapes_of(tensors: Mapping[str, np.ndarray], n_dims: Mapping[str, int]) -> dict[str, Shape]:
    """Return the shapes of the tensors that tell a network's sizes; `n_dims` gives their numbers of dimensions by name.

    Raises:
        InputError: some are missing or have another number of dimensions, all by name.
    """
    problems = [f"{name} is missing" for name in n_dims if name not in tensors]
    shapes = {name: np.shape(tensors[name]) for name in n_dims if name in tensors}
    problems += [
        f"{name} is {list(shape)}, expected {n_dims[name]} dimensions"
        for name, shape in shapes.items()
        if len(shape) != n_dims[name]
    ]
    if problems:
        raise InputError(f"tensors that tell the sizes: {some_of(problems, 20)}")
    return shapes


def count_layers(tensors: Mapping[str, np.ndarray], prefix: str) -> int:
    """Return how many different numbers follow `prefix` in the names of `tensors`."""
    return len({name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)})


def to_ours(mapping: Sequence[TensorMapping], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return our float32 weights by parameter name, made of tensors in which `misfits` finds nothing wrong."""
    weights: dict[str, np.ndarray] = {}
    for entry in mapping:
        made = entry.to_ours(*(np.asarray(tensors[name]) for name in entry.theirs))
        weights |= {name: np.ascontiguousarray(array, np.float32) for name, array in zip(entry.ours, made, strict=True)}
    return weights


def to_theirs(mapping: Sequence[TensorMapping], weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors of which `to_ours` makes exactly these weights."""
    tensors: dict[str, np.ndarray] = {}
    for entry in mapping:
        made = entry.to_theirs(*(weights[name] for name in entry.ours))
        tensors |= {name: np.array(array, order="C") for name, array in zip(entry.theirs, made, strict=True)}
    return tensors


def misfits(mapping: Sequence[TensorMapping], tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return a complaint for each tensor that is missing, superfluous or misshapen for the network of `mapping`."""
    wanted = {name: shape for entry in mapping for name, shape in entry.theirs.items()}
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"there is no use for {name}" for name in tensors if name not in wanted]
    return problems + [
        f"{name} is {list(np.shape(array))}, expected {list(wanted[name])}"
        for name, array in tensors.items()
        if name in wanted and np.shape(array) != wanted[name]
    ]


def not_finite(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of tensors that hold NaN or infinity."""
    return [name for name, array in tensors.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]

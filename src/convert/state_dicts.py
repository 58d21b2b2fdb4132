"""The state dicts that a file holds, wherever they lie in it: at the top, in nested dicts, or in pickled modules."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from src.convert.tensors import Tensor
from src.convert.unpickler import StandIn
from src.errors import InputError, quote, some_of

FIRST = ("", "state_dict", "model", "model_state_dict", "generator")  # goes before other places when a file has several
DEEPEST = 4  # dicts within dicts
MOST_PLACES = 10_000  # dicts and modules looked at
MOST_MODULES = 50  # modules within modules
LONGEST_NAME = 500
SLACK = 1 << 20  # bytes that tensors may take beside four times the file


class StateDict(NamedTuple):
    """Tensors by name, and where they were found."""

    place: str  # dotted keys, such as `state_dict` or `model.generator`; empty at the top
    tensors: dict[str, Tensor]


def find_state_dicts(content: Any) -> list[StateDict]:
    """Return every dict or pickled module in `content` that has tensors by name, the likeliest places first.

    Raises:
        InputError: more dicts and modules than a checkpoint has, or modules that contain each other.
    """
    found: list[StateDict] = []
    seen: set[int] = set()
    waiting = [("", content, 0)]
    while waiting:
        place, value, depth = waiting.pop(0)
        if id(value) in seen or not isinstance(value, dict | StandIn):
            continue
        seen.add(id(value))
        if len(seen) > MOST_PLACES:
            raise InputError(f"it holds more than {MOST_PLACES:,} dicts and modules")
        if isinstance(value, StandIn):
            tensors = _module_tensors(value)
        else:
            tensors = {name: each for name, each in _named(value) if isinstance(each, Tensor)}
            if depth < DEEPEST:
                inner = [(name, each) for name, each in _named(value) if isinstance(each, dict | StandIn)]
                waiting += [(f"{place}.{name}" if place else name, each, depth + 1) for name, each in inner]
        if tensors:
            found.append(StateDict(place, tensors))
    return sorted(found, key=_rank)


def choose(found: list[StateDict], place: str | None, content: Any) -> tuple[StateDict, list[str]]:
    """Return the state dict at `place`, by default the first, and the places of the others.

    Raises:
        InputError: there is none, or none at `place`.
    """
    if not found:
        names = [quote(key) for key in content if isinstance(key, str)] if isinstance(content, dict) else []
        keys = f"; its keys are {some_of(names, 5)}" if names else ""
        raise InputError(f"no tensors by name in it, neither at the top nor in the dicts and modules below{keys}")
    places = [each.place for each in found]
    if place is not None and place not in places:
        raise InputError(
            f"no weights under {quote(place)}; there are some under {some_of([quote(each) for each in places], 10)}"
        )
    chosen = found[places.index(place) if place is not None else 0]
    return chosen, [each for each in places if each != chosen.place]


def beside(content: Any, place: str) -> dict[str, Any]:
    """Return what lies at the top of the file beside the state dict at `place`, such as `iteration` or `config`."""
    values = content if isinstance(content, dict) else {}
    first = place.split(".", maxsplit=1)[0] if place else None
    return {key: value for key, value in values.items() if key != first and not isinstance(value, Tensor)}


def to_arrays(tensors: Mapping[str, Tensor], file_size: int) -> dict[str, np.ndarray]:
    """Return the tensors as arrays, float32 for numbers with a fraction.

    Raises:
        InputError: together they would take more than four times the file, as no true tensors do.
    """
    wanted = sum(tensor.nbytes for tensor in tensors.values())
    if wanted > 4 * file_size + SLACK:
        raise InputError(f"its tensors ask for {wanted:,} bytes, and the file has {file_size:,}")
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _rank(found: StateDict) -> tuple[bool, int]:
    averaged = re.search(r"(^|[._])(ema|swa|averaged?)($|[._])", found.place.lower()) is not None
    return averaged, FIRST.index(found.place) if found.place in FIRST else len(FIRST)


def _module_tensors(module: StandIn) -> dict[str, Tensor]:
    return dict(_walk(module, "", 0, [MOST_PLACES]))


def _walk(module: StandIn, prefix: str, depth: int, left: list[int]) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers of a pickled module by dotted name, as its `state_dict()` would have them."""
    left[0] -= 1
    if depth > MOST_MODULES or left[0] < 0:
        raise InputError("its modules contain each other, or there are too many")
    transient = module.state.get("_non_persistent_buffers_set")
    transient = transient if isinstance(transient, set) else set()
    for kind in ("_parameters", "_buffers"):
        for name, value in _named(module.state.get(kind)):
            if isinstance(value, Tensor) and name not in transient:
                yield f"{prefix}{name}", value
    for name, child in _named(module.state.get("_modules")):
        if isinstance(child, StandIn):
            yield from _walk(child, f"{prefix}{name}.", depth + 1, left)


def _named(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a dict whose keys are texts or numbers; others, such as classes, name no weights."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(key, str | int):
            if len(name := str(key)) > LONGEST_NAME:
                raise InputError("it holds something under a name that is too long for one")
            yield name, value

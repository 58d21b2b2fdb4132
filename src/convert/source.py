"""The file that is converted: tensors by name and what lies beside them, whichever kind of file it is."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.checkpoint import read_mindspore
from src.convert.layouts import layouts_of
from src.convert.safetensors_file import is_safetensors, read_safetensors
from src.convert.state_dicts import beside, choose, find_state_dicts, to_arrays
from src.convert.torch_file import read_torch
from src.errors import InputError, one_line
from src.files import read_text


class Source(NamedTuple):
    """Content of a foreign checkpoint."""

    tensors: dict[str, np.ndarray]  # by the names that they have there; float32 for numbers with a fraction
    rest: dict[str, Any]  # what lies beside them, such as `iteration` or `config`
    place: str = ""  # where in the file they were: `state_dict`, `model.generator`; empty at the top
    others: tuple[str, ...] = ()  # places of other networks in the file, which can be had by name


def read_source(path: Path, weights: str | None = None) -> Source:
    """Read a PyTorch, safetensors or MindSpore file. Its first bytes tell which it is, for names end in anything.

    Args:
        weights: where in a PyTorch file the weights lie, such as `ema`; None takes the first network found, averaged
            weights last.

    Raises:
        InputError: no such file, unreadable or damaged; a checkpoint of this project; no weights there; it asks for
            code to be run.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if is_safetensors(head):
        source = _from_safetensors(path)
    elif head[:2] == b"PK" or head[:1] == b"\x80" or path.suffix != ".ckpt":
        return _from_torch(path, weights)
    else:
        source = _from_mindspore(path)
    if weights:
        raise InputError(f"{path}: has one set of weights only; leave --weights out")
    return source


def read_source_config(path: str | Path) -> dict[str, Any]:
    """Read the JSON configuration of a foreign training; lines may end in `//` comments, as coqui's once did.

    Raises:
        InputError: the file cannot be read, or is not JSON.
    """
    text = re.sub(r"(^|[\s,{\[])//.*", r"\1", read_text(path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _from_torch(path: Path, weights: str | None) -> Source:
    content = read_torch(path)
    try:
        found = find_state_dicts(content)
        networks = [each for each in found if layouts_of(list(each.tensors))]
        chosen, others = choose(networks or found, weights, content)
        tensors = to_arrays(chosen.tensors, path.stat().st_size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Source(tensors, beside(content, chosen.place), chosen.place, tuple(others))


def _from_safetensors(path: Path) -> Source:
    tensors, metadata = read_safetensors(path)
    counters = {
        name: int(metadata[name])
        for name in ("iteration", "epoch")
        if re.fullmatch(r"[0-9]{1,15}", metadata.get(name, ""))
    }
    return Source(tensors, {**metadata, **counters})


def _from_mindspore(path: Path) -> Source:
    texts, arrays = read_mindspore(path)
    if "format" in texts:
        raise InputError(
            f"{path}: is a checkpoint of this project already; "
            "a DEST that ends in .pt or .safetensors writes it for PyTorch"
        )
    step = arrays.get("global_step", np.zeros(1))
    return Source(arrays, {"iteration": int(step.reshape(-1)[0])})

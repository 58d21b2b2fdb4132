"""Safetensors files: eight bytes with the length of a JSON header, the header, then the numbers of all tensors.

Format: https://huggingface.co/docs/safetensors, section "Format". Nothing in such a file can run.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.convert.tensors import numpy_type, to_float32
from src.errors import InputError, quote
from src.files import write_atomically

# Bytes; the header of a checkpoint with 1,000 tensors has 0.1 MB, and as Python objects it takes 30 times its size.
LONGEST_HEADER = 16 << 20
TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
NAMES = {dtype: name for name, dtype in TYPES.items()}


class Safetensors(NamedTuple):
    """Content of a file."""

    tensors: dict[str, np.ndarray]  # float32 for numbers with a fraction
    metadata: dict[str, str]


def is_safetensors(head: bytes) -> bool:
    """Return whether a file begins with `head` (at least nine bytes) as a safetensors file does."""
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER


def read_safetensors(path: str | Path) -> Safetensors:
    """Read a safetensors file.

    Raises:
        InputError: the file cannot be read, is cut off or damaged, or has tensors of a type that is not known.
    """
    path = Path(path)
    try:
        return parse_safetensors(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_safetensors(content: bytes) -> Safetensors:
    """Read the bytes of a safetensors file; errors as of `read_safetensors`, without a path."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(LONGEST_HEADER, len(content) - 8):
        raise InputError("cut off, damaged, or no safetensors file")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        data = memoryview(content)[8 + length :]
        tensors = {}
        end = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            tensors[name] = _tensor(name, entry, data, end)
            end = entry["data_offsets"][1]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("cut off, damaged, or no safetensors file") from error
    return Safetensors(
        {name: tensors[name] for name in header},
        {name: value for name, value in metadata.items() if isinstance(value, str)},
    )


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write `tensors` and `metadata` as a safetensors file that appears complete or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_atomically(path, format_safetensors(tensors, metadata))


def format_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a safetensors file with `tensors` and `metadata`."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    parts, end = [], 0
    # Widest numbers first, so that each tensor is aligned to its own type.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        parts.append(array.astype(array.dtype.newbyteorder("<"), order="C").tobytes())
        start, end = end, end + len(parts[-1])
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _tensor(name: str, entry: Any, data: memoryview, start: int) -> np.ndarray:
    """Return the tensor of a header's entry, which must begin at `start`: no byte belongs to two tensors."""
    if entry["dtype"] not in TYPES:
        raise InputError(f"{quote(name)} has numbers of type {quote(str(entry['dtype']))}; save it as F32, F16 or BF16")
    dtype, shape, (begin, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    kind = numpy_type(dtype)
    if not all(isinstance(each, int) and 0 <= each < 1 << 63 for each in (*shape, begin, end)):
        raise InputError(f"{quote(name)} has no size")
    if begin != start or end > len(data) or len(shape) > 32 or end - begin != math.prod(shape) * kind.itemsize:
        raise InputError(
            f"{quote(name)} of {shape} does not fit bytes {begin} to {end} of {len(data)}: cut off or damaged"
        )
    return to_float32(np.frombuffer(data[begin:end], kind).reshape(shape), dtype)

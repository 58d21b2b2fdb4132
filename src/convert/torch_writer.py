"""PyTorch files, written without PyTorch.

The file is what `torch.save` writes: a zip archive with a pickle of protocol 2 and a record for each tensor's numbers.
`torch.load` reads it with `weights_only=True` too.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.convert.tensors import STORAGE_TYPES
from src.convert.zip_archive import LOCAL
from src.files import write_atomically

ARCHIVE = "archive"  # the folder in the zip; PyTorch takes any name
ALIGNMENT = 64  # bytes; lets PyTorch map the numbers into memory
STORAGE_NAMES = {dtype: name for name, dtype in STORAGE_TYPES.items() if name != "UntypedStorage"}


def write_torch(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` as a PyTorch file that appears complete or not at all.

    Args:
        content: a dict of texts, numbers, None, arrays (which become tensors), and such dicts.

    Raises:
        InputError: the file cannot be written.
    """
    arrays: list[np.ndarray] = []
    pickled = b"\x80\x02" + b"".join(_pickle(content, arrays)) + b"."
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", pickled)
        _add(archive, "byteorder", b"little")
        for key, array in enumerate(arrays):
            _add(archive, f"data/{key}", array.astype(array.dtype.newbyteorder("<"), order="C").tobytes())
        _add(archive, "version", b"3\n")
    write_atomically(path, buffer.getvalue())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a record whose content starts at a multiple of `ALIGNMENT`; the padding lies in the extra field."""
    record = zipfile.ZipInfo(f"{ARCHIVE}/{name}")
    start = archive.fp.tell() + LOCAL.size + len(record.filename) + 4
    padding = -start % ALIGNMENT
    record.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    archive.writestr(record, content)


def _pickle(value: Any, arrays: list[np.ndarray]) -> Iterator[bytes]:
    """Yield the opcodes that put `value` on pickle's stack; arrays are put aside into `arrays`."""
    if isinstance(value, Mapping):
        yield b"}("
        for key, each in value.items():
            yield from _pickle(key, arrays)
            yield from _pickle(each, arrays)
        yield b"u"
    elif isinstance(value, np.ndarray):
        yield from _pickle_tensor(value, len(arrays), arrays)
        arrays.append(value)
    elif value is None or isinstance(value, bool):
        yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
    elif isinstance(value, int):
        yield _pickle_int(value)
    elif isinstance(value, float):
        yield b"G" + struct.pack(">d", value)
    elif isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        yield b"X" + struct.pack("<I", len(text)) + text
    else:
        raise TypeError(f"no place for a {type(value).__name__} in a PyTorch file")


def _pickle_int(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + struct.pack("<B", value)
    if 0 <= value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + struct.pack("<B", len(encoded)) + encoded


def _pickle_tensor(array: np.ndarray, key: int, arrays: list[np.ndarray]) -> Iterator[bytes]:
    """Yield `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`, with record `key` as storage."""
    strides = [int(np.prod(array.shape[i + 1 :], dtype=np.int64)) for i in range(array.ndim)]
    yield b"ctorch._utils\n_rebuild_tensor_v2\n(("
    yield from _pickle("storage", arrays)
    yield f"ctorch\n{STORAGE_NAMES[array.dtype.name]}\n".encode()
    for value in (str(key), "cpu", array.size):
        yield from _pickle(value, arrays)
    yield b"tQK\x00"
    yield _pickle_tuple(array.shape)
    yield _pickle_tuple(strides)
    yield b"\x89ccollections\nOrderedDict\n)RtR"


def _pickle_tuple(numbers: Any) -> bytes:
    items = b"".join(map(_pickle_int, numbers))
    short = {0: b")", 1: items + b"\x85", 2: items + b"\x86", 3: items + b"\x87"}
    return short.get(len(numbers), b"(" + items + b"t")

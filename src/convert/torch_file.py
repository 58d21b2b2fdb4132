"""PyTorch files, read without PyTorch and without running what is pickled in them.

Two formats exist. Since PyTorch 1.6 a file is a zip archive with one pickle and one record for each storage. The older
one is five pickles in a row, then the storages one after the other. Tensors stay views into the file until they are
wanted.
"""

import io
import mmap
import struct
from pathlib import Path
from typing import Any

from src.convert.tensors import Storage
from src.convert.unpickler import LONGEST, Unpickler
from src.convert.zip_archive import DAMAGED, read_records
from src.errors import InputError, quote

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001


def read_torch(path: str | Path) -> Any:
    """Read a PyTorch file, with `Tensor` for tensors and `StandIn` for objects of unknown classes.

    Reading ends within seconds and takes below 512 MB, whatever the file asks for; tensors come on top when they are
    turned into arrays.

    Raises:
        InputError: no such file, unreadable or damaged; it asks for code to be run (named) or for more than a
            checkpoint takes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return _read_zip(content) if content[:4] == b"PK\x03\x04" else _read_legacy(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # rubbish makes the unpickler and what follows raise whatever there is
        raise InputError(f"{path}: {DAMAGED}") from error


def _read_zip(content: memoryview) -> Any:
    records = read_records(content)
    pickles = [name for name in records if name.rsplit("/", 1)[-1] == "data.pkl"]
    if not pickles:
        raise InputError(DAMAGED)
    folder = min(pickles, key=len).removesuffix("data.pkl")
    if f"{folder}constants.pkl" in records:
        raise InputError("a TorchScript program, not weights; save its `state_dict()`")
    if bytes(_record(records, f"{folder}byteorder", b"little")) != b"little":
        raise InputError("written on a big-endian computer; save it again on another")

    def storage(dtype: str, key: str, numel: int, _: Any) -> Storage:
        made = Storage(dtype, numel)
        record = _record(records, f"{folder}data/{key}")
        if made.nbytes > len(record):
            raise InputError(f"it holds a storage of {numel} numbers in a record of {len(record)} bytes")
        made.content = record[: made.nbytes]
        return made

    return _unpickle(_record(records, f"{folder}data.pkl"), storage)[0]


def _record(records: dict[str, memoryview | None], name: str, default: bytes = b"") -> memoryview | bytes:
    record = records.get(name, default)
    if record is None:
        raise InputError(
            f"its record {quote(name)} is compressed or encrypted, as PyTorch never writes one; "
            "unpack the file and pack it again with zip -0 -r"
        )
    return record


def _read_legacy(content: memoryview) -> Any:
    if content[257:262] == b"ustar":
        raise InputError("written by PyTorch 0.1 or an archiver; load it with PyTorch and save it again")
    storages: dict[str, Storage] = {}
    views: list[tuple[Storage, Storage, int]] = []

    def storage(dtype: str, key: str, numel: int, view: Any) -> Storage:
        root = storages.setdefault(key, Storage(dtype, numel))
        if view is None:
            return root
        _, offset, size = view
        if not (isinstance(offset, int) and isinstance(size, int) and 0 <= offset <= offset + size <= root.numel):
            raise InputError("it holds a view that is larger than its storage")
        made = Storage(dtype, size)
        views.append((made, root, offset * made.nbytes // max(size, 1)))
        return made

    position = 0
    found = []
    for _ in range(5):
        value, length = _unpickle(content[position:], storage)
        found.append(value)
        position += length
        if len(found) == 1 and value != LEGACY_MAGIC:
            raise InputError(DAMAGED)
    _, version, system, saved, keys = found
    if version != LEGACY_VERSION or not isinstance(system, dict) or not system.get("little_endian", True):
        raise InputError("written in a format that PyTorch no longer reads, or on a big-endian computer")
    for key in keys:
        (numel,) = struct.unpack_from("<q", content, position)
        root = storages[str(key)]
        data = content[position + 8 : position + 8 + root.nbytes]
        if numel != root.numel or len(data) != root.nbytes:
            raise InputError(DAMAGED)
        root.content = data
        position += 8 + root.nbytes
    for made, root, start in views:
        made.content = root.content[start : start + made.nbytes]
    return saved


def _unpickle(content: memoryview | bytes, storage: Any) -> tuple[Any, int]:
    """Return the object of the pickle that `content` begins with, and the pickle's length in bytes."""
    stream = io.BytesIO(content[:LONGEST])
    try:
        return Unpickler(stream, storage).load(), stream.tell()
    except (EOFError, IndexError, struct.error) as error:
        if len(content) > LONGEST and stream.tell() >= LONGEST:
            raise InputError(
                f"its pickle is longer than {LONGEST >> 20} MB, and that of a checkpoint far shorter"
            ) from error
        raise

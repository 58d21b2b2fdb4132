"""The records of a zip archive as views into the file, without a copy and without decompression.

PyTorch compresses no weights, so compressed records are not read, and an archive cannot grow when it is. Format:
APPNOTE by PKWARE, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
"""

import struct

from src.errors import InputError, quote

MOST_RECORDS = 100_000  # a checkpoint has one for each tensor
LONGEST_COMMENT = (1 << 16) - 1
SATURATED = 0xFFFFFFFF  # in a 32-bit field: the value stands in the 64-bit extra field
DAMAGED = "cut off, damaged, or no PyTorch file"
ENTRY = struct.Struct("<4s4xHH8xIIHHH8xI")  # of the central directory
END = struct.Struct("<4s6xHII2x")
END_64 = struct.Struct("<4s28xQQQ")
LOCATOR_64 = struct.Struct("<4s4xQ4x")
LOCAL = struct.Struct("<4s22xHH")  # what stands before a record's name and data


def read_records(content: memoryview) -> dict[str, memoryview | None]:
    """Return the content of each record of the archive by its name; None for one that is compressed or encrypted.

    Raises:
        InputError: no archive, cut off, or more records than a checkpoint has.
    """
    try:
        n_records, position = _directory(content)
        if n_records > MOST_RECORDS:
            raise InputError(f"its archive has {n_records:,} records, more than the {MOST_RECORDS:,} of any checkpoint")
        records: dict[str, memoryview | None] = {}
        for _ in range(n_records):
            name, record, position = _entry(content, position)
            if name in records:
                raise InputError(f"its archive has two records called {quote(name)}")
            records[name] = record
    except struct.error as error:
        raise InputError(DAMAGED) from error
    return records


def _directory(content: memoryview) -> tuple[int, int]:
    """Return the number of records and the position of the central directory."""
    tail_start = max(0, len(content) - END.size - LONGEST_COMMENT)
    end = bytes(content[tail_start:]).rfind(b"PK\x05\x06")
    if end < 0:
        raise InputError(DAMAGED)
    end += tail_start
    _, n_records, _, start = END.unpack_from(content, end)
    if end >= LOCATOR_64.size:
        signature, end_64 = LOCATOR_64.unpack_from(content, end - LOCATOR_64.size)
        if signature == b"PK\x06\x07":
            signature, n_records, _, start = END_64.unpack_from(content, end_64)
            if signature != b"PK\x06\x06":
                raise InputError(DAMAGED)
    return n_records, start


def _entry(content: memoryview, position: int) -> tuple[str, memoryview | None, int]:
    """Return name and content of the record whose entry is at `position`, and the position of the next entry."""
    signature, flags, method, packed, size, n_name, n_extra, n_comment, start = ENTRY.unpack_from(content, position)
    if signature != b"PK\x01\x02":
        raise InputError(DAMAGED)
    position += ENTRY.size
    name = bytes(content[position : position + n_name]).decode("utf-8", "replace")
    extra = bytes(content[position + n_name : position + n_name + n_extra])
    if SATURATED in (size, packed, start):
        size, packed, start = _wide(extra, size, packed, start)
    position += n_name + n_extra + n_comment
    if method or flags & 1 or packed != size:
        return name, None, position
    signature, n_local_name, n_local_extra = LOCAL.unpack_from(content, start)
    start += LOCAL.size + n_local_name + n_local_extra
    if signature != b"PK\x03\x04" or start + size > len(content):
        raise InputError(DAMAGED)
    return name, content[start : start + size], position


def _wide(extra: bytes, *fields: int) -> list[int]:
    """Return `fields` with each saturated one replaced by the next number of the 64-bit extra field."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            return [next(numbers, SATURATED) if field == SATURATED else field for field in fields]
        position += 4 + length
    return list(fields)

"""The form of a list of recordings: its encoding, and its lines cut into fields (`|`, tabs, csv, JSON lines)."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from src.data.columns import roles_of_names
from src.data.labelled_lists import read_labelled
from src.errors import InputError

SEPARATORS = {"|": "|", "\t": "tab", ",": "comma", ";": "semicolon"}
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32LE",
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_TOLERATED = 3  # lines in another encoding that are single bad rows; more are a file in another encoding


class Table(NamedTuple):
    """A list of recordings as lines of fields.

    Attributes:
        form: what separates the fields, for people.
        names: names of the columns, from a header or from JSON's keys; None without.
        width: number of columns.
        records: line number and stripped fields of each line.
        unreadable: line number, beginning and complaint of each line that is no text or no JSON.
    """

    form: str
    names: list[str] | None
    width: int
    records: list[tuple[int, list[str]]]
    unreadable: list[tuple[int, str, str]]


def read_table(path: Path, content: bytes, has_header: bool = False) -> Table:
    """Cut the content of a list into lines and fields.

    Args:
        path: of the list, for messages.
        has_header: the first line names the columns; by default it does if the names are known ones.

    Raises:
        InputError: another encoding than UTF-8, nothing that separates fields, no lines.
    """
    lines, unreadable = _lines(path, content)
    if not lines and not unreadable:
        raise InputError(f"{path}: has no rows")
    if labelled := read_labelled(lines):
        return Table(
            labelled.form, labelled.names, len(labelled.names), labelled.records, unreadable + labelled.unreadable
        )
    first = lines[0][1].lstrip() if lines else ""
    if first.startswith("{"):
        return _json_table(lines, unreadable)
    if first.startswith("[{"):
        raise InputError(f"{path}: is one JSON list; write an object to each line (JSON lines)")
    separator = _separator([line for _, line in lines])
    if separator is None:
        raise InputError(
            f"{path}: no | or tab separates the fields of its lines, and it is no csv and no JSON lines; "
            "expected path|text or id|text|normalised text"
        )
    try:
        records = _split(lines, separator)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as csv ({error}); is a quote not closed?") from error
    names = None
    if records and (has_header or roles_of_names(records[0][1])):
        names, records = records[0][1], records[1:]
    width = len(names) if names else Counter(len(fields) for _, fields in records).most_common(1)[0][0]
    return Table(f"separated by {SEPARATORS[separator]}", names, width, records, unreadable)


def _lines(path: Path, content: bytes) -> tuple[list[tuple[int, str]], list[tuple[int, str, str]]]:
    """Decode the lines that are not blank. Returns them and those that are not UTF-8, both with their numbers."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        halves = [content[start::2].count(0) for start in (0, 1)]
        encoding = None if max(halves) < len(content) / 8 else ("UTF-16BE" if halves[0] > halves[1] else "UTF-16LE")
        if encoding is None:
            line = content.count(b"\n", 0, content.index(b"\0")) + 1
            raise InputError(f"{path}: line {line} has a NUL byte; the list is damaged, or no text file")
    if encoding:
        raise InputError(f"{path}: looks like {encoding}, not UTF-8; {_conversion(path, encoding)}")
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines, unreadable, n_beyond_ascii, wrong = [], [], 0, b""
    for number, raw in enumerate(content.split(b"\n"), start=1):
        n_beyond_ascii += not raw.isascii()
        try:
            if raw.strip():
                lines.append((number, raw.decode("utf-8")))
        except UnicodeDecodeError:
            beginning = re.split(rb"[|\t,]", raw)[0].decode("ascii", "replace")
            unreadable.append((number, beginning, f"is not UTF-8 text, it looks like {looks_like(raw)}"))
            wrong += raw + b"\n"
    if len(unreadable) > _TOLERATED and 2 * len(unreadable) >= n_beyond_ascii:
        encoding = looks_like(wrong)
        raise InputError(
            f"{path}: line {unreadable[0][0]} and {len(unreadable) - 1} more are not UTF-8, "
            f"they look like {encoding}; {_conversion(path, encoding.split()[0])}"
        )
    return lines, unreadable


def looks_like(raw: bytes) -> str:
    """Guess the encoding of bytes that are not UTF-8.

    Letters of Western European languages stand alone among ASCII; those of other scripts make up whole words. Cyrillic
    letters are bytes from 0xC0 on; characters of East Asia are pairs of bytes.
    """
    runs = re.findall(rb"[\x80-\xff]+", raw)
    high = b"".join(runs)
    if len(high) < 2 * len(runs):
        return "WINDOWS-1252 (Latin-1)"
    if sum(byte >= 0xC0 for byte in high) >= 0.95 * len(high):
        return "WINDOWS-1251 (Cyrillic)"
    for encoding, name in (("shift_jis", "SHIFT_JIS"), ("euc_kr", "EUC-KR"), ("gb18030", "GB18030")):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "shift_jis" or sum("\u3040" <= letter <= "\u30ff" for letter in text) > len(text) / 10:
            return name
    return "WINDOWS-1252 (Latin-1)"


def _conversion(path: Path, encoding: str) -> str:
    return f"convert it: iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}"


def _json_table(lines: list[tuple[int, str]], unreadable: list[tuple[int, str, str]]) -> Table:
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in lines:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            objects.append((number, content))
        else:
            unreadable.append((number, line[:20], "is no JSON object"))
    names = list(dict.fromkeys(key for _, content in objects for key in content))

    def field(value: Any) -> str:
        return "" if value is None or isinstance(value, dict | list) else str(value).strip()

    records = [(number, [field(content.get(name)) for name in names]) for number, content in objects]
    return Table("JSON lines", names, len(names), records, unreadable)


def _separator(lines: list[str]) -> str | None:
    """Return what separates the fields: by a header of known names, or by most of the lines."""
    for separator in SEPARATORS:
        if lines and roles_of_names([name.strip() for name in _cells(lines[0], separator)]):
            return separator
    shares = {separator: sum(separator in line for line in lines) for separator in "|\t"}
    best = max(shares, key=shares.get)
    if 2 * shares[best] > len(lines):
        return best
    widths = Counter(len(_cells(line, ",")) for line in lines)  # csv without a header: quotes hold commas together
    width, n_lines = widths.most_common(1)[0] if widths else (1, 0)
    return "," if width > 1 and n_lines >= 0.9 * len(lines) else None


def _cells(line: str, separator: str) -> list[str]:
    if separator in "|\t":  # quotes are text there, as in LJSpeech
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def _split(lines: list[tuple[int, str]], separator: str) -> list[tuple[int, list[str]]]:
    if separator in "|\t":
        return [(number, [field.strip() for field in line.split(separator)]) for number, line in lines]
    # A quoted field may go on in the next line, so all lines are read as one.
    text = "\n".join(line for _, line in lines)
    try:
        for _ in csv.reader(io.StringIO(text), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):  # other oddities of quotes are read as they are
            raise
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    records, begin = [], 0
    for fields in reader:
        records.append((lines[min(begin, len(lines) - 1)][0], [" ".join(field.split()) for field in fields]))
        begin = reader.line_num
    return records

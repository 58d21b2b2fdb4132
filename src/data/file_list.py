"""Lists of recordings: reading rows, checking their form, splitting them into training and validation."""

import hashlib
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.config import Config
from src.errors import InputError
from src.files import read_text


class Row(NamedTuple):
    """A line of the list. The path `wav` is relative to the folder of its `Source`; `speaker` is empty without one."""

    line: int
    id: str
    wav: str
    text: str
    speaker: str = ""


class BadRow(NamedTuple):
    """A row that cannot be used, with the reason."""

    line: int
    id: str
    reason: str


class BadRowsError(InputError):
    """Rows of the list that cannot be used. `lines` describes one each."""

    def __init__(self, source: "Source", bad: list[BadRow]):
        self.lines = [f"{source.list_file}:{row.line}: {row.id}: {row.reason}" for row in bad]
        super().__init__(
            f"{source.list_file}: {len(bad)} bad rows; correct them, or leave them out with --skip_bad; "
            "nothing was written"
        )


@dataclass
class Source:
    """A list of recordings as read: well-formed rows, malformed rows, and the SHA-256 of the list's content."""

    list_file: Path
    folder: Path
    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    sha256: str = ""


def read_source(data_path: Path | None, file_list: Path | None) -> Source:
    """Read `metadata.csv` (id|text|normalised text, recordings in `wavs/`) of `data_path`, or a file list (path|text).

    Raises:
        InputError: missing folder or list, or a list without rows. Malformed rows do not raise; `Source.bad` holds
            them.
    """
    if data_path is None and file_list is None:
        raise InputError("nothing to read: give --data_path or --file_list")
    if data_path is not None and not data_path.is_dir():
        raise InputError(
            f"{data_path}: no such dataset folder; --data_path is the folder that holds metadata.csv and wavs/"
        )
    source = Source(file_list or data_path / "metadata.csv", data_path or file_list.parent)
    if file_list is None and not (source.folder / "wavs").is_dir():
        raise InputError(
            f"{source.folder}: has no folder wavs/; expected the layout of LJSpeech, or a list by --file_list"
        )
    try:
        content = source.list_file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{source.list_file}: cannot be read ({error.strerror}); expected the layout of LJSpeech, or a --file_list"
        ) from error
    source.sha256 = hashlib.sha256(content).hexdigest()
    first_line: dict[str, int] = {}
    for line, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        parsed = _parse_line(line, raw, source.folder if file_list is None else None)
        if isinstance(parsed, Row) and parsed.id in first_line:
            parsed = BadRow(line, parsed.id, f"duplicate id, first on line {first_line[parsed.id]}")
        if isinstance(parsed, Row):
            first_line[parsed.id] = line
            source.rows.append(parsed)
        else:
            source.bad.append(parsed)
    if not source.rows and not source.bad:
        raise InputError(f"{source.list_file}: has no rows")
    return source


def _parse_line(line: int, raw: bytes, ljspeech: Path | None) -> Row | BadRow:
    try:
        fields = [part.strip() for part in raw.decode("utf-8").split("|")]
    except UnicodeDecodeError:
        return BadRow(line, raw.split(b"|")[0].decode("ascii", "replace"), "is not UTF-8 text")
    expected = "path|text" if ljspeech is None else "id|text|normalised text"
    if len(fields) != expected.count("|") + 1:
        return BadRow(line, fields[0], f"has {len(fields)} fields, expected {expected.count('|') + 1} ({expected})")
    if not fields[0]:
        return BadRow(line, "", f"the first field is empty, expected {expected}")
    if ljspeech is None:
        return Row(line, os.path.splitext(fields[0])[0], fields[0], fields[1])
    flac = f"wavs/{fields[0]}.flac"
    wav = flac if (ljspeech / flac).exists() else f"wavs/{fields[0]}.wav"
    return Row(line, fields[0], wav, fields[2])


def read_ids(path: Path, known: Collection[str]) -> set[str]:
    """Read one id per line; one line on stderr counts those that are not among the `known` ids of the rows.

    Raises:
        InputError: unreadable or empty file.
    """
    ids = {line.strip() for line in read_text(path).split("\n")} - {""}
    if not ids:
        raise InputError(f"{path}: has no ids")
    unknown = ids.difference(known)
    if 0 < len(unknown) < len(ids):  # a list of nothing else is refused by `split_ids`
        print(f"{path}: {len(unknown)} of {len(ids)} ids are of no row, such as {min(unknown)}", file=sys.stderr)
    return ids


def split_ids(
    ids: list[str], config: Config, val_ids: set[str] | None, train_ids: set[str] | None
) -> dict[str, set[str]]:
    """Divide `ids` into "train" and "val", by lists of ids or by `data.val_fraction`. Ids in neither list are left out.

    The fraction takes the ids whose hash with `train.seed` is smallest, so that the choice does not depend on the order
    of the rows.

    Raises:
        InputError: contradicting lists, a list that names none of the ids, nothing to train on.
    """
    fraction, everything = config.data.val_fraction, set(ids)
    if val_ids is not None:
        train_ids = everything - val_ids if train_ids is None else train_ids
        if both := val_ids & train_ids:
            raise InputError(f"{len(both)} ids are in --val_ids and in --train_ids, such as {min(both)}")
    elif train_ids is not None:
        raise InputError("--train_ids needs --val_ids too")
    elif not 0 <= fraction < 1:
        raise InputError(f"data.val_fraction is {fraction}; it must be at least 0 and less than 1")
    else:
        ranked = sorted(everything, key=lambda id: hashlib.sha256(f"{config.train.seed}:{id}".encode()).digest())
        n_val = min(max(1, round(fraction * len(ranked))), max(len(ranked) - 1, 0)) if fraction else 0
        val_ids, train_ids = set(ranked[:n_val]), set(ranked[n_val:])
    splits = {"train": everything & train_ids, "val": everything & val_ids}
    for split, wanted in (("train", True), ("val", bool(val_ids))):
        if wanted and not splits[split]:
            raise InputError(
                f"none of the {len(ids)} usable rows is in the {split} split; check the recordings and the id lists"
            )
    return splits

"""Lists of recordings: reading rows, checking their form, splitting them into training and validation."""

import hashlib
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from src.config import Config
from src.data.columns import Columns, columns_of, given_columns, recognise, roles_of_names
from src.data.labelled_lists import find_labelled_list, folder_of_list
from src.data.list_format import Table, read_table
from src.data.recordings import Recordings, without_suffix
from src.errors import InputError, quote, some_of
from src.files import read_bytes, read_text

LISTS = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "metadata.txt")  # of a folder, the first that is there


class Row(NamedTuple):
    """A line of the list. The path `wav` is relative to the folder of its `Source`; `speaker` is empty without one.

    `list` is the file that it stands in, if that is not the main list. `pinyin` are the syllables that a list of
    Mandarin carries beside the text.
    """

    line: int
    id: str
    wav: str
    text: str
    speaker: str = ""
    list: str = ""
    pinyin: str = ""


class BadRow(NamedTuple):
    """A row that cannot be used, with the reason. `list` is the file that it stands in, if not the main list."""

    line: int
    id: str
    reason: str
    list: str = ""


class BadRowsError(InputError):
    """Rows of the list that cannot be used. `lines` describes one each."""

    def __init__(self, source: "Source", bad: list[BadRow]):
        self.lines = [f"{row.list or source.list_file}:{row.line}: {row.id}: {row.reason}" for row in bad]
        super().__init__(
            f"{source.list_file}: {len(bad)} bad rows; correct them, or leave them out with --skip_bad; "
            "nothing was written"
        )


@dataclass
class Source:
    """A list of recordings as read: well-formed rows, malformed rows, and the SHA-256 of the list's content.

    `roles` are those of its columns (see `src.data.columns`), and `description` says in lines for the screen what they
    were taken for.
    """

    list_file: Path
    folder: Path
    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    sha256: str = ""
    roles: list[str] = field(default_factory=list)
    description: list[str] = field(default_factory=list)


def read_source(data_path: Path | None, file_list: Path | None, columns: str | None = None) -> Source:
    """Read the list of recordings in `data_path` (metadata.csv), or a file list whose paths start from `data_path`.

    `src.data.list_format` cuts it into fields, `src.data.columns` tells the columns, and `src.data.recordings` finds
    the files, by id in `wavs/` or by path.

    Args:
        columns: their roles in order, or `role=name`, as of --columns; by default they are recognised.

    Raises:
        InputError: missing folder or list, a list without rows or in another encoding, columns that cannot be used.
            Malformed rows do not raise; `Source.bad` holds them.
    """
    source = Source(*_places(data_path, file_list))
    try:
        content = read_bytes(source.list_file)
    except InputError as error:
        raise InputError(f"{error}; expected the layout of LJSpeech, or a --file_list") from error
    source.sha256 = hashlib.sha256(content).hexdigest()
    table = read_table(source.list_file, content, has_header="=" in (columns or ""))
    if not table.records and not table.unreadable:
        raise InputError(f"{source.list_file}: has no rows below its header")
    recordings = Recordings(source.folder, by_id=file_list is None and source.list_file.name in LISTS)
    places = _columns(source.list_file, table, recordings, columns)
    source.roles = places.roles
    source.bad = [BadRow(*each) for each in table.unreadable]
    named = places.id if places.path is None else places.path
    recordings.settle([fields[named] for _, fields in table.records if len(fields) == table.width])
    first_line: dict[str, int] = {}
    for line, fields in table.records:
        parsed = _parse(line, fields, places, recordings)
        if isinstance(parsed, Row) and parsed.id in first_line:
            parsed = BadRow(line, parsed.id, f"duplicate id, first on line {first_line[parsed.id]}")
        if isinstance(parsed, Row):
            first_line[parsed.id] = line
            source.rows.append(parsed)
        else:
            source.bad.append(parsed)
    source.description = _describe(source, table, places, recordings)
    return source


def rows_again(stats: dict[str, Any]) -> list[Row]:
    """Read the rows that a dataset was made of once more, as its `stats.json` describes them.

    Raises:
        InputError: the list is gone or cannot be read any more.
    """
    folder, list_file = Path(stats["data_path"]), Path(stats["list_file"])
    given = stats.get("columns_flag") or ",".join(stats.get("columns", [])) or None
    by_id = list_file.parent == folder and list_file.name in LISTS
    rows = read_source(folder, None if by_id else list_file, given).rows
    if other := stats.get("val_list_file"):
        rows = rows + read_source(folder, Path(other), given).rows
    return rows


def with_validation_list(source: Source, other: Source) -> tuple[Source, set[str]]:
    """Add the rows of a list of validation clips, as of NVIDIA. Returns all rows, and the ids of `other`.

    A clip that is in both lists is a bad row of the second.
    """
    known, name = {row.id for row in source.rows}, str(other.list_file)
    rows = [row._replace(list=name) for row in other.rows if row.id not in known]
    bad = [row._replace(list=name) for row in other.bad]
    bad += [BadRow(row.line, row.id, f"is in {source.list_file} too", name) for row in other.rows if row.id in known]
    both = Source(source.list_file, source.folder, source.rows + rows, source.bad + bad, source.sha256, source.roles)
    both.description = source.description + other.description
    both.sha256 = hashlib.sha256(f"{source.sha256} {other.sha256}".encode()).hexdigest()
    return both, {row.id for row in rows}


def _places(data_path: Path | None, file_list: Path | None) -> tuple[Path, Path]:
    """Return the list and the folder that its paths start from."""
    if data_path is None and file_list is None:
        raise InputError("nothing to read: give --data_path or --file_list")
    if data_path is not None and not data_path.is_dir():
        raise InputError(
            f"{data_path}: no such dataset folder; --data_path is the folder that holds metadata.csv and wavs/"
        )
    if file_list is not None:
        return file_list, data_path or folder_of_list(file_list)
    lists = [data_path / name for name in LISTS if (data_path / name).exists()]
    if not lists and (labelled := find_labelled_list(data_path)):
        return labelled
    if not lists and not (data_path / "wavs").is_dir():
        raise InputError(f"{data_path}: has no folder wavs/; expected the layout of LJSpeech, or a list by --file_list")
    return (lists or [data_path / LISTS[0]])[0], data_path


def _columns(list_file: Path, table: Table, recordings: Recordings, given: str | None) -> Columns:
    rows = [fields for _, fields in table.records if len(fields) == table.width]
    where = str(list_file)
    if given:
        roles, where = given_columns(given, table.names, table.width), "--columns"
    elif table.names:
        roles = roles_of_names(table.names) or ["-"] * table.width
        if set(roles) == {"-"}:
            names = ", ".join(table.names)
            raise InputError(
                f"{list_file}: none of its columns ({names}) is known as recording and text; "
                "say by --columns which they are, such as path=NAME,text=NAME"
            )
    elif not rows:
        roles = ["id", "text"]
    else:
        roles = recognise(rows, lambda name: recordings.find(name) is not None)
    return columns_of(roles, where)


def _parse(line: int, fields: list[str], columns: Columns, recordings: Recordings) -> Row | BadRow:
    width = len(columns.roles)
    if len(fields) != width:
        return BadRow(line, fields[0], f"has {len(fields)} fields, expected {width} ({columns.expected})")
    name = fields[columns.id if columns.path is None else columns.path]
    if not name:
        return BadRow(line, "", f"the field of its recording is empty, expected {columns.expected}")
    id = without_suffix(name if columns.id is None else fields[columns.id])
    speaker = "" if columns.speaker is None else fields[columns.speaker]
    if columns.speaker is not None and not speaker:
        return BadRow(line, id, "has no speaker")
    wav = recordings.find(name) or recordings.expected(name)
    return Row(
        line, id, wav, fields[columns.text], speaker, pinyin="" if columns.pinyin is None else fields[columns.pinyin]
    )


def _describe(source: Source, table: Table, columns: Columns, recordings: Recordings) -> list[str]:
    """Say what the columns were taken for, with the first two rows as examples."""
    read = "normalised" if "normalised" in columns.roles else "text"
    read += " with the readings of pinyin" if columns.pinyin is not None else ""
    note = f"; recordings {recordings.note}" if recordings.note else ""
    lines = [
        f"{source.list_file}: {len(source.rows)} rows, {table.form}, columns {columns.expected}, "
        f"of which {read} is read aloud (--columns says otherwise){note}"
    ]
    if columns.speaker is not None:
        names = sorted({row.speaker for row in source.rows}, key=speaker_order)
        count = "1 speaker" if len(names) == 1 else f"{len(names)} speakers"
        lines.append(f"  {count}, never read aloud: {some_of(names, 5)}")
    for row in source.rows[:2]:
        speaker = f", speaker {row.speaker}" if row.speaker else ""
        lines.append(f"  {row.wav}{speaker}: {quote(row.text)}")
    return lines


def speaker_order(name: str) -> tuple[bool, int, str]:
    """Order names of speakers: numbers by value, before all other names."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def read_ids(path: Path, known: Collection[str]) -> set[str]:
    """Read one id per line; one line on stderr counts those that are not among the `known` ids of the rows.

    Raises:
        InputError: unreadable or empty file.
    """
    ids = {without_suffix(line.strip()) for line in read_text(path).split("\n")} - {""}
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

"""The readings that a list carries beside its texts, compared with those of the cleaner. The list's are used."""

import csv
from collections.abc import Sequence
from pathlib import Path

from src.data.file_list import Row
from src.text.aligned import Aligned

NAME = "readings.csv"
_COLUMNS = ("line", "id", "written", "list", "cleaner", "text")


def describe(aligned: Sequence[tuple[Row, Aligned]], table: Path) -> list[str]:
    """Say in one line how far list and cleaner agree; nothing without readings.

    Args:
        table: the file that names each difference.
    """
    if not aligned:
        return []
    n_readings = sum(each.n_readings for _, each in aligned)
    n_differences = sum(len(each.differences) for _, each in aligned)
    n_texts = sum(bool(each.differences) for _, each in aligned)
    n_problems = sum(bool(each.problem) for _, each in aligned)
    line = (
        f"pinyin of the list, which is read: the cleaner differs in {n_differences} of {n_readings} syllables, "
        f"in {n_texts} of {len(aligned)} texts"
    )
    line += f"; {n_problems} do not fit their characters and are read without inner punctuation" if n_problems else ""
    return [f"{line}; see {table}"]


def write_csv(path: Path, aligned: Sequence[tuple[Row, Aligned]]) -> None:
    """Write a line for each difference, and for each text that its readings do not fit."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for row, each in aligned:
            writer.writerows([row.line, row.id, *difference, row.text] for difference in each.differences)
            if each.problem:
                writer.writerow([row.line, row.id, "", each.problem, "", row.text])

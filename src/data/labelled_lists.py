"""Lists of Mandarin corpora as they are downloaded: BZNSYP (CSMSC) and AISHELL-3, which carry pinyin beside the text.

BZNSYP has two lines for each recording, its text with prosody marks and its pinyin:

    000001<tab>卡尔普#2陪外孙#1玩滑梯#4。
    <tab>ka2 er2 pu3 pei2 wai4 sun1 wan2 hua2 ti1

AISHELL-3 has one, in which characters and pinyin take turns; the speaker is the beginning of the name:

    SSB00050001.wav<tab>广 guang3 州 zhou1 女 nv3 大 da4 学 xue2 生 sheng1
"""

import re
from pathlib import Path
from typing import NamedTuple

from src.text.mandarin import characters, syllables
from src.text.symbols import ARPABET

_LABEL = re.compile(r"(?P<id>[^\s|,;]+)\s+(?P<text>\S.*)")
_READING = re.compile(r"[A-Za-zü:]{1,8}[0-5]|[A-Z]{1,2}")  # hao3, and ARPAbet without a stress
_SPEAKER = re.compile(r"SSB\d{4}")
_ENOUGH = 0.8  # share of the lines looked at that must have the form
_SAMPLE = 200


class Labelled(NamedTuple):
    """A list of this kind: its form, names of the columns, records and unreadable lines as of `list_format.Table`."""

    form: str
    names: list[str]
    records: list[tuple[int, list[str]]]
    unreadable: list[tuple[int, str, str]]


def find_labelled_list(folder: Path) -> tuple[Path, Path] | None:
    """Return the list of a corpus in this folder and the folder that its paths start from; None if it is neither."""
    for labels in sorted((folder / "ProsodyLabeling").glob("*.txt")):
        return labels, folder
    for root in (folder, folder / "train"):
        if (root / "content.txt").is_file():
            return root / "content.txt", root
    return None


def folder_of_list(file_list: Path) -> Path:
    """Return the folder that the paths of a list start from; for BZNSYP it holds ProsodyLabeling/ and Wave/."""
    return file_list.parent.parent if file_list.parent.name == "ProsodyLabeling" else file_list.parent


def read_labelled(lines: list[tuple[int, str]]) -> Labelled | None:
    """Cut a list into records; None if it has neither form.

    Args:
        lines: those that are not blank, with their numbers.
    """
    if _are_pairs(lines):
        return _read_pairs(lines)
    if _take_turns(lines):
        return _read_turns(lines)
    return None


def _are_pairs(lines: list[tuple[int, str]]) -> bool:
    sample = [line for _, line in lines[:_SAMPLE]]
    labels = sum(not line[0].isspace() and _LABEL.fullmatch(line.strip()) is not None for line in sample)
    readings = sum(line[0].isspace() and _are_readings(line.split()) for line in sample)
    return len(sample) > 1 and readings > 0 and labels + readings >= _ENOUGH * len(sample) and 2 * readings >= labels


def _read_pairs(lines: list[tuple[int, str]]) -> Labelled:
    records: list[tuple[int, list[str]]] = []
    unreadable: list[tuple[int, str, str]] = []
    waiting: tuple[int, str, str] | None = None
    for number, line in lines:
        label = None if line[0].isspace() else _LABEL.fullmatch(line.strip())
        if label or not line[0].isspace():
            if waiting:
                unreadable.append((waiting[0], waiting[1], "has no line of pinyin below it"))
            waiting = (number, label["id"], label["text"]) if label else None
            if not label:
                unreadable.append((number, line.strip()[:20], "has no text, expected id<tab>text"))
        elif waiting is None:
            unreadable.append((number, line.strip()[:20], "is a line of pinyin without a text above it"))
        else:
            records.append((waiting[0], [waiting[1], f"Wave/{waiting[1]}.wav", waiting[2], line.strip()]))
            waiting = None
    if waiting:
        unreadable.append((waiting[0], waiting[1], "has no line of pinyin below it"))
    names = ["id", "path", "text", "pinyin"]
    return Labelled("two lines for each recording as of BZNSYP", names, records, unreadable)


def _take_turns(lines: list[tuple[int, str]]) -> bool:
    sample = [line for _, line in lines[:_SAMPLE]]
    fitting = 0
    for line in sample:
        name, _, content = line.strip().partition("\t")
        parts = content.split()
        in_turn = bool(name) and _are_readings(parts[1::2])
        fitting += in_turn and is_han(content)
    return bool(sample) and fitting >= _ENOUGH * len(sample)


def _read_turns(lines: list[tuple[int, str]]) -> Labelled:
    records, unreadable = [], []
    for number, line in lines:
        name, _, content = line.strip().partition("\t")
        id = name.removesuffix(".wav")
        parts = content.split()
        written, readings = parts[::2], parts[1::2]
        if len(written) != len(readings) or not _are_readings(readings):
            unreadable.append((number, id, "characters and pinyin do not take turns in it"))
            continue
        speaker = _SPEAKER.match(id)
        path = f"wav/{speaker[0]}/{id}.wav" if speaker else f"wav/{id}.wav"
        records.append((number, [id, path, "".join(written), " ".join(readings), speaker[0] if speaker else id[:7]]))
    names = ["id", "path", "text", "pinyin", "speaker"]
    return Labelled("characters and pinyin in turn as of AISHELL-3", names, records, unreadable)


def _are_readings(parts: list[str]) -> bool:
    """Return whether these have the form of readings; a wrong one among them is found later, and is a bad row."""
    return bool(parts) and all(map(_READING.fullmatch, parts))


def is_pinyin(text: str) -> bool:
    """Return whether a field holds nothing but syllables of pinyin with tone digits, and ARPAbet among them."""
    parts = text.split()
    return any(map(_is_syllable, parts)) and all(_is_syllable(part) or part in ARPABET for part in parts)


def is_han(text: str) -> bool:
    """Return whether a field has Chinese characters."""
    return any(map(characters.is_han, text))


def _is_syllable(text: str) -> bool:
    return text[-1].isdigit() and syllables.is_syllable(text.replace("u:", "v").replace("ü", "v").replace("0", "5"))

"""The columns of a list of recordings: which names the recording, which is the text, which the speaker."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from src.data.labelled_lists import is_han, is_pinyin
from src.data.recordings import SUFFIXES
from src.errors import InputError, quote

ROLES = ("id", "path", "text", "normalised", "pinyin", "speaker", "-")  # "-": not used
_NAMES = {  # of columns with a header and of JSON's keys; those before take precedence
    "path": "path audio_filepath audio_path audio_file audio_filename file_name filename file filepath file_path "
    "wav_path wav_file wav_filename wavfile wav audio clip clip_path",
    "id": "id utt_id utterance_id uttid utt clip_id key",
    "normalised": "normalised normalized normalised_text normalized_text text_normalised text_normalized "
    "transcription_normalised transcription_normalized normalised_transcription normalized_transcription "
    "clean_text spoken spoken_text",
    "pinyin": "pinyin syllables",
    "text": "text transcription transcript sentence raw_text original_text utterance",
    "speaker": "speaker speaker_name speaker_id spk spk_id spkid sid client_id narrator",
}
_IDENTIFIER = re.compile(r"[^\s.,;:!?|，。！？、；：]+([.\-][^\s.,;:!?|，。！？、；：]+)*")
_SAMPLE = 1000  # rows that are looked at


class Columns(NamedTuple):
    """The column of each role, None where there is none; `id` or `path` is set, and `text`, the one read aloud.

    `pinyin` holds the syllables of a Mandarin text, which are read in place of its characters.
    """

    roles: list[str]
    id: int | None
    path: int | None
    text: int
    speaker: int | None
    pinyin: int | None = None

    @property
    def expected(self) -> str:
        """The form of a line, for messages."""
        return "|".join(self.roles)


def columns_of(roles: Sequence[str], where: str) -> Columns:
    """Return the columns that roles describe, one each.

    Raises:
        InputError: an unknown or repeated role, no recording or no text.
    """
    roles = list(roles)
    for role in roles:
        if role not in ROLES:
            raise InputError(f"{where}: {quote(role)} is no column; choose among {', '.join(ROLES)}")
        if role != "-" and roles.count(role) > 1:
            raise InputError(f"{where}: column {role} is given {roles.count(role)} times")
    place = {role: index for index, role in enumerate(roles)}
    text = place.get("normalised", place.get("text"))
    if text is None or not ("id" in place or "path" in place):
        missing = "text" if text is None else "id or path"
        raise InputError(
            f"{where}: no column {missing} in {'|'.join(roles)}; say by --columns which is which, such as path,text"
        )
    return Columns(roles, place.get("id"), place.get("path"), text, place.get("speaker"), place.get("pinyin"))


def given_columns(given: str, names: list[str] | None, width: int) -> list[str]:
    """Read the value of --columns: a role for each column, or `role=name` of a header or of JSON's keys.

    Raises:
        InputError: another number of columns, or a name that the list does not have.
    """
    parts = [part.strip() for part in given.split(",")]
    if not any("=" in part for part in parts):
        if len(parts) != width:
            raise InputError(f"--columns names {len(parts)} columns ({given}), but the list has {width}; - skips one")
        return parts
    roles = ["-"] * width
    for part in parts:
        role, _, name = part.partition("=")
        if not names or name not in names:
            has = f"it has {', '.join(names)}" if names else "it has no header"
            raise InputError(f"--columns {part}: the list has no column {quote(name)}, {has}")
        roles[names.index(name)] = role
    return roles


def roles_of_names(names: Sequence[str]) -> list[str] | None:
    """Return the roles of named columns; None if no recording or no text is among the names."""
    plain = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names]
    roles = ["-"] * len(plain)
    for role, known in _NAMES.items():
        found = next((name for name in known.split() if name in plain), None)
        if found:
            roles[plain.index(found)] = role
    return roles if {"id", "path"} & set(roles) and {"text", "normalised"} & set(roles) else None


def recognise(rows: Sequence[list[str]], is_recording: Callable[[str], bool]) -> list[str]:
    """Tell the roles of columns without names by what stands in them.

    The recording is the column whose values are files, or else the first. A column of short names that recur, or of
    names without spaces beside sentences, is the speaker. What is left is the text; of two texts the second is the
    normalised one, as in LJSpeech. A column of syllables with tone digits is the pinyin of the text.

    Args:
        rows: fields of lines that have the same number of them.
        is_recording: whether a value names a recording that is there.
    """
    rows = rows[:: -(-len(rows) // _SAMPLE)] if rows else []
    columns = list(zip(*rows, strict=True))
    found = [sum(map(is_recording, column)) for column in columns]
    likely = [sum(_has_suffix(value) for value in column) for column in columns]
    file = max(range(len(columns)), key=lambda i: (found[i], likely[i], -i))
    with_suffix = 2 * likely[file] > len(rows) or any("/" in value for value in columns[file])
    roles = ["-"] * len(columns)
    roles[file] = "path" if with_suffix else "id"
    rest = [
        i
        for i, column in enumerate(columns)
        if i != file and not _mostly(column, lambda value: _has_suffix(value) or _is_decimal(value))
    ]
    pinyin = [i for i in rest if _mostly(columns[i], is_pinyin)]
    if len(pinyin) == 1 and any(_mostly(columns[i], is_han) for i in rest):
        roles[pinyin[0]] = "pinyin"
        rest.remove(pinyin[0])
    names = [i for i in rest if _are_names(columns[i])]
    texts = [i for i in rest if i not in names]
    if not texts and names:  # a corpus of single words: the column with the most different ones is the text
        texts = [max(names, key=lambda i: (len(set(columns[i])), i))]
        names.remove(texts[0])
    for i in [i for i in names if any(_say_the_same(columns[i], columns[text]) for text in texts)]:
        names.remove(i)
        texts = sorted([*texts, i])
    spoken = any(2 * sum(" " in value for value in columns[i]) >= len(rows) for i in texts)
    speakers = [i for i in names if _recur(columns[i]) or spoken]
    if speakers:
        # A language or a corpus is one name in all rows; speakers are several if there is a choice.
        roles[max(speakers, key=lambda i: (len(set(columns[i])) > 1, -i))] = "speaker"
    for i, role in zip(texts[-2:], ("text", "normalised"), strict=False):
        roles[i] = role
    return roles


def _mostly(column: Sequence[str], holds: Callable[[str], bool]) -> bool:
    return sum(map(holds, column)) >= 0.9 * len(column)


def _has_suffix(value: str) -> bool:
    return Path(value).suffix.lower() in (*SUFFIXES, ".pt", ".npy", ".npz") and not re.search(r"\s\S*\s", value)


def _is_decimal(value: str) -> bool:
    return re.fullmatch(r"\d+\.\d+", value) is not None  # a duration


def _are_names(column: Sequence[str]) -> bool:
    """Return whether these are names or numbers of speakers: short, without spaces, hardly any of them missing."""
    return _mostly(column, lambda value: len(value) <= 32 and _IDENTIFIER.fullmatch(value) is not None)


def _recur(column: Sequence[str]) -> bool:
    return len(set(column)) <= len(column) // 2 or all(value.isdecimal() for value in column)


def _say_the_same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether two columns are one text in two spellings.

    In most rows they differ in case and punctuation only, or a text that recurs has the same other spelling each time,
    as 3 has "three".
    """
    pairs = len(set(zip(one, other, strict=True)))
    if 1 < pairs == len(set(one)) == len(set(other)) < len(one):
        return True

    def letters(value: str) -> str:
        return re.sub(r"\W", "", value).casefold()

    return 2 * sum(letters(a) == letters(b) for a, b in zip(one, other, strict=True)) > len(one)

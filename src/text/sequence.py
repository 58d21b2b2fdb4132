"""Text to symbol ids."""

from __future__ import annotations

import re
import unicodedata
import warnings
from typing import TYPE_CHECKING

import numpy as np

from src.config import Config
from src.errors import InputError, quote
from src.text.cleaners import CLEANERS
from src.text.symbols import PAD, SYMBOLS

if TYPE_CHECKING:
    from mindspore import Tensor

_IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_WRITTEN = {symbol for symbol in SYMBOLS if len(symbol) == 1 and symbol != PAD}
_INVISIBLE = ("Mn", "Mc", "Me", "Cf")  # accents, joiners and marks say nothing of their own: not worth a warning


def text_to_sequence(text: str, cleaner: str = "english_cleaners") -> list[int]:
    """The symbol ids of a text: characters of the cleaned text, and ARPAbet phonemes where the text has them in braces.

    "Turn left on {HH AW1 S T AH0 N} Street." reads the braces phoneme by phoneme. Characters that no symbol covers are dropped with one
    warning that names them; a text of nothing else gives an empty list.

    Raises:
        InputError: unknown cleaner, or something in braces that is not ARPAbet.
    """
    ids, dropped = _encode(text, cleaner)
    _warn(dropped)
    return ids


def prepare_input_sequence(texts: list[str], config: Config) -> tuple[Tensor, Tensor]:
    """A batch of texts as the network reads it, in the order given.

    Returns:
        ids, int32 [B, L], zero where a text is shorter than the longest; number of symbols of each, int32 [B].

    Raises:
        InputError: no texts, a text in which nothing can be spoken, unknown ARPAbet.
    """
    from mindspore import Tensor  # noqa: PLC0415  (takes seconds; preprocessing encodes text without it)

    if isinstance(texts, str) or not texts:
        raise InputError("prepare_input_sequence takes a list with at least one text")
    sequences, dropped = zip(*(_encode(text, config.text.cleaner) for text in texts), strict=True)
    _warn(set().union(*dropped))
    for text, sequence in zip(texts, sequences, strict=True):
        if all(SYMBOLS[index] == " " for index in sequence):
            raise InputError(f"nothing of the text {quote(text)} can be spoken")
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    ids = np.zeros((len(sequences), lengths.max()), np.int32)  # (B, L)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return Tensor(ids), Tensor(lengths)


def _encode(text: str, cleaner: str) -> tuple[list[int], set[str]]:
    if cleaner not in CLEANERS:
        raise InputError(f"no cleaner '{cleaner}'; choose one of {', '.join(CLEANERS)}")
    clean = CLEANERS[cleaner]
    ids, dropped = [], set()
    for position, part in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if position % 2:  # what stood in braces
            ids += _phonemes(part, text)
            continue
        cleaned = clean(part)
        ids += [_IDS[character] for character in cleaned if character in _WRITTEN]
        lost = set(cleaned) - _WRITTEN
        if lost or not part.isascii():
            dropped |= {character for character in set(part) if lost & set(clean(character)) or _vanishes(character, clean(character))}
    return ids, dropped


def _phonemes(part: str, text: str) -> list[int]:
    for phoneme in part.split():
        if f"@{phoneme}" not in _IDS:
            raise InputError(f"'{phoneme}' in {{{part}}} is not an ARPAbet phoneme such as AH0 or NG (text {quote(text)})")
    return [_IDS[f"@{phoneme}"] for phoneme in part.split()]


def _vanishes(character: str, cleaned: str) -> bool:
    return not cleaned and unicodedata.category(character) not in _INVISIBLE


def _warn(dropped: set[str]) -> None:
    if dropped:
        names = " ".join(character if character.isprintable() else repr(character)[1:-1] for character in sorted(dropped))
        warnings.warn(f"no symbol covers these characters, they are dropped: {names}", stacklevel=3)

"""Tables of symbols by name; `english_148` is that of the public Tacotron 2 checkpoints.

A symbol's id is its row in the embedding.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from src.errors import InputError
from src.files import read_text

PAD = "_"  # id 0 fills the end of short texts in a batch and never comes from text
PUNCTUATION = "-!'(),.:;? "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS = str.split("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
_CONSONANTS = str.split("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH")
_STRESSES = ("", "0", "1", "2")
ARPABET = sorted(_CONSONANTS + [vowel + stress for vowel in _VOWELS for stress in _STRESSES])
_ENGLISH_148 = (  # "@" tells the phoneme B from the letter B
    PAD,
    *PUNCTUATION,
    *LETTERS,
    *(f"@{phoneme}" for phoneme in ARPABET),
)
_TABLES = {
    "english_148": _ENGLISH_148,
    "model_zoo_149": (*_ENGLISH_148, "~"),  # of MindSpore's model zoo, whose texts end with ~
}
SYMBOLS: list[str] = list(_ENGLISH_148)


def symbol_table(name: str) -> list[str]:
    """Return the symbols of a named table, in the order of their ids.

    Raises:
        InputError: there is no such table; names those that are.
    """
    if name not in _TABLES:
        raise InputError(f"no table of symbols '{name}'; choose one of {', '.join(_TABLES)}, or list the symbols")
    return list(_TABLES[name])


def register_symbol_table(name: str, symbols: Sequence[str]) -> None:
    """Make a table of symbols known by its name, which must be new."""
    if name in _TABLES:
        raise ValueError(f"there is a table of symbols '{name}' already")
    _TABLES[name] = tuple(symbols)


def spelled(symbols: list[str]) -> list[str]:
    """Mark ARPAbet among `symbols` by "@": in a table without "@" that has AH0, B is the phoneme and not the letter."""
    bare = any(len(symbol) > 1 and symbol in ARPABET for symbol in symbols)
    return [f"@{symbol}" if bare and symbol in ARPABET else symbol for symbol in symbols]


def read_symbols(path: str | Path) -> list[str]:
    """Read the symbols of a JSON list, or of a file with one on each line, in order.

    White space counts: a line of one space is the space.

    Raises:
        InputError: the file cannot be read, or is no such list.
    """
    text = read_text(path)
    try:
        symbols = json.loads(text)
    except RecursionError as error:
        raise InputError(f"{path}: is JSON nested too deeply to be a list of symbols") from error
    except ValueError:
        symbols = text.removesuffix("\n").split("\n")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
        raise InputError(f"{path}: neither a JSON list of symbols nor one symbol to a line")
    return symbols

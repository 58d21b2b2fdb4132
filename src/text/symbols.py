"""The symbols the network reads, in the order of the public Tacotron 2 checkpoints: an id is a row of the embedding table."""

import json
from pathlib import Path

from src.errors import InputError
from src.files import read_text

PAD = "_"  # id 0 fills the end of short texts in a batch and never comes from text
PUNCTUATION = "-!'(),.:;? "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()  # noqa: SIM905
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()  # noqa: SIM905
_STRESSES = ("", "0", "1", "2")
ARPABET = sorted(_CONSONANTS + [vowel + stress for vowel in _VOWELS for stress in _STRESSES])
SYMBOLS: list[str] = [
    PAD,
    *PUNCTUATION,
    *LETTERS,
    *(f"@{phoneme}" for phoneme in ARPABET),
]  # "@" tells the phoneme B from the letter B
SYMBOL_TABLES: dict[str, list[str]] = {  # by the name that `text.symbols` may hold in place of a list
    "english_148": SYMBOLS,
    "model_zoo_149": [*SYMBOLS, "~"],  # of MindSpore's model zoo, whose texts end with ~
}


def spelled(symbols: list[str]) -> list[str]:
    """`symbols` with ARPAbet written like ours: a table without "@" that has AH0 means phonemes, not letters, by B as well."""
    bare = any(len(symbol) > 1 and symbol in ARPABET for symbol in symbols)
    return [f"@{symbol}" if bare and symbol in ARPABET else symbol for symbol in symbols]


def read_symbols(path: str | Path) -> list[str]:
    """The symbols of a JSON list, or of a file with one to a line, in order. White space counts: a line of one space is the space.

    Raises:
        InputError: the file cannot be read, or is no such list.
    """
    text = read_text(path)
    try:
        symbols = json.loads(text)
    except ValueError:
        symbols = text.removesuffix("\n").split("\n")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
        raise InputError(f"{path}: neither a JSON list of symbols nor one symbol to a line")
    return symbols

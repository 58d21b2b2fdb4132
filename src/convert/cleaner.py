"""The cleaner for a network whose symbols are not those of the public English checkpoints."""

from collections.abc import Sequence

from src.errors import some_of
from src.text import SYMBOLS, spelled
from src.text.cleaners import english_cleaners

ENGLISH_LETTERS = set("abcdefghijklmnopqrstuvwxyz")


def infer_cleaner(symbols: Sequence[str]) -> tuple[str, str]:
    """Return the cleaner for a table of symbols, and one line that says why.

    `english_cleaners` writes everything in the letters a to z, so it fits only a table of just these letters. A table
    of phonemes without letters needs `english_phonemes`. Any other takes the text as it is written, in lower case:
    `basic_cleaners`.
    """
    letters = [symbol for symbol in symbols if len(symbol) == 1 and symbol.isalpha()]
    phonemes = [symbol for symbol in spelled(list(symbols)) if symbol.startswith("@") and symbol in SYMBOLS]
    if phonemes and not ENGLISH_LETTERS & set(letters):
        return "english_phonemes", "its symbols are ARPAbet phonemes, so words are looked up in the CMU dictionary"
    lost = [letter for letter in letters if english_cleaners(letter) != letter.lower()]
    if not lost and set(letters) >= ENGLISH_LETTERS:
        return "english_cleaners", "its letters are the English ones"
    cause = (
        f"its symbols have {some_of(lost)}, which english_cleaners would spell in other letters"
        if lost
        else "its letters are not the English ones"
    )
    upper = [letter for letter in letters if letter.lower() not in letters]
    if upper:
        cause += f"; {some_of(upper)} cannot be reached, as every cleaner writes text in lower case"
    return "basic_cleaners", cause

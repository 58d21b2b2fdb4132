"""The symbols of a network, ready for look-up."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from src.text.characters import script
from src.text.symbols import PAD, SYMBOLS, spelled

if TYPE_CHECKING:
    from src.config import TextConfig


class Alphabet:
    """A table of symbols for look-up. `end_symbol` and the padding stand for no text.

    Args:
        symbols: in the order of the embedding's rows; composed (NFC) here, as all text is.
        end_symbol: the symbol that is put behind each text; none if empty.
    """

    def __init__(self, symbols: tuple[str, ...], end_symbol: str):
        composed = [unicodedata.normalize("NFC", symbol) for symbol in symbols]
        control = {PAD, unicodedata.normalize("NFC", end_symbol)}
        self.ids = {symbol: index for index, symbol in enumerate(spelled(composed))}
        self.end = [symbols.index(end_symbol)] if end_symbol else []
        self.written = {symbol for symbol in self.ids if _is_text(symbol)} - control
        self.letters = {
            index for symbol, index in self.ids.items() if any(map(str.isalpha, symbol)) and symbol not in control
        }
        self.silent = {self.ids[" "]} if " " in self.ids else set()
        self.characters = {character for symbol in self.written for character in symbol}
        self.has_phonemes = any(len(symbol) > 1 and symbol[0] == "@" for symbol in self.ids)
        self.has_letters = any(map(str.isalpha, self.written))
        self.scripts = {script(letter) for symbol in self.written for letter in symbol} - {None}
        self._reads_parts = any(
            unicodedata.combining(each) or "\u1100" <= each <= "\u11ff" for each in self.written if len(each) == 1
        )
        longest_first = sorted(self.written, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL)

    def look_up(self, text: str) -> tuple[list[int], set[str]]:
        """Look up the longest symbol at each place of a text, which is composed (NFC) first.

        A character that is no symbol is read as its parts if all of them are symbols: "é" as "e" and an accent, a
        syllable of Hangul as its letters.

        Returns the symbols' ids, and the characters that no symbol covers.
        """
        found = self._pattern.findall(unicodedata.normalize("NFC", text))
        if self._reads_parts and not self.written.issuperset(found):
            found = [part for each in found for part in self._parts(each)]
        return [self.ids[each] for each in found if each in self.written], set(found) - self.written

    def _parts(self, piece: str) -> str | list[str]:
        decomposed = unicodedata.normalize("NFD", piece)
        return decomposed if piece not in self.written and self.written.issuperset(decomposed) else [piece]


def _is_text(symbol: str) -> bool:
    # "@AH0" is written in braces only, and "<pad>" not at all.
    return len(symbol) == 1 or not (symbol[0] == "@" or (symbol[0] == "<" and symbol[-1] == ">"))


cached_alphabet = functools.cache(Alphabet)
OURS = cached_alphabet(tuple(SYMBOLS), "")


def alphabet_of(config: TextConfig) -> Alphabet:
    """Return the alphabet that a configuration describes."""
    return cached_alphabet(tuple(config.symbols), config.end_symbol)

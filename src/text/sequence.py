"""Text to symbol ids."""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING

import numpy as np

from src.errors import InputError, quote
from src.text.cleaners import CLEANERS, PRONOUNCED
from src.text.pronunciation import pronounce
from src.text.sentences import split_sentences
from src.text.symbols import PAD, SYMBOLS, spelled

if TYPE_CHECKING:
    from mindspore import Tensor

    from src.config import Config, TextConfig

_INVISIBLE = ("Mn", "Mc", "Me", "Cf")  # accents, joiners and marks say nothing of their own: not worth a warning


class Alphabet:
    """What can be looked up in a table of symbols; `end_symbol` and the padding stand for no text."""

    def __init__(self, symbols: tuple[str, ...], end_symbol: str):
        self.ids = {symbol: index for index, symbol in enumerate(spelled(list(symbols)))}
        self.end = [symbols.index(end_symbol)] if end_symbol else []
        self.written = {symbol for symbol in self.ids if len(symbol) == 1} - {PAD, end_symbol}
        self.letters = {
            index for symbol, index in self.ids.items() if any(map(str.isalpha, symbol)) and symbol != end_symbol
        }
        self.silent = {self.ids[" "]} if " " in self.ids else set()


_alphabet = functools.cache(Alphabet)
OURS = _alphabet(tuple(SYMBOLS), "")


def text_to_sequence(text: str, cleaner: str = "english_cleaners", alphabet: Alphabet = OURS) -> list[int]:
    """The symbol ids of a text: characters of the cleaned text, and ARPAbet phonemes where the text has them in braces; with the cleaner
    english_phonemes, also for every word that the pronouncing dictionary knows.

    "Turn left on {HH AW1 S T AH0 N} Street." reads the braces phoneme by phoneme. Characters that no symbol covers are dropped with one
    warning that names them; a text of nothing else gives an empty list, or the end symbol only.

    Raises:
        InputError: unknown cleaner, or something in braces that is not ARPAbet.
    """
    ids, dropped = _encode(text, cleaner, alphabet)
    _warn(dropped)
    return ids + alphabet.end


def alphabet_of(config: TextConfig) -> Alphabet:
    """The alphabet that a configuration describes."""
    return _alphabet(tuple(config.symbols), config.end_symbol)


def can_be_spoken(text: str, config: TextConfig) -> bool:
    """Whether a letter or phoneme of the text is left when it is spelled in the configuration's symbols.

    Raises:
        InputError: something in braces that is not ARPAbet.
    """
    alphabet = alphabet_of(config)
    return not alphabet.letters.isdisjoint(_encode(text, config.cleaner, alphabet)[0])


def speakable_sentences(text: str, config: TextConfig) -> list[str]:
    """The pieces of `text` that `split_sentences` makes and in which something can be spoken; a row of dots, for one, is left out."""
    return [piece for piece in split_sentences(text, config.max_sentence_length) if can_be_spoken(piece, config)]


def prepare_input_sequence(texts: list[str], config: Config) -> tuple[Tensor, Tensor]:
    """`encode_texts` as tensors."""
    from mindspore import Tensor  # noqa: PLC0415  (takes seconds; preprocessing encodes text without it)

    ids, lengths = encode_texts(texts, config)
    return Tensor(ids), Tensor(lengths)


def encode_texts(texts: list[str], config: Config) -> tuple[np.ndarray, np.ndarray]:
    """A batch of texts as the network reads it, in the order given.

    Returns:
        ids, int32 [B, L], zero where a text is shorter than the longest; number of symbols of each, int32 [B].

    Raises:
        InputError: no texts, a text in which nothing can be spoken, unknown ARPAbet.
    """
    if isinstance(texts, str) or not texts:
        raise InputError("prepare_input_sequence takes a list with at least one text")
    alphabet = alphabet_of(config.text)
    sequences, dropped = zip(*(_encode(text, config.text.cleaner, alphabet) for text in texts), strict=True)
    _warn(set().union(*dropped))
    for text, sequence in zip(texts, sequences, strict=True):
        if alphabet.silent.issuperset(sequence):
            raise InputError(f"nothing of the text {quote(text)} can be spoken")
        sequence.extend(alphabet.end)
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    ids = np.zeros((len(sequences), lengths.max()), np.int32)  # (B, L)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths


def _encode(text: str, cleaner: str, alphabet: Alphabet) -> tuple[list[int], set[str]]:
    if cleaner not in CLEANERS:
        raise InputError(f"no cleaner '{cleaner}'; choose one of {', '.join(CLEANERS)}")
    clean = CLEANERS[cleaner]
    ids, dropped = [], set()
    for position, part in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if position % 2:  # what stood in braces
            ids += _phonemes(part, text, alphabet)
            continue
        cleaned = clean(part)
        for turn, piece in enumerate(pronounce(cleaned) if cleaner in PRONOUNCED else [cleaned]):
            if turn % 2:
                ids += _phonemes(piece, text, alphabet)
            else:
                ids += [alphabet.ids[character] for character in piece if character in alphabet.written]
        lost = set(cleaned) - alphabet.written
        if lost or not part.isascii():
            dropped |= {
                character
                for character in set(part)
                if lost & set(clean(character)) or _vanishes(character, clean(character))
            }
    return ids, dropped


def _phonemes(part: str, text: str, alphabet: Alphabet) -> list[int]:
    for phoneme in part.split():
        if f"@{phoneme}" not in alphabet.ids:
            unknown = (
                "is not an ARPAbet phoneme such as AH0 or NG"
                if f"@{phoneme}" not in OURS.ids
                else "is none of this network's symbols"
            )
            raise InputError(f"'{phoneme}' in {{{part}}} {unknown} (text {quote(text)})")
    return [alphabet.ids[f"@{phoneme}"] for phoneme in part.split()]


def _vanishes(character: str, cleaned: str) -> bool:
    return not cleaned and unicodedata.category(character) not in _INVISIBLE


def _warn(dropped: set[str]) -> None:
    if dropped:
        names = " ".join(
            character if character.isprintable() else repr(character)[1:-1] for character in sorted(dropped)
        )
        warnings.warn(f"no symbol covers these characters, they are dropped: {names}", stacklevel=3)

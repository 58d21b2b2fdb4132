"""Text to symbol ids."""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from unidecode import unidecode

from src.errors import InputError, quote, some_of
from src.text.characters import PLAIN, QUOTES, describe, plain, script, settle_scripts
from src.text.registry import Cleaner, cleaner_named
from src.text.sentences import cut_sentence
from src.text.symbols import PAD, SYMBOLS, spelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mindspore import Tensor

    from src.config import Config, TextConfig

REFUSE = "refuse"  # foreign scripts, where the configuration says nothing of them
_INVISIBLE = ("Mn", "Mc", "Me", "Cf")  # accents, joiners and marks say nothing of their own: not worth a warning
_BRACES = re.compile(r"\{([^{}]*)\}")


class Alphabet:
    """A table of symbols for look-up. `end_symbol` and the padding stand for no text."""

    def __init__(self, symbols: tuple[str, ...], end_symbol: str):
        composed = [unicodedata.normalize("NFC", symbol) for symbol in symbols]
        self.ids = {symbol: index for index, symbol in enumerate(spelled(composed))}
        self.end = [symbols.index(end_symbol)] if end_symbol else []
        control = {PAD, unicodedata.normalize("NFC", end_symbol)}
        self.written = {symbol for symbol in self.ids if _is_text(symbol)} - control
        self.letters = {
            index for symbol, index in self.ids.items() if any(map(str.isalpha, symbol)) and symbol not in control
        }
        self.silent = {self.ids[" "]} if " " in self.ids else set()
        self.has_phonemes = any(symbol[0] == "@" and len(symbol) > 1 for symbol in self.ids)
        self.scripts = {script(letter) for symbol in self.written for letter in symbol} - {None}
        longest_first = sorted(self.written, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL)

    def look_up(self, text: str) -> tuple[list[int], set[str]]:
        """Return the ids of a text's symbols, the longest that fits at each place, and the characters that no symbol covers."""
        found = self._pattern.findall(text)
        return [self.ids[each] for each in found if each in self.written], set(found) - self.written


def _is_text(symbol: str) -> bool:
    # "@AH0" is written in braces only, and "<pad>" not at all.
    return len(symbol) == 1 or not (symbol[0] == "@" or (symbol[0] == "<" and symbol[-1] == ">"))


_alphabet = functools.cache(Alphabet)
OURS = _alphabet(tuple(SYMBOLS), "")


class Encoded(NamedTuple):
    """The ids of a text, and what was lost or changed on the way to them."""

    ids: list[int]
    dropped: set[str]  # characters that no symbol covers
    replaced: dict[str, str]  # signs that the cleaner turned into letters which are not their reading
    foreign: list[str]  # words that were transliterated


def text_to_sequence(
    text: str,
    cleaner: str = "english_cleaners",
    alphabet: Alphabet = OURS,
    foreign_script: str = REFUSE,
    where: str = "",
) -> list[int]:
    """Return the symbol ids of a text: symbols of the cleaned text, and phonemes where the text has them in braces or the cleaner
    pronounces words.

    "Turn left on {HH AW1 S T AH0 N} Street." reads the braces phoneme by phoneme. Characters that no symbol covers are dropped with one
    warning that names them; a text of nothing else gives an empty list, or the end symbol only.

    Args:
        foreign_script: "refuse" or "transliterate" words in a script that the cleaner and the symbols do not read.
        where: the place of the text, such as "line 3", for warnings and errors.

    Raises:
        InputError: unknown cleaner, braces that are not closed or hold no phonemes, a refused script.
    """
    encoded = _encode(text, cleaner_named(cleaner), alphabet, foreign_script, where)
    _warn([encoded], [where], cleaner)
    return encoded.ids + alphabet.end


def alphabet_of(config: TextConfig) -> Alphabet:
    """Return the alphabet that a configuration describes."""
    return _alphabet(tuple(config.symbols), config.end_symbol)


def can_be_spoken(text: str, config: TextConfig, where: str = "") -> bool:
    """Return whether a letter or phoneme of the text is left when it is spelled in the configuration's symbols.

    Raises:
        InputError: as `text_to_sequence`.
    """
    alphabet = alphabet_of(config)
    return not alphabet.letters.isdisjoint(_encode_by(config, text, where).ids)


def spoken_text(text: str, config: Config | TextConfig) -> str:
    """Return the words that are spoken, before symbols are looked up; braces stay as they are.

    Raises:
        InputError: as `text_to_sequence`, but symbols that are unknown in braces.
    """
    text_config = getattr(config, "text", config)
    cleaner, alphabet = cleaner_named(text_config.cleaner), alphabet_of(text_config)
    parts = _parts(text, cleaner, alphabet, _foreign_script(text_config), "").parts
    return "".join(
        f"{{{part}}}" if position % 2 else cleaner.function(part) for position, part in enumerate(parts)
    ).strip()


def unknown_words(text: str, config: Config | TextConfig) -> list[str]:
    """Return the words of a text, as spoken and once each, that the cleaner cannot pronounce and so gives to the network as letters.

    The list is empty for a cleaner that pronounces no words, and for a network without phonemes.
    """
    text_config = getattr(config, "text", config)
    cleaner, alphabet = cleaner_named(text_config.cleaner), alphabet_of(text_config)
    if not _pronounces(cleaner, alphabet):
        return []
    parts = _parts(text, cleaner, alphabet, _foreign_script(text_config), "").parts
    return list(dict.fromkeys(word for part in parts[::2] for word in cleaner.unknown_words(cleaner.function(part))))


def split_sentences(text: str, config: Config | TextConfig) -> list[str]:
    """Return the sentences of a text, unchanged but for outer white space, as the cleaner's language has them."""
    return cleaner_named(getattr(config, "text", config).cleaner).split(text)


def speakable_sentences(text: str, config: TextConfig, where: str = "") -> list[str]:
    """Return the sentences of a text, long ones in pieces of at most `max_sentence_length` characters, in which something can be spoken.

    Raises:
        InputError: as `text_to_sequence`.
    """
    pieces = [
        piece
        for sentence in split_sentences(text, config)
        for piece in cut_sentence(sentence, config.max_sentence_length)
    ]
    return [piece for piece in pieces if can_be_spoken(piece, config, where)]


def prepare_input_sequence(
    texts: list[str], config: Config, lines: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Return `encode_texts` as tensors."""
    from mindspore import Tensor  # noqa: PLC0415  (takes seconds; preprocessing encodes text without it)

    ids, lengths = encode_texts(texts, config, lines)
    return Tensor(ids), Tensor(lengths)


def encode_texts(texts: list[str], config: Config, lines: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Encode a batch of texts as the network reads it, in the order given.

    Args:
        lines: for each text the number of the line it comes from, for warnings and errors; without them they quote the text.

    Returns:
        ids, int32 [B, L], zero where a text is shorter than the longest; number of symbols of each, int32 [B].

    Raises:
        InputError: no texts, a text in which nothing can be spoken, and as `text_to_sequence`.
    """
    if isinstance(texts, str) or not texts:
        raise InputError("prepare_input_sequence takes a list with at least one text")
    alphabet = alphabet_of(config.text)
    places = [f"line {line}" for line in lines] if lines is not None else [""] * len(texts)
    encoded = [_encode_by(config.text, text, place) for text, place in zip(texts, places, strict=True)]
    _warn(encoded, places, config.text.cleaner)
    sequences = [each.ids for each in encoded]
    for text, sequence, place in zip(texts, sequences, places, strict=True):
        if alphabet.silent.issuperset(sequence):
            raise InputError(f"{_prefix(place)}nothing of the text {quote(text)} can be spoken")
        sequence.extend(alphabet.end)
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    ids = np.zeros((len(sequences), lengths.max()), np.int32)  # (B, L)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths


def _encode_by(config: TextConfig, text: str, where: str) -> Encoded:
    return _encode(text, cleaner_named(config.cleaner), alphabet_of(config), _foreign_script(config), where)


def _foreign_script(config: TextConfig) -> str:
    return getattr(config, "foreign_script", REFUSE)


class _Parts(NamedTuple):
    parts: list[str]  # text and the content of braces take turns, text first
    foreign: list[str]


def _parts(text: str, cleaner: Cleaner, alphabet: Alphabet, foreign_script: str, where: str) -> _Parts:
    text = unicodedata.normalize("NFC", text)
    parts, foreign = _BRACES.split(text), []
    for position in range(0, len(parts), 2):
        if brace := re.search(r"[{}]", parts[position]):
            problem = "is not closed" if brace[0] == "{" else "has no { before it"
            raise InputError(
                f"{_prefix(where)}the brace in {quote(_around(parts[position], brace.start()))} {problem}; "
                "braces hold phonemes, such as {HH AH0 L OW1}"
            )
        try:
            settled, words = settle_scripts(
                parts[position], cleaner.scripts | alphabet.scripts, alphabet.written, foreign_script
            )
        except InputError as error:
            raise InputError(f"{_prefix(where)}{error}") from None
        parts[position] = plain(settled, alphabet.written)
        foreign += words
    return _Parts(parts, foreign)


def _encode(text: str, cleaner: Cleaner, alphabet: Alphabet, foreign_script: str, where: str) -> Encoded:
    parts, foreign = _parts(text, cleaner, alphabet, foreign_script, where)
    ids, dropped, replaced = [], set(), {}
    for position, part in enumerate(parts):
        if position % 2:  # what stood in braces
            ids += _forced(part, text, alphabet, where)
            continue
        spoken = cleaner.function(part)
        lost: set[str] = set()
        for turn, piece in enumerate(_pieces(spoken, cleaner, alphabet)):
            if turn % 2:
                ids += _forced(piece, text, alphabet, where)
            else:
                found, unknown = alphabet.look_up(piece)
                ids += found
                lost |= unknown
        if lost or not part.isascii():
            dropped |= _lost_as_typed(part, cleaner, lost - set(QUOTES))
            replaced |= _replaced(part, cleaner)
    return Encoded(ids, dropped, replaced, foreign)


def _pieces(spoken: str, cleaner: Cleaner, alphabet: Alphabet) -> list[str]:
    if _pronounces(cleaner, alphabet):
        return cleaner.pronounce(spoken)
    return [spoken.lower() if cleaner.pronounce else spoken]


def _pronounces(cleaner: Cleaner, alphabet: Alphabet) -> bool:
    return cleaner.pronounce is not None and (cleaner.needs_phonemes or alphabet.has_phonemes)


def _forced(part: str, text: str, alphabet: Alphabet, where: str) -> list[int]:
    """Return the ids of what stands in braces: phonemes, and other symbols that no letter can be taken for."""
    ids = []
    for symbol in part.split():
        if f"@{symbol}" in alphabet.ids:
            ids.append(alphabet.ids[f"@{symbol}"])
        elif symbol in alphabet.written and (len(symbol) > 1 or not symbol.isascii()):
            ids.append(alphabet.ids[symbol])
        else:
            unknown = (
                "is none of this network's symbols"
                if f"@{symbol}" in OURS.ids
                else "is not an ARPAbet phoneme such as AH0 or NG"
            )
            raise InputError(f"{_prefix(where)}'{symbol}' in {{{part}}} {unknown} (text {quote(text)})")
    return ids


def _lost_as_typed(part: str, cleaner: Cleaner, lost: set[str]) -> set[str]:
    """Return the characters of the text, as typed, whose cleaned form has characters that no symbol covers, or none at all."""
    dropped = set()
    for character in set(part) - set(QUOTES):
        cleaned = cleaner.function(character)
        vanishes = (
            not cleaned.strip() and not character.isspace() and not _is_invisible(character) and not character.isascii()
        )
        if (lost & set(cleaned)) or vanishes:
            dropped.add(character)
    return dropped


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE


def _replaced(part: str, cleaner: Cleaner) -> dict[str, str]:
    """Return the signs whose ASCII likeness the public front end reads instead of their name: "ps" for a pound sign."""
    if cleaner.name not in ("english_cleaners", "english_phonemes"):
        return {}
    signs = {character for character in set(part) if not character.isascii() and not character.isalpha()}
    likeness = {sign: unidecode(sign).strip().lower() for sign in signs - set(PLAIN) if not _is_invisible(sign)}
    return {sign: text for sign, text in likeness.items() if any(map(str.isalnum, text))}


def _around(text: str, place: int) -> str:
    return text[max(0, place - 20) : place + 20].strip()


def _prefix(where: str) -> str:
    return f"{where}: " if where else ""


def _warn(encoded: Sequence[Encoded], places: Sequence[str], cleaner: str) -> None:
    """Give one warning for each kind of loss, which names characters, code points and lines."""
    dropped, replaced, foreign = {}, {}, {}
    for each, place in zip(encoded, places, strict=True):
        for character in each.dropped:
            dropped.setdefault(describe(character), []).append(place)
        for sign, likeness in each.replaced.items():
            replaced.setdefault(f"{describe(sign)} as {likeness!r}", []).append(place)
        for word in each.foreign:
            foreign.setdefault(f"{word!r} as {unidecode(word).strip()!r}", []).append(place)
    for found, message in (
        (dropped, "no symbol covers these characters, they are dropped"),
        (replaced, f"{cleaner} reads these signs by their likeness in ASCII (the cleaner english reads their names)"),
        (foreign, "these words of another script are transliterated"),
    ):
        if found:
            warnings.warn(
                f"{message}: {', '.join(_with_lines(name, found[name]) for name in sorted(found))}", stacklevel=3
            )


def _with_lines(name: str, places: list[str]) -> str:
    lines = [place for place in dict.fromkeys(places) if place]
    return f"{name} in {some_of(lines)}" if lines else name

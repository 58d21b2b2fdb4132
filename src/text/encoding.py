"""One text to ids, and notices of what was lost or changed on the way."""

import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from unidecode import unidecode

from src.errors import InputError, quote, some_of
from src.text.alphabet import OURS, Alphabet
from src.text.characters import PLAIN, QUOTES, describe, plain, settle_scripts
from src.text.registry import Cleaner

_INVISIBLE = ("Mn", "Mc", "Me", "Cf")  # accents, joiners and marks say nothing of their own: not worth a warning
_BRACES = re.compile(r"\{([^{}]*)\}")


class Parts(NamedTuple):
    """A text cut at braces."""

    parts: list[str]  # text in plain characters and the content of braces take turns, text first
    foreign: list[str]  # words that were transliterated, as typed


class Encoded(NamedTuple):
    """The ids of a text, and what was lost or changed on the way to them."""

    ids: list[int]
    dropped: set[str]  # characters that no symbol covers
    replaced: dict[str, str]  # signs that were read by their likeness in ASCII
    foreign: list[str]  # words that were transliterated


def cut_at_braces(text: str, cleaner: Cleaner, alphabet: Alphabet, foreign_script: str, where: str) -> Parts:
    """Compose a text (NFC), take its braces out, and bring the rest to plain characters of the network's scripts.

    Raises:
        InputError: a brace without its partner, or a word in a script that is refused.
    """
    parts, foreign = _BRACES.split(unicodedata.normalize("NFC", text)), []
    for position in range(0, len(parts), 2):
        part = parts[position]
        if brace := re.search(r"[{}]", part):
            problem = "is not closed" if brace[0] == "{" else "has no { before it"
            around = part[max(0, brace.start() - 20) : brace.start() + 20].strip()
            raise InputError(
                f"{prefix(where)}the brace in {quote(around)} {problem}; braces hold phonemes, such as {{HH AH0 L OW1}}"
            )
        own = cleaner.scripts | alphabet.scripts
        try:
            part, words = settle_scripts(part, own, alphabet.characters, foreign_script)
        except InputError as error:
            raise InputError(f"{prefix(where)}{error}") from None
        parts[position] = plain(part, alphabet.characters)
        foreign += words
    return Parts(parts, foreign)


def encode(text: str, cleaner: Cleaner, alphabet: Alphabet, foreign_script: str, where: str) -> Encoded:
    """Return a text's ids without the end symbol, and what has to be noticed.

    Raises:
        InputError: as `cut_at_braces`; braces with what is no symbol of the network.
    """
    parts, foreign = cut_at_braces(text, cleaner, alphabet, foreign_script, where)
    if cleaner.reads_braces:
        parts = [with_braces(parts)]
    ids, dropped, replaced = [], set(), {}
    for position, part in enumerate(parts):
        if position % 2:  # what stood in braces
            ids += _forced(part, text, alphabet, where)
            continue
        lost: set[str] = set()
        for turn, piece in enumerate(_pieces(part, cleaner, alphabet, where)):
            if turn % 2:
                ids += _phonemes(piece, text, cleaner, alphabet, where)
            else:
                found, unknown = alphabet.look_up(piece)
                ids += found
                lost |= unknown
        if lost or not part.isascii():
            dropped |= _lost_as_typed(part, cleaner, lost - set(QUOTES))
            replaced |= _read_by_likeness(part) if cleaner.reads_likeness else {}
    return Encoded(ids, dropped, replaced, foreign)


def pronounces(cleaner: Cleaner, alphabet: Alphabet) -> bool:
    """Return whether words become phonemes for this network."""
    return cleaner.pronounce is not None and (cleaner.needs_phonemes or alphabet.has_phonemes)


def give_notice(encoded: Sequence[Encoded], places: Sequence[str], cleaner: str, stacklevel: int) -> None:
    """Give one warning for each kind of loss, which names characters, code points and the places of the texts."""
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
        (replaced, f"{cleaner} reads signs by their likeness in ASCII, unlike the cleaner english"),
        (foreign, "words of another script are transliterated"),
    ):
        if found:
            names = ", ".join(_with_places(name, found[name]) for name in sorted(found))
            warnings.warn(f"{message}: {names}", stacklevel=stacklevel + 1)


def prefix(where: str) -> str:
    """Return the place of a text as the beginning of a message."""
    return f"{where}: " if where else ""


def with_braces(parts: Sequence[str]) -> str:
    """Put a text together that `cut_at_braces` has cut."""
    return "".join(f"{{{part}}}" if position % 2 else part for position, part in enumerate(parts))


def _pieces(part: str, cleaner: Cleaner, alphabet: Alphabet, where: str) -> list[str]:
    try:
        spoken = cleaner.function(part)
        if pronounces(cleaner, alphabet):
            return cleaner.pronounce(spoken, alphabet.has_letters)
    except InputError as error:
        raise InputError(f"{prefix(where)}{error}") from None
    return [spoken.lower() if cleaner.pronounce else spoken]


def _phonemes(piece: str, text: str, cleaner: Cleaner, alphabet: Alphabet, where: str) -> list[int]:
    """Return the ids of phonemes that a cleaner made, which may be spelled as a letter is (the initial b)."""
    ids = []
    for phoneme in piece.split():
        known = alphabet.ids.get(f"@{phoneme}", alphabet.ids.get(phoneme) if phoneme in alphabet.written else None)
        if known is not None:
            ids.append(known)
        elif phoneme not in cleaner.optional:
            table = (
                f"; the cleaner {cleaner.name} is made for text.symbols {cleaner.symbols}" if cleaner.symbols else ""
            )
            found = f"'{phoneme}' in {{{piece}}} is none of this network's symbols (text {quote(text)})"
            raise InputError(f"{prefix(where)}{found}{table}")
    return ids


def _forced(part: str, text: str, alphabet: Alphabet, where: str) -> list[int]:
    """Return the ids of the content of braces: phonemes, and other symbols that cannot be taken for a letter."""
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
            raise InputError(f"{prefix(where)}'{symbol}' in {{{part}}} {unknown} (text {quote(text)})")
    return ids


def _lost_as_typed(part: str, cleaner: Cleaner, lost: set[str]) -> set[str]:
    """Return the characters, as typed, of whose cleaned form a character is lost, or all of it."""
    dropped = set()
    for character in set(part) - set(QUOTES) - cleaner.silent:
        cleaned = cleaner.function(character)
        vanishes = not (cleaned.strip() or character.isspace() or character.isascii() or _is_invisible(character))
        if vanishes or lost & set(cleaned):
            dropped.add(character)
    return dropped


def _read_by_likeness(part: str) -> dict[str, str]:
    # unidecode makes "PS" of a pound sign and "deg" of a degree sign.
    signs = {sign for sign in set(part) - set(PLAIN) if not (sign.isascii() or sign.isalpha() or _is_invisible(sign))}
    likeness = {sign: unidecode(sign).strip().lower() for sign in signs}
    return {sign: text for sign, text in likeness.items() if any(map(str.isalnum, text))}


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE


def _with_places(name: str, places: list[str]) -> str:
    named = [place for place in dict.fromkeys(places) if place]
    return f"{name} in {some_of(named)}" if named else name

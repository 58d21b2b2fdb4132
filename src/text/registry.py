"""Cleaners by name: a language is one file that registers its own."""

from collections.abc import Callable
from dataclasses import dataclass

from src.errors import InputError
from src.text.sentences import find_sentences


@dataclass(frozen=True)
class Cleaner:
    """The treatment of a text before its symbols are looked up.

    Args:
        name: the value of `text.cleaner`.
        language: what it is made for, as an ISO 639-1 code; empty for any.
        function: turns a text with plain quotes, dashes and spaces (`src.text.characters.plain`) into the text that is
            spoken.
        split: cuts a text into sentences, unchanged but for outer white space.
        scripts: scripts that the function turns into symbols, as `src.text.characters.script` names them; those of the
            network's symbols are added to them.
        pronounce: cuts a spoken text where phonemes begin and end: characters and phonemes separated by spaces take
            turns, characters first. It is told whether the network has letters for words that it cannot say. None if
            words are never pronounced.
        needs_phonemes: refuse a network without phonemes; otherwise words are spelled for it.
        unknown_words: returns the words of a spoken text that `pronounce` cannot say.
        silent: signs that the function leaves out on purpose, without a warning.
        reads_likeness: signs are read by their likeness in ASCII, as `unidecode` has it; each gives a warning.
    """

    name: str
    language: str
    function: Callable[[str], str]
    split: Callable[[str], list[str]] = find_sentences
    scripts: frozenset[str] = frozenset()
    pronounce: Callable[[str, bool], list[str]] | None = None
    needs_phonemes: bool = True
    unknown_words: Callable[[str], list[str]] = lambda text: []
    silent: frozenset[str] = frozenset()
    reads_likeness: bool = False


CLEANERS: dict[str, Cleaner] = {}


def register(cleaner: Cleaner) -> Cleaner:
    """Make a cleaner known by its name, which must be new."""
    if cleaner.name in CLEANERS:
        raise ValueError(f"there is a cleaner '{cleaner.name}' already")
    CLEANERS[cleaner.name] = cleaner
    return cleaner


def cleaner_named(name: str) -> Cleaner:
    """Return the cleaner of this name.

    Raises:
        InputError: there is none; names those that are.
    """
    if name not in CLEANERS:
        raise InputError(f"no cleaner '{name}'; choose one of {', '.join(CLEANERS)}")
    return CLEANERS[name]

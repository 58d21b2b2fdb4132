"""Cleaners by name: a language is one file that registers its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from src.errors import InputError
from src.text.sentences import find_sentences

if TYPE_CHECKING:
    from src.config.schema import TextConfig
    from src.text.aligned import Aligned


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
        symbols: name of the table of symbols that is made for it, for messages.
        reads_braces: `function` and `pronounce` take a text with its braces, whose content they know better than the
            symbols do, and what stands beside braces depends on them; otherwise they are given what lies between.
        optional: phonemes that are left out, without a word, for a network that has no symbol for them.
        configure: returns the cleaner with the settings of a configuration; None if it has none.
        nearest: for symbols of its table, symbols of another cleaner's that sound alike. A warm start from a network of
            another cleaner begins with their rows.
        align: joins a text with the readings that its list carries; None if it cannot use any.
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
    symbols: str = ""
    reads_braces: bool = False
    optional: frozenset[str] = frozenset()
    nearest: Mapping[str, str] = field(default_factory=dict)
    configure: Callable[[TextConfig], Cleaner] | None = None
    align: Callable[[str, str], Aligned] | None = None


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


def cleaner_of(config: TextConfig) -> Cleaner:
    """Return the cleaner of a configuration, with its settings.

    Raises:
        InputError: there is none of its name, or its settings are none for it.
    """
    cleaner = cleaner_named(config.cleaner)
    return cleaner.configure(config) if cleaner.configure else cleaner

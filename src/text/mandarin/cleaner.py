"""The cleaner `mandarin`: what the registry knows of the language."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from src.text.mandarin.align import align
from src.text.mandarin.characters import CONVERT
from src.text.mandarin.convert import tokens_of, unknown_words
from src.text.mandarin.dictionary import parse_readings
from src.text.mandarin.normalise import SILENT, normalise
from src.text.mandarin.readings import Readings
from src.text.mandarin.sentences import find_sentences
from src.text.mandarin.syllables import symbols_of
from src.text.mandarin.symbols import NEAREST, PROSODY_MARKS
from src.text.pronunciation import pronounce_spoken
from src.text.registry import Cleaner

if TYPE_CHECKING:
    from src.config import TextConfig


def pronounce(spoken: str, has_letters: bool = False, readings: Readings | None = None) -> list[str]:
    """Cut a spoken text into characters and symbols, which take turns, characters first, as `Cleaner.pronounce` says.

    Latin words become ARPAbet, those that the dictionary lacks letter by letter.

    Raises:
        InputError: braces that hold neither syllables nor ARPAbet; a package of requirements-mandarin.txt is missing.
    """
    del has_letters  # a table of initials and finals has none
    pieces = [""]
    for token in tokens_of(spoken, readings or {}):
        if token.kind == "latin":
            characters, *rest = pronounce_spoken(token.text, has_letters=False)
            pieces[-1] += characters
            pieces += rest
        elif token.kind in ("unknown", "other"):
            pieces[-1] += token.text
        else:
            pieces += [" ".join(symbols_of(token.text)) if token.kind == "syllable" else token.text, ""]
    return pieces


@functools.lru_cache(maxsize=16)
def _configured(traditional: str, lines: tuple[str, ...]) -> Cleaner:
    readings = parse_readings(lines, "text.readings")
    return dataclasses.replace(
        MANDARIN,
        function=functools.partial(normalise, traditional=traditional),
        pronounce=functools.partial(pronounce, readings=readings),
        align=functools.partial(align, traditional=traditional, readings=readings),
    )


def _configure(config: TextConfig) -> Cleaner:
    if config.traditional == CONVERT and not config.readings:
        return MANDARIN
    return _configured(config.traditional, tuple(config.readings))


MANDARIN = Cleaner(
    "mandarin",
    "zh",
    normalise,
    split=find_sentences,
    scripts=frozenset({"CJK", "LATIN"}),
    pronounce=pronounce,
    unknown_words=unknown_words,
    silent=SILENT,
    symbols="mandarin",
    reads_braces=True,
    optional=frozenset(PROSODY_MARKS),
    nearest=NEAREST,
    configure=_configure,
    align=align,
)

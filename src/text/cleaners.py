"""The cleaners that this repository brings, each under its name in the registry."""

import re

from unidecode import unidecode

from src.text.english.normalise import normalise_english
from src.text.english.signs import ORNAMENTS
from src.text.german import GERMAN
from src.text.mandarin.cleaner import MANDARIN
from src.text.numerals import spell_numbers
from src.text.pronunciation import pronounce, pronounce_spoken, unknown_words_in, unpronounced_words_in
from src.text.registry import CLEANERS, Cleaner, register

__all__ = ["ABBREVIATIONS", "CLEANERS", "basic_cleaners", "english_cleaners"]

ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "misess",  # spelled as the public checkpoints learned it
    "dr": "doctor",
    "drs": "doctors",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}
_ABBREVIATION = re.compile(rf"\b({'|'.join(ABBREVIATIONS)})\.")
_LATIN = frozenset({"LATIN"})


def english_cleaners(text: str) -> str:
    """Turn a text into lower-case ASCII, numbers and abbreviations into words, and a run of white space into one space.

    It follows the front end that the public Tacotron 2 checkpoints were trained with, its oddities included (a pound
    sign becomes the letters "ps", a per cent sign disappears), except for some numbers that it reads as others: see
    `src.text.numerals`.
    """
    text = spell_numbers(unidecode(text).lower())
    return _collapse(_ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], text))


def basic_cleaners(text: str) -> str:
    """Turn a text that is written as it is spoken into lower case, and a run of white space into one space."""
    return _collapse(text.lower())


def english(text: str) -> str:
    """Turn a text into the words that are spoken, in ASCII: the full normalisation of `src.text.english`."""
    return _collapse(_ascii(normalise_english(text)))


def _ascii(text: str) -> str:
    # Accents go; a sign that has no reading stays, to be reported as unknown.
    if text.isascii():
        return text
    return "".join(unidecode(character) if character.isalpha() else character for character in text)


def _collapse(text: str) -> str:
    return re.sub(r"\s+", " ", text)


register(Cleaner("english_cleaners", "en", english_cleaners, scripts=_LATIN, reads_likeness=True))
register(Cleaner("basic_cleaners", "", basic_cleaners))
register(
    Cleaner(
        "english_phonemes",
        "en",
        english_cleaners,
        scripts=_LATIN,
        pronounce=pronounce,
        unknown_words=unpronounced_words_in,
        reads_likeness=True,
    )
)
register(
    Cleaner(
        "english",
        "en",
        english,
        scripts=_LATIN,
        pronounce=pronounce_spoken,
        needs_phonemes=False,
        unknown_words=unknown_words_in,
        silent=frozenset(ORNAMENTS),
    )
)
register(MANDARIN)
register(GERMAN)

"""What normalises a text before its symbols are looked up."""

import re

from unidecode import unidecode

from src.text.numerals import spell_numbers

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


def english_cleaners(text: str) -> str:
    """Plain ASCII in lower case; numbers and abbreviations as words; one space for each run of white space.

    Made after the front end that the public Tacotron 2 checkpoints were trained with, its oddities included (a pound sign becomes the
    letters "ps", a per cent sign disappears), except for some numbers that it reads as others: see `src.text.numerals`.
    """
    text = spell_numbers(unidecode(text).lower())
    return _collapse(_ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], text))


def basic_cleaners(text: str) -> str:
    """Lower case and one space for each run of white space: for text that is already written as it is spoken."""
    return _collapse(text.lower())


def _collapse(text: str) -> str:
    return re.sub(r"\s+", " ", text)


CLEANERS = {
    "english_cleaners": english_cleaners,
    "basic_cleaners": basic_cleaners,
    "english_phonemes": english_cleaners,
}
PRONOUNCED = {"english_phonemes"}  # after these, words become phonemes

"""The cleaner `english`: numbers, money, units, dates, abbreviations, acronyms and signs in words."""

import functools
import re

from src.text.english.abbreviations import expand_abbreviations
from src.text.english.addresses import speak_addresses
from src.text.english.capitals import speak_capitals, speak_roman_numerals
from src.text.english.counting import marks_to_capitals, prepare
from src.text.english.dates import speak_dates, speak_times
from src.text.english.figures import speak_numbers, speak_telephones
from src.text.english.fractions import speak_fractions
from src.text.english.measures import speak_measures
from src.text.english.money import speak_money
from src.text.english.signs import drop_markup, speak_signs, speak_tilde

# In this order: each rule takes what is surest to be its own, and the next ones find words in its place.
_RULES = (
    drop_markup,
    speak_addresses,
    speak_tilde,
    expand_abbreviations,
    speak_money,
    speak_dates,
    speak_telephones,
    speak_times,
    speak_measures,
    speak_fractions,
    speak_roman_numerals,
    speak_numbers,
    speak_capitals,
    speak_signs,
)


@functools.lru_cache(maxsize=4096)
def normalise_english(text: str) -> str:
    """Return a text as it is spoken, in lower case; letters spoken by their names are capitals ("the G P U").

    Args:
        text: with plain quotes, dashes and spaces, as `src.text.characters.plain` leaves them.
    """
    text = prepare(text)
    for rule in _RULES:
        text = rule(text)
    text = re.sub(r"\s+(?=[,;:.!?])", "", re.sub(r"\s+", " ", text.lower()))
    text = re.sub(r",(?:\ ?,)+", ",", text)
    return marks_to_capitals(text)

"""Signs that a text is not of the language that a cleaner is made for, so that the cleaner would rewrite it."""

import re
import unicodedata
from collections.abc import Callable

from src.text.registry import cleaner_named

_TONE_DIGITS = re.compile(r"\b[A-Za-züÜ:]{1,6}[1-5]\b")  # pinyin: ni3 hao3
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d+,\d{1,2}(?![\d,])")


def rewritten_signs(text: str, cleaner_name: str) -> dict[str, str]:
    """Find what a cleaner of one language would make of the spelling of another.

    Returns:
        An example of each kind found, as written and as the cleaner has it: letters outside ASCII that it replaces,
        syllables with tone digits, decimal commas. Nothing for a cleaner of another language than English, or of any.
    """
    cleaner = cleaner_named(cleaner_name)
    if cleaner.language != "en":
        return {}
    text = re.sub(r"\{[^{}]*\}", " ", unicodedata.normalize("NFC", text))
    found = {}
    if not text.isascii():
        kept = set(cleaner.function(text).casefold())
        words = [word for word in text.split() if any(_is_lost(letter, kept) for letter in word)]
        if words:
            found["letters outside ASCII"] = _example(words[0], cleaner.function)
    syllables = _TONE_DIGITS.findall(text)
    if len(syllables) > 1 and 2 * len(syllables) >= len(text.split()):
        found["tone digits"] = _example(" ".join(syllables[:2]), cleaner.function)
    if comma := _DECIMAL_COMMA.search(text):
        found["decimal commas"] = _example(comma[0], cleaner.function)
    return found


def _is_lost(letter: str, kept: set[str]) -> bool:
    return letter.isalpha() and not letter.isascii() and not set(letter.casefold()) <= kept


def _example(written: str, function: Callable[[str], str]) -> str:
    return f"{written!r} as {function(written).strip()!r}"

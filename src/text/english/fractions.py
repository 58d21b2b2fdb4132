"""Fractions in words."""

import re
import unicodedata

from src.text.english.counting import NUMBER, amount, cardinal, ordinal

FRACTION_CHARACTERS = {
    character: tuple(unicodedata.normalize("NFKC", character).split("\u2044")) for character in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
}
_CHARACTER = "".join(FRACTION_CHARACTERS)
_FRACTION = re.compile(r"(?<![\w./,])(?:(?P<whole>\d+)[ -])?(?P<above>\d{1,3})\ ?/\ ?(?P<below>\d{1,4})(?![\w/]|\.\d)")
_CHARACTERS = re.compile(rf"(?<![\w.,])(?:{NUMBER})?\ ?[{_CHARACTER}]")
_FIXED = {
    "9/11": "nine eleven",
    "24/7": "twenty-four seven",
    "7/7": "seven seven",
    "50/50": "fifty-fifty",
    "20/20": "twenty twenty",
}


def speak_fractions(text: str) -> str:
    """Replace fractions by words: "1/2", "5 3/4", "2½", and what looks like one but has a name of its own ("24/7")."""
    for written, words in _FIXED.items():
        text = re.sub(rf"(?<![\w/.]){written}(?![\w/])", words, text)
    text = _CHARACTERS.sub(lambda match: f" {speak_fraction(match[0].strip())}{_space_after(match)}", text)
    return _FRACTION.sub(lambda match: speak_fraction(match[0]), text)


def _space_after(match: re.Match) -> str:
    return " " if match.string[match.end() :][:1].isalnum() else ""


def speak_fraction(text: str) -> str:
    """Return "5 1/2", "3/4" or "2½" in words. A fraction of at least one is read as "120 over 80"."""
    if text[-1] in FRACTION_CHARACTERS:
        whole, (above, below) = text[:-1].strip(), FRACTION_CHARACTERS[text[-1]]
    else:
        whole, above, below = re.fullmatch(r"(?:(\d+)[ -])?(\d+)\ ?/\ ?(\d+)", text).groups()
    words = _part(int(above), int(below), bool(whole))
    return f"{amount(whole)} and {words}" if whole else words


def _part(above: int, below: int, after_whole: bool) -> str:
    if above == below:
        return f"{cardinal(above)} out of {cardinal(below)}"
    if not 0 < above < below or below > 100:
        return f"{cardinal(above)} over {cardinal(below)}"
    if below == 2:
        return "a half" if after_whole else "one half"
    name = "quarter" if below == 4 else ordinal(below)
    return f"{cardinal(above)} {name}{'' if above == 1 else 's'}"

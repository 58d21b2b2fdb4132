"""Digits to words, as the public Tacotron front end reads them.

"1807" is a year, "$3.50" is money, "10th" is an ordinal.

On purpose it differs where that one says another number:

    text         public front end                      ours
    3.141        three point one hundred forty-one     three point one four one
    0.05         zero point five                       zero point zero five
    $2.5         two dollars, five cents               two point five dollars
    $3 million   three dollars million                 three million dollars

An ordinal must end with its word ("1st", not "1stly"), and numbers too long for a name are read digit by digit.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect

_LONGEST = 33  # inflect has no name for larger numbers
_NUMBER = re.compile(
    r"(?P<dollar>\$)?"
    r"(?P<whole>[0-9]+(?:,[0-9]+)*|(?<=\$)(?=\.[0-9]))"  # no digit before the point is fine in "$.50"
    r"(?:\.(?P<fraction>[0-9]+)|(?P<ordinal>st|nd|rd|th)\b)?"
    r"(?P<scale>\ (?:hundred|thousand|million|billion|trillion)\b)?"
)


@functools.cache
def _engine() -> inflect.engine:
    import inflect  # noqa: PLC0415  (takes two seconds, and most texts have no number)

    return inflect.engine()


def spell_numbers(text: str) -> str:
    """Replace every number, ordinal and amount of dollars in lower-case `text` by English words."""
    return _NUMBER.sub(_read, text)


def _read(match: re.Match) -> str:
    whole = match["whole"].replace(",", "") or "0"
    fraction, scale = match["fraction"], match["scale"] or ""
    if match["dollar"] and not scale and (fraction is None or len(fraction) == 2):
        return _dollars(whole, fraction or "00")
    if match["ordinal"]:
        words = _ordinal(whole)
    elif fraction:
        words = f"{_cardinal(whole)} point {_fraction(fraction)}"
    else:
        words = _cardinal(whole)
    return f"{words}{scale}{' dollars' if match['dollar'] else ''}"


def _cardinal(digits: str) -> str:
    if len(digits) > _LONGEST:
        return _one_by_one(digits)
    number = int(digits)
    if not 1000 < number < 3000 or number == 2000:
        return _engine().number_to_words(number, andword="")
    if 2000 < number < 2010:
        return f"two thousand {_cardinal(digits[-1])}"
    if number % 100 == 0:
        return f"{_cardinal(digits[:-2])} hundred"
    return _engine().number_to_words(number, andword="", zero="oh", group=2).replace(", ", " ")


def _ordinal(digits: str) -> str:
    return _engine().ordinal(_engine().number_to_words(int(digits))) if len(digits) <= _LONGEST else _one_by_one(digits)


def _fraction(digits: str) -> str:
    # Two digits are read as a number ("six point seventy-five"); zeros in front and longer fractions would come out as
    # another number.
    return _cardinal(digits) if len(digits) < 3 and digits[0] != "0" else _one_by_one(digits)


def _dollars(dollars: str, cents: str) -> str:
    return (
        ", ".join(_amount(n, unit) for n, unit in ((dollars, "dollar"), (cents, "cent")) if n.strip("0"))
        or "zero dollars"
    )


def _amount(digits: str, unit: str) -> str:
    return f"{_cardinal(digits)} {unit if digits.lstrip('0') == '1' else unit + 's'}"


def _one_by_one(digits: str) -> str:
    return " ".join(_engine().number_to_words(digit) for digit in digits)

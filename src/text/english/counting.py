"""Integers, decimals and years as English words, and the mark of a letter that is spoken by its name."""

import re
import unicodedata

UNITS = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
TENS = str.split("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
SCALES = str.split(
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
)
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MOST_DIGITS = 36  # of a number that has a name; longer ones are read digit by digit
LONGEST_UNGROUPED = 9  # more digits without commas are a serial number rather than a quantity

# Digits with or without thousands separators (1,234 or the Indian 1,00,000), and decimals. "1,2,3" is three numbers.
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?![\d,]*\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+)(?:\.\d+)?"

_SPACED = re.compile(r"(?<![\d.,+-])(?<!\d )[1-9]\d{0,2}(?:(?: 000)+(?!\d|,\d| \d)|(?:'\d{3})+(?![\d']))")
# Precedes a letter that is to be spoken by its name: a private code point, which `spell_out` alone writes.
_LETTER = "\ue000"


def cardinal(number: int) -> str:
    """Return the English name of a whole number, without "and": 1203 is "one thousand two hundred three"."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{UNITS[number // 100]} hundred{_rest(number % 100)}"
    if number >= 10**MOST_DIGITS:
        return digits(str(number))
    power = (len(str(number)) - 1) // 3
    high, low = divmod(number, 1000**power)
    return f"{cardinal(high)} {SCALES[power - 1]}{_rest(low)}"


def _rest(number: int) -> str:
    return f" {cardinal(number)}" if number else ""


def ordinal(number: int) -> str:
    """Return the English ordinal of a whole number: 22 is "twenty-second"."""
    head, separator, last = re.fullmatch(r"(.*?)([ -]?)([a-z]+)", cardinal(number)).groups()
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head}{separator}{IRREGULAR_ORDINALS.get(last, regular)}"


def year(number: int) -> str:
    """Return a four-digit number as years are read: 1905 is "nineteen oh five", 2005 "two thousand five"."""
    century, rest = divmod(number, 100)
    if not 1010 <= number < 3000 or 2000 <= number < 2010:
        return cardinal(number)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {f'oh {UNITS[rest]}' if rest < 10 else cardinal(rest)}"


def digits(text: str) -> str:
    """Return the digits of a text one by one, and nothing else of it."""
    return " ".join(UNITS[int(digit)] for digit in re.findall(r"[0-9]", text))


def amount(text: str) -> str:
    """Return a number as written in words, as a quantity: "1,234.5" is "one thousand two hundred ... point five"."""
    whole, point, fraction = text.replace(",", "").partition(".")
    words = digits(whole) if len(whole) > 1 and whole[0] == "0" else cardinal(int(whole or "0"))
    return f"{words} point {digits(fraction)}" if point else words


def plain(text: str) -> str:
    """Return a number as written in words: four digits without a comma as a year, a long row of digits one by one."""
    if text.isdecimal() and len(text) == 4 and text[0] != "0":
        return year(int(text))
    return digits(text) if text.isdecimal() and len(text) > LONGEST_UNGROUPED else amount(text)


def is_one(text: str) -> bool:
    """Return whether a number as written takes the singular."""
    return text.replace(",", "").lstrip("0") == "1"


def plural_of_number(word: str) -> str:
    """Return the plural of a number in words, as decades have it: "nineties", "twenty tens"."""
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "s")) else f"{word}s"


def spell_out(text: str, separator: str = " ") -> str:
    """Return the letters of a text one by one, marked as spoken by their names, and its digits in words."""
    return separator.join(
        f"{_LETTER}{character.lower()}" if character.isalpha() else UNITS[int(character)]
        for character in text
        if character.isalpha() or character in "0123456789"
    )


def prepare(text: str) -> str:
    """Remove the mark of spelled letters from a text from outside, close up "10 000" and "10'500", and write digits of
    any script as 0 to 9."""
    text = _SPACED.sub(lambda match: re.sub("[ ']", "", match[0]), text.replace(_LETTER, ""))
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text)


def marks_to_capitals(text: str) -> str:
    """Return lower-case text with spelled letters as capitals: "the G P U"."""
    return re.sub(f"{_LETTER}+(.?)", lambda match: match[1].upper(), text)

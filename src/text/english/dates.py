"""Dates, decades and times of day in words."""

import re

from src.text.english.counting import amount, cardinal, digits, ordinal, plural_of_number, spell_out, year
from src.text.english.grammar import ends_sentence

MONTHS = str.split("January February March April May June July August September October November December")
_MONTH = "|".join(MONTHS)
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_TO_DAY = r"(?:st|nd|rd|th)?(?:\ ?-\ ?(?P<last>3[01]|[12]\d|[1-9])(?:st|nd|rd|th)?)?"
_YEAR = r"(?P<year>[12]\d{3})"
_AFTER = r"(?![\w/]|[-.,]\d)"
_ISO = re.compile(
    r"(?<![\w/-])(?P<year>[12]\d{3})([-/])(?P<month>0[1-9]|1[0-2])\2(?P<day>0[1-9]|[12]\d|3[01])(?![\w-])"
)
_NUMERIC = re.compile(
    r"(?<![\w/.-])(?P<first>\d{1,2})(?P<separator>[/.-])(?P<second>\d{1,2})(?P=separator)(?P<year>[12]\d{3}|\d\d)"
    r"(?![\w/]|[-.]\d)"
)
_NO_YEAR = re.compile(
    r"(?P<before>\b(?:on|by|since|until|till|before|after|from|due|dated)\ )"
    r"(?P<first>1[0-2]|0?[1-9])/(?P<second>3[01]|[12]\d|0?[1-9])(?![\w/])",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(
    rf"(?P<the>\b[Tt]he\ )?(?<![\w.,:$€£-]){_DAY}{_TO_DAY}\ (?:of\ )?"
    rf"(?P<month>{_MONTH})(?:,?\ {_YEAR}{_AFTER})?(?!\w)"
)
_MONTH_DAY = re.compile(
    rf"\b(?P<month>{_MONTH})\ (?P<the>the\ )?{_DAY}{_TO_DAY}"
    rf"(?![\w:/%]|[-.]\d|,\d{{3}})(?:(?P<comma>,?)\ {_YEAR}(?![\w/]|,\d|\.\d))?"
)
_MONTH_TO = re.compile(rf"\b({_MONTH})\ ?-\ ?(?=\d{{1,2}}\ (?:{_MONTH})\b)")
_DECADE = re.compile(r"(?<![\w.,$€£])'?(?P<century>1[1-9]|20)?(?P<tens>\d0)'?s\b(?!\.\w)")
_ROUND = re.compile(r"(?<![\w.,$€£])1(000?)s\b")  # 100s, 1000s
_SHORT_YEAR = re.compile(r"(?<![\w'])'(\d\d)(?![\w'])")
_HALF_DAY = r"(?P<half>[AaPp])\.?\ ?[Mm]\b(?P<dot>\.?)"
_CLOCK = re.compile(
    rf"(?<![\w:.,$€£/-])(?P<hour>[01]?\d|2[0-4])(?P<separator>[:.])(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
    rf"(?P<oclock>\ o'clock)?(?:\ ?{_HALF_DAY}|\ ?h(?:rs)?(?!\w))?(?![\w:]|[.,]\d)"
)
_HOUR = re.compile(rf"(?<![\w:.,$€£/])(?P<hour>1[0-2]|0?[1-9])\ ?{_HALF_DAY}(?!\w)")
_HOURS = re.compile(
    r"(?<![\w:.,$€£/])(?P<from>(?:1[0-2]|0?[1-9])(?::[0-5]\d)?)\ ?(?:-|to)\ ?"
    r"(?=(?:1[0-2]|0?[1-9])(?::[0-5]\d)?\ ?[AaPp]\.?\ ?[Mm]\b)"
)
_CLOCK_RANGE = re.compile(r"(?<![\w:.])((?:[01]?\d|2[0-4]):[0-5]\d)\ ?-\ ?(?=(?:[01]?\d|2[0-4]):[0-5]\d(?![\w:]))")
_RACE = re.compile(r"(?<![\w:.])(\d{1,2}):([0-5]\d)\.(\d{1,3})(?!\w)")  # 4:15.3
_HOUR_BEFORE = re.compile(  # the 5 of "5 to 7pm"
    r"(?<![\w:.,$€£])(\d{1,2})\ to\ (?=\d{1,2}(?::\d\d)?\ ?[AaPp]\.?\ ?[Mm]\b)"
)
_BETWEEN_HALVES = re.compile(r"(?<=\d)(\ ?[AaPp]\.?[Mm]\b\.?)\ ?-\ ?(?=\d)")
_HALF_DAY_ALONE = re.compile(r"(?<![\w.])(?P<half>[ap])\.\ ?m\b(?P<dot>\.?)")


def speak_dates(text: str) -> str:
    """Replace dates by words: "3 May 2021", "May 3rd, 2021", "2021-05-03", "12/25/1998", "the 1950s", "'90s".

    A numeric date is read month first, as Americans write it, unless only day first is possible or dots separate it.
    """
    text = _MONTH_TO.sub(r"\1 to ", text)
    text = _ISO.sub(lambda match: _month_first(int(match["month"]), int(match["day"]), match["year"]), text)
    text = _NUMERIC.sub(_speak_numeric, text)
    text = _NO_YEAR.sub(
        lambda match: match["before"] + _month_first(int(match["first"]), int(match["second"]), None), text
    )
    text = _DAY_MONTH.sub(_speak_day_month, text)
    text = _MONTH_DAY.sub(_speak_month_day, text)
    text = _ROUND.sub(lambda match: "hundreds" if match[1] == "00" else "thousands", text)
    text = _DECADE.sub(_speak_decade, text)
    return _SHORT_YEAR.sub(lambda match: year(1900 + int(match[1])).removeprefix("nineteen "), text)


def speak_times(text: str) -> str:
    """Replace times of day and durations by words: "14:05", "10:30 p.m.", "10am", "5-7pm", "9:00", "1:30:05"."""
    text = _RACE.sub(lambda match: f"{amount(match[1])} {amount(match[2])} point {digits(match[3])}", text)
    text = _BETWEEN_HALVES.sub(r"\1 to ", text)
    text = _CLOCK_RANGE.sub(r"\1 to ", text)
    text = _HOURS.sub(r"\g<from> to ", text)
    text = _HOUR_BEFORE.sub(lambda match: f"{amount(match[1])} to ", text)
    text = _CLOCK.sub(_speak_clock, text)
    text = _HOUR.sub(lambda match: f"{cardinal(int(match['hour']))} {_half_day(match)}", text)
    return _HALF_DAY_ALONE.sub(_half_day, text)


def _month_first(month: int, day: int, of_year: str | None) -> str:
    return f"{MONTHS[month - 1]} {ordinal(day)}" + (f", {_year(of_year)}" if of_year else "")


def _year(text: str) -> str:
    if len(text) == 2:
        return f"oh {cardinal(int(text))}" if text[0] == "0" else cardinal(int(text))
    return year(int(text))


def _speak_numeric(match: re.Match) -> str:
    first, second = int(match["first"]), int(match["second"])
    day_first = first > 12 or match["separator"] == "."
    month, day = (second, first) if day_first else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31) or (len(match["year"]) == 2 and match["separator"] != "/"):
        return match[0]
    if day_first:
        return f"the {ordinal(day)} of {MONTHS[month - 1]}, {_year(match['year'])}"
    return _month_first(month, day, match["year"])


def _speak_day_month(match: re.Match) -> str:
    the = match["the"] or "the "
    last = f" to {ordinal(int(match['last']))}" if match["last"] else ""
    return f"{the}{ordinal(int(match['day']))}{last} of {match['month']}" + (
        f" {_year(match['year'])}" if match["year"] else ""
    )


def _speak_month_day(match: re.Match) -> str:
    last = f" to {ordinal(int(match['last']))}" if match["last"] else ""
    of_year = f"{match['comma']} {_year(match['year'])}" if match["year"] else ""
    return f"{match['month']} {match['the'] or ''}{ordinal(int(match['day']))}{last}{of_year}"


def _speak_decade(match: re.Match) -> str:
    century, tens = match["century"], match["tens"]
    if not century:
        return "tens" if tens == "10" else plural_of_number(cardinal(int(tens))) if tens != "00" else match[0]
    return plural_of_number(year(int(century + tens)))


def _speak_clock(match: re.Match) -> str:
    hour, minute, half = int(match["hour"]), int(match["minute"]), match["half"]
    if match["separator"] == "." and not half:
        return match[0]
    words = cardinal(hour)
    if minute:
        words += f" {f'oh {cardinal(minute)}' if minute < 10 else cardinal(minute)}"
    elif not half and not match["second"]:
        words += " o'clock" if 0 < hour <= 12 else " hundred"
    if match["second"]:
        second = int(match["second"])
        words += (" oh oh" if not minute else "") + f" {f'oh {cardinal(second)}' if second < 10 else cardinal(second)}"
    return f"{words} {_half_day(match)}" if half else words


def _half_day(match: re.Match) -> str:
    """Return "A M" or "P M"; the dot stays where it ends the sentence too."""
    return spell_out(f"{match['half']}m") + ("." if match["dot"] and _stop_stays(match) else "")


def _stop_stays(match: re.Match) -> bool:
    # The stop of "5pm." is no part of an abbreviation.
    undotted = re.search(r"[ap]m\.$", match[0], re.IGNORECASE)
    return ends_sentence(match) or bool(undotted and re.match(r"\s+[\"'(]?[A-Z]", match.string[match.end() :]))

"""Numbers with units, temperatures, angles and per cent in words."""

import functools
import re

from src.text.english.counting import NUMBER, amount, is_one
from src.text.english.fractions import FRACTION_CHARACTERS, speak_fraction
from src.text.english.grammar import follows_article, precedes_noun

_SYMBOLS = {  # symbols, separated by spaces: name in the singular; the plural adds an s unless _PLURALS has it
    "kg Kg KG kgs": "kilogram",
    "g gr": "gram",
    "mg": "milligram",
    "t": "tonne",
    "µg mcg": "microgram",
    "lb lbs": "pound",
    "oz": "ounce",
    "km Km KM kms": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "µm": "micrometer",
    "nm": "nanometer",
    "mi": "mile",
    "yd yds": "yard",
    "ft": "foot",
    "ha": "hectare",
    "l L": "liter",
    "ml mL ML": "milliliter",
    "cl": "centiliter",
    "dl dL": "deciliter",
    "gal": "gallon",
    "qt": "quart",
    "pt": "pint",
    "tbsp Tbsp tbs": "tablespoon",
    "tsp Tsp": "teaspoon",
    "Hz": "hertz",
    "kHz KHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "W": "watt",
    "mW": "milliwatt",
    "kW KW": "kilowatt",
    "MW": "megawatt",
    "GW": "gigawatt",
    "Wh": "watt-hour",
    "kWh KWh": "kilowatt-hour",
    "MWh": "megawatt-hour",
    "GWh": "gigawatt-hour",
    "V": "volt",
    "mV": "millivolt",
    "kV": "kilovolt",
    "mA": "milliamp",
    "mAh": "milliamp-hour",
    "Ω": "ohm",
    "kΩ": "kiloohm",
    "kJ": "kilojoule",
    "MJ": "megajoule",
    "kcal": "kilocalorie",
    "cal": "calorie",
    "Pa": "pascal",
    "hPa": "hectopascal",
    "kPa": "kilopascal",
    "MPa": "megapascal",
    "psi": "pound per square inch",
    "kB KB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "PB": "petabyte",
    "kbps Kbps kbit/s": "kilobit per second",
    "Mbps Mbit/s": "megabit per second",
    "Gbps Gbit/s": "gigabit per second",
    "Mbit": "megabit",
    "Gbit": "gigabit",
    "h hr hrs": "hour",
    "min mins": "minute",
    "sec secs": "second",
    "ms": "millisecond",
    "µs": "microsecond",
    "ns": "nanosecond",
    "yr yrs": "year",
    "mo": "month",
    "wk wks": "week",
    "dB": "decibel",
    "dpi": "dot per inch",
    "px": "pixel",
    "fps": "frame per second",
    "bpm": "beat per minute",
    "rpm RPM": "revolution per minute",
    "ppm": "part per million",
    "mph MPH": "mile per hour",
    "mpg MPG": "mile per gallon",
    "kph kmph": "kilometer per hour",
    "kn kt kts": "knot",
    "hp": "horsepower",
    "mol": "mole",
    "mmol": "millimole",
    "µmol": "micromole",
    "µM": "micromolar",
    "µl µL": "microliter",
    "ng": "nanogram",
    "mmHg": "millimeter of mercury",
    "sqft sq_ft": "square foot",
    "sqm sq_m": "square meter",
    "sq_km": "square kilometer",
    "sq_mi": "square mile",
    "cc": "cubic centimeter",
    "°C ℃": "degree celsius",
    "°F ℉": "degree fahrenheit",
    "°": "degree",
    "%": "percent",
    "‰": "per mille",
}
_NAMES = {symbol.replace("_", " "): name for symbols, name in _SYMBOLS.items() for symbol in symbols.split()}
_UNCHANGED = {"micromolar", "hertz", "kilohertz", "megahertz", "gigahertz", "horsepower", "percent", "per mille"}
_PLURALS = {
    "foot": "feet",
    "square foot": "square feet",
    "millimeter of mercury": "millimeters of mercury",
    "inch": "inches",
    **{name: name for name in _UNCHANGED},
}
_POWERS = {"²": "square ", "2": "square ", "³": "cubic ", "3": "cubic "}
_RAISED = {"²": "squared", "2": "squared", "³": "cubed", "3": "cubed"}
_LENGTHS = "km|cm|mm|nm|µm|m|ft|yd|mi|in"
_UNIT = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
# The dot of "5 ft. tall" goes with the unit; that of "He ran 5 km." ends the sentence.
_DOT = r"(?:(?<![%°‰])\.(?=,|\ [a-z]|(?:(?<=ft\.)|(?<=hr\.)|(?<=hrs\.)|(?<=lb\.)|(?<=lbs\.))\ \d))?"
_FRACTIONS = "".join(FRACTION_CHARACTERS)
_COUNT = rf"(?:\d+\ \d{{1,2}}/\d{{1,2}}|\d{{1,3}}/\d{{1,3}}|(?:{NUMBER})?\ ?[{_FRACTIONS}]|{NUMBER}|\.\d+)"
_MEASURE = re.compile(
    rf"(?:(?<![\w.,/°%])|(?<=°[CF]/))(?P<sign>[-+](?=\d))?(?P<count>{_COUNT})"
    rf"(?:(?P<to>\ ?-\ ?|\ to\ )(?P<upper>{_COUNT}))?"
    rf"(?P<gap>\ ?-?)(?:(?P<area>(?:{_LENGTHS}))\^?(?P<power>[²³23])(?!\w)|(?P<unit>{_UNIT})(?P<end>(?![\w²³])))"
    rf"(?:\ ?/\ ?(?P<per>{_UNIT}|{_LENGTHS}|s|d|day|hour|week|month|year)(?:\^?(?P<per_power>[²³23]))?(?!\w))?{_DOT}"
)
_DOTTED_INCHES = re.compile(rf"(?<![\w.,/])(?P<count>{_COUNT})\ ?-?in\.(?=,|\ [a-z(]|$)")
_SECONDS = re.compile(rf"(?<![\w.,/$])(?P<count>{NUMBER}(?=\ s)|\d+\.\d+)\ ?s(?![\w'])")
_FEET_INCHES = re.compile(r"(?<![\w.,'])(\d{1,3})\ ?(?:'|ft)\ ?(\d{1,2}(?:\.\d+)?)\ ?(?:\"|''|in\b)")
_HEIGHT = re.compile(r"(?<![\w.,'])(\d{1,2})(?:'|ft)(\d{1,2})(?![\w'])")
_INCHES = re.compile(rf"(?<![\w.,/])({_COUNT})\"")
_SAME_UNIT = re.compile(r"(?<=\d)\ ?(°[CF]?|%)\ ?-\ ?(?=\d+(?:\.\d+)?\ ?\1)")  # 5°-10°
_HOURS_MINUTES = re.compile(r"(?<![\w.,])(\d{1,2})\ ?h\ ?([0-5]?\d)(?:\ ?m(?:in)?)?\b")
_MINUTES = re.compile(r"(?<![\w.,])(\d{1,2})\ ?m\ ?(?=\d{1,2}(?:\.\d+)?\ ?s\b)")  # 1m 23.4s
_STONES = re.compile(r"(?<![\w.,])(\d{1,2})\ ?st\ (?=\d{1,2}\ ?lb)")
_FEET = re.compile(r"(?<![\w.,])(\d{1,4})'(?=\ (?:tall|high|wide|long|deep|by)\b)")
_FEET_BY_FEET = re.compile(r"(?<![\w.,])(\d{1,4})'\ ?[x×]\ ?(\d{1,4})'(?![\w\"'])")
_TIMES_TEN = re.compile(r"(?<=\d)\ ?[x×]\ ?(?=10(?:\^|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]))")
_BY = re.compile(r"(\d\ ?(?:\"|'|cm|mm|m|ft|in|km))\ ?[x×]\ ?(?=\d)")
# "5m" is a length, but not before these.
_MILLIONS = re.compile(
    rf"(?<![\w.,])({NUMBER})m(?=\ (?:people|users|men|women|children|jobs|views|viewers|voters|customers|"
    r"households|homes|copies|followers|downloads|visitors|workers|residents|tonnes|tons|barrels)\b)"
)
_PER_UNITS = str.split("kg lb oz km mi l L gal kWh MWh GB MB TB ha h hr min sec yr mo wk")
_PER_NAMES = {unit: _NAMES[unit] for unit in _PER_UNITS} | {
    "sq ft": "square foot",
    "m²": "square meter",
    "m³": "cubic meter",
    "km²": "square kilometer",
}
_PER = re.compile(rf"(?<=[a-z])(?:\ per\ |\ ?/\ ?)({'|'.join(sorted(_PER_NAMES, key=len, reverse=True))})(?!\w)")
_SPEEDS = {
    "km²": "square kilometers",
    "m²": "square meters",
    "km/h": "kilometers per hour",
    "mph": "miles per hour",
    "m/s": "meters per second",
    "kWh": "kilowatt-hours",
}
_SPEED = re.compile(rf"(?<![\w/])(?:{'|'.join(_SPEEDS)})(?![\w/])")
_ALONE = re.compile(r"(?<=[a-z])\ (kg|km|cm|mm|mg|lbs|kW|GB|MB|TB)(?!\w)")  # "five kg"
_DIRECTION = {"N": "north", "S": "south", "E": "east", "W": "west"}
_ANGLE = re.compile(rf"(?<!\d)({NUMBER})°\ ?(?:(\d{{1,2}})'\ ?)?(?:(\d{{1,2}})\"\ ?)?([NSEW])\b")


def speak_measures(text: str) -> str:
    """Replace numbers with units by words: "120 km/h", "-5°C", "5-10 kg", "6'2"", "0.5%", "½ cup", "9.8 m/s²"."""
    text = text.replace("º", "°").replace(
        "μ", "µ"
    )  # the ordinal sign and the Greek letter look like the sign that is meant
    text = re.sub(r"°\ (?=[CF]\b)", "°", text)
    text = re.sub(r"\bsq\.\ ?(?=(?:ft|m|km|mi)\b)", "sq ", text)
    text = _TIMES_TEN.sub(" times ", text)
    text = _FEET_BY_FEET.sub(lambda match: f"{_feet(match[1])} by {_feet(match[2])}", text)
    text = _BY.sub(r"\1 by ", text)
    if "=" not in text:
        text = re.sub(r"(?<=\d)\ ?[x×]\ ?(?=\d)", " by ", text)
    text = _SAME_UNIT.sub("-", text)
    text = _HOURS_MINUTES.sub(r"\1 hr \2 min", text)
    text = _MINUTES.sub(r"\1 min ", text)
    text = _STONES.sub(lambda match: f"{amount(match[1])} stone ", text)
    text = _MILLIONS.sub(r"\1 million", text)
    text = _ANGLE.sub(_speak_angle, text)
    text = _FEET_INCHES.sub(_speak_height, text)
    text = _HEIGHT.sub(_speak_height, text)
    text = _INCHES.sub(functools.partial(_speak_inches, closing=_closing_marks(text)), text)
    text = _DOTTED_INCHES.sub(lambda match: _with_unit(match, "inch", match["count"]), text)
    text = _SECONDS.sub(lambda match: _with_unit(match, "second", match["count"]), text)
    text = _FEET.sub(lambda match: _with_unit(match, "foot", match[1]), text)
    text = _MEASURE.sub(_speak, text)
    text = _SPEED.sub(lambda match: _SPEEDS[match[0]], text)
    text = _PER.sub(lambda match: f" per {_PER_NAMES[match[1]]}", text)
    return _ALONE.sub(lambda match: f" {_NAMES[match[1]]}s", text)


def _speak(match: re.Match) -> str:
    sign, count, upper = match["sign"], match["count"], match["upper"]
    if match["unit"] == "m" and match["gap"] == " -":
        return match[0]
    if match["area"]:
        name = _POWERS[match["power"]] + ("inch" if match["area"] == "in" else _NAMES[match["area"]])
    else:
        name = _NAMES[match["unit"]]
    words = _with_unit(match, name, upper or count, hyphen="-" in match["gap"])
    if upper:
        words = f"{_count(count)} to {words}"
    if match["per"]:
        per = {"s": "second", "d": "day", "in": "inch"}.get(match["per"]) or _NAMES.get(match["per"], match["per"])
        words += f" per {per}" + (f" {_RAISED[match['per_power']]}" if match["per_power"] else "")
    return {"-": "minus ", "+": "plus "}.get(sign, "") + words


def _with_unit(match: re.Match, name: str, count: str, hyphen: bool = False, before_noun: bool = False) -> str:
    below_one = "/" in count or count[-1] in FRACTION_CHARACTERS
    whole = re.match(rf"\d+[ {_FRACTIONS}]", count)  # "5 1/2", "5½"
    over = re.fullmatch(r"(\d+)/(\d+)", count)  # 120/80
    one = (
        is_one(count)
        or (below_one and not whole and not (over and int(over[1]) > int(over[2])))
        or hyphen
        or before_noun
        or follows_article(match)
    )
    head, separator, tail = name.partition(" per ")
    if not one:
        head = _PLURALS.get(head, f"{head}s")
        if head.startswith("degree "):
            head = head.removesuffix("s").replace("degree ", "degrees ")
    return f"{_count(count)}{'-' if hyphen else ' '}{head}{separator}{tail}"


def _count(text: str) -> str:
    if "/" in text or text[-1] in FRACTION_CHARACTERS:
        return speak_fraction(text)
    return amount(f"0{text}" if text[0] == "." else text)


def _speak_angle(match: re.Match) -> str:
    parts = [f"{amount(match[1])} degree{'' if is_one(match[1]) else 's'}"]
    for value, name in ((match[2], "minute"), (match[3], "second")):
        if value:
            parts.append(f"{amount(value)} {name}{'' if is_one(value) else 's'}")
    return " ".join([*parts, _DIRECTION[match[4]]])


def _feet(count: str) -> str:
    return f"{amount(count)} {'foot' if is_one(count) else 'feet'}"


def _speak_height(match: re.Match) -> str:
    feet, inches = match[1], match[2]
    return f"{_feet(feet)} {amount(inches)} inch{'' if is_one(inches) else 'es'}"


def _closing_marks(text: str) -> set[int]:
    """Return where quotation marks stand that close an open one, and so are no sign of inches."""
    closing, is_open = set(), False
    for mark in re.finditer('"', text):
        if is_open:
            closing.add(mark.start())
        follows_digit = text[mark.start() - 1 : mark.start()].isdecimal()
        is_open = not is_open if is_open or not follows_digit else is_open
    return closing


def _speak_inches(match: re.Match, closing: set[int]) -> str:
    if match.end() - 1 in closing:
        return match[0]
    return _with_unit(match, "inch", match[1], before_noun=precedes_noun(match))

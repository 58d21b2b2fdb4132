"""Telephone numbers, ranges, ordinals, signs and all other numbers in words."""

import re

from src.text.english.counting import NUMBER, amount, cardinal, digits, ordinal, plain, spell_out

_PHONE_WORDS = r"(?:call|dial|phone|ring|text|tel|telephone|fax|mobile|cell|hotline|number)\b\W*(?:\w+\W+)?$"
_LOCAL = re.compile(r"(?<![\w.,$€£-])(\d{3})-(\d{4})(?![\w-]|[.,]\d)")
_TELEPHONE = re.compile(
    r"(?<![\w.,$€£-])(?P<number>\+\d{1,3}[ -](?:\(0\)\ ?)?\d{1,5}(?:[ -]\d{1,7}){1,5}|0\d{2,4}[ -]\d{5,8}"
    r"|(?:\+\d{1,3}[ .-]?)?(?:\(0?\d{2,4}\)[ .-]?|\d{1,4}[ .-])?"
    r"\d{2,4}(?:[ .-]\d{2,4}){1,4})(?![\w-]|[.,]\d)"
)
_VANITY = re.compile(r"\b(1-)?(800|888|877|866|900)-([A-Z]{3,8}|\d{3}-[A-Z]{4})\b")
_EMERGENCY = re.compile(
    r"(\b(?:[Cc]all(?:s|ed|ing)?|[Dd]ial(?:s|ed|led|ing)?|[Rr]ang|[Rr]ing|[Pp]hone[ds]?)\ )"
    r"(911|999|112|101|111|411|311|988)\b"
)
_CODE = re.compile(r"\b((?:PIN|[Cc]ode|[Pp]asscode|[Pp]assword|ID|ZIP)\ (?:is\ |was\ )?)(\d{3,})(?!\w|[.,-]\d)")
_SOCIAL_SECURITY = re.compile(r"(?<![\w-])(\d{3})-(\d{2})-(\d{4})(?![\w-])")
_CARD = re.compile(r"(?<![\w-])(\d{4})([ -])(\d{4})\2(\d{4})\2(\d{4})(?![\w-])")
_SERIAL = re.compile(r"(?<![\w-])\d+(?:-\d+){3,}(?![\w-])(?!\.\d)")  # an ISBN
_DOTTED = re.compile(r"(?<![\w.,])(?P<v>[vV]\.?\ ?)?(\d+(?:\.\d+){2,})(?![\w]|\.\d)")
_VERSE = re.compile(
    r"\b(Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Samuel|Kings|Job|Psalms?|Proverbs|Isaiah|Jeremiah|"
    r"Ezekiel|Daniel|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians|"
    r"Thessalonians|Timothy|Hebrews|James|Peter|Revelation)\ (\d{1,3}):(\d{1,3})(?:-(\d{1,3}))?(?![\w:-]|\.\d)"
)
_VERSION = re.compile(r"\b[vV](?:\.\ ?)?(?=\d+\.\d)")
_ORDINALS = re.compile(r"(?<=\d(?:st|nd|rd|th))\ ?-\ ?(?=\d+(?:st|nd|rd|th)\b)")  # 5th-8th
_ORDINAL = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(?:(?<=1)st|(?<=2)nd|(?<=3)rd|th)\b")
_TIMES_AS = re.compile(rf"(?<![\w.,])({NUMBER})[x×](?=\s*(?:$|[.,;:!?)\"']|[a-z]))")
_BY = re.compile(rf"(?<!\d)({NUMBER})\ ?[x×*]\ ?(?={NUMBER})")
_RATIO = re.compile(r"(?<![\w.,:])(\d+)\ ?:\ ?(\d+)(?![\w:])")
_SPAN = re.compile(rf"(?<![\w.,-])({NUMBER})\ ?-{{1,2}}\ ?({NUMBER})(?![\w-]|[.,]\d)")
_SCORE = re.compile(r"(?<![\w.-])(\d{1,2})-(\d{1,2})-(\d{1,2})(?![\w-])")
_NEGATIVE = re.compile(r"(?:(?<=^)|(?<=[\s(\[=,]))-(?=\.?\d)")
_POSITIVE = re.compile(r"(?:(?<=^)|(?<=[\s(\[=,]))\+(?=\.?\d)")
_POWER = re.compile(rf"((?<!\d){NUMBER}|\b[a-z]{{1,2}}|\b[α-ω])(?:\^(-?\d+)|([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))")
_SCIENTIFIC = re.compile(rf"(?<![\w.,])({NUMBER})[eE]([-+]?\d{{1,3}})(?!\w)")
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SCALED = re.compile(rf"(?<![\w.,:])({NUMBER})(?:\ ?(mn|bn|tn)\b(?!\.\w)|([MB])(?=\s*(?:$|[.,;:!?)]|[a-z])))")
_SCALES = {"M": "million", "mn": "million", "bn": "billion", "B": "billion", "tn": "trillion"}
_PLACE = re.compile(  # "seat 4B" is no number of billions
    r"\b(?:apartment|block|building|bus|exercise|exhibit|figure|flat|gate|level|number|platform|question|room|seat|"
    r"section|suite|table|unit)\ $",
    re.IGNORECASE,
)
_LISTED = re.compile(r"(?<=\d),(?=\d)(?!\d{3}(?!\d))(?!\d{2},)")  # 1,2,3
_BOEING = re.compile(r"\b(Boeing\ )(\d{3})(?:-(\d{1,4}))?\b(?!0)")
_ROOM = re.compile(
    r"\b((?:[Rr]oom|[Ff]light|[Rr]oute|[Hh]ighway|Interstate|[Ss]uite|[Aa]partment|[Uu]nit)\ )"
    r"(\d(?!00)\d\d)(?!\w|[.,]\d)"
)
_NUMBER_SIGN = re.compile(r"#\ ?(?=\d)")
_NUMBER = re.compile(rf"(?<![\d.])(?:{NUMBER}|\.\d+)")
_QUANTITY = re.compile(r"\ (?:hundred|thousand|million|billion|trillion|percent)\b")
_MIXED = re.compile(r"(?<!\w)(?<!\d\.)(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]+(?:-?\d+(?:\.\d+)?)?(?![\w])")


def speak_telephones(text: str) -> str:
    """Replace telephone numbers, codes, dotted rows of numbers (versions, IP addresses) and powers of ten by words.

    "555-1234" could be a range too: it is a telephone number behind a word such as "call", or if it does not end with a
    zero.
    """
    text = _VERSE.sub(_speak_verse, text)
    text = _SCIENTIFIC.sub(_speak_scientific, text)
    text = _CODE.sub(lambda match: match[1] + digits(match[2]), text)
    text = re.sub(r"\b911(?=\ (?:call|dispatch|operator))", digits("911"), text)
    text = _EMERGENCY.sub(lambda match: match[1] + digits(match[2]), text)
    text = _VANITY.sub(_speak_vanity, text)
    text = _SOCIAL_SECURITY.sub(lambda match: ", ".join(map(digits, match.groups())), text)
    text = _CARD.sub(lambda match: ", ".join(digits(match[i]) for i in (1, 3, 4, 5)), text)
    text = _SERIAL.sub(lambda match: ", ".join(map(digits, match[0].split("-"))), text)
    text = _TELEPHONE.sub(_speak_telephone, text)
    text = _DOTTED.sub(_speak_dotted, text)
    text = _VERSION.sub("version ", text)
    return _LOCAL.sub(_speak_local, text)


def speak_numbers(text: str) -> str:
    """Replace all numbers that are left by words: ordinals, ranges, scores, "3x", "2 × 4", "-5", "#1", "A4", years."""
    text = _NUMBER_SIGN.sub("number ", text.translate(_SUBSCRIPTS))
    text = _LISTED.sub(", ", text)
    text = re.sub(r"\b401\(k\)", "401k", text)
    text = _BOEING.sub(
        lambda match: match[1] + _house_number(match[2]) + (f" {amount(match[3])}" if match[3] else ""), text
    )
    text = _ROOM.sub(lambda match: match[1] + _house_number(match[2]), text)
    text = _ORDINALS.sub(" to ", text)
    text = _ORDINAL.sub(lambda match: ordinal(int(match[1].replace(",", ""))), text)
    text = _POWER.sub(_speak_power, text)
    text = _TIMES_AS.sub(lambda match: f"{amount(match[1])} times", text)
    by = "times" if "=" in text else "by"
    text = _BY.sub(lambda match: f"{amount(match[1])} {'times' if '*' in match[0] else by} ", text)
    text = _RATIO.sub(lambda match: f"{amount(match[1])} to {amount(match[2])}", text)
    text = _SCORE.sub(lambda match: " ".join(map(amount, match.groups())), text)
    text = _SPAN.sub(_speak_span, text)
    text = _NEGATIVE.sub("minus ", text)
    text = _POSITIVE.sub("plus ", text)
    text = _SCALED.sub(_speak_scaled, text)
    text = _MIXED.sub(_speak_mixed, text)
    text = _NUMBER.sub(_speak_number, text)
    # What no rule understands is read digit by digit rather than left out.
    return re.sub(r"\d+", lambda match: f" {digits(match[0])} ", text)


def _speak_verse(match: re.Match) -> str:
    last = f" to {amount(match[4])}" if match[4] else ""
    return f"{match[1]} {amount(match[2])} {amount(match[3])}{last}"


def _speak_vanity(match: re.Match) -> str:
    word = " ".join(digits(part) if part.isdecimal() else part.lower() for part in match[3].split("-"))
    return f"{'one, ' if match[1] else ''}{amount(match[2])}, {word}"


def _speak_telephone(match: re.Match) -> str:
    number = match["number"]
    groups = re.findall(r"\d+", number)
    length = sum(map(len, groups))
    international = number[0] == "+"
    looks_so = (
        international or number[0] in "(0" or (len(groups) >= 3 and [len(group) for group in groups[-2:]] == [3, 4])
    )
    if not looks_so or not 7 <= length <= 15 or len(groups) < 2:
        return match[0]
    return ("plus " if international else "") + ", ".join(map(digits, groups))


def _speak_local(match: re.Match) -> str:
    before = match.string[max(0, match.start() - 40) : match.start()]
    counted = re.search(r"(?:pages|pp\.|from|between|years)\s$", before)
    if not re.search(_PHONE_WORDS, before, re.IGNORECASE) and (counted or match[2].endswith("0")):
        return match[0]
    return f"{digits(match[1])}, {digits(match[2])}"


def _speak_dotted(match: re.Match) -> str:
    parts = match[2].split(".")
    if len(parts) == 4 and all(int(part) < 256 for part in parts) and not match["v"]:
        return " dot ".join(map(digits, parts))
    return ("version " if match["v"] else "") + " point ".join(map(amount, parts))


def _speak_power(match: re.Match) -> str:
    exponent = (match[2] or match[3]).translate(_SUPERSCRIPTS)
    base = amount(match[1]) if not match[1].isalpha() else spell_out(match[1]) if match[1].isascii() else match[1]
    if exponent in ("2", "3"):
        return f"{base} {'squared' if exponent == '2' else 'cubed'}"
    sign = "minus " if exponent[0] == "-" else ""
    return f"{base} to the power of {sign}{amount(exponent.lstrip('-') or '0')}"


def _speak_scientific(match: re.Match) -> str:
    sign = "minus " if match[2][0] == "-" else ""
    return f"{amount(match[1])} times ten to the power of {sign}{amount(match[2].lstrip('+-'))}"


def _speak_span(match: re.Match) -> str:
    first, second = match.groups()
    if "=" in match.string and " - " in match[0]:
        return f"{amount(first)} minus {amount(second)}"
    if len(second) > 2 and second[0] == "0" != first[0]:  # invoice 2024-001
        return f"{plain(first)} {digits(second)}"
    if len(first) == 4 and len(second) == 2 and second[0] == "0":
        return f"{plain(first)} to oh {amount(second[1])}"
    if first == second and len(first) <= 2:
        return f"{amount(first)}-{amount(second)}"  # fifty-fifty
    return f"{plain(first)} to {plain(second)}"


def _speak_scaled(match: re.Match) -> str:
    if match[0] == "3M" and not re.match(r"\ [a-z]+s\b", match.string[match.end() :]):
        return match[0]  # the company
    if match[3] and _PLACE.search(match.string[max(0, match.start() - 16) : match.start()]):
        return match[0]
    return f"{amount(match[1])} {_SCALES[match[2] or match[3]]}"


def _speak_mixed(match: re.Match) -> str:
    """Return "A4", "MP3", "1080p", "H2O" with letters by name; a part longer than an abbreviation stays a word."""
    words = []
    for part in re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?", match[0]):
        if part.isalpha():
            words.append(spell_out(part) if len(part) <= 3 and (part.isupper() or len(part) == 1) else part)
        else:
            words.append(
                plain(part)
                if len(part) != 3 or part.endswith("00") or not (words or match[0].endswith("k"))
                else _house_number(part)
            )
    return " ".join(words)


def _house_number(text: str) -> str:
    # "A380" is "A three eighty", "B707" "B seven oh seven".
    if text[0] == "0":
        return digits(text)
    tail = f"oh {cardinal(int(text[2]))}" if text[1] == "0" else cardinal(int(text[1:]))
    return f"{cardinal(int(text[0]))} {tail}"


def _speak_number(match: re.Match) -> str:
    text, string = match[0], match.string
    if text[0] == "." and string[: match.start()][-1:].isalpha():
        return f" point {digits(text)}"  # Section B.2
    words = amount(f"0{text}") if text[0] == "." else (amount if _QUANTITY.match(string, match.end()) else plain)(text)
    before = " " if match.start() and (string[match.start() - 1].isalpha() or string[match.start() - 1] == "%") else ""
    after = " " if match.end() < len(string) and string[match.end()].isalpha() else ""
    return f"{before}{words}{after}"

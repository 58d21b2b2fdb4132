"""Abbreviations in words."""

import re

from src.text.english.counting import digits
from src.text.english.dates import MONTHS
from src.text.english.grammar import ends_sentence

# Before a name, with or without the full stop (as in British English).
_TITLES = {
    "Mr": "mister",
    "Mrs": "missus",
    "Ms": "miz",
    "Messrs": "messieurs",
    "Dr": "doctor",
    "Drs": "doctors",
    "Prof": "professor",
    "Capt": "captain",
    "Cmdr": "commander",
    "Col": "colonel",
    "Gen": "general",
    "Gov": "governor",
    "Hon": "honorable",
    "Lt": "lieutenant",
    "Maj": "major",
    "Rep": "representative",
    "Rev": "reverend",
    "Sen": "senator",
    "Sgt": "sergeant",
    "Supt": "superintendent",
    "Pres": "president",
    "Fr": "father",
    "Mt": "mount",
    "Ft": "fort",
}
_ALWAYS = {  # with a full stop, wherever they stand
    "approx": "approximately",
    "Ave": "avenue",
    "Blvd": "boulevard",
    "Bros": "brothers",
    "cf": "compare",
    "Co": "company",
    "Corp": "corporation",
    "Dept": "department",
    "dept": "department",
    "Esq": "esquire",
    "est": "established",
    "Hwy": "highway",
    "Inc": "incorporated",
    "incl": "including",
    "Jr": "junior",
    "Ltd": "limited",
    "misc": "miscellaneous",
    "Pkwy": "parkway",
    "Rd": "road",
    "Sq": "square",
    "Sr": "senior",
    "Rte": "route",
    "Univ": "university",
    "viz": "namely",
    "vs": "versus",
}
_LOWER_CASE = {
    "al": "al",
    "etc": "et cetera",
    "e.g": "for example",
    "i.e": "that is",
    "ca": "circa",
}
_BARE = {"vs": "versus", "etc": "et cetera"}
_BEFORE_NUMBER = {
    "app": "appendix",
    "art": "article",
    "ch": "chapter",
    "chap": "chapter",
    "eq": "equation",
    "fig": "figure",
    "figs": "figures",
    "no": "number",
    "nos": "numbers",
    "op": "opus",
    "p": "page",
    "pp": "pages",
    "para": "paragraph",
    "pt": "part",
    "sec": "section",
    "sect": "section",
    "ref": "reference",
    "refs": "references",
    "tab": "table",
    "vol": "volume",
    "vols": "volumes",
    "apt": "apartment",
    "ste": "suite",
    "rm": "room",
    "ext": "extension",
    "c": "circa",
    "ca": "circa",
}
_MONTHS = {month[:3]: month for month in MONTHS if len(month) > 3} | {"Sept": "September"}
_DAYS = {name[:3]: name for name in str.split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")} | {
    "Tues": "Tuesday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
}
_STATES = dict(
    pair.split(":")
    for pair in str.split(
        "AL:Alabama AK:Alaska AZ:Arizona AR:Arkansas CA:California CO:Colorado CT:Connecticut DE:Delaware "
        "FL:Florida GA:Georgia HI:Hawaii ID:Idaho IL:Illinois IN:Indiana IA:Iowa KS:Kansas KY:Kentucky "
        "LA:Louisiana ME:Maine MD:Maryland MA:Massachusetts MI:Michigan MN:Minnesota MS:Mississippi MO:Missouri "
        "MT:Montana NE:Nebraska NV:Nevada NH:New_Hampshire NJ:New_Jersey NM:New_Mexico NY:New_York "
        "NC:North_Carolina ND:North_Dakota OH:Ohio OK:Oklahoma OR:Oregon PA:Pennsylvania RI:Rhode_Island "
        "SC:South_Carolina SD:South_Dakota TN:Tennessee TX:Texas UT:Utah VT:Vermont VA:Virginia WA:Washington "
        "WV:West_Virginia WI:Wisconsin WY:Wyoming DC:DC"
    )
)
_COMPASS = {
    "N": "north",
    "S": "south",
    "E": "east",
    "W": "west",
    "NE": "northeast",
    "NW": "northwest",
    "SE": "southeast",
    "SW": "southwest",
}
_NAME = r"[A-Z][\w'-]*"
_TITLE = re.compile(rf"\b({'|'.join(sorted(_TITLES, key=len, reverse=True))})\b(?:\.\ ?|\ )(?=[A-Z])")
_TITLE_ALONE = re.compile(rf"\b({'|'.join(_TITLES)})\.")
_WITH_STOP = re.compile(rf"(?<![\w.])({'|'.join(_ALWAYS)})\.")
_LOWER = re.compile(r"\b(e\.\ ?g|i\.\ ?e|etc|al|ca)\.")
_NUMBERED = re.compile(rf"(?<![\w.])({'|'.join(_BEFORE_NUMBER)})\.\ ?(?=[#\[]?\d|[IVX]+\b)", re.IGNORECASE)
_MONTH = re.compile(rf"\b({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.")
_MONTH_BY_DAY = re.compile(
    rf"\b({'|'.join(sorted(set(_MONTHS) - {'Mar'}, key=len, reverse=True))})(?=\ '?\d)"
    rf"|(?:(?<=\d\ )|(?<=\d(?:st|nd|rd|th)\ ))({'|'.join(_MONTHS)})\b|\b(Mar)(?=\ \d{{1,2}}(?:st|nd|rd|th)\b)"
)
_DAY = re.compile(
    rf"\b({'|'.join(sorted(_DAYS, key=len, reverse=True))})(?:\.(?=,?\ )|(?=,\ (?:{'|'.join([*MONTHS, *_MONTHS])}|\d)))"
)
_HOUSE_STREET = re.compile(
    rf"(\d\w{{0,9}}(?:\ (?:N|S|E|W|NE|NW|SE|SW)\.?)?(?:\ (?:{_NAME}|\d+(?:st|nd|rd|th))){{1,6}})\ (St|Dr|Ct|Pl|Ln)\.?"
    r"(?=[\s,;)]|$)"
)
_STREET = re.compile(rf"\b({_NAME}|\d+(?:st|nd|rd|th))\ (St|Dr|Ct|Pl|Ln)\.(?=\s*$|[,;)]|\ [a-z(]|\ [NS]\.?[EW]\b)")
_ANY_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))
_DAY_SPAN = re.compile(rf"\b({_ANY_DAY})\.?\ ?-\ ?({_ANY_DAY})\b\.?")
_SURE_DAY = re.compile(
    r"(?:\b(?=[TF])|(?<=\b[Oo]n\ ))(Tue|Tues|Thu|Thur|Thurs|Fri|Mon|Wed|Sat|Sun)\."
)  # "Wed." and "Sat." may be verbs
_MONTH_SPAN = re.compile(rf"\b({'|'.join(_MONTHS)})\.?\ ?-\ ?({'|'.join([*_MONTHS, 'May'])})\b\.?")
_STREETS = {"St": "street", "Dr": "drive", "Ct": "court", "Pl": "place", "Ln": "lane"}
_SAINT = re.compile(r"\bSt(?:\.\ ?|\ )(?=[A-Z])")
_COMPASS_BEFORE = re.compile(rf"(\d\w{{0,9}})\ (NE|NW|SE|SW|[NSEW])\.?\ (?={_NAME}|\d+(?:st|nd|rd|th))")
_ZIP = re.compile(rf",\ ({'|'.join(_STATES)})\ (\d{{5}})(?:-(\d{{4}}))?\b")
_WITH = re.compile(r"(?<!\w)(w/o|w/|c/o|b/c|n/a|N/A)(?!\w)\ ?")
_SLASHED = {"w/o": "without ", "w/": "with ", "c/o": "care of ", "b/c": "because ", "n/a": "N/A ", "N/A": "N/A "}


def expand_abbreviations(text: str) -> str:
    """Replace abbreviations by words: titles, streets, months, "No. 7", "pp. 3-5", "e.g.", "Inc.", ZIP codes.

    "St." is a street behind a name or a house number, and a saint before a name. A full stop that also ends the
    sentence stays.
    """
    text = _ZIP.sub(_speak_zip, text)
    text = _HOUSE_STREET.sub(lambda match: f"{match[1]} {_STREETS[match[2]]}", text)
    text = _COMPASS_BEFORE.sub(lambda match: f"{match[1]} {_COMPASS[match[2]]} ", text)
    text = _STREET.sub(_speak_street, text)
    text = _SAINT.sub("saint ", text)
    text = _TITLE.sub(lambda match: f"{_TITLES[match[1]]} ", text)
    text = _TITLE_ALONE.sub(lambda match: _TITLES[match[1]], text)
    text = _NUMBERED.sub(_speak_numbered, text)
    text = re.sub(r"(?<!^)\b(No|Nos)\ (?=\d)", lambda match: f"{_BEFORE_NUMBER[match[1].lower()]} ", text)
    text = _DAY_SPAN.sub(lambda match: f"{_DAYS[match[1]]} to {_DAYS[match[2]]}", text)
    text = _MONTH_SPAN.sub(lambda match: f"{_MONTHS[match[1]]} to {_MONTHS.get(match[2], match[2])}", text)
    text = re.sub(r"\bRte\ (?=\d)", "route ", text)
    text = _SURE_DAY.sub(lambda match: _DAYS[match[1]] + ("." if ends_sentence(match) else ""), text)
    text = _DAY.sub(lambda match: _DAYS[match[1]], text)
    text = _MONTH.sub(lambda match: _MONTHS[match[1]], text)
    text = _MONTH_BY_DAY.sub(lambda match: _MONTHS[match[1] or match[2] or match[3]], text)
    text = _WITH_STOP.sub(_speak_with_stop, text)
    text = _LOWER.sub(_speak_lower, text)
    text = re.sub(r"(?<![\w./])(vs|etc)\b(?!\.)", lambda match: _BARE[match[1]], text)
    return _WITH.sub(lambda match: _SLASHED[match[1]], text)


def _speak_zip(match: re.Match) -> str:
    plus_four = f", {digits(match[3])}" if match[3] else ""
    return f", {_STATES[match[1]].replace('_', ' ')} {digits(match[2])}{plus_four}"


def _speak_numbered(match: re.Match) -> str:
    if match[1].lower() == "no" and match.string[match.end()] == "I":
        return match[0]  # "No. I did not."
    return f"{_BEFORE_NUMBER[match[1].lower()]} "


def _speak_street(match: re.Match) -> str:
    return f"{match[1]} {_STREETS[match[2]]}" + ("." if ends_sentence(match) else "")


def _speak_with_stop(match: re.Match) -> str:
    return _ALWAYS[match[1]] + ("." if ends_sentence(match) else "")


def _speak_lower(match: re.Match) -> str:
    return _LOWER_CASE[match[1].replace(" ", "")] + ("." if ends_sentence(match) else "")

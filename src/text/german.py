"""German: one file that gives a language its cleaner, its symbols and its sentences. See docs/languages.md."""

import importlib
import re
from collections.abc import Callable

from src.errors import InputError
from src.text.registry import Cleaner
from src.text.symbols import PAD, PUNCTUATION, register_symbol_table

register_symbol_table("german", [PAD, *PUNCTUATION, *"abcdefghijklmnopqrstuvwxyzäöüß"])

_MONTHS = "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
_ABBREVIATIONS = {
    "z. B.": "zum Beispiel",
    "d. h.": "das heißt",
    "u. a.": "unter anderem",
    "usw.": "und so weiter",
    "bzw.": "beziehungsweise",
    "ca.": "circa",
    "Nr.": "Nummer",
    "Dr.": "Doktor",
    "Prof.": "Professor",
    "Hr.": "Herr",
    "Fr.": "Frau",
    "Str.": "Straße",
    "St.": "Sankt",
    "vgl.": "vergleiche",
    "Mio.": "Millionen",
    "Mrd.": "Milliarden",
}
_SHORT = re.compile("|".join(rf"\b{re.escape(key).replace(chr(92) + ' ', ' ?')}" for key in _ABBREVIATIONS))
_SIGNS = {
    "%": "Prozent",
    "€": "Euro",
    "$": "Dollar",
    "£": "Pfund",
    "&": "und",
    "+": "plus",
    "=": "gleich",
    "§": "Paragraf",
}
_UNITS = {
    "km/h": "Kilometer pro Stunde",
    "km": "Kilometer",
    "kg": "Kilogramm",
    "cm": "Zentimeter",
    "°C": "Grad Celsius",
}
_NUMBER = r"\d+(?:,\d+)?"
_END = re.compile(r"(?P<word>\S*?)[.!?…]+[\"'“”’«»)\]]*\s+(?=[\"'„“«»(\[]*[^\sa-zäöüß])|\n\s*\n")


def german(text: str) -> str:
    """Turn a text into the words that are spoken, in lower case: figures, times, money, units and abbreviations.

    Raises:
        InputError: there are figures, and the package of requirements-german.txt that reads them is missing.
    """
    text = _SHORT.sub(lambda match: _ABBREVIATIONS[re.sub(r"(?<=\.)(?=\w)", " ", match[0])], text)
    text = re.sub(r"(?<=[a-zß])str\.", "straße", re.sub(r"(?<=\d)\.(?=\d{3}(?!\d))", "", text))
    text = re.sub(rf"\b(\d{{1,2}})\. ?(?={_MONTHS})", lambda match: f"{_ordinal(match[1])} ", text)
    text = re.sub(r"\b(\d{1,2}):(\d{2}) Uhr", lambda match: _time(match[1], match[2]), text)
    text = re.sub(rf"([€$£]) ?({_NUMBER})", r"\2 \1", text)
    text = re.sub(r"\b(\d+),(\d{2}) ?([€$£])", lambda match: _money(*match.groups()), text)
    text = re.sub(r"(?<=\d) ?(km/h|km|kg|cm|°C)\b", lambda match: f" {_UNITS[match[1]]}", text)
    text = re.sub(r"(?<![\d.,])(1[1-9]\d\d)(?![\d,]|\.\d)", lambda match: _words(match[1], to="year"), text)
    text = re.sub(r"(?<![\w])-(?=\d)", "minus ", text)
    text = re.sub(_NUMBER, lambda match: _cardinal(match[0]), text)
    text = "".join(f" {_SIGNS[each]} " if each in _SIGNS else each for each in text)
    return re.sub(r"\s+", " ", re.sub(r"\s+(?=[.,;:!?])", "", text)).lower()


def find_sentences(text: str) -> list[str]:
    """Cut a text at sentence ends; the stop of an ordinal ("3. Mai"), of an abbreviation and of initials ends none."""
    sentences, start = [], 0
    for match in _END.finditer(text):
        word = match["word"]
        if word and (re.fullmatch(r"\d{1,2}|(?:\w\.)*\w", word) or f"{word}." in _ABBREVIATIONS):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def _cardinal(figures: str) -> str:
    whole, _, fraction = figures.partition(",")
    words = _words(whole)
    return f"{words} Komma {' '.join(map(_words, fraction))}" if fraction else words


def _ordinal(figures: str) -> str:
    return f"{_words(figures, to='ordinal')}n"  # "am dritten Mai"; of the cases the commonest


def _time(hours: str, minutes: str) -> str:
    hour = "ein" if int(hours) == 1 else _words(hours)
    return f"{hour} Uhr" + (f" {_words(minutes)}" if int(minutes) else "")


def _money(whole: str, cents: str, sign: str) -> str:
    unit = "ein" if whole == "1" else _words(whole)
    return f"{unit} {_SIGNS[sign]}" + (f" {_words(cents)}" if int(cents) else "")


def _words(figures: str, to: str = "cardinal") -> str:
    if len(figures) > 30 or (len(figures) > 1 and figures[0] == "0" and to == "cardinal"):
        return " ".join(map(_words, figures))
    return _num2words()(int(figures), lang="de", to=to)


def _num2words() -> Callable[..., str]:
    try:
        return importlib.import_module("num2words").num2words  # LGPL: imported only if someone installed it
    except ImportError as error:
        raise InputError("German figures need the package num2words: pip install -r requirements-german.txt") from error


GERMAN = Cleaner(
    "german",
    "de",
    german,
    split=find_sentences,
    scripts=frozenset({"LATIN"}),
    symbols="german",
    silent=frozenset("\"'„“”"),
)

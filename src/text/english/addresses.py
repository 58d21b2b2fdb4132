"""Web addresses, e-mail addresses, names of accounts and of files in words."""

import re

from src.text.english.counting import amount, digits, spell_out
from src.text.pronunciation import is_known, is_spelled

_TOP = str.split(
    "com org net edu gov mil int info io ai co uk de fr es it nl se no fi dk pl cz at ch be eu ie us ca au nz "
    "jp cn in ru br mx za tv me app dev biz ly gg fm"
)
_TOP_LEVEL = "|".join(_TOP)
_PATH = r"(?:[/?#][^\s<>\"“”{}]*)?"
_HOST = rf"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:{_TOP_LEVEL})"
_MAIL = re.compile(r"\b(?:mailto:)?([A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})\b")
_LINK = re.compile(r"\b(?:https?|ftp)://([^\s<>\"“”{}]+)|(?<![\w@.])(www\.[^\s<>\"“”{}]+)")
_BARE = re.compile(rf"(?<![\w@.-])({_HOST}(?::\d+)?{_PATH})(?![\w-]|\.\w)")
_BRACKETED = re.compile(r"<((?:https?://|www\.|mailto:)[^\s<>]+|[^\s<>@]{1,64}@[^\s<>@]+)>")
_ACCOUNT = re.compile(r"(?<![\w@])@([A-Za-z0-9_]+)")
_HASHTAG = re.compile(r"(?<![\w&])#((?:\d+(?=[A-Z][a-z]))?[A-Za-z][A-Za-z0-9_]*)")
_FILE = re.compile(
    r"(?<![\w.@/-])(?:[A-Za-z0-9_.-]+/){0,8}(?=[0-9-]*[A-Za-z_])[A-Za-z0-9_-]+\.([a-z]{1,4}[0-9]?)(?![\w.]*\w)(?=\W|$)"
)
_EXTENSIONS = set(
    str.split(
        "txt pdf doc docx xls xlsx ppt csv json yaml yml xml html htm js ts py c h cpp rs go java sh exe zip gz "
        "tar png jpg jpeg gif svg mp3 mp4 wav flac ogg md tex log ini cfg"
    )
)
_MARKS = {
    ".": "dot",
    "/": "slash",
    "@": "at",
    "-": "dash",
    "_": "underscore",
    ":": "colon",
    "?": "question mark",
    "=": "equals",
    "&": "ampersand",
    "#": "hash",
    "%": "percent",
    "+": "plus",
    "~": "tilde",
}
_TRAILING = ".,;:!?)]}'\""


def speak_addresses(text: str) -> str:
    """Replace addresses by words: "joe@example.com", "https://www.example.org/a", "@user", "#news", "notes.txt".

    The scheme (https://) is left out, as in speech.
    """
    text = _BRACKETED.sub(r"\1", text)
    text = _MAIL.sub(lambda match: _read(match[1]), text)
    text = _LINK.sub(lambda match: _with_trail(match[1] or match[2]), text)
    text = _BARE.sub(lambda match: _with_trail(match[1]), text)
    text = _ACCOUNT.sub(lambda match: f"at {_read(match[1])}", text)
    text = _HASHTAG.sub(lambda match: f"hashtag {_words_of(match[1])}", text)
    return _FILE.sub(lambda match: _read(match[0]) if match[1] in _EXTENSIONS else match[0], text)


def _with_trail(address: str) -> str:
    kept = address.rstrip(_TRAILING)
    return _read(kept.rstrip("/")) + address[len(kept) :]


def _read(address: str) -> str:
    parts = re.findall(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9\s]", address)
    return " ".join(filter(None, map(_part, parts)))


def _part(part: str) -> str:
    if part.isdecimal():
        return digits(part) if part[0] == "0" or len(part) > 4 else amount(part)
    if not part.isalpha():
        return _MARKS.get(part, "")
    return _words_of(part)


def _words_of(name: str) -> str:
    """Return a name as words where the dictionary has them; a row of consonants or two letters are spelled."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+", name)
    return " ".join(amount(word) if word.isdigit() else _word(word.lower()) for word in words)


def _word(word: str) -> str:
    two_letters = len(word) == 2 and word not in {
        "is",
        "in",
        "to",
        "my",
        "me",
        "of",
        "on",
        "we",
        "go",
        "or",
        "at",
        "be",
        "by",
        "do",
        "so",
        "up",
        "co",
    }
    if word != "a" and not two_letters and not is_spelled(word) and (is_known(word) or re.search("[aeiouy]", word)):
        return word
    return spell_out(word)

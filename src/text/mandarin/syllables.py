"""Syllables of pinyin with their tone (`hao3`, `lv4`, `huar1`), and their initials and finals as symbols."""

import functools
import re

from src.errors import InputError, quote
from src.text.mandarin.symbols import ERHUA

_SPELLED = {  # the syllables of Standard Mandarin, as pinyin spells what stands behind each initial
    "": "a o e ai ei ao ou an en ang eng er",
    "b": "a o ai ei ao an en ang eng i ie iao ian in ing u",
    "p": "a o ai ei ao ou an en ang eng i ie iao ian in ing u",
    "m": "a o e ai ei ao ou an en ang eng i ie iao iu ian in ing u",
    "f": "a o ei ou an en ang eng u",
    "d": "a e ai ei ao ou an en ang eng ong i ia ie iao iu ian ing u uo ui uan un",
    "t": "a e ai ei ao ou an ang eng ong i ie iao ian ing u uo ui uan un",
    "n": "a e ai ei ao ou an en ang eng ong i ia ie iao iu ian in iang ing u uo uan un v ve ue",
    "l": "a o e ai ei ao ou an ang eng ong i ia ie iao iu ian in iang ing u uo uan un v ve ue",
    "g": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "k": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "h": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    **dict.fromkeys("jqx", "i ia ie iao iu ian in iang ing iong u ue uan un v ve van vn"),
    "zh": "a e ai ei ao ou an en ang eng ong i u ua uo uai ui uan un uang",
    "ch": "a e ai ao ou an en ang eng ong i u ua uo uai ui uan un uang",
    "sh": "a e ai ei ao ou an en ang eng i u ua uo uai ui uan un uang",
    "r": "e ao ou an en ang eng ong i u ua uo ui uan un",
    "z": "a e ai ei ao ou an en ang eng ong i u uo ui uan un",
    "c": "a e ai ao ou an en ang eng ong i u uo ui uan un",
    "s": "a e ai ao ou an en ang eng ong i u uo ui uan un",
    "y": "a o e ao ou an ang i in ing ong u ue uan un",
    "w": "a o ai ei an en ang eng u",
}
_BEHIND_Y = {"i": "i", "in": "in", "ing": "ing", "ong": "iong", "u": "v", "ue": "ve", "uan": "van", "un": "vn"}
_BEHIND_W = {"u": "u", "ei": "uei", "en": "uen", "eng": "ueng"}
_SHORTENED = {"iu": "iou", "ui": "uei", "un": "uen", "ue": "ve"}
_ROUNDED = {"u": "v", "ue": "ve", "uan": "van", "un": "vn"}  # behind j q x, where pinyin leaves the dots out
# Interjections without a vowel, or with one that is found in no other word, by the nearest syllable.
_INTERJECTIONS = {"n": "en", "ng": "eng", "m": "en", "hm": "hen", "hng": "heng", "ê": "ei"}
_FORM = re.compile(r"(?P<base>[a-zê]+?)(?P<erhua>(?<!^e)r)?(?P<tone>[1-5])")


def spell(syllable: str) -> str:
    """Return a syllable in the spelling used here: lower case, ü as v, tone at the end, 5 for neutral (also 0, none).

    Raises:
        InputError: it is no syllable of Mandarin.
    """
    plain = syllable.strip().lower().replace("u:", "v").replace("ü", "v")
    plain = re.sub(r"0$", "5", plain) if plain[-1:].isdigit() else f"{plain}5"
    if not is_syllable(plain):
        raise InputError(f"{quote(syllable)} is no syllable of pinyin with a tone from 1 to 5, such as hao3")
    return plain


def is_syllable(text: str) -> bool:
    """Return whether this is a syllable with its tone, as `spell` writes it."""
    match = _FORM.fullmatch(text)
    return match is not None and match["base"] in _syllables()


def symbols_of(syllable: str) -> list[str]:
    """Return the symbols of a syllable: the initial, unless it has none, the final with its tone, and erhua.

    Raises:
        InputError: it is no syllable of Mandarin.
    """
    match = _FORM.fullmatch(syllable)
    parts = match and _syllables().get(match["base"])
    if not parts:
        raise InputError(f"{quote(syllable)} is no syllable of pinyin with a tone from 1 to 5, such as hao3")
    initial, final = parts
    return [*([initial] if initial else []), final + match["tone"], *([ERHUA] if match["erhua"] else [])]


@functools.cache
def _syllables() -> dict[str, tuple[str, str]]:
    """Return the initial and the final of every syllable without its tone."""
    found = {
        initial + ending: ("" if initial in ("y", "w") else initial, _final(initial, ending))
        for initial, endings in _SPELLED.items()
        for ending in endings.split()
    }
    return found | {spelled: found[likeness] for spelled, likeness in _INTERJECTIONS.items()}


def _final(initial: str, ending: str) -> str:
    if initial == "y":
        return _BEHIND_Y.get(ending, f"i{ending}")
    if initial == "w":
        return _BEHIND_W.get(ending, f"u{ending}")
    if initial in ("j", "q", "x"):
        return _ROUNDED.get(ending, _SHORTENED.get(ending, ending))
    if ending == "i" and initial in ("z", "c", "s"):
        return "ii"
    if ending == "i" and initial in ("zh", "ch", "sh", "r"):
        return "iii"
    return _SHORTENED.get(ending, ending)

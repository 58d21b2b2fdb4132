"""Mandarin text as people write it to characters as they are spoken: figures, units and signs become words.

`wetext` reads the figures. What it reads otherwise than people do is brought to a form that it reads well first.
"""

import functools
import re
import unicodedata
from collections.abc import Callable

from src.text.english.normalise import normalise_english
from src.text.mandarin.characters import CONVERT, HAN, settle_traditional
from src.text.mandarin.packages import needed

# Quotes and brackets of titles have no sound, nor has the dot within foreign names.
SILENT = frozenset('`《》〈〉「」『』【】〔〕〖〗“”‘’"·•・〝〞_*～〜~|^＂＊＿｜＾')
_PUNCTUATION = str.maketrans(
    {
        "。": ".", "．": ".", "｡": ".", "，": ",", "、": ",", "､": ",", "！": "!", "？": "?", "；": ";", "：": ":",
        "（": "(", "）": ")", "［": "(", "］": ")", "[": "(", "]": ")", "＇": "'", "…": "...", "‥": "...",
        "—": "-", "―": "-", "–": "-", "－": "-", "﹣": "-", "⸺": "-", "\u3000": " ", "￥": "¥", "％": "%", "﹪": "%",
    }
)  # fmt: skip
_WIDE = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
# What stands for itself: braces, marks of prosody behind a character or its punctuation, and mark-up between them.
_KEPT = re.compile(rf"(\{{[^{{}}]*\}}|(?<=[{HAN}A-Za-z}}”’」』》）)。！？，；、…])#[1-4](?!\d))")
_FOR_RULES = re.compile(rf"[{HAN}A-Za-z0-9 .,:;+\-/%°℃℉‰²³$¥€£#()~～]*\d[{HAN}A-Za-z0-9 .,:;+\-/%°℃℉‰²³$¥€£#()~～]*")
_LATIN = re.compile(r"[A-Za-z][A-Za-z'&.@-]*(?: +[A-Za-z][A-Za-z'&.@-]*)*")
_ENGLISH = re.compile(
    r"(?=.*(?<![A-Za-z0-9])[A-Za-z]+,? .*(?<![A-Za-z0-9])[A-Za-z]{2})[A-Za-z0-9 ,.:;!?'\"$%&@/+()#-]+", re.DOTALL
)
_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")
_SIGNS = {
    "%": "百分号", "‰": "千分号", "+": "加", "=": "等于", "×": "乘", "÷": "除以", "±": "正负", "<": "小于", ">": "大于",
    "≤": "小于等于", "≥": "大于等于", "≠": "不等于", "≈": "约等于", "°": "度", "℃": "摄氏度", "℉": "华氏度",
    "¥": "元", "$": "美元", "€": "欧元", "£": "英镑", "&": "和", "@": "艾特", "№": "号", "√": "根号", "∞": "无穷大",
    "π": "派", "α": "阿尔法", "β": "贝塔", "γ": "伽马", "Ω": "欧姆", "μ": "微", "²": "平方", "³": "立方",
}  # fmt: skip
_SIGNS_SPOKEN = re.compile("|".join(map(re.escape, _SIGNS)))


@functools.lru_cache(maxsize=65536)
def normalise(text: str, traditional: str = CONVERT) -> str:
    """Return a text in simplified characters and Latin words as it is spoken; what braces hold stays as it is.

    "#1" to "#4" behind a character are marks of prosody and stay too. Punctuation is in ASCII afterwards, and spaces
    are left between Latin words only. A Latin letter that is spoken by its name is a capital.

    Args:
        traditional: "convert" or "refuse" traditional characters.

    Raises:
        InputError: refused traditional characters; a package of requirements-mandarin.txt is missing.
    """
    parts = _KEPT.split(unicodedata.normalize("NFC", text))
    spoken = [part if index % 2 else _speak(part, traditional) for index, part in enumerate(parts)]
    return re.sub(r"\s+", " ", "".join(spoken))


def _speak(text: str, traditional: str) -> str:
    text = _single_figures(text).translate(_PUNCTUATION).translate(_WIDE)
    text = settle_traditional(text, traditional)
    text = re.sub(rf"(?<=[{HAN}])々", lambda match: match.string[match.start() - 1], text)
    text = "".join(map(_english_or_not, re.split(r"(?<=[!?;\n\"“”])|(?<=\.)(?!\d)", text)))
    text = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", "...", text))
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<![A-Za-z']) | (?![A-Za-z'{])", "", text)


def _english_or_not(sentence: str) -> str:
    """Speak a sentence: its figures in English if it is made of Latin words, at least two, otherwise in Mandarin."""
    if _ENGLISH.fullmatch(sentence):
        return _capitals(sentence)
    sentence = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", sentence)
    sentence = re.sub(r"(?<=[A-Za-z])-(?=\d)", " ", sentence)  # F-16: no minus
    sentence = re.sub(r"(?<![\d.])(\d{3,4})-(\d{7,8})(?!\d)", lambda match: _one_by_one(match[1] + match[2]), sentence)
    sentence = re.sub(r"\+(\d{1,3})[ -]?(?=\d{7})", lambda match: f"加{match[1].translate(_DIGITS)} ", sentence)
    sentence = re.sub(r"(?<=\d)#", "号", sentence)
    sentence = _FOR_RULES.sub(lambda match: _figures(match[0]), sentence)
    sentence = _SIGNS_SPOKEN.sub(lambda match: _SIGNS[match[0]], _LATIN.sub(_latin, sentence))
    sentence = "".join(character for character in sentence if character not in SILENT)
    return re.sub(r"/(?=\S)", " ", sentence)


def _figures(text: str) -> str:
    try:
        spoken = _rules()(text)
    except (RuntimeError, ValueError, IndexError, KeyError):  # its grammar has no path for this text
        spoken = text
    spoken = spoken.replace("\\", "")
    return spoken.translate(_DIGITS)


def _one_by_one(digits: str) -> str:
    return digits.replace("1", "幺").translate(_DIGITS)


@functools.cache
def _rules() -> Callable[[str], str]:
    normaliser = needed("wetext").Normalizer(lang="zh", operator="tn")

    def speak(text: str) -> str:
        before, after = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
        return " " * before + normaliser.normalize(text) + " " * after

    return speak


def _latin(match: re.Match) -> str:
    """Speak Latin words within Mandarin; a letter on its own is its name, in capitals or not."""
    text = match[0]
    return text.upper() if len(text) == 1 else _capitals(text)


def _capitals(text: str) -> str:
    return normalise_english(text) if re.search(r"[A-Za-z]", text) else text


def _single_figures(text: str) -> str:
    """Write figures that are one character each, such as ① or Ⅳ or ½, in plain digits."""
    if text.isascii():
        return text
    return "".join(_digits_of(character) for character in text)


def _digits_of(character: str) -> str:
    if unicodedata.category(character) not in ("No", "Nl", "Nd") or character in "²³〇":
        return character
    value = unicodedata.numeric(character, None)
    if value is None or character.isascii():
        return character
    if value == int(value) and value >= 0:
        return str(int(value)) if unicodedata.category(character) != "Nl" or value < 10**4 else character
    return unicodedata.normalize("NFKC", character).replace("⁄", "/")

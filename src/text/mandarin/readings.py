"""Readings of characters: words by jieba, their readings by pypinyin, and polyphones by what stands around them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from src.text.mandarin.packages import needed
from src.text.mandarin.phrases import CHARACTERS, FAMILIES, NEUTRAL, OWN_ER, OWN_ZI, WORDS
from src.text.mandarin.sandhi import Syllable, Word
from src.text.mandarin.segmenter import segmenter
from src.text.mandarin.syllables import is_syllable

UNKNOWN = ""  # the base of a character without a reading
_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两几数半这那各每某哪")
_SUBJECTS = frozenset(
    str.split("我 你 您 他 她 它 谁 咱 我们 你们 他们 她们 它们 咱们 大家 人 就 总 还 也 都 可 必 非 又 只 不 真")
)
_DEGREES = frozenset("很太更最较挺真不好有多这那")
_REDUPLICATED = frozenset("看想说走听试谈等找问学玩坐写读尝笑聊逛歇动摸查比讲帮练算洗谢猜瞧喊劝背闻管")

Readings = Mapping[str, tuple[str, ...]]


def read_run(run: str, own: Readings) -> list[Word]:
    """Return the words of a run of Chinese characters, each with its syllables before any sandhi.

    A character that no dictionary has gets a syllable with the base `UNKNOWN`.

    Args:
        own: readings that go before all others, by word; they are spoken as they are.

    Raises:
        InputError: a package of requirements-mandarin.txt is missing.
    """
    words: list[Word] = []
    for piece, syllables in _cut_at_own(run, own):
        if syllables:
            words.append(_as_word(piece, syllables, fixed=True))
        else:
            words += _read_words(piece)
    return words


def _cut_at_own(run: str, own: Readings) -> list[tuple[str, tuple[str, ...]]]:
    """Cut a run at the words of `own`, the longest first."""
    if not own:
        return [(run, ())]
    longest = max(map(len, own))
    pieces: list[tuple[str, tuple[str, ...]]] = []
    start = end = 0
    while end < len(run):
        word = next((run[end : end + n] for n in range(longest, 0, -1) if run[end : end + n] in own), "")
        if word:
            pieces += [(run[start:end], ())] if start < end else []
            pieces.append((word, own[word]))
            start = end = end + len(word)
        else:
            end += 1
    return pieces + ([(run[start:], ())] if start < len(run) else [])


def _read_words(run: str) -> list[Word]:
    parts = segmenter().lcut(run)
    parts = _with_er(parts)
    readings: list[tuple[str, ...]] = []
    start = 0
    while start < len(parts):
        end = start + 1
        if len(parts[start]) == 1:  # neighbours of one character may be a word that jieba does not have: 还书
            while end < len(parts) and len(parts[end]) == 1:
                end += 1
        syllables = _dictionary("".join(parts[start:end]), is_word=end == start + 1)
        for part in parts[start:end]:
            readings.append(syllables[: len(part)])
            syllables = syllables[len(part) :]
        start = end
    readings = [_in_context(parts, readings, index) for index in range(len(parts))]
    return [_as_word(part, syllables) for part, syllables in zip(parts, readings, strict=True)]


def _with_er(parts: list[str]) -> list[str]:
    """Join a 儿 that stands alone to the word before it."""
    joined: list[str] = []
    for part in parts:
        if part == "儿" and joined:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@functools.lru_cache(maxsize=65536)
def _dictionary(word: str, is_word: bool) -> tuple[str, ...]:
    """Return one reading for each character of a word; the second of 花儿 is "r" where it is no syllable.

    Args:
        is_word: it is one word, and not several of one character each.
    """
    if word in WORDS:
        return _spread(word, WORDS[word])
    if len(word) == 1:
        return (CHARACTERS.get(word) or _pypinyin(word)[0],)
    readings = list(_pypinyin(word))
    for index, character in enumerate(word):
        if character in "一不":
            readings[index] = CHARACTERS[character]
        elif (character == "子" or not is_word) and not _in_phrase(word, index):
            readings[index] = CHARACTERS.get(character, readings[index])
            if character == "子" and index and not word[: index + 1].endswith(OWN_ZI):
                readings[index] = "zi5"
    _mend(word, readings)
    if len(word) == 2 and word[0] == word[1] and word[0] in _REDUPLICATED:
        readings = _reduplicated(readings)
    if word[-1] == "儿" and len(word) > 1 and not word.endswith(OWN_ER):
        readings[-1] = "r"
    return tuple(readings)


def _mend(word: str, readings: list[str]) -> None:
    """Put the readings of `src.text.mandarin.phrases` in, of the word and of the words within it."""
    for length in range(2, len(word) + 1):
        for start in range(len(word) - length + 1):
            part = word[start : start + length]
            if part in WORDS:
                readings[start : start + length] = _spread(part, WORDS[part])
            elif part in NEUTRAL:
                readings[start + length - 1] = _neutral(readings[start + length - 1])


def _reduplicated(readings: list[str]) -> list[str]:
    """走走 is zou2 zou5: the second verb lost its tone after the first one had risen before it."""
    first, second = readings
    return [f"{first[:-1]}2" if first.endswith("3") else first, _neutral(second)]


def _spread(word: str, syllables: tuple[str, ...]) -> tuple[str, ...]:
    """Give each character its own reading: dianr3 becomes dian3 and r."""
    spread: list[str] = []
    for syllable in syllables:
        if syllable[-2] == "r" and syllable[:-1] != "er":
            spread += [syllable[:-2] + syllable[-1], "r"]
        else:
            spread.append(syllable)
    assert len(spread) == len(word), word
    return tuple(spread)


def _neutral(syllable: str) -> str:
    return f"{syllable[:-1]}5" if syllable[-1:].isdigit() else syllable


@functools.lru_cache(maxsize=65536)
def _pypinyin(word: str) -> tuple[str, ...]:
    package = needed("pypinyin")
    found = package.lazy_pinyin(
        word,
        style=package.Style.TONE3,
        neutral_tone_with_five=True,
        errors=lambda unknown: [UNKNOWN] * len(unknown),
    )
    return tuple(_checked(syllable) for syllable in found) if len(found) == len(word) else (UNKNOWN,) * len(word)


def _checked(syllable: str) -> str:
    plain = syllable.replace("ü", "v")
    return plain if plain and is_syllable(plain) else UNKNOWN


def _is_phrase(word: str) -> bool:
    return word in needed("pypinyin.constants").PHRASES_DICT


def _in_phrase(word: str, index: int) -> bool:
    """Return whether a dictionary has a part of the word, of two characters or more, with this character in it."""
    return any(
        start <= index < start + length and _is_phrase(word[start : start + length])
        for length in range(2, len(word) + 1)
        for start in range(len(word) - length + 1)
    )


def _as_word(written: str, syllables: tuple[str, ...], fixed: bool = False) -> Word:
    word: Word = []
    for character, syllable in zip(written, _spread(written, syllables) if fixed else syllables, strict=True):
        if syllable == "r":
            word[-1].written += character
            word[-1].base += "r"
        elif syllable == UNKNOWN:
            word.append(Syllable(character, UNKNOWN, 5, fixed=True))
        else:
            word.append(Syllable(character, syllable[:-1], int(syllable[-1]), fixed))
    return word


def _in_context(parts: list[str], readings: list[tuple[str, ...]], index: int) -> tuple[str, ...]:
    """Return the reading of a word; of a single polyphone by the words around it."""
    part = parts[index]
    before = parts[index - 1] if index else ""
    if before == "姓" and part[0] in FAMILIES and len(part) < 4:
        return (FAMILIES[part[0]], *readings[index][1:])
    choose = _POLYPHONES.get(part)
    if choose is None:
        return readings[index]
    after = parts[index + 1] if index + 1 < len(parts) else ""
    return (choose(before, after, parts[:index]) or readings[index][0],)


def _de_of_complement(before: str, after: str, _: list[str]) -> str:
    if after[:1] in tuple("了到过奖第一二三四五六七八九十") and not before.endswith(("要", "就")):
        return "de5" if before and before not in _SUBJECTS else "de2"
    return "dei3" if after and (not before or before in _SUBJECTS) else "de5"


def _de_of_adverb(before: str, after: str, _: list[str]) -> str:
    return "de5" if len(before) > 1 and after and before[-1] not in "的块片个" else ""


def _zhang(before: str, after: str, _: list[str]) -> str:
    return "zhang3" if after[:1] in tuple("高大胖出成得满了在着") and before[-1:] not in _DEGREES else ""


def _wei(_: str, after: str, earlier: list[str]) -> str:
    return "wei2" if after[:1] in tuple("一二三四五六七八九十百零") or any("以" in word for word in earlier) else ""


def _jiao(before: str, after: str, _: list[str]) -> str:
    return "jiao4" if before[-1:] in tuple("一个好场大小") and not after[:1].strip("了。") else ""


def _zhi(before: str, after: str, _: list[str]) -> str:
    return "zhi1" if before[-1:] in tuple(_NUMERALS) else ""


def _hang(before: str, after: str, _: list[str]) -> str:
    return "hang2" if before[-1:] in tuple(_NUMERALS) else ""


def _zhong(before: str, after: str, _: list[str]) -> str:
    return "zhong4" if after[:1] in tuple("花树菜地田草瓜豆下在满") and before[-1:] not in tuple(_NUMERALS) else ""


def _bei(before: str, after: str, _: list[str]) -> str:
    return "bei1" if after[:1] in tuple("着起上了") else ""


def _huan(before: str, after: str, _: list[str]) -> str:
    return "huan2" if after[:1] in tuple("书钱债款清给") else ""


_POLYPHONES: dict[str, Callable[[str, str, list[str]], str]] = {  # told the words before and behind, and all before
    "得": _de_of_complement,
    "地": _de_of_adverb,
    "长": _zhang,
    "为": _wei,
    "觉": _jiao,
    "只": _zhi,
    "行": _hang,
    "种": _zhong,
    "还": _huan,
    "背": _bei,
}

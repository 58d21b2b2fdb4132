"""Tones as they are spoken one after another: 一, 不, the measure word 个, and third tones.

The rules follow the textbooks of Standard Mandarin (普通话水平测试实施纲要, 语音部分).
"""

import itertools
from dataclasses import dataclass

from src.text.mandarin.segmenter import is_one_and_two

_DIGITS = frozenset("零〇一二三四五六七八九幺")
_NUMERALS = _DIGITS | frozenset("十百千万亿两几半数多整")
_BEFORE_MEASURE = _NUMERALS | frozenset("这那哪每某各另了着过")
_ORDINAL = frozenset("第初周期拜十")  # 第一, 初一, 周一, 星期一, 礼拜一, 十一
_COUNTED_BY_ONE = frozenset("月号楼级等流")  # 一月 and 一楼 are the first, not one
_THEN_MEASURE = frozenset("这那每某另同哪")  # 一 of 这一 belongs to what follows
_COMPLEMENTS = frozenset("起见到了及得住上下来去开出过完着动清懂好成定够通掉惯多")
_NO_VERBS = frozenset("并绝决毫从也都还就又才再更最很却若如虽要可岂莫何无永早先便我你他她它这那谁三四五")
_PARTICLES = frozenset("啊呀哇呢吧吗嘛啦呗喽哦噢")


@dataclass
class Syllable:
    """A syllable in its phrase.

    Attributes:
        written: the characters that it reads; two with erhua, none if it was forced in braces.
        base: its spelling without the tone.
        tone: 1 to 5; 5 is neutral.
        fixed: forced, or given by a list or a user's dictionary: spoken as it is.
        citation: the tone that it has on its own, if that decides about the syllable before it.
    """

    written: str
    base: str
    tone: int
    fixed: bool = False
    citation: int = 0

    def __post_init__(self) -> None:
        self.citation = self.citation or self.tone

    def __str__(self) -> str:
        return f"{self.base}{self.tone}"


Word = list[Syllable]


def apply_sandhi(words: list[Word]) -> None:
    """Change the tones of a phrase, which no pause interrupts, to those that are spoken.

    1. Particles at the end of the phrase and the measure word 个 have no tone.
    2. 一 and 不: 一 keeps its first tone in ordinals, digit by digit, at the end of a word or phrase; before a fourth
       tone both rise (yi2, bu2); before others 一 falls (yi4). Between two equal verbs (看一看, 去不去), and 不 before
       a complement of the same word (看不见), they have no tone.
    3. Third tones: see `_rise`.
    """
    phrase = [syllable for word in words for syllable in word]
    ends = {id(word[-1]) for word in words if word}
    alone = {id(word[0]) for word in words if len(word) == 1}
    for index, syllable in enumerate(phrase):
        if syllable.fixed:
            continue
        before = phrase[index - 1].written[-1:] if index else ""
        is_measure = before in tuple(_BEFORE_MEASURE) or (before and id(syllable) in alone)
        if syllable.written == "个" and is_measure and id(syllable) in ends:
            syllable.citation, syllable.tone = 4, 5
        elif index and index == len(phrase) - 1 and syllable.written in _PARTICLES:
            syllable.tone = 5
    for word in words:
        for place, syllable in enumerate(word):
            if syllable.written in ("一", "不") and not syllable.fixed and syllable.tone != 5:
                index = next(i for i, each in enumerate(phrase) if each is syllable)
                change = _yi if syllable.written == "一" else _bu
                syllable.tone = change(phrase, index, word, place)
    _third_tones(words)


def _yi(phrase: list[Syllable], index: int, word: Word, place: int) -> int:
    if index + 1 == len(phrase):
        return 1
    before = "".join(each.written for each in phrase[max(0, index - 2) : index])
    after = phrase[index + 1]
    if before and before[-1] == after.written and before[-2:-1] != "一" and before[-1] not in _DIGITS | set("十百千万"):
        return 5
    if _counts_first(before, after.written[:1], is_prefix=len(word) > place + 1):
        return 1
    if len(word) > 1 and place == len(word) - 1 and word[0].written not in _THEN_MEASURE:
        return 1
    return 2 if after.citation == 4 else 4


def _counts_first(before: str, following: str, is_prefix: bool) -> bool:
    """Return whether 一 is the first of a row, or one digit of several, between these characters."""
    last = before[-1:]
    digit_by_digit = following in tuple(_DIGITS | {"十"}) or last in tuple(_ORDINAL | _DIGITS)
    day = last == "月" and following in ("日", "号")
    first_of_a_row = is_prefix and following in tuple(_COUNTED_BY_ONE) and last not in tuple(_NUMERALS)
    return digit_by_digit or day or first_of_a_row


def _bu(phrase: list[Syllable], index: int, word: Word, place: int) -> int:
    after = phrase[index + 1] if index + 1 < len(phrase) else None
    if after is None:
        return 4
    before = phrase[index - 1].written[-1:] if index else ""
    if before and before == after.written:
        return 5
    inside = 0 < place < len(word) - 1
    if inside and after.written in _COMPLEMENTS and before not in _NO_VERBS and len(word) == 3:
        return 5
    return 2 if after.citation == 4 else 4


def _third_tones(words: list[Word]) -> None:
    """Let third tones rise before third tones.

    Groups are the feet of the phrase: a word of one or two syllables; a word of three is cut into two and one, or one
    and two, by its parts; longer ones into pairs. A foot is spoken in one go, so within it the rule always holds.
    Then, from the end of the phrase to its beginning, a last syllable rises if a third tone is left behind it, and both
    belong to one word, or one of the two feet is a single syllable, which leans on its neighbour. Between two longer
    feet of different words speakers may pause, and the tone stays: 老李买好酒 is lao2 li3 mai2 hao2 jiu3.
    """
    feet = [(number, foot) for number, word in enumerate(words) for foot in feet_of(word)]
    for _, foot in feet:
        for one, two in itertools.pairwise(foot):
            _rise(one, two)
    for (number, foot), (next_number, next_foot) in reversed(list(itertools.pairwise(feet))):
        if number == next_number or len(foot) == 1 or len(next_foot) == 1:
            _rise(foot[-1], next_foot[0])


def _rise(one: Syllable, two: Syllable) -> None:
    if one.tone == two.tone == 3 and not one.fixed:
        one.tone = 2


def feet_of(word: Word) -> list[list[Syllable]]:
    """Cut a word into feet of one or two syllables."""
    if len(word) == 3:
        cut = 1 if is_one_and_two("".join(each.written for each in word)) else 2
        return [word[:cut], word[cut:]]
    return [word[start : start + 2] for start in range(0, len(word), 2)]

"""A user's dictionary: lines of a word and its readings, which go before all others."""

from collections.abc import Sequence

from src.errors import InputError, quote
from src.text.mandarin.characters import is_han
from src.text.mandarin.syllables import is_syllable


def parse_readings(lines: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    """Read lines such as `行长 hang2 zhang3`, one syllable for each character, or `一点儿 yi4 dianr3` with erhua.

    The readings are spoken as they are written, without sandhi. "#" begins a comment.

    Args:
        where: the file or key, for messages.

    Raises:
        InputError: a line of another form, or a word that is given twice; names the line.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        word, *syllables = line.partition("#")[0].replace("ü", "v").split() or [""]
        if not word:
            continue
        place = f"{where}: line {number}"
        if not all(map(is_han, word)):
            raise InputError(f"{place}: {quote(word)} is no Chinese word; a line is a word and its readings")
        wrong = next((syllable for syllable in syllables if not is_syllable(syllable)), None)
        if wrong is not None:
            raise InputError(f"{place}: {quote(wrong)} is no syllable of pinyin with a tone from 1 to 5, such as hao3")
        n_erhua = sum(syllable[-2] == "r" and syllable[:-1] != "er" for syllable in syllables)
        if len(syllables) + n_erhua != len(word) or n_erhua > word.count("儿"):
            raise InputError(f"{place}: {quote(word)} has {len(word)} characters, but {len(syllables)} readings")
        if found.get(word, tuple(syllables)) != tuple(syllables):
            raise InputError(f"{place}: {quote(word)} is given twice, with other readings")
        found[word] = tuple(syllables)
    return found

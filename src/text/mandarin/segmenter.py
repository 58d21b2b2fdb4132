"""The words of a text in characters, by jieba and its frequencies."""

import functools
from typing import Any

from src.text.mandarin.packages import needed


@functools.cache
def segmenter() -> Any:
    """Return a tokenizer of jieba."""
    package = needed("jieba")
    package.setLogLevel(60)
    tokenizer = package.Tokenizer()
    tokenizer.initialize()
    return tokenizer


def is_one_and_two(word: str) -> bool:
    """Return whether a word of three characters is made of one and two (小老虎), and not of two and one (展览馆)."""
    frequency = segmenter().FREQ
    return (frequency.get(word[1:]) or 0) > (frequency.get(word[:2]) or 0)

"""Mandarin: from characters, as people write them, to syllables as they are spoken, and to initials and finals."""

from src.text.mandarin.convert import to_pinyin

__all__ = ["to_pinyin"]

"""Text front end: from a text as people write it to the symbol ids that a network reads. docs/text.md describes it."""

from src.text.registry import Cleaner, register
from src.text.sequence import (
    alphabet_of,
    can_be_spoken,
    encode_texts,
    prepare_input_sequence,
    speakable_sentences,
    split_sentences,
    spoken_text,
    text_to_sequence,
    unknown_words,
)
from src.text.symbols import SYMBOLS, spelled, symbol_table

__all__ = [
    "SYMBOLS",
    "Cleaner",
    "alphabet_of",
    "can_be_spoken",
    "encode_texts",
    "prepare_input_sequence",
    "register",
    "speakable_sentences",
    "spelled",
    "split_sentences",
    "spoken_text",
    "symbol_table",
    "text_to_sequence",
    "unknown_words",
]

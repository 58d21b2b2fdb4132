"""Text front end: cleaners, numbers, symbols, sentences."""

from src.text.sentences import split_sentences
from src.text.sequence import (
    alphabet_of,
    can_be_spoken,
    encode_texts,
    prepare_input_sequence,
    speakable_sentences,
    text_to_sequence,
)
from src.text.symbols import SYMBOLS, spelled

__all__ = [
    "SYMBOLS",
    "alphabet_of",
    "can_be_spoken",
    "encode_texts",
    "prepare_input_sequence",
    "speakable_sentences",
    "spelled",
    "split_sentences",
    "text_to_sequence",
]

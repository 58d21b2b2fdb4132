"""Text front end: cleaners, numbers, symbols, sentences."""

from src.text.sentences import split_sentences
from src.text.sequence import prepare_input_sequence, text_to_sequence
from src.text.symbols import SYMBOLS

__all__ = ["SYMBOLS", "prepare_input_sequence", "split_sentences", "text_to_sequence"]

"""The text front end's public functions: texts to sentences, to spoken words and to symbol ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.errors import InputError, quote
from src.text import cleaners  # noqa: F401  (registers the cleaners)
from src.text.alphabet import OURS, Alphabet, alphabet_of
from src.text.encoding import Encoded, cut_at_braces, encode, give_notice, prefix, pronounces, with_braces
from src.text.registry import Cleaner, cleaner_named, cleaner_of
from src.text.sentences import cut_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mindspore import Tensor

    from src.config import Config, TextConfig

REFUSE = "refuse"  # foreign scripts, where the configuration says nothing of them


def text_to_sequence(
    text: str,
    cleaner: str | Cleaner = "english_cleaners",
    alphabet: Alphabet = OURS,
    foreign_script: str = REFUSE,
    where: str = "",
) -> list[int]:
    """Return the symbol ids of a text: of the cleaned text, and of the phonemes of words.

    Phonemes come from a cleaner that pronounces words, or from braces.

    "Turn left on {HH AW1 S T AH0 N} Street." reads the braces phoneme by phoneme. Characters that no symbol covers are
    dropped with one warning that names them; a text of nothing else gives an empty list, or the end symbol only.

    Args:
        cleaner: its name, or the cleaner of a configuration with its settings (`src.text.registry.cleaner_of`).
        foreign_script: "refuse" or "transliterate" words in a script that neither the cleaner nor the symbols read.
        where: the place of the text, such as "line 3", for warnings and errors.

    Raises:
        InputError: unknown cleaner, a brace without its partner, braces that hold no phonemes, a refused script.
    """
    cleaner = cleaner_named(cleaner) if isinstance(cleaner, str) else cleaner
    encoded = encode(text, cleaner, alphabet, foreign_script, where)
    give_notice([encoded], [where], cleaner.name, stacklevel=2)
    return encoded.ids + alphabet.end


def can_be_spoken(text: str, config: TextConfig, where: str = "") -> bool:
    """Return whether a letter or phoneme of the text is left when it is spelled in the configuration's symbols.

    Raises:
        InputError: as `text_to_sequence`.
    """
    return not alphabet_of(config).letters.isdisjoint(_encode(text, config, where).ids)


def spoken_text(text: str, config: Config | TextConfig) -> str:
    """Return the words that are spoken, before symbols are looked up; braces stay as they are.

    With the cleaner english, a letter that is spoken by its name is a capital: "the G P U".

    Raises:
        InputError: a brace without its partner, a refused script.
    """
    config = getattr(config, "text", config)
    cleaner = cleaner_of(config)
    parts = _cut(text, config)
    if cleaner.reads_braces:
        return cleaner.function(with_braces(parts)).strip()
    spoken = [part if position % 2 else cleaner.function(part) for position, part in enumerate(parts)]
    return with_braces(spoken).strip()


def unknown_words(text: str, config: Config | TextConfig) -> list[str]:
    """Return the words, as spoken and once each, that the cleaner cannot pronounce and gives to the network as letters.

    The list is empty for a cleaner that pronounces no words, and for a network without phonemes.

    Raises:
        InputError: as `spoken_text`.
    """
    config = getattr(config, "text", config)
    cleaner = cleaner_of(config)
    if not pronounces(cleaner, alphabet_of(config)):
        return []
    parts = _cut(text, config)[::2]
    return list(dict.fromkeys(word for part in parts for word in cleaner.unknown_words(cleaner.function(part))))


def split_sentences(text: str, config: Config | TextConfig) -> list[str]:
    """Return the sentences of a text, unchanged but for outer white space, as the cleaner's language has them."""
    return cleaner_named(getattr(config, "text", config).cleaner).split(text)


def speakable_sentences(text: str, config: TextConfig, where: str = "") -> list[str]:
    """Return the sentences of a text in which something can be spoken.

    Sentences of more than `max_sentence_length` characters are cut into pieces.

    Raises:
        InputError: as `text_to_sequence`.
    """
    sentences = split_sentences(text, config)
    pieces = [piece for sentence in sentences for piece in cut_sentence(sentence, config.max_sentence_length)]
    return [piece for piece in pieces if can_be_spoken(piece, config, where)]


def prepare_input_sequence(
    texts: list[str], config: Config, lines: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Return `encode_texts` as tensors."""
    from mindspore import Tensor  # noqa: PLC0415  (takes seconds; preprocessing encodes text without it)

    ids, lengths = encode_texts(texts, config, lines)
    return Tensor(ids), Tensor(lengths)


def encode_texts(texts: list[str], config: Config, lines: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Encode a batch of texts as the network reads it, in the order given.

    Args:
        lines: for each text the number of the line it comes from, for warnings and errors.

    Returns:
        ids, int32 [B, L], zero where a text is shorter than the longest; number of symbols of each, int32 [B].

    Raises:
        InputError: no texts, a text in which nothing can be spoken, and as `text_to_sequence`.
    """
    if isinstance(texts, str) or not texts:
        raise InputError("prepare_input_sequence takes a list with at least one text")
    alphabet = alphabet_of(config.text)
    places = [""] * len(texts) if lines is None else [f"line {line}" for line in lines]
    encoded = [_encode(text, config.text, place) for text, place in zip(texts, places, strict=True)]
    give_notice(encoded, places, config.text.cleaner, stacklevel=2)
    sequences = [each.ids for each in encoded]
    for text, sequence, place in zip(texts, sequences, places, strict=True):
        if alphabet.silent.issuperset(sequence):
            raise InputError(f"{prefix(place)}nothing of the text {quote(text)} can be spoken")
        sequence.extend(alphabet.end)
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    ids = np.zeros((len(sequences), lengths.max()), np.int32)  # (B, L)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids, lengths


def _encode(text: str, config: TextConfig, where: str) -> Encoded:
    return encode(text, cleaner_of(config), alphabet_of(config), config.foreign_script, where)


def _cut(text: str, config: TextConfig) -> list[str]:
    cleaner = cleaner_of(config)
    return cut_at_braces(text, cleaner, alphabet_of(config), config.foreign_script, "").parts

"""Sentences, and pieces of those that are too long."""

import random
from pathlib import Path

import pytest

from src.config import load_config
from src.text import speakable_sentences, split_sentences
from src.text.sentences import cut_sentence, find_sentences

CASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "data/sentences.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("cleaner", ["english", "english_cleaners"])
@pytest.mark.parametrize(("text", "sentences"), CASES, ids=[text for text, _ in CASES])
def test_sentences(text, sentences, cleaner):
    assert split_sentences(text, load_config(overrides={"text.cleaner": cleaner})) == sentences.split("⏎")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One here. Two there! Three? “Four.” Five…", ["One here.", "Two there!", "Three?", "“Four.”", "Five…"]),
        ("Mr. J. F. Smith of No. 5 St. James St. paid $3.50 at 9 p.m. on Monday.", None),
        ("He said no. She did not.", ["He said no.", "She did not."]),
        ("U.S. Representative Pool said, e.g. nothing.", None),
        ("1. The first. 2. The second. ...", ["1. The first.", "2. The second. ..."]),
        ("Chapter 7. The Court.", ["Chapter 7.", "The Court."]),
        ("A title\n\nIts text goes\non here.", ["A title", "Its text goes\non here."]),
        ("Turn {HH. AW1} left.", None),
        ("...", None),
    ],
)
def test_sentence_ends(text, pieces):
    assert find_sentences(text) == (pieces or [text])


@pytest.mark.parametrize("text", ["", " \n "])
def test_no_sentence(text):
    assert find_sentences(text) == []


def test_long_sentences_break_at_commas_then_spaces_then_anywhere():
    assert cut_sentence("a first part of it, and then a second one", 30) == [
        "a first part of it,",
        "and then a second one",
    ]
    assert cut_sentence("no, this one has nowhere good to take a breath", 30) == [
        "no, this one has nowhere",
        "good to take a breath",
    ]
    assert cut_sentence("x" * 50, 30) == ["x" * 25] * 2
    assert cut_sentence("{AA1 B K T}{AA1 B K T}", 6) == ["{AA1 B K T}"] * 2


def test_pieces_keep_to_the_configured_length():
    config = load_config(overrides={"text.max_sentence_length": 30})
    pieces = speakable_sentences("One. This is a longer one, and it goes on for a while. !!!", config.text)
    assert pieces == ["One.", "This is a longer one,", "and it goes on", "for a while. !!!"]


def test_splitting_loses_nothing_and_respects_the_limit():
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(
            draw.choices(["a", "Mr. ", ". ", "{A B}", "{", "}", " ", ",", "! ", "1", "\n\n", "…", "’", "w" * 9], k=40)
        )
        limit = draw.randint(1, 30)
        pieces = [piece for sentence in find_sentences(text) for piece in cut_sentence(sentence, limit)]
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(piece == piece.strip() and piece for piece in pieces)
        assert all(len(piece) <= limit or "{" in piece for piece in pieces)
        assert sum(piece.count("{A B}") for piece in pieces) == text.count("{A B}")

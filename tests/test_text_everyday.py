"""The cleaner english on newspapers, mails, recipes, sports and science: readings beyond doubt, and time."""

import time

import pytest

from src.config import load_config
from src.text import split_sentences, spoken_text

ENGLISH = load_config(overrides={"text.cleaner": "english"})


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ('A 3/8" bolt and 1 1/2" nails.', "a three eighths inch bolt and one and a half inch nails."),
        ('He said "it is 5" and left.', 'he said "it is five" and left.'),
    ],
)
def test_reading(text, spoken):
    assert spoken_text(text, ENGLISH) == spoken


@pytest.mark.parametrize(
    "repeated",
    ["0", "a", "A", "Ab", "a1", "1-", "a.", "1.", '1" ', "Henry I ", "1 1st ", "a@", "a.com/", "Mon-", " ", ". ", "1,"],
)
def test_time_grows_little_faster_than_the_text(repeated):
    """Patterns that try every start and every length of a row take a minute for some of these."""
    text = repeated * (10000 // len(repeated))
    start = time.process_time()
    spoken_text(text, ENGLISH)
    split_sentences(text, ENGLISH)
    assert time.process_time() - start < 3

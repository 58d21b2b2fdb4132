"""The registry of cleaners and the tables of symbols."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS, Cleaner, register, split_sentences, spoken_text, symbol_table, text_to_sequence
from src.text.registry import CLEANERS, cleaner_named
from src.text.symbols import register_symbol_table

ROOT = Path(__file__).parents[1]


def test_the_cleaners_and_their_languages():
    assert {name: cleaner.language for name, cleaner in CLEANERS.items()} == {
        "english_cleaners": "en",
        "basic_cleaners": "",
        "english_phonemes": "en",
        "english": "en",
        "mandarin": "zh",
        "german": "de",
    }
    assert all(name == cleaner.name for name, cleaner in CLEANERS.items())


def test_another_language_is_one_registration(monkeypatch):
    monkeypatch.setitem(CLEANERS, "shouting", CLEANERS["basic_cleaners"])  # taken out again at the end
    del CLEANERS["shouting"]
    register(Cleaner("shouting", "xx", str.upper, split=lambda text: text.split("|"), scripts=frozenset({"LATIN"})))
    config = load_config(overrides={"text.cleaner": "shouting"})
    assert spoken_text("abc", config) == "ABC"
    assert split_sentences("a|b", config) == ["a", "b"]
    assert text_to_sequence("abc", "shouting") == [SYMBOLS.index(letter) for letter in "ABC"]
    with pytest.raises(ValueError, match="already"):
        register(Cleaner("shouting", "xx", str.upper))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match="english_cleaners, basic_cleaners, english_phonemes, english"):
        cleaner_named("polish")
    with pytest.raises(InputError, match="no table of symbols 'klingon'; choose one of english_148"):
        symbol_table("klingon")


def test_the_named_table_is_that_of_the_public_checkpoints_and_a_copy():
    table = symbol_table("english_148")
    assert table == json.loads((ROOT / "tests/data/symbols_148.json").read_text())
    table.append("x")
    assert len(symbol_table("english_148")) == 148
    with pytest.raises(ValueError, match="already"):
        register_symbol_table("english_148", [])


WITHOUT_MINDSPORE = """
import sys, types
for name in ("mindspore", "inflect"):  # importing them fails
    sys.modules[name] = None
sys.modules["src"] = types.ModuleType("src")  # the public face may need it
sys.modules["src"].__path__ = ["src"]
from src.text import text_to_sequence
text_to_sequence("It cost $5.", "english")
print(text_to_sequence("a"))
"""


def test_text_needs_no_mindspore():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MINDSPORE], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.strip() == "[38]", done.stderr

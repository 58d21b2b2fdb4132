"""Sentences that Tacotron 2 is known to stumble over: no such input stops the program, and the voice that ships comes to an end of each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from src.config import TextConfig
from src.synthesis.lines import find_runaways
from src.synthesis.synthesis import read_lines
from src.text import speakable_sentences

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests/data/hard_sentences.txt"


def test_all_but_a_row_of_exclamation_marks_can_be_spoken():
    lines, blank = read_lines(LIST)
    assert len(lines) == 11 and not blank
    assert [line.text for line in lines if not speakable_sentences(line.text, TextConfig())] == ["!!!"]


@pytest.mark.slow
def test_the_voice_that_ships_comes_to_an_end(tmp_path):
    command = ["eval.py", "--text_file", LIST, "--output_dir", tmp_path]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    rows = json.loads((tmp_path / "summary.json").read_text())["lines"]
    assert len(rows) == 10 and [row["text"] for row in rows if row["stop_reason"] == "max_decoder_steps"] == []
    slow = find_runaways([row["text"] for row in rows], [row["seconds"] for row in rows])
    assert [(rows[i]["text"], rows[i]["seconds"]) for i in slow] == []

"""Sentences that Tacotron 2 is known to stumble over: no such input stops the program, and the voice that ships comes to an end of each."""

import json
import subprocess
import sys
from pathlib import Path

import hard_sentences
import numpy as np
import pytest

from src.config import Config, TextConfig
from src.evaluation.hard_sentences import Spoken, report, speak_lines
from src.streaming.request import Part
from src.synthesis.lines import find_runaways
from src.synthesis.synthesis import Line, read_lines
from src.text import speakable_sentences

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests/data/hard_sentences.txt"
VOICE_LIST = ROOT / "demo_voice/hard_sentences.txt"


def test_all_but_a_row_of_exclamation_marks_can_be_spoken():
    lines, blank = read_lines(LIST)
    assert len(lines) == 11 and not blank
    assert [line.text for line in lines if not speakable_sentences(line.text, TextConfig())] == ["!!!"]


def test_the_list_for_the_voice_has_200_sentences_that_can_be_spoken():
    lines, blank = read_lines(VOICE_LIST)
    assert len({line.text for line in lines}) == len(lines) == 200 and not blank
    assert all(speakable_sentences(line.text, TextConfig(cleaner="english")) for line in lines)


def spoken(line, seconds, reason="gate", unread=0):
    return Spoken(line, "Twenty characters ok", "Twenty characters ok", reason, seconds, 0.5, unread)


def test_ends_of_sentences_are_counted():
    found = report(
        [spoken(1, 1.0), spoken(1, 1.1, "attention"), spoken(2, 3.4, "max_decoder_steps"), spoken(3, 1, unread=4)]
    )
    assert found["stop_reasons"] == {"gate": 2, "attention": 1, "max_decoder_steps": 1}
    assert (found["lines"], found["sentences"], found["seconds"]) == (3, 4, pytest.approx(6.5))
    named = ("stopped_by_attention", "cut_off", "runaways", "unfinished")
    assert [[row["seconds"] for row in found[name]] for name in named] == [[1.1], [3.4], [3.4], [1]]
    with pytest.raises(ValueError, match="nothing"):
        report([])


class StandIn:
    """Speaks a second for each sentence, in two parts that attend to its first and its second symbol."""

    config, sample_rate = Config(), 100

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def stream_parts(self, text, seed):
        for number, _ in enumerate(speakable_sentences(text, self.config.text)):
            if number:
                yield Part(np.zeros(20), np.zeros((80, 1)), np.zeros((0, 9)), number, [], None)
            for place, reason in ((0, None), (1, "gate")):
                alignment = np.full((5, 9), 0.05)
                alignment[:, place] = 0.6
                yield Part(np.zeros(50), np.zeros((80, 1)), alignment, number, list("abcdefghi"), reason)


def test_sentences_of_lines_are_told_apart():
    rows = list(speak_lines(StandIn(), [Line(1, "One here. And two!"), Line(2, "?!"), Line(4, "Another.")]))
    assert [[each.text for each in line] for line in rows] == [["One here.", "And two!"], [], ["Another."]]
    (first, second), _, (last,) = rows
    assert first == (1, "One here.", "one here.", "gate", 1.0, pytest.approx(0.6), 7)
    assert second.line == 1 and second.seconds == 1.0 and last.line == 4


def test_the_script_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    lines, path = tmp_path / "lines.txt", tmp_path / "found.json"
    lines.write_text("One here. And two!\nThree.\n")
    monkeypatch.setattr(hard_sentences, "load_voice", lambda *arguments, **more: StandIn())
    monkeypatch.setattr(sys, "argv", ["hard_sentences.py", "--text_file", str(lines), "--json", str(path)])
    hard_sentences.main()
    found, printed = json.loads(path.read_text()), capsys.readouterr().out
    assert found["stop_reasons"] == {"gate": 3, "attention": 0, "max_decoder_steps": 0} and len(found["spoken"]) == 3
    assert "3 sentences of 2 lines, 3 s; stopped by: gate 3, attention 0" in printed
    assert "ended with symbols unread: 3\n  line 1, 1.0 s: One here." in printed


@pytest.mark.slow
def test_the_voice_that_ships_comes_to_an_end(tmp_path):
    command = ["eval.py", "--text_file", LIST, "--output_dir", tmp_path]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    rows = json.loads((tmp_path / "summary.json").read_text())["lines"]
    assert len(rows) == 10 and [row["text"] for row in rows if row["stop_reason"] == "max_decoder_steps"] == []
    slow = find_runaways([row["text"] for row in rows], [row["seconds"] for row in rows])
    assert [(rows[i]["text"], rows[i]["seconds"]) for i in slow] == []

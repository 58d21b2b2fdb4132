"""The benchmark beside Piper, on stand-ins that speak the protocol of its workers; nothing is said of times."""

import json
import sys

import benchmark_voice
import pytest
from benchmarks import voice

from src.errors import InputError
from src.evaluation.recognition import words

# Hums for a second, and appends its name to a file, so that a test sees the order.
STAND_IN = """
import sys, wave
import numpy as np
sys.path.insert(0, "scripts")
from benchmarks.worker import serve

name, record = sys.argv[1:]
hum = np.repeat([0.3, -0.3], 110).tolist() * 100

def write(path):
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes((np.array(hum) * 32767).astype("<i2").tobytes())

def speak(text, path):
    def run():
        with open(record, "a") as file:
            file.write(name[0])
        write(path)
        return {"seconds": {"ours": 1.0, "Piper": 4.0}[name], "first": 0.5, "sound": 2.0}
    return run

serve({
    "speak": speak,
    "copy": lambda source, path: lambda: write(path),
    "model": lambda: lambda: {"bytes": {"ours": 1e6, "Piper": 5e6}[name]},
}, {name: "1.0"})
"""


@pytest.fixture
def sides(tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return {name: [sys.executable, str(script), name, str(tmp_path / "record")] for name in ("ours", "Piper")}


def test_both_sides_speak_all_texts_in_turn_and_the_first_round_does_not_count(sides, tmp_path):
    rows = {row.name: row for row in voice.speed(sides, ["One.", "Two."], 2)}
    assert (tmp_path / "record").read_text() == "ooPP" * 3
    assert rows["real_time_factor"].samples == {"ours": [0.5, 0.5], "Piper": [2.0, 2.0]}
    assert rows["first_sound"].samples == {"ours": [0.5, 0.5], "Piper": [0.5, 0.5]}
    assert rows["model_size"].ratio == pytest.approx(0.2) and rows["peak_memory"].samples["ours"][0] > 1


def test_what_is_printed_is_in_the_json(sides, tmp_path, monkeypatch, capsys):
    for package in ("jiwer", "pesq"):
        pytest.importorskip(package)
    path, listed = tmp_path / "voice.json", tmp_path / "sentences.txt"
    listed.write_text("a|One word here.\nb|Two more words.\nc|Never chosen.\n")
    (tmp_path / "ids.txt").write_text("a\nb\n")
    heard = iter([words("One word here."), "one word", words("Two more words."), ""])
    monkeypatch.setattr(benchmark_voice, "commands", lambda arguments: sides)
    monkeypatch.setattr(benchmark_voice, "load_recogniser", lambda name: lambda wav, rate: next(heard))
    given = ["--json", path, "--sentences", listed, "--ids", tmp_path / "ids.txt", "--repeats", "1"]
    given += ["--start_repeats", "1", "--recogniser", "whisper"]
    monkeypatch.setattr(sys, "argv", ["benchmark_voice.py", *map(str, given)])
    benchmark_voice.main()
    result, printed = json.loads(path.read_text()), capsys.readouterr().out
    names = ["start_up", "real_time_factor", "first_sound", "peak_memory", "model_size"]
    assert list(result["ratios"]) == names and result["settings"]["texts"] == ["One word here.", "Two more words."]
    ratios = [float(line.split("ratio ")[1]) for line in printed.splitlines() if "ratio " in line]
    assert ratios == [round(ratio, 3) for ratio in result["ratios"].values()]
    found = result["quality"]
    assert (found["ours"]["wer"], found["Piper"]["wer"], found["words"]) == (0, 4 / 6, 6)
    assert found["ours"]["mcd_dtw_db"] == pytest.approx(0, abs=1e-6)
    assert "Piper is the teacher" in printed and "Piper  word errors 66.7 %" in printed
    assert result["versions"]["ours"] == result["versions"]["Piper"] == "1.0"


def test_a_python_without_piper_says_so(tmp_path):
    script = tmp_path / "piper.py"
    script.write_text("import sys; print('lacks piper: pip install', file=sys.stderr); sys.exit(2)")
    with pytest.raises(InputError, match="lacks piper"):
        voice.start_up({"ours": [sys.executable, str(script)]}, 1)


def test_a_score_that_is_missing_is_said():
    side = {"wer": None, "wer_interval": (0, 0), "pesq_other_rendition": None, "mcd_dtw_db": 1.0}
    shown = voice.table({"sentences": 1, "words": 0, "ours": side, "Piper": side, "pesq_copy": None})
    assert "word errors none" in shown and "PESQ none" in shown

"""The page of sounds and pictures, by a voice that hums."""

import json
import re
import sys
from pathlib import Path

import make_voice_page
import numpy as np
import pytest
import soundfile

from src.audio import save_wav
from src.config import load_config
from src.errors import InputError
from src.streaming.request import Part

RATE = 22050


class Humming:
    """Says each text as two sentences of half a second, of two parts each."""

    config = load_config(overrides={"audio.griffinlim_iterations": 1})
    sample_rate = RATE

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def stream_parts(self, text, seed):
        for number in range(2):
            for reason in (None, "gate"):
                wav, mel = np.zeros(22 * 256, np.float32), np.full((80, 22), -5.0, np.float32)
                yield Part(wav, mel, np.full((11, 3), 1 / 3, np.float32), number, ["a", "b", "c"], reason)

    def speak(self, text, seed):
        return np.zeros(8000, np.float32), RATE


@pytest.fixture
def make(tmp_path, monkeypatch):
    """`make(*flags)` makes the page of two sentences, and returns its text."""
    monkeypatch.setattr(make_voice_page, "load_voice", lambda **given: Humming())
    (tmp_path / "lines.txt").write_text("a|The first one.\nb|The $2 one.\nc|No.\n")
    for name in "ab":
        save_wav(tmp_path / f"{name}.wav", 0.3 * np.sin(np.arange(RATE) / 20), RATE)

    def run(*flags, draw=False):
        if not draw:  # it takes a second each
            monkeypatch.setattr(make_voice_page, "save_alignment_and_mel", lambda path, *_, **__: path.write_bytes(b""))
        page = tmp_path / "voice.md"
        given = ["--recordings", tmp_path, "--sentences", tmp_path / "lines.txt", "--ids", "a", "b", "--page", page]
        monkeypatch.setattr(sys, "argv", ["make_voice_page.py", *map(str, (*given, *flags))])
        make_voice_page.main()
        return page.read_text()

    return run


def test_every_link_leads_to_a_sound_or_picture_and_none_is_left_over(make, tmp_path):
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice/old_sentence.flac").write_bytes(b"")
    text = make("--old_checkpoint", "old.ckpt", draw=True)
    links = set(re.findall(r"\((voice/[^)]+)\)", text))
    assert links == {f"voice/{path.name}" for path in (tmp_path / "voice").iterdir()} and len(links) == 2 * (4 + 1)
    assert all(path.stat().st_size < 150_000 for path in (tmp_path / "voice").glob("*.png"))
    assert '## "The $2 one."' in text and "Stopped by: gate, gate. Alignment score 0.33." in text
    wav, rate = soundfile.read(tmp_path / "voice/a_voice.flac")
    assert (len(wav), rate) == (4 * 22 * 256, RATE)
    assert soundfile.info(tmp_path / "voice/a_teacher.flac").frames == RATE
    assert "_old" not in make() and not list((tmp_path / "voice").glob("*_old.flac"))


def test_sections_of_the_measurements(make, tmp_path):
    row = {"line": 1, "text": "Why?", "seconds": 9.0}
    hard = {
        "lines": 2,
        "sentences": 3,
        "seconds": 60,
        "stop_reasons": {"gate": 2, "attention": 0, "max_decoder_steps": 1},
    }
    hard |= {"runaways": [row], "cut_off": [row], "unfinished": []}
    sides = {"ours": {"median": 2.0}, "Piper": {"median": 1.0}}
    machine = {"cpu": "a CPU", "cores": 2, "load_average_at_start": 0.1}
    rows = [
        {"title": "start", "unit": "s", "ratio": 2.0, "sides": sides},
        {"title": "model", "unit": "MB", "ratio": 0.5, "sides": sides},
    ]
    (tmp_path / "hard.json").write_text(json.dumps(hard))
    heard = {"wer": 0.1, "wer_interval": [0, 0.2], "pesq_other_rendition": 1.2, "mcd_dtw_db": 4.0}
    quality = {"sentences": 1, "words": 9, "ours": heard | {"wer": 0.2}, "Piper": heard, "pesq_copy": 3.6}
    (tmp_path / "benchmark.json").write_text(json.dumps({"machine": machine, "rows": rows, "quality": quality}))
    text = make("--hard_sentences", tmp_path / "hard.json", "--benchmark", tmp_path / "benchmark.json")
    assert "| max_decoder_steps | 1 |" in text and '- cut off: "Why?"' in text
    assert "| start | 2 s | 1 s | 2.00 |" in text and "Piper is ahead in: start, word errors." in text
    assert "copy of Piper's sound: 3.60" in text
    assert "## Hard" not in make()


def test_too_much_sound_and_unknown_sentences_are_refused(make, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="has no sentence z"):
        make("--ids", "z")
    before = make()
    monkeypatch.setattr(make_voice_page, "MOST_SOUND", 1000)
    with pytest.raises(InputError, match="choose shorter sentences"):
        make()
    assert Path(tmp_path / "voice.md").read_text() == before and list((tmp_path / "voice").glob("*.flac"))

"""Preprocessing: the dataset it makes, rows it refuses, and runs that are interrupted or repeated."""

import csv
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from threadpoolctl import threadpool_limits  # comes with librosa
from toy_recordings import SETTINGS, TEXTS, config, sound, stored, write_ljspeech

from src.audio import load_wav, mel_spectrogram, read_audio
from src.config import load_config
from src.data import clips as clips_module
from src.data.corpus import Corpus
from src.data.file_list import BadRowsError
from src.data.preprocess import preprocess
from src.errors import InputError
from src.text import text_to_sequence

ROOT = Path(__file__).resolve().parents[1]
FLAGS = [text for key, value in SETTINGS.items() for text in (f"--{key}", str(value))]


@pytest.fixture
def recordings(tmp_path):
    return write_ljspeech(tmp_path / "LJSpeech")


@pytest.fixture
def one_blas_thread(monkeypatch):
    """One thread for products, as the script has it: some processors round differently with two."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for other processes
    with threadpool_limits(1):
        yield


@pytest.fixture
def run_script(one_blas_thread, monkeypatch, capsys):
    """Run scripts/preprocess.py in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["preprocess.py", *map(str, arguments), *FLAGS])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(ROOT / "scripts/preprocess.py"), run_name="__main__")
        return exit.value.code, *capsys.readouterr()

    return run


def test_dataset_holds_the_normalised_text_and_mel_of_every_clip(recordings, tmp_path):
    stats, already_done = preprocess(tmp_path / "data", config(data__n_shards=2), recordings)
    assert not already_done and stats == json.loads((tmp_path / "data/stats.json").read_text())
    assert [stats["splits"][split]["clips"] for split in ("train", "val")] == [6, 2]
    clips = stored(tmp_path / "data", "train") | stored(tmp_path / "data", "val")
    for i, text in enumerate(TEXTS):
        wav = load_wav(recordings / f"wavs/clip-{i}.wav", 8000)
        symbols, mel = clips[f"clip-{i}"]
        assert symbols == text_to_sequence(text)
        np.testing.assert_array_equal(mel, mel_spectrogram(wav, config().audio).T)
    numbers, corpus = stats["splits"]["train"], Corpus(tmp_path / "data")
    assert numbers["frames"] == corpus.mel_lengths.sum() and numbers["mel_length"]["max"] == corpus.mel_lengths.max()
    assert numbers["hours"] == pytest.approx(corpus.mel_lengths.sum() * 64 / 8000 / 3600, abs=1e-4)
    assert load_config(yaml.safe_load(stats["config"])) == config(data__n_shards=2)
    corpus.check(config())
    assert (Path(stats["data_path"]) / corpus.wavs[0]).is_file()
    assert not (tmp_path / "data.work").exists()


def break_rows(recordings):
    """Spoil every row but the first and the last two, and add bad rows. Returns the complaint about each line."""
    wavs = recordings / "wavs"
    (wavs / "clip-1.wav").unlink()
    (wavs / "clip-2.wav").write_bytes((wavs / "clip-2.wav").read_bytes()[:2000])
    soundfile.write(wavs / "clip-3.wav", np.zeros(16000), 8000)
    (wavs / "clip-4.wav").write_bytes(b"this is no sound")
    soundfile.write(wavs / "clip-5.wav", np.zeros(0), 8000)
    extra = [
        ("clip-0|raw|Again.", "clip-0: duplicate id, first on line 1"),
        ("clip-8|two fields", "clip-8: has 2 fields, expected 3"),
        ("clip-9|raw|", "clip-9: has no text"),
        ("clip-9b|raw|?!", r"clip-9b: nothing that can be spoken is left of its text '\?!'"),
        ("clip-10|raw|" + "much too much text " * 20, r"clip-10: .* outside 0\.02 to 0\.5"),
        ("clip-11|raw|No", r"clip-11: .* outside 0\.02 to 0\.5"),
        ("clip-12|raw|A {ZZ} phoneme.", "clip-12: .*ARPAbet"),
    ]
    for name in ("9", "9b", "10", "11", "12"):
        soundfile.write(wavs / f"clip-{name}.wav", sound(2), 8000)
    with (recordings / "metadata.csv").open("a") as file:
        file.writelines(f"{line}\n" for line, _ in extra)
    with (recordings / "metadata.csv").open("ab") as file:
        file.write(b"clip-13|raw|caf\xe9\n")
    of_wavs = [
        "clip-1: .*clip-1.wav",
        "clip-2: .*clip-2.wav.*truncated",
        "clip-3: .*clip-3.wav.*silent",
        "clip-4: .*clip-4.wav",
        "clip-5: .*no samples",
    ]
    return (
        list(enumerate(of_wavs, 2)) + list(enumerate([what for _, what in extra], 9)) + [(16, "clip-13: is not UTF-8")]
    )


def test_all_bad_rows_are_reported_together(recordings, tmp_path):
    expected = break_rows(recordings)
    with pytest.raises(BadRowsError, match=r"13 bad rows.*--skip_bad") as error:
        preprocess(tmp_path / "data", config(), recordings)
    assert len(error.value.lines) == len(expected)
    for said, (line, what) in zip(error.value.lines, expected, strict=True):
        assert re.match(rf".*metadata\.csv:{line}: {what}", said)
    assert not (tmp_path / "data").exists()


def test_bad_rows_can_be_skipped(recordings, tmp_path, run_script):
    expected = break_rows(recordings)
    code, _, errors = run_script("--data_path", recordings, "--output_dir", tmp_path / "data", "--workers", 1)
    assert code == 2 and errors.count("metadata.csv:") == len(expected) + 1 and "Traceback" not in errors
    code, out, _ = run_script(
        "--data_path", recordings, "--output_dir", tmp_path / "data", "--workers", 1, "--skip_bad"
    )
    assert code == 0 and "skipped: 13 bad rows" in out
    with (tmp_path / "data/skipped.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["line"]) for row in rows] == [line for line, _ in expected]
    assert rows[0]["id"] == "clip-1" and "clip-1.wav" in rows[0]["reason"]
    assert sorted(Corpus(tmp_path / "data").ids + Corpus(tmp_path / "data", "val").ids) == [
        "clip-0",
        "clip-6",
        "clip-7",
    ]


def test_stereo_44100_hz_and_flac(recordings, tmp_path):
    mono = sound(0.8, 44100)
    soundfile.write(recordings / "wavs/clip-7.wav", np.stack([mono, mono], 1), 44100)
    (recordings / "wavs/clip-6.wav").unlink()
    soundfile.write(recordings / "wavs/clip-6.flac", sound(0.5), 8000)
    preprocess(tmp_path / "data", config(data__val_fraction=0.0), recordings)
    corpus = Corpus(tmp_path / "data")
    assert corpus.mel_lengths[7] == 1 + 6400 // 64
    assert corpus.wavs[6] == "wavs/clip-6.flac"


def test_a_foreign_script_is_a_bad_row_or_transliterated(recordings, tmp_path):
    metadata = recordings / "metadata.csv"
    first, rest = metadata.read_text(encoding="utf-8").split("\n", 1)
    metadata.write_text(f"{first.rsplit('|', 1)[0]}|Привет, мир.\n{rest}", encoding="utf-8")
    with pytest.raises(BadRowsError) as error:
        preprocess(tmp_path / "data", config(), recordings)
    assert "'Привет' is written in Cyrillic" in error.value.lines[0]
    preprocess(tmp_path / "data", config(text__foreign_script="transliterate"), recordings)
    with pytest.raises(InputError, match=r"other settings \(foreign_script\)"):
        preprocess(tmp_path / "data", config(), recordings)


def test_finished_dataset_is_kept_or_replaced(recordings, tmp_path, run_script):
    arguments = ["--data_path", recordings, "--output_dir", tmp_path / "data", "--workers", 1]
    assert run_script(*arguments)[0] == 0
    before = (tmp_path / "data/stats.json").stat().st_mtime_ns
    code, out, _ = run_script(*arguments, "--train.batch_size", 3)  # does not concern the data
    assert code == 0 and "already done" in out
    code, _, errors = run_script(*arguments, "--text.cleaner", "basic_cleaners")
    assert code == 2 and "(cleaner)" in errors and "--overwrite" in errors and len(errors.splitlines()) == 1
    assert (tmp_path / "data/stats.json").stat().st_mtime_ns == before
    assert run_script(*arguments, "--text.cleaner", "basic_cleaners", "--overwrite")[0] == 0
    assert Corpus(tmp_path / "data").stats["cleaner"] == "basic_cleaners"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LJSpeech", "data"]


def test_other_recordings_under_the_same_list_are_noticed(recordings, tmp_path):
    preprocess(tmp_path / "data", config(), recordings)
    another = write_ljspeech(tmp_path / "another voice")
    with pytest.raises(InputError, match=r"other recordings.*data_path, recordings_sha256.*--overwrite"):
        preprocess(tmp_path / "data", config(), another)
    os.utime(recordings / "wavs/clip-5.wav", ns=(0, 0))
    with pytest.raises(InputError, match=r"\(recordings_sha256\).*--overwrite"):
        preprocess(tmp_path / "data", config(), recordings)
    assert not preprocess(tmp_path / "data", config(), recordings, overwrite=True)[1]
    assert preprocess(tmp_path / "data", config(), recordings)[1]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
@pytest.mark.parametrize("size", ["40k", "1m"])  # room for some mels; for all of them, but for no records
def test_a_disk_that_fills(recordings, tmp_path, run_script, size):
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path / "disk"]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        code, _, errors = run_script("--data_path", recordings, "--output_dir", tmp_path / "disk/data", "--workers", 1)
        (said,) = [line for line in errors.splitlines() if "data.work" in line]
        assert code == 2 and said.startswith("error: ") and "cannot be written" in said and "Traceback" not in errors
        assert os.listdir(tmp_path / "disk") == ["data.work"] and os.listdir(tmp_path / "disk/data.work") == ["mels"]
        for path in (tmp_path / "disk/data.work/mels").iterdir():
            assert len(np.load(path))
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)  # MindSpore may still hold a file open


def test_a_folder_of_something_else_is_never_replaced(recordings, tmp_path):
    with pytest.raises(InputError, match="is not a dataset made by this script"):
        preprocess(recordings, config(), recordings, overwrite=True)
    assert (recordings / "metadata.csv").exists()


@pytest.mark.usefixtures("one_blas_thread")
def test_a_run_killed_while_writing_is_taken_up(recordings, tmp_path, monkeypatch):
    preprocess(tmp_path / "uninterrupted", config(), recordings)
    # Killed when the records of the training split are complete, but not yet its index.
    program = (
        "import os, signal, sys, numpy; from pathlib import Path\n"
        "from src.config import load_config; from src.data.preprocess import preprocess\n"
        "numpy.savez = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"preprocess(Path(sys.argv[2]), load_config(overrides={SETTINGS}), Path(sys.argv[1]))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, recordings, tmp_path / "data"], cwd=ROOT, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "data").exists() and (tmp_path / "data.work").is_dir()
    with pytest.raises(InputError):
        Corpus(tmp_path / "data")

    read = []
    monkeypatch.setattr(clips_module, "read_audio", lambda path: read.append(path.name) or read_audio(path))
    wav = recordings / "wavs/clip-5.wav"
    os.utime(wav, ns=(0, 0))  # changed since, so that its cached mel must not be used
    preprocess(tmp_path / "data", config(), recordings)
    assert read == ["clip-5.wav"]
    assert not (tmp_path / "data.work").exists()
    expected, got = stored(tmp_path / "uninterrupted", "train"), stored(tmp_path / "data", "train")
    assert list(expected) == list(got)
    for id in expected:
        np.testing.assert_array_equal(expected[id][1], got[id][1])


def test_processes_give_the_same_dataset(recordings, tmp_path, run_script, monkeypatch):
    monkeypatch.setattr(clips_module, "ROWS_PER_WORKER", 1)
    assert run_script("--data_path", recordings, "--output_dir", tmp_path / "one", "--workers", 1)[0] == 0
    code, out, errors = run_script("--data_path", recordings, "--output_dir", tmp_path / "two", "--workers", 2)
    assert code == 0 and "train: 6 clips" in out and "8/8" in errors
    for split in ("train", "val"):
        expected, got = stored(tmp_path / "one", split), stored(tmp_path / "two", split)
        assert list(expected) == list(got)
        for id in expected:
            assert expected[id][0] == got[id][0]
            np.testing.assert_array_equal(expected[id][1], got[id][1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such dataset folder"),
        (lambda folder: folder.mkdir(), "has no folder wavs/"),
        (lambda folder: (folder / "wavs").mkdir(parents=True), "metadata.csv: cannot be read"),
        (
            lambda folder: ((folder / "wavs").mkdir(parents=True), (folder / "metadata.csv").write_text("\n")),
            "has no rows",
        ),
    ],
)
def test_missing_input_is_one_clear_line(tmp_path, run_script, make, message):
    make(tmp_path / "LJSpeech")
    code, _, errors = run_script("--data_path", tmp_path / "LJSpeech", "--output_dir", tmp_path / "data")
    assert code == 2 and message in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_columns_and_the_report_from_the_command_line(recordings, tmp_path, run_script):
    text = (recordings / "metadata.csv").read_text()
    (recordings / "metadata.csv").write_text("".join(f"{line}|s{i % 2}\n" for i, line in enumerate(text.splitlines())))
    arguments = ["--data_path", recordings, "--output_dir", tmp_path / "data", "--workers", 1]
    code, out, errors = run_script(*arguments, "--report", tmp_path / "report.png")
    assert code == 0, errors
    assert "columns id|text|normalised|speaker, of which normalised is read aloud (--columns says otherwise)" in out
    assert "2 speakers, never read aloud: s0, s1" in out and "audio checks of 8 clips, 0.00 hours" in out
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    code, _, errors = run_script(*arguments, "--columns", "id,text,-,speaker")
    assert code == 2 and "other settings (columns)" in errors and len(errors.splitlines()) == 1
    code, _, errors = run_script(*arguments, "--columns", "id,text")
    assert code == 2 and "names 2 columns (id,text), but the list has 4" in errors and len(errors.splitlines()) == 1


def test_dropped_characters_are_reported_once(recordings, tmp_path, capsys):
    for i in (3, 5):
        text = (recordings / "metadata.csv").read_text()
        (recordings / "metadata.csv").write_text(text.replace(f"raw {i}|", f"raw {i}|= "))
    preprocess(tmp_path / "data", config(), recordings)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert "metadata.csv:4: " in said and "=" in said and "(2 rows)" in said

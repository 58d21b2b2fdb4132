"""eval.py --output: one file, or standard output while the sound is being made."""

import io
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_streaming import SETTINGS, TEXT

from src import create_model
from src.audio import to_pcm16
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.hub.card import shipped_vocoder, shipped_voice
from src.streaming import command
from src.streaming.loading import load_voice

pytest.importorskip("onnxruntime")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A folder with a checkpoint and a cache of its ONNX files, and the sound of TEXT with its rate."""
    folder = tmp_path_factory.mktemp("output")
    config = load_config(overrides={**SETTINGS, "audio.griffinlim_iterations": 2})
    save_checkpoint(folder / "net.ckpt", create_model(config=config), config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPH_CACHE", str(folder / "cache"))
        with load_voice(folder / "net.ckpt", runtime="onnx", batch_size=1, warm=False) as voice:
            wav, rate = voice.speak(TEXT)
        yield folder, wav, rate


@pytest.fixture
def run(speech, monkeypatch, capfdbinary):
    """`run(*flags)` runs eval.py here, in the folder. Returns exit code, stdout and stderr."""
    monkeypatch.chdir(speech[0])

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["eval.py", "--checkpoint", "net.ckpt", "--runtime", "onnx", *flags])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(ROOT / "eval.py"), run_name="__main__")
        return exit.value.code, *capfdbinary.readouterr()

    return run


@pytest.mark.parametrize("name", ["vocoder_checkpoint", "waveglow_checkpoint"])
def test_the_vocoder_of_a_voice_has_two_names(speech, name, monkeypatch):
    monkeypatch.setenv("GRAPH_CACHE", str(speech[0] / "cache"))
    path = speech[0] / "net.ckpt"
    with pytest.raises(InputError, match=r"net\.ckpt: is a tacotron2, no vocoder"):
        load_voice(checkpoint=path, runtime="onnx", **{name: path})
    with pytest.raises(InputError, match="two names of one thing"):
        load_voice(path, path, waveglow_checkpoint=path)


def test_files(speech, run):
    folder, wav, rate = speech
    (folder / "a.wav").write_bytes(b"replaced")
    code, out, error = run("--text", TEXT, "--output", "a.wav")
    assert not code and out == b"" and b"s of speech" in error
    read, found = soundfile.read(folder / "a.wav", dtype="int16")
    assert found == rate == 22050
    np.testing.assert_array_equal(read, to_pcm16(wav))
    for name, flags, expected in (
        ("b.flac", [], 22050),
        ("c.mp3", ["--sample_rate", "16000"], 16000),
        ("d", ["--format", "ogg"], 22050),
        ("e.opus", [], 24000),
        ("f.ulaw", [], 8000),
    ):
        assert not run("--text", TEXT, "--output", name, *flags)[0]
        raw = {"format": "RAW", "subtype": "ULAW", "samplerate": 8000, "channels": 1} if name == "f.ulaw" else {}
        read, found = soundfile.read(folder / name, **raw)
        assert found == expected and len(read) / found == pytest.approx(len(wav) / rate, abs=0.15), name
        assert np.abs(read).max() > 0.1 * np.abs(wav).max(), name


def test_standard_output_has_raw_samples_and_standard_input_the_text(speech, run):
    folder, wav, rate = speech
    command = [sys.executable, ROOT / "eval.py", "--checkpoint", "net.ckpt", "--runtime", "onnx"]
    given = f"{TEXT}\n\n...\n{TEXT}\n".encode()
    command += ["--text_file", "-", "--output", "-"]
    done = subprocess.run(command, input=given, capture_output=True, check=True, cwd=folder)
    pause = np.zeros(round(0.2 * rate), np.float32)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "<i2"), to_pcm16(np.concatenate((wav, pause, wav))))
    _, sound, _ = run("--text", TEXT, "--output", "-", "--format", "wav")
    assert sound[:4] == b"RIFF" and sound[44:] == to_pcm16(wav).tobytes()
    _, mp3, _ = run("--text", TEXT, "--output", "-", "--format", "mp3")
    assert len(soundfile.read(io.BytesIO(mp3))[0]) == pytest.approx(len(wav), abs=3000)


def test_a_reader_may_leave(speech):
    folder = speech[0]
    command = (
        f"'{sys.executable}' '{ROOT / 'eval.py'}' --checkpoint net.ckpt --runtime onnx --text '{TEXT * 20}' --output -"
    )
    done = subprocess.run(
        f"set -o pipefail; {command} | head -c 1000 | wc -c",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
        text=True,
        cwd=folder,
    )
    assert done.stdout.strip() == "1000" and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "a.xyz"], "no format has this suffix; take .wav, .flac"),
        (["--output", "a"], "no format has this suffix"),
        (["--output", "a.mp3", "--sample_rate", "12345"], "mp3 can have 8000"),
        (["--output", "a.wav", "--output_dir", "out"], "--output, a file, or --output_dir, a folder"),
        (["--output", "a.wav", "--metrics"], "leave out --metrics"),
        (["--output_dir", "out", "--format", "mp3"], "belong to --output"),
        ([], "give --output_dir, a folder; or, with --text and --text_file, --output"),
        (["--output", "missing/a.wav"], "missing"),
    ],
)
def test_flags_that_do_not_fit(run, flags, message):
    code, _, error = run("--text", "One.", *flags)
    assert code == 2 and message in error.decode() and error.count(b"\n") == 1


@pytest.mark.parametrize("flags", [[], ["--vocoder", "harmonic"]])
def test_one_file_is_spoken_by_the_vocoder_that_ships(speech, flags, monkeypatch, capfd):
    class Stopped(Exception):
        pass

    def load(*arguments, **options):
        given.extend(arguments)
        raise Stopped

    given = []
    monkeypatch.chdir(speech[0])
    monkeypatch.setattr(command, "load_voice", load)
    monkeypatch.setattr(sys, "argv", ["eval.py", "--text", "One.", "--output", "z.wav", *flags])
    with pytest.raises(Stopped):
        runpy.run_path(str(ROOT / "eval.py"), run_name="__main__")
    assert [Path(path) for path in given[:2]] == [shipped_voice(), shipped_vocoder()]

"""Input that once hung, filled the memory or dumped a traceback. Each ends in one line, exit code 2, within seconds.

A new case is a line of `CASES`: its name, the script, and its flags, made in an empty folder.
"""

import json
import pickle
import runpy
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import pytest
from hostile_files import (
    claiming,
    junk_signed,
    log_of,
    onnx_with,
    pipe,
    sign,
    spoil,
    stored,
    swap,
    swapped_and_signed,
    truncated,
    widened,
    with_stats,
    write,
)
from toy_training import N_MELS, write_corpus

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.export.mindir import load_mindir
from src.export.writing import export
from src.files import sha256_of
from src.models.factory import create_model
from src.plotting import save_alignment_and_mel

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 10  # of computing; a machine may have other work
WIDTHS = {
    f"model.{part}_dim": 8 for part in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
}
LONG = "o" * 300  # longer than a file's name may be
DEEP = 100_000
LAUGHS = "a: &a [1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A checkpoint, a dataset, and the folder of the checkpoint's ONNX files."""
    librosa.resample(np.zeros(100), orig_sr=2, target_sr=1)  # numba compiles librosa once, for up to half a minute
    folder = tmp_path_factory.mktemp("given")
    config = load_config(overrides={**WIDTHS, "audio.n_mels": N_MELS, "model.max_decoder_steps": 4})
    save_checkpoint(folder / "tiny.ckpt", create_model(config=config), config)
    export(folder / "tiny.ckpt", "ONNX", folder / "onnx", verify=False)
    return SimpleNamespace(
        checkpoint=folder / "tiny.ckpt", data=write_corpus(folder / "data"), onnx=folder / "onnx", config=config
    )


@pytest.fixture
def script(monkeypatch, capsys):
    """`run(script, *flags)` runs a script in this process. Returns exit code, stdout and stderr."""

    def give_up(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    def run(name, *flags):
        monkeypatch.setattr(sys, "argv", [name, *map(str, flags)])
        before = signal.signal(signal.SIGPROF, give_up), signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(6 * SECONDS)
        try:
            with pytest.raises(SystemExit) as exit:
                runpy.run_path(str(ROOT / name), run_name="__main__")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
                signal.signal(number, handler)
        return exit.value.code, *capsys.readouterr()

    return run


def train(given, folder, *flags):
    return ["train.py", "--data_path", given.data, "--output_dir", folder / "out", *flags]


def speak(given, folder, *flags):
    flags = flags if "--text" in flags else ("--text", "Yes.", *flags)
    return ["eval.py", "--checkpoint", given.checkpoint, "--output_dir", folder / "out", *flags]


def train_on(data, folder):
    return ["train.py", "--data_path", data, "--output_dir", folder / "out", "--audio.n_mels", N_MELS]


def infer(onnx, folder, *flags):
    return ["scripts/onnx_infer.py", "--onnx_dir", onnx, "--text", "Yes.", "--output_dir", folder / "out", *flags]


def configured(content):
    return lambda given, at: train(given, at, "--config", write(at / "c.yaml", content))


def symbols(content):
    return lambda given, at: [
        "scripts/convert_checkpoint.py",
        given.checkpoint,
        at / "x.ckpt",
        "--symbols",
        write(at / "symbols.json", content),
    ]


def drawn(*rows):
    return lambda given, at: ["scripts/plot_log.py", log_of(at, *rows)]


CASES = {
    "lone surrogates in a text": lambda given, at: speak(given, at, "--text", "a \udcff b \ud800"),
    "lone surrogates for ONNX": lambda given, at: infer(given.onnx, at, "--text", "\udcff"),
    "a text of control characters": lambda given, at: speak(given, at, "--text", "\x00\x07"),
    "a NUL in a path": lambda given, at: train(given, at, "--config", "c\x00.yaml"),
    "a text file that is a device": lambda given, at: [
        "eval.py", "--checkpoint", given.checkpoint, "--text_file", "/dev/zero", "--output_dir", at / "out",
    ],
    "a recording that is a device": lambda given, at: [
        "eval.py", "--checkpoint", given.checkpoint, "--copy_synthesis", "/dev/zero", "--output_dir", at / "out",
    ],
    "a mel that is a device": lambda given, at: [
        "eval.py", "--checkpoint", given.checkpoint, "--mel", "/dev/zero", "--output_dir", at / "out",
    ],
    "a list of recordings that is a device": lambda given, at: [
        "scripts/preprocess.py", "--file_list", "/dev/zero", "--output_dir", at / "out",
    ],
    "a checkpoint that is a device": lambda given, at: [
        "eval.py", "--checkpoint", "/dev/zero", "--text", "a", "--output_dir", at / "out",
    ],
    "1e9 decoder steps": lambda given, at: speak(given, at, "--model.max_decoder_steps", "1000000000"),
    "1e9 decoder steps as a float": lambda given, at: speak(given, at, "--model.max_decoder_steps", "1e9"),
    "a batch of 1e9": lambda given, at: train(given, at, "--train.batch_size", "1000000000"),
    "a number of 5000 digits": lambda given, at: train(given, at, "--train.batch_size", "9" * 5000),
    "an infinite learning rate": lambda given, at: train(given, at, "--train.lr", "inf"),
    "YAML of nested aliases": configured(f"train:\n  freeze: x\n{LAUGHS}"),
    "YAML of an alias to itself": configured("train: &a {freeze: *a}"),
    "YAML nested deeply in a value": configured("train: {freeze: " + "[" * DEEP),
    "YAML nested deeply in a key": configured("? " * DEEP + "x"),
    "YAML nested deeply in flow keys": configured("{" * DEEP),
    "YAML of bytes": configured(bytes(range(256))),
    "YAML of a tag": configured("train: !!python/object/apply:os.getcwd []"),
    "a configuration that is a device": lambda given, at: train(given, at, "--config", "/dev/zero"),
    "a configuration that is a folder": lambda given, at: train(given, at, "--config", at),
    "a configuration that is a pipe": lambda given, at: train(given, at, "--config", pipe(at / "pipe")),
    "too long an output of training": lambda given, at: train(given, at / LONG),
    "too long an output of speech": lambda given, at: speak(given, at / LONG),
    "too long an output of an export": lambda given, at: [
        "export.py", "--checkpoint", given.checkpoint, "--file_format", "ONNX", "--output_dir", at / LONG,
    ],
    "too long an output of a picture": lambda given, at: [
        "scripts/plot_log.py", log_of(at, {"step": 1, "loss": 1.0}), "--output", at / f"{LONG}.png",
    ],
    "too long an output of a dataset": lambda given, at: [
        "scripts/preprocess.py", "--data_path", ROOT / "demo_corpus", "--output_dir", at / LONG,
    ],
    "too long a checkpoint": lambda given, at: ["eval.py", "--checkpoint", f"{LONG}.ckpt", "--text", "a", "--output_dir", at],
    "too long a run to resume": lambda given, at: ["train.py", "--resume", at / LONG],
    "a file in the place of a folder": lambda given, at: speak(given, write(at / "file", "") / "below"),
    "a run to resume that is a device": lambda given, at: ["train.py", "--resume", "/dev/null"],
    "a dataset that is a device": lambda given, at: train_on("/dev/zero", at),
    "symbols nested deeply": symbols("[" * DEEP),
    "symbols nested deeply in objects": symbols('{"a":' * DEEP),
    "pickled members of a dataset": lambda given, at: train_on(
        spoil(given, at, ids=stored(np.array([{}, []] * 4, object))), at
    ),
    "a dataset's member that is a bare pickle": lambda given, at: train_on(spoil(given, at, wavs=pickle.dumps([])), at),
    "a truncated dataset": lambda given, at: train_on(truncated(given, at), at),
    "a truncated member of a dataset": lambda given, at: train_on(spoil(given, at, mel_lengths=claiming((8,))), at),
    "a dataset's member of 1e12 numbers": lambda given, at: train_on(
        spoil(given, at, mel_lengths=claiming((10**12,))), at
    ),
    "a dataset's member of 1e30 numbers": lambda given, at: train_on(
        spoil(given, at, text_lengths=claiming((10**30,))), at
    ),
    "a dataset whose clips are huge": lambda given, at: train_on(
        spoil(given, at, mel_lengths=stored(np.full(8, 2**31 - 1, np.int32))), at
    ),
    "a dataset whose clips are negative": lambda given, at: train_on(
        spoil(given, at, text_lengths=stored(np.full(8, -1, np.int32))), at
    ),
    "a dataset whose lengths are fractions": lambda given, at: train_on(
        spoil(given, at, text_lengths=stored(np.full(8, 1.5))), at
    ),
    "a dataset with fewer lengths than clips": lambda given, at: train_on(
        spoil(given, at, text_lengths=stored(np.full(3, 9, np.int32))), at
    ),
    "statistics that are null": lambda given, at: train_on(with_stats(given, at, splits=None), at),
    "statistics without a signature": lambda given, at: train_on(with_stats(given, at, mel_signature=None), at),
    "statistics of splits that are null": lambda given, at: train_on(with_stats(given, at, splits={"train": None}), at),
    "statistics of other symbols": lambda given, at: train_on(with_stats(given, at, symbols=None), at),
    "statistics nested deeply": lambda given, at: train_on(
        write(with_stats(given, at) / "stats.json", "[" * DEEP).parent, at
    ),
    "an evaluation of statistics that are null": lambda given, at: [
        "eval.py", "--checkpoint", given.checkpoint, "--data_path", with_stats(given, at, splits=None), "--output_dir", at,
    ],
    "a log of strings": drawn({"step": 1, "loss": "low"}, {"step": "2", "loss": 1.0}, "no row", '"row"'),
    "a log of nested rows": drawn({"step": 1, "loss": [[1]]}, [[{"step": 1, "loss": 1}]], "[" * DEEP),
    "a log of huge numbers": drawn({"step": 1, "loss": 10**400}, {"step": 10**400, "loss": 1.0}, {"step": -1, "loss": 1}),
    "ONNX files that were swapped": lambda given, at: infer(onnx_with(given, at, lambda x: swap(x, (".onnx",))), at),
    "ONNX files swapped with their descriptions": lambda given, at: infer(onnx_with(given, at, swap), at),
    "ONNX files swapped and signed anew": lambda given, at: infer(onnx_with(given, at, swapped_and_signed), at),
    "junk that was signed as ONNX": lambda given, at: infer(onnx_with(given, at, junk_signed), at),
    "an ONNX description of another width": lambda given, at: infer(onnx_with(given, at, widened), at),
    "an ONNX description without a configuration": lambda given, at: infer(
        onnx_with(given, at, lambda x: sign(x, config=None)), at
    ),
    "an ONNX description without inputs": lambda given, at: infer(
        onnx_with(given, at, lambda x: sign(x, inputs=None)), at
    ),
    "an ONNX description nested deeply": lambda given, at: infer(
        onnx_with(given, at, lambda x: write(x / "encoder.onnx.json", "[" * DEEP)), at
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_ends_in_one_line(case, given, tmp_path, script):
    code, _, error = script(*CASES[case](given, tmp_path))
    assert code == 2 and error.strip() and error.count("\n") == 1, (code, error[:2000])
    assert "Traceback" not in error


@pytest.mark.parametrize("changes", [{"inputs": None}, {"inputs": [{"name": "text"}]}, {}])
def test_a_mindir_file_signed_anew_is_refused(changes, tmp_path):
    write(tmp_path / "x.mindir", b"junk")
    description = {"file": "x.mindir", "sha256": sha256_of(tmp_path / "x.mindir"), "inputs": []} | changes
    write(tmp_path / "x.mindir.json", json.dumps(description))
    with pytest.raises(InputError, match=r"x\.mindir: is not what export\.py wrote"):
        load_mindir(tmp_path / "x.mindir")


TEXTS = ["$x^{", "a $ b", r"\frac{1}{0} $\x$", "{", "^_$$", "\udcff\U0001f600"]


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2], f"{TEXTS[-1]}\x00"])
def test_a_text_is_drawn_as_it_is(text, tmp_path):
    config = load_config(overrides={"audio.n_mels": 4})
    save_alignment_and_mel(tmp_path / "a.png", np.zeros((4, 9)), np.ones((9, 3)) / 3, text, config.audio)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_names_of_runs_and_numbers_are_drawn_as_they_are(tmp_path, script):
    runs = [tmp_path / text for text in TEXTS]
    for run in runs:
        run.mkdir()
        log_of(run, {"step": 1, "loss": 1.0, TEXTS[0]: 2.0}, {"step": 2, "loss": "low", TEXTS[2]: -2.0}, [])
    code, _, error = script("scripts/plot_log.py", *runs, "--output", tmp_path / "b.png")
    assert (code, error) == (0, "") and (tmp_path / "b.png").stat().st_size > 5000

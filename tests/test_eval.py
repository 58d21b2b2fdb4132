"""eval.py from the command line to the files, on a real but tiny network."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_training import N_MELS, write_corpus

import eval as script
from src.audio import load_wav
from src.checkpoint import save_checkpoint
from src.cli import run
from src.config import load_config
from src.data.preprocess import preprocess
from src.evaluation import objective
from src.models.factory import create_model

WIDTHS = {
    f"model.{name}_dim": 8 for name in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
}
LIMITS = {
    "model.max_decoder_steps": 30,
    "model.reduction_factor": 2,
    "text.max_sentence_length": 50,
    "audio.griffinlim_iterations": 5,
}
LINES = ["Hello world.", "", "A line of two sentences. The second one is longer than the first.", "Yes."]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    np.random.seed(1)
    config = load_config(
        overrides={**WIDTHS, **LIMITS, "audio.n_mels": N_MELS, "model.gate_threshold": 1.0}
    )  # so that it never stops
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt"
    save_checkpoint(path, create_model(config=config), config)
    return path


@pytest.fixture(scope="module")
def networks():
    return {}


@pytest.fixture
def evaluate(checkpoint, networks, tmp_path, monkeypatch, capsys):
    """Runs eval.py; returns exit code, output and complaints. Networks are kept, so that each is compiled once."""

    def create_once(checkpoint, overrides):
        key = (str(checkpoint), *overrides.items())
        if key not in networks:
            networks[key] = create_model(checkpoint=checkpoint, overrides=overrides)
        return networks[key]

    def call(*flags, checkpoint=checkpoint):
        monkeypatch.setattr("src.models.factory.create_model", create_once)
        monkeypatch.setattr(sys, "argv", ["eval.py", "--checkpoint", str(checkpoint), *map(str, flags)])
        with pytest.raises(SystemExit) as end:
            run(script.main)
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_a_file_of_lines(evaluate, tmp_path, checkpoint):
    (tmp_path / "lines.txt").write_text("\n".join(LINES))
    for folder in ("one", "two"):
        code, output, complaints = evaluate(
            "--text_file", tmp_path / "lines.txt", "--output_dir", tmp_path / folder, "--seed", 5
        )
        assert code == 0
    one, two = tmp_path / "one", tmp_path / "two"
    names = [f"{number}{ending}" for number in ("0001", "0003", "0004") for ending in (".png", ".wav", "_mel.npy")]
    assert sorted(path.name for path in one.iterdir()) == sorted([*names, "summary.json"])
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert "lines.txt: blank lines are left out: 2\n" in complaints
    assert (
        "warning: did not end before model.max_decoder_steps (30): line 1, line 3 (2 of 2 sentences), line 4\n"
        in complaints
    )
    summary = json.loads((one / "summary.json").read_text())
    assert (summary["seed"], summary["checkpoint"], summary["vocoder"]) == (5, str(checkpoint), "griffinlim")
    assert [row["text"] for row in summary["lines"]] == [line for line in LINES if line]
    assert (
        summary["seconds"] == pytest.approx(sum(row["seconds"] for row in summary["lines"]))
        and summary["real_time_factor"] > 0
    )
    for row in summary["lines"]:
        wav = load_wav(one / row["wav"], summary["sample_rate"])
        assert len(wav) == row["frames"] * 256 and np.abs(wav).max() > 0
        assert [sentence["frames"] for sentence in row["sentences"]] == [60] * len(row["sentences"])
    assert str(one.name) not in output and "3 wav" in output


def test_a_line_does_not_depend_on_the_others_and_a_new_run_replaces_the_old(evaluate, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "lines.txt").write_text("\n".join(LINES))
    assert evaluate("--text_file", tmp_path / "lines.txt", "--output_dir", out, "--seed", 5)[0] == 0
    among = np.load(out / "0003_mel.npy")
    (out / "mine.wav").write_bytes(b"")
    assert evaluate("--text", LINES[2], "--output_dir", out, "--seed", 5)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "0001.png",
        "0001.wav",
        "0001_mel.npy",
        "mine.wav",
        "summary.json",
    ]
    np.testing.assert_allclose(np.load(out / "0001_mel.npy"), among, atol=1e-4)
    assert evaluate("--text", LINES[2], "--output_dir", out, "--seed", 6)[0] == 0
    assert np.abs(np.load(out / "0001_mel.npy") - among).max() > 1e-2
    assert evaluate("--text", "...", "--output_dir", out)[0] == 2
    assert (out / "summary.json").exists()  # what was there stays until there is something better


def test_names_sort_as_lines_however_many_there_are(evaluate, tmp_path):
    line = "As long as the others, to share their graph.\n"
    (tmp_path / "lines.txt").write_text(line + "\n" * 12_345 + line)
    code, _, complaints = evaluate("--text_file", tmp_path / "lines.txt", "--output_dir", tmp_path / "out")
    assert code == 0 and "left out: 2, 3, 4, 5, 6 and 12340 more\n" in complaints
    assert sorted(path.name for path in (tmp_path / "out").glob("*.wav")) == ["00001.wav", "12347.wav"]


def test_lines_without_sound_are_left_out_and_babble_is_named(evaluate, tmp_path, monkeypatch):
    (tmp_path / "lines.txt").write_text("Hello world.\n!!!\nHello there.\nHow are you?\n")
    monkeypatch.setattr(
        "src.synthesis.lines.find_runaways",
        lambda texts, seconds: [i for i, text in enumerate(texts) if text == "How are you?"],
    )
    code, _, complaints = evaluate("--text_file", tmp_path / "lines.txt", "--output_dir", tmp_path / "out")
    assert code == 0 and "lines.txt: nothing can be spoken of these lines, they are left out: 2\n" in complaints
    assert "warning: took more than 3 times the median seconds per character, it may babble: line 4\n" in complaints
    assert sorted(path.name for path in (tmp_path / "out").glob("*.wav")) == ["0001.wav", "0003.wav", "0004.wav"]
    (tmp_path / "lines.txt").write_text("?\n!!!\n")
    code, _, complaints = evaluate("--text_file", tmp_path / "lines.txt", "--output_dir", tmp_path / "out")
    assert code == 2 and "line 1: nothing of '?' can be spoken" in complaints and complaints.count("\n") == 1


def test_metrics(evaluate, tmp_path, monkeypatch):
    pytest.importorskip("jiwer")
    demo = Path(__file__).parents[1] / "demo_corpus"
    config = load_config(overrides={"audio.n_mels": N_MELS})
    (tmp_path / "val.txt").write_text("LJ001-0104\nLJ006-0066")
    (tmp_path / "train.txt").write_text("LJ006-0220")
    preprocess(tmp_path / "data", config, demo, val_ids=tmp_path / "val.txt", train_ids=tmp_path / "train.txt")
    monkeypatch.setattr(script, "load_recogniser", lambda name: lambda wav, rate: "Italy is contentedly stagnant")
    monkeypatch.setattr(objective, "pesq_wideband", lambda *arguments: 3.0)
    monkeypatch.setattr(objective, "predicted_opinion", lambda *arguments: 3.0)
    out, ids = tmp_path / "out", tmp_path / "ids.txt"
    ids.write_text("LJ006-0278\nLJ006-0220")
    for n_clips, flags in ((2, ()), (1, ("--vocoder", "griffinlim", "--ids", ids, "--clips", 1))):
        code, output, complaints = evaluate("--data_path", tmp_path / "data", "--metrics", "--output_dir", out, *flags)
        assert code == 0 and output.count("| word error rate (%, whisper)") == 1
        metrics = json.loads((out / "metrics.json").read_text())
        assert (
            metrics["max_step_hits"] == metrics["sentences_measured"] == n_clips and metrics["vocoder"] == "griffinlim"
        )
        assert {"wer", "wer_copy_synthesis", "wer_recording", "mcd_dtw_db", "alignment_score", "rtf", "val_loss"} < set(
            metrics
        )
        assert (out / "metrics.md").read_text().strip() in output
        assert ("1 of 1 clips are in the training split: LJ006-0220" in complaints) == ("--ids" in flags)
    assert sorted(path.name for path in (out / "held_out").iterdir()) == [
        "LJ006-0220.wav",
        "LJ006-0220_copy_synthesis.wav",
    ]


def test_metrics_without_their_packages_is_one_line(evaluate, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    code, _, complaints = evaluate("--data_path", tmp_path, "--metrics", "--output_dir", tmp_path / "out")
    assert code == 2 and complaints == (
        "error: --metrics needs the package jiwer: pip install -r requirements-eval.txt\n"
    )


def test_validation_loss_does_not_depend_on_the_batch_size(evaluate, tmp_path):
    data = write_corpus(tmp_path / "data")
    results = []
    for batch_size in (2, 3):
        out = tmp_path / f"out-{batch_size}"
        flags = ("--train.batch_size", batch_size, "--model.prenet_dropout", 0)
        code, output, _ = evaluate("--data_path", data, "--output_dir", out, *flags)
        assert code == 0
        results.append(json.loads((out / "metrics.json").read_text()))
        assert sorted(path.name for path in out.iterdir()) == ["alignment-and-mel.png", "metrics.json"]
    for name in ("val_loss", "mel_loss", "gate_loss", "alignment_score"):
        assert results[0][name] == pytest.approx(results[1][name], rel=1e-5)
    assert results[0]["val_loss"] == pytest.approx(results[0]["mel_loss"] + results[0]["gate_loss"])
    assert results[0]["clips"] == 5 and 25 <= results[0]["frames"] == results[1]["frames"] < 300
    assert f"validation loss {results[1]['val_loss']:.4f}" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give one of --text, --text_file, --data_path, --copy_synthesis and --mel"),
        (("--mel", "a.npy", "--text", "a"), "give one of"),
        (("--text", "a", "--mel_scale", "dB"), "--mel_scale is for --mel"),
        (("--mel", "a.npy", "--vocoder_checkpoint", "w.ckpt"), "--mel needs one of --vocoder_checkpoint and"),
        (("--mel", "gone.npy"), "gone.npy: no such file"),
        (("--text", "a", "--text_file", "b"), "give one of"),
        (("--text", "a", "--data_path", "b"), "give one of"),
        (("--text", ""), "--text is empty"),
        (("--text", " "), "--text is empty"),
        (("--text_file", "gone.txt"), "gone.txt: cannot be read"),
        (("--data_path", "gone"), "gone: no such dataset folder"),
        (("--text", "a", "--seed", "-1"), "--seed"),
        (("--text", "a", "--metrics"), "--metrics needs --data_path"),
        (("--data_path", "a", "--clips", "3"), "--ids, --clips and --recogniser belong to --metrics"),
        (("--data_path", "a", "--metrics", "--clips", "0"), "--clips: is 0, but must be at least 1"),
        (("--text", "a", "--vocoder", "wavegrow"), "griffinlim"),
        (("--text", "a", "--model.max_decoder_step", "5"), "did you mean 'model.max_decoder_steps'"),
        (("--text", "a", "--model.max_decoder_steps", "many"), "model.max_decoder_steps"),
        (("--text", "a", "--audio.hop_length", "128"), "hop_length 256 to 128"),
        (("--text", "a", "--model.encoder_dim", "16"), "embedding is [148, 8], expected [148, 16]"),
    ],
)
def test_bad_input_is_one_line(evaluate, tmp_path, flags, message):
    code, _, complaints = evaluate(*flags, "--output_dir", tmp_path / "out")
    assert code == 2 and message in complaints and complaints.count("\n") == 1


def test_bad_checkpoints_and_folders_are_one_line(evaluate, tmp_path, checkpoint):
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:1000])
    for name, message in (("gone.ckpt", "no such checkpoint"), ("cut.ckpt", "cut off")):
        code, _, complaints = evaluate("--text", "a", "--output_dir", tmp_path, checkpoint=tmp_path / name)
        assert code == 2 and message in complaints and complaints.count("\n") == 1
    code, _, complaints = evaluate("--text", "a", "--output_dir", tmp_path / "cut.ckpt")
    assert code == 2 and "cut.ckpt: cannot be made" in complaints and complaints.count("\n") == 1


def test_help_explains_every_key(evaluate):
    code, output, _ = evaluate("--help")
    text = " ".join(output.split())
    assert code == 0 and "--text TEXT text to speak" in text
    assert (
        "--model.max_decoder_steps VALUE speech that has not stopped by then is cut off "
        "(int, above 0, at most 100000, default: 1000)" in text
    )
    assert "CMUdictionary(english_cleaners|basic_cleaners|english_phonemes|english" in text.replace(" ", "")

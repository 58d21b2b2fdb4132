"""export.py and scripts/onnx_infer.py: exported files give what the networks in memory give."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from toy_export import LOOP, SENTENCE, close, export, fresh_checkpoints

from src.audio import load_wav, mel_signature
from src.config import load_config
from src.errors import InputError
from src.export import writing
from src.export.artifact import Artifact, TensorSpec, description_of
from src.export.mindir import load_mindir
from src.export.onnx.inference import OnnxTacotron2, OnnxWaveGlow
from src.models.factory import create_model
from src.models.sampling import latents, prenet_dropout_mask
from src.models.tacotron2.stopping import STOP_REASONS
from src.models.waveglow.denoiser import Denoiser
from src.text import encode_texts

ROOT = Path(__file__).resolve().parents[1]
OFF = {"model.prenet_dropout": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fresh_checkpoints(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def tacotron2(folder):
    return create_model(checkpoint=folder / "tacotron2.ckpt")


@pytest.fixture(scope="module")
def waveglow(folder):
    return create_model(checkpoint=folder / "waveglow.ckpt")


@pytest.fixture(scope="module")
def exported(folder):
    """Exports both networks in a format, the first time that it is asked for."""
    done = {}

    def once(file_format):
        if file_format not in done:
            output_dir = folder / f"{file_format} é"
            for name in ("tacotron2", "waveglow"):
                for _, difference in writing.export(folder / f"{name}.ckpt", file_format, output_dir):
                    assert difference < {"MINDIR": 1e-5, "ONNX": 1e-4}[file_format]
            done[file_format] = output_dir
        return done[file_format]

    return once


def load(path):
    return load_mindir(path), json.loads(description_of(path).read_text())


def test_mindir_of_tacotron2_speaks_texts_of_any_length(exported, tacotron2):
    graph, description = load(exported("MINDIR") / "tacotron2.mindir")
    assert description["max_symbols"] == 32
    assert LOOP in (exported("MINDIR") / "tacotron2.mindir").read_bytes()
    # A single symbol has all attention, so it takes three steps of two frames. Of 39 symbols, the last 7 are cut off.
    ends = []
    for length, padding in ((3, 0), (32, 0), (11, 4), (1, 2), (39, 0)):
        text = np.zeros((1, length + padding), np.int32)
        text[:, :length] = np.arange(1, length + 1)
        dropout_mask = prenet_dropout_mask(tacotron2.config.model, [(5, 0)], tacotron2.config.model.max_decoder_steps)
        lengths = np.array([length], np.int32)
        found = graph(Tensor(text), Tensor(lengths), Tensor(dropout_mask))
        mel, mel_lengths, alignments, reasons = (value.asnumpy() for value in found)
        speech = tacotron2.generate(Tensor(text[:, :32]), Tensor(np.minimum(lengths, 32)), 5)
        frames = int(mel_lengths[0])
        ends.append((frames, STOP_REASONS[reasons[0]]))
        assert ends[-1] == (int(speech.mel_lengths.asnumpy()[0]), speech.stop_reasons[0])
        assert close(mel[:, :, :frames], speech.mel, 1e-5)
        assert close(alignments[:, : frames // 2, : min(text.shape[1], 32)], speech.alignments, 1e-5)
        assert not mel[:, :, frames:].any()
        assert not alignments[:, frames // 2 :].any() and not alignments[:, :, length:].any()
    assert ends[3] == (6, "attention") and (26, "max_decoder_steps") in ends


def test_mindir_of_waveglow_and_denoiser_take_any_number_of_frames(exported, waveglow):
    voice, _ = load(exported("MINDIR") / "waveglow.mindir")
    denoise, _ = load(exported("MINDIR") / "denoiser.mindir")
    denoiser = Denoiser(waveglow)
    for n_frames in (2, 31):
        mel = np.random.default_rng(0).standard_normal((1, 8, n_frames), np.float32)
        noise = np.float32(0.8) * latents(7, 1, n_frames * 4, 8).swapaxes(1, 2)
        wav = voice(Tensor(mel), Tensor(np.ascontiguousarray(noise))).asnumpy()
        expected = waveglow.infer(Tensor(mel), sigma=0.8, seed=7).asnumpy()
        assert close(wav, expected, 1e-5)
        denoised = denoise(Tensor(expected), Tensor(np.array([0.5], np.float32))).asnumpy()
        assert close(denoised[0], denoiser(expected[0], 0.5), 1e-5)
        assert not close(denoised, expected, 1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_onnx_speaks_as_the_network_does(exported, tacotron2, monkeypatch, dropout):
    monkeypatch.setattr(tacotron2.config.model, "prenet_dropout", dropout)
    text = np.zeros((2, 12), np.int32)
    text[0], text[1, :5] = np.arange(20, 32), np.arange(40, 45)
    lengths = np.array([12, 5], np.int32)
    speech = tacotron2.generate(Tensor(text), Tensor(lengths), [3, 4])
    found = OnnxTacotron2(exported("ONNX"), {"model.prenet_dropout": dropout}).generate(text, lengths, [3, 4])
    assert found.stop_reasons == speech.stop_reasons
    assert found.mel_lengths.tolist() == speech.mel_lengths.asnumpy().tolist()
    assert close(found.mel, speech.mel, 1e-4)
    assert close(found.alignments, speech.alignments, 1e-4)


@pytest.mark.parametrize(
    ("overrides", "reason", "frames"),
    [
        ({"model.gate_threshold": 1e-9}, "gate", 2),
        ({"model.attention_stop_frames": 5}, "attention", 6),  # three steps of two frames
        ({"model.max_decoder_steps": 4, "model.attention_stop_frames": 0}, "max_decoder_steps", 8),
    ],
)
def test_onnx_stops_for_the_reasons_of_the_network(exported, overrides, reason, frames):
    net = OnnxTacotron2(exported("ONNX"), overrides)
    # One symbol only, so that all attention is on the last one.
    spoken = net.generate(np.array([[9]], np.int32), np.array([1], np.int32), [0])
    assert spoken.stop_reasons == [reason]
    assert spoken.mel.shape == (1, 8, frames)


def test_onnx_waveglow_makes_the_same_sound(exported, waveglow):
    mel = np.random.default_rng(1).standard_normal((2, 8, 9), np.float32)
    found = OnnxWaveGlow(exported("ONNX")).infer(mel, sigma=0.7, seed=2)
    assert close(found, waveglow.infer(Tensor(mel), sigma=0.7, seed=2), 1e-4)


@pytest.mark.parametrize(
    ("shape", "value", "sigma", "complaint"),
    [
        ((1, 9, 4), 0.0, 0.7, r"has shape \[1, 9, 4\], expected \[items, 8, frames\]"),
        ((1, 8, 1), 0.0, 0.7, "has 1 frame"),
        ((1, 8, 4), np.nan, 0.7, "values that are not finite"),
        ((1, 8, 4), 0.0, -1.0, "sigma is -1.0, but must be at least 0"),
        ((1, 8, 4), 0.0, np.nan, "sigma is nan"),
    ],
)
def test_onnx_waveglow_refuses_what_the_network_refuses(exported, waveglow, shape, value, sigma, complaint):
    for net in (waveglow, OnnxWaveGlow(exported("ONNX"))):
        with pytest.raises(InputError, match=complaint):
            net.infer(np.full(shape, value, np.float32), sigma=sigma)


def test_onnx_infer_speaks_without_mindspore(exported, tacotron2, tmp_path):
    flags = ["--onnx_dir", exported("ONNX"), "--text", f"{SENTENCE} {SENTENCE}", "--seed", 6]
    flags += ["--waveglow_dir", exported("ONNX"), "--denoiser_strength", 0.1, "--output_dir", tmp_path]
    code = (
        "import runpy, sys\ntry:\n    runpy.run_path('scripts/onnx_infer.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0 and 'mindspore' not in sys.modules, end.code"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, flags)], cwd=ROOT, check=True, capture_output=True)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [(each["text"], each["frames"]) for each in summary["sentences"]] == [(SENTENCE, 26)] * 2
    mel = np.load(tmp_path / "0001_mel.npy")
    pause = round(0.2 * 8000 / 32)
    assert mel.shape == (8, 26 + pause + 26)
    assert len(load_wav(tmp_path / "0001.wav", 8000)) == mel.shape[1] * 32
    ids, lengths = encode_texts([SENTENCE], tacotron2.config)
    for position, found in enumerate((mel[:, :26], mel[:, -26:])):  # each with the random stream that eval.py gives it
        speech = tacotron2.generate(Tensor(ids), Tensor(lengths), [(6, position)])
        assert close(found, speech.mel.asnumpy()[0], 1e-4)


@pytest.mark.parametrize(("file_format", "n_files"), [("MINDIR", 3), ("ONNX", 4)])
def test_each_file_has_a_description(exported, folder, file_format, n_files):
    descriptions = list(exported(file_format).glob("*.json"))
    assert len(descriptions) == n_files
    assert len(list(exported(file_format).iterdir())) == 2 * n_files
    for path in descriptions:
        description = json.loads(path.read_text())
        config = load_config(description["config"])
        checkpoint = folder / f"{config.model.name}.ckpt"
        assert description["sha256"] == hashlib.sha256((path.parent / description["file"]).read_bytes()).hexdigest()
        assert description["checkpoint"]["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        assert description["mel_signature"] == mel_signature(config.audio)
        assert description["symbols"] == config.text.symbols
        for spec in description["inputs"] + description["outputs"]:
            assert {"name", "dtype", "shape", "meaning"} <= set(spec)


def test_a_file_that_differs_is_not_put_in_place(folder, tmp_path, monkeypatch, capsys):
    spec = TensorSpec("float32", (1,), "")

    def make_artifacts(*_):
        reload = lambda path: lambda arrays: {"y": np.frombuffer(path.read_bytes(), np.float32)}  # noqa: E731
        limit, config, example = 1e-5, load_config(), [{"x": np.ones(1, np.float32)}]
        return [
            Artifact(
                name,
                {"x": spec},
                {"y": spec},
                lambda path: path.write_bytes(np.ones(1, np.float32).tobytes()),
                lambda arrays, value=value: {"y": np.full(1, value, np.float32)},
                reload,
                example,
                limit,
                config,
            )
            for name, value in {"good": 1.0, "bad": 1.0001}.items()
        ]

    monkeypatch.setattr(writing, "make_artifacts", make_artifacts)
    flags = "--checkpoint", folder / "tacotron2.ckpt", "--file_format", "MINDIR", "--output_dir", tmp_path
    (tmp_path / "good.mindir").write_text("of an export before")
    code, _, _ = export(monkeypatch, capsys, *flags)
    # Python exits with 1 when the code is a text.
    assert code == "error: bad.mindir: differs from the network by 1.0e-04, more than 1e-05; nothing was written"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of an export before"]
    assert export(monkeypatch, capsys, *flags, "--no-verify")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "good.mindir",
        "good.mindir.json",
        "bad.mindir",
        "bad.mindir.json",
    }
    assert json.loads((tmp_path / "bad.mindir.json").read_text())["largest_relative_difference"] is None


def test_onnx_files_that_do_not_belong_together_are_refused(exported, tmp_path):
    for path in exported("ONNX").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"audio.n_mels: fixed in ONNX files"):
        OnnxTacotron2(tmp_path, {"audio.n_mels": 9})
    description = json.loads((tmp_path / "postnet.onnx.json").read_text())
    description["checkpoint"]["sha256"] = "another"
    (tmp_path / "postnet.onnx.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"postnet.onnx: comes from another export than"):
        OnnxTacotron2(tmp_path)
    (tmp_path / "encoder.onnx").write_bytes((tmp_path / "encoder.onnx").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"encoder.onnx: is damaged"):
        OnnxTacotron2(tmp_path)
    with pytest.raises(InputError, match=r"encoder.onnx.json: cannot be read"):
        OnnxTacotron2(tmp_path / "nowhere")


def test_formats_share_a_folder(folder, tmp_path):
    # Left over by a killed process with the same number, as happens in containers.
    (tmp_path / f".export-{os.getpid()}").mkdir()
    for file_format in ("MINDIR", "ONNX"):
        writing.export(folder / "waveglow.ckpt", file_format, tmp_path, verify=False)
    assert load_mindir(tmp_path / "waveglow.mindir") and OnnxWaveGlow(tmp_path)


def test_a_damaged_mindir_is_refused(exported, tmp_path):
    path = Path(shutil.copy(exported("MINDIR") / "denoiser.mindir", tmp_path))
    with pytest.raises(InputError, match=r"denoiser.mindir.json: cannot be read"):
        load_mindir(path)
    shutil.copy(description_of(exported("MINDIR") / "denoiser.mindir"), tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"denoiser.mindir: is damaged"):
        load_mindir(path)


@pytest.mark.slow
def test_mindir_without_dropout_takes_text_alone(folder, tmp_path):
    ((file, difference),) = writing.export(folder / "tacotron2.ckpt", "MINDIR", tmp_path, OFF)
    assert difference < 1e-5
    assert [spec["name"] for spec in json.loads(description_of(file).read_text())["inputs"]] == ["text", "text_lengths"]

"""MINDIR files of fixed sizes, and scripts/mindir_infer.py, which drives their loop: they speak as the network does."""

import json
import sys
import types
from pathlib import Path

import mindir_infer
import numpy as np
import pytest
from mindspore import Tensor
from toy_export import LOOP, SENTENCE, TACOTRON2, close
from toy_waveglow import SETTINGS, save_fresh

from src.audio import load_wav
from src.cli import run
from src.config import NETWORKS
from src.errors import InputError
from src.export import writing
from src.export.artifact import description_of, read_described
from src.export.mindir import load_mindir
from src.export.mindir_inference import (
    MindirTacotron2,
    MindirWaveGlow,
    open_in_lite,
    open_in_mindspore,
    windows,
)
from src.models.factory import create_model
from src.text import encode_texts

FRAMES = 12  # at once: less than a sentence has, so that windows must be joined
PARTS = "encoder", "decoder_steps", "postnet", "waveglow_frames"


def no_artifacts(net, **options):
    """In place of the files with loops, which other tests write."""
    return []


@pytest.fixture(scope="module")
def only_parts():
    """Let export write the parts alone."""
    with pytest.MonkeyPatch.context() as patch:
        for network in NETWORKS.values():
            patch.setitem(network.exporters, "MINDIR", "test_export_parts:no_artifacts")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, only_parts):
    """Checkpoints of fresh networks, and their files, which the export has compared with them."""
    np.random.seed(1)
    folder = tmp_path_factory.mktemp("parts é")
    for name, overrides in {"tacotron2": TACOTRON2, "waveglow": SETTINGS}.items():
        save_fresh(folder / f"{name}.ckpt", overrides)
        done = writing.export(folder / f"{name}.ckpt", "MINDIR", folder, fixed_frames=FRAMES)
        assert all(difference is not None and difference < 1e-5 for _, difference in done)
    return folder


@pytest.fixture(scope="module")
def tacotron2(folder):
    return create_model(checkpoint=folder / "tacotron2.ckpt")


@pytest.fixture(scope="module")
def by_parts(folder):
    return MindirTacotron2(folder)


@pytest.fixture(scope="module")
def waveglows(folder):
    """The WaveGlow in memory and that of the file."""
    return create_model(checkpoint=folder / "waveglow.ckpt"), MindirWaveGlow(folder)


def infer(monkeypatch, capsys, *flags):
    """Runs scripts/mindir_infer.py. Returns exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["mindir_infer.py", *map(str, flags)])
    with pytest.raises(SystemExit) as end:
        run(mindir_infer.main)
    return end.value.code, *capsys.readouterr()


def test_the_parts_have_no_loop_and_no_dynamic_size(folder):
    for name in PARTS:
        path = folder / f"{name}.mindir"
        assert LOOP not in path.read_bytes()
        description = json.loads(description_of(path).read_text())
        assert all(isinstance(size, int) for spec in description["inputs"] for size in spec["shape"])


def test_the_script_speaks_as_the_network_does(folder, tacotron2, monkeypatch, capsys, tmp_path):
    flags = ["--mindir_dir", folder, "--waveglow_dir", folder, "--text", f"{SENTENCE} {SENTENCE}", "--seed", 6]
    code, output, _ = infer(monkeypatch, capsys, *flags, "--output_dir", tmp_path)
    assert code == 0 and "s of speech" in output
    summary = json.loads((tmp_path / "summary.json").read_text())
    # 13 steps of two frames: the second call of 10 steps is cut short.
    assert [(each["text"], each["frames"]) for each in summary["sentences"]] == [(SENTENCE, 26)] * 2
    mel = np.load(tmp_path / "0001_mel.npy")
    assert len(load_wav(tmp_path / "0001.wav", 8000)) == mel.shape[1] * 32
    ids, lengths = encode_texts([SENTENCE], tacotron2.config)
    for position, found in enumerate((mel[:, :26], mel[:, -26:])):  # each with the random stream that eval.py gives it
        speech = tacotron2.generate(Tensor(ids), Tensor(lengths), [(6, position)])
        assert close(found, speech.mel.asnumpy()[0], 1e-4)


@pytest.mark.parametrize(
    ("overrides", "reason", "frames"),
    [
        ({"gate_threshold": 1e-9}, "gate", 2),
        ({"attention_stop_frames": 5}, "attention", 6),  # three steps of two frames
        ({"max_decoder_steps": 4, "attention_stop_frames": 0}, "max_decoder_steps", 8),
    ],
)
def test_it_stops_inside_a_call_of_several_steps(by_parts, monkeypatch, overrides, reason, frames):
    for key, value in overrides.items():
        monkeypatch.setattr(by_parts.config.model, key, value)
    spoken = by_parts.generate(np.array([[9]], np.int32), np.array([1], np.int32), [0])
    assert spoken.stop_reasons == [reason] and spoken.mel.shape == (1, 8, frames)
    assert spoken.alignments.shape == (1, frames // 2, 1)


@pytest.mark.parametrize("n_frames", [2, FRAMES, 40])
def test_waveglow_makes_the_same_sound_window_by_window(waveglows, n_frames):
    in_memory, by_windows = waveglows
    mel = np.random.default_rng(1).standard_normal((2, 8, n_frames), np.float32)
    expected = in_memory.infer(Tensor(mel), sigma=0.7, seed=2)
    assert close(by_windows.infer(mel, sigma=0.7, seed=2), expected, 1e-5)


@pytest.mark.parametrize(
    ("n_frames", "size", "reach"), [(5, 9, (3, 2)), (9, 9, (3, 2)), (10, 9, (3, 2)), (50, 6, (3, 2))]
)
def test_windows_hear_all_that_their_frames_depend_on(n_frames, size, reach):
    taken = []
    for window in windows(n_frames, size, reach):
        first, end = window.start + window.first, window.start + window.end
        assert window.start <= max(0, first - reach[0]) and window.length <= size
        assert window.start + window.length >= min(n_frames, end + reach[1])
        taken += range(first, end)
    assert taken == list(range(n_frames))


class LiteTensor:
    """A tensor of MindSpore Lite."""

    def set_data_from_numpy(self, values):
        self.values = values

    def get_data_to_numpy(self):
        return self.values


class LiteModel:
    """A model of MindSpore Lite, as far as its documentation describes the calls; MindSpore computes."""

    def build_from_file(self, model_path, model_type, context):
        assert (model_type, context.target) == ("MINDIR", ["cpu"])
        self.cell = load_mindir(model_path)
        self.n_inputs = len(json.loads(Path(f"{model_path}.json").read_text())["inputs"])

    def get_inputs(self):
        return [LiteTensor() for _ in range(self.n_inputs)]

    def predict(self, inputs):
        found = self.cell(*(Tensor(tensor.values) for tensor in inputs))
        outputs = []
        for value in found if isinstance(found, tuple) else (found,):
            outputs.append(LiteTensor())
            outputs[-1].set_data_from_numpy(value.asnumpy())
        return outputs


def test_mindspore_lite_is_driven_alike(folder, monkeypatch, capsys, tmp_path):
    flags = ["--mindir_dir", folder, "--text", SENTENCE, "--lite", "cpu", "--output_dir", tmp_path / "no"]
    monkeypatch.setitem(sys.modules, "mindspore_lite", None)
    code, _, complaint = infer(monkeypatch, capsys, *flags)
    assert code == 2 and complaint.count("\n") == 1 and "--lite takes MindSpore Lite" in complaint
    lite = types.ModuleType("mindspore_lite")
    lite.Context, lite.Model = types.SimpleNamespace, LiteModel
    lite.ModelType = types.SimpleNamespace(MINDIR="MINDIR")
    monkeypatch.setitem(sys.modules, "mindspore_lite", lite)
    path = folder / "postnet.mindir"
    content, description = read_described(path)
    arrays = {"mel": np.ones((1, 8, FRAMES), np.float32), "mel_lengths": np.array([9], np.int32)}
    wanted = open_in_mindspore(path, content, description)(arrays)["mel_postnet"]
    found = open_in_lite("cpu")(path, content, description)(arrays)["mel_postnet"]
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(found[:, :, :9]).max() > 0 and not found[:, :, 9:].any()


def test_what_does_not_fit_is_one_line(folder, by_parts, monkeypatch, capsys, tmp_path):
    with pytest.raises(InputError, match=r"a sentence has 40 symbols, and the MINDIR files take 32"):
        by_parts.generate(np.ones((1, 40), np.int32), np.array([40], np.int32), [0])
    with pytest.raises(InputError, match=r"--fixed_frames 8: the postnet hears 4 frames before and 4 after"):
        writing.export(folder / "tacotron2.ckpt", "MINDIR", tmp_path, verify=False, fixed_frames=8)
    with pytest.raises(InputError, match=r"--fixed_frames 7: this WaveGlow hears 5 frames before and 2 after"):
        writing.export(folder / "waveglow.ckpt", "MINDIR", tmp_path, verify=False, fixed_frames=7)
    with pytest.raises(InputError, match="--fixed_frames is for MINDIR"):
        writing.export(folder / "waveglow.ckpt", "ONNX", tmp_path, fixed_frames=12)
    code, _, complaint = infer(
        monkeypatch, capsys, "--mindir_dir", folder, "--text", "A.", "--sigma", 1, "--output_dir", tmp_path / "no"
    )
    assert code == 2 and complaint.startswith("error: --sigma and --denoiser_strength are WaveGlow's")

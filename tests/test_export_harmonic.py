"""The harmonic vocoder as an ONNX file: it is the network in memory, and speaks without MindSpore."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from mindspore import Tensor
from toy_harmonic import SETTINGS

from src import create_model
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.export.artifact import TensorSpec
from src.export.mindir_inference import MindirHarmonic, mindir_vocoder
from src.export.writing import export
from src.models.fourier_bases import overlap_gain
from src.models.harmonic.correction import MelCorrection
from src.models.harmonic.windows import Window

pytest.importorskip("onnxruntime")
from src.export.onnx import processes
from src.export.onnx.fourier import Transform
from src.export.onnx.graph_builder import Graph
from src.export.onnx.inference import OnnxFile, OnnxHarmonic, OnnxWaveGlow, onnx_vocoder
from src.export.onnx.processes import HarmonicProcesses


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network that is voiced throughout, as the sign of random logits would be chance, and the folder of its file."""
    folder, config = tmp_path_factory.mktemp("onnx"), load_config(overrides=SETTINGS)
    np.random.seed(3)
    net = create_model(config=config)
    for name, scale in (("filters.end.weight", 0.3), ("pitch.end.weight", 0.1)):
        weight = net.parameters_dict()[name]
        weight.set_data(Tensor((scale * np.random.standard_normal(weight.shape)).astype(np.float32)))
    net.pitch.end.bias.set_data(Tensor(np.float32([0.2, 5.0])))
    save_checkpoint(folder / "harmonic.ckpt", net, config)
    export(folder / "harmonic.ckpt", "ONNX", folder)  # which compares the file with the network
    return net, folder


def test_it_speaks_as_the_network_does(exported):
    net, folder = exported
    vocoder = onnx_vocoder(folder)
    assert isinstance(vocoder, OnnxHarmonic) and vocoder.config == net.config
    mel = np.random.default_rng(0).standard_normal((2, 8, 30)).astype(np.float32) - 4
    ours, theirs = net.infer(Tensor(mel), seed=5).asnumpy(), vocoder.infer(mel, seed=5)
    assert ours.shape == theirs.shape == (2, 30 * 32)
    assert np.abs(ours - theirs).max() < 5e-3 * np.abs(ours).max()
    assert np.abs(vocoder.infer(mel, seed=6) - theirs).max() > 0.05 * np.abs(ours).max()
    with pytest.raises(InputError, match="1 frame"):
        vocoder.infer(mel[:, :, :1])


def test_its_mindir_file_of_a_window_speaks_too(exported):
    net, folder = exported
    ((path, difference),) = export(folder / "harmonic.ckpt", "MINDIR", folder)
    assert path.name == "harmonic.mindir" and difference < 5e-3
    vocoder = mindir_vocoder(folder)
    assert isinstance(vocoder, MindirHarmonic) and vocoder.config == net.config
    mel = np.random.default_rng(1).standard_normal((1, 8, 130)).astype(np.float32) - 4
    ours, theirs = net.infer(Tensor(mel), seed=5).asnumpy(), vocoder.infer(mel, seed=5)
    assert np.abs(ours - theirs).max() < 5e-3 * np.abs(ours).max()


@pytest.mark.parametrize(
    ("n_fft", "hop_length", "win_length"), [(128, 32, 128), (64, 20, 50), (96, 32, 90), (66, 22, 66), (34, 17, 30)]
)
def test_its_transforms_are_those_of_the_correction(n_fft, hop_length, win_length, tmp_path):
    lengths = {"audio.n_fft": n_fft, "audio.hop_length": hop_length, "audio.win_length": win_length}
    audio = load_config(overrides=lengths | {"audio.n_mels": 8}).audio
    graph, config = (
        Graph(),
        SimpleNamespace(audio=audio, model=SimpleNamespace(mel_corrections=0, correction_momentum=0)),
    )
    fourier = Transform(graph, audio)
    (real, imaginary), _ = fourier.forward(["x", "y"], "like")
    specs = {name: TensorSpec("float32", ("n", "samples"), "") for name in ("x", "y")}
    specs["like"] = TensorSpec("float32", ("n", "frames"), "")
    outputs = {"real": real, "imaginary": imaginary, "back": fourier.inverse(real, imaginary, "like")}
    graph.save(
        tmp_path / "x.onnx", specs, {name: (TensorSpec("float32", (), ""), value) for name, value in outputs.items()}
    )
    x = np.random.default_rng(0).standard_normal((2, 9 * hop_length)).astype(np.float32)
    found = OnnxFile((tmp_path / "x.onnx").read_bytes())({"x": x, "y": 2 * x, "like": np.zeros((2, 9), np.float32)})
    correction = MelCorrection(config)
    for item, wave in enumerate(x):
        expected = correction.transform(wave)
        ours = (found["real"] + 1j * fourier.signs * found["imaginary"])[9 * item : 9 * item + 9]
        np.testing.assert_allclose(ours, expected[:, fourier.bins], atol=1e-4)
        weight = overlap_gain(9, n_fft, hop_length, win_length)
        np.testing.assert_allclose(found["back"][item], correction.inverse(expected, weight), atol=1e-4)


def test_processes_speak_as_this_one_does_and_one_that_dies_or_hangs_is_replaced(exported, monkeypatch):
    _, folder = exported
    mel = np.random.default_rng(0).standard_normal((1, 8, 130)).astype(np.float32) - 4
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # which keeps Python from looking for modules where it was started
    others = set(psutil.Process().children())  # of earlier tests, Python's resource tracker for one
    expected, vocoder = OnnxHarmonic(folder, 1).infer(mel, seed=5), HarmonicProcesses(folder, 2)

    def children() -> list[psutil.Process]:
        return [process for process in psutil.Process().children() if process not in others]

    try:
        with ThreadPoolExecutor(3) as pool:
            for sound in pool.map(lambda _: vocoder.infer(mel, seed=5), range(3)):
                np.testing.assert_array_equal(sound, expected)
        before = children()
        before[0].kill()
        for _ in range(2):
            np.testing.assert_array_equal(vocoder.infer(mel, seed=5), expected)
        monkeypatch.setattr(processes, "LONGEST", 5.0)
        os.kill(children()[0].pid, signal.SIGSTOP)
        for _ in range(2):
            np.testing.assert_array_equal(vocoder.infer(mel, seed=5), expected)
        monkeypatch.undo()
        window = Window(mel[:, :, :64], np.zeros((1, 64 * 32), np.float32), np.zeros((1, 1), np.float32), np.int32([0]))
        with pytest.raises(RuntimeError, match="die"):
            vocoder.window(window._replace(anchor=np.int32([999])), slice(0, 64))  # beyond the window
        for process in children():
            process.kill()
        with monkeypatch.context() as patch, pytest.raises(BlockingIOError):
            patch.setattr(processes.subprocess, "Popen", lambda *_, **__: (_ for _ in ()).throw(BlockingIOError()))
            vocoder.infer(mel, seed=5)
        for _ in range(2):  # it can be started again
            np.testing.assert_array_equal(vocoder.infer(mel, seed=5), expected)
    finally:
        vocoder.close()
        vocoder.close()  # does nothing
    assert not children()


def test_a_process_has_longer_to_start_than_to_speak_and_may_print(exported, tmp_path, monkeypatch):
    limits = []

    class Timer(threading.Timer):
        def __init__(self, seconds, kill):
            limits.append(seconds)
            super().__init__(seconds, kill)

    monkeypatch.setattr(processes.threading, "Timer", Timer)
    (tmp_path / "sitecustomize.py").write_text("print('not a sound')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    vocoder = HarmonicProcesses(exported[1], 1)
    try:
        mel = np.zeros((1, 8, 60), np.float32)
        np.testing.assert_array_equal(vocoder.infer(mel, seed=5), OnnxHarmonic(exported[1], 1).infer(mel, seed=5))
    finally:
        vocoder.close()
    assert limits[0] == processes.LONGEST_START > processes.LONGEST
    assert limits[1:] and set(limits[1:]) == {processes.LONGEST}
    monkeypatch.setattr(processes, "LONGEST_START", 0.01)
    vocoder = HarmonicProcesses(exported[1], 1)
    try:
        with pytest.raises(RuntimeError, match="die"):
            vocoder.infer(mel, seed=5)
    finally:
        vocoder.close()


def test_a_folder_without_its_file_is_one_of_waveglow(tmp_path):
    with pytest.raises(InputError, match=r"waveglow\.onnx"):
        onnx_vocoder(tmp_path)
    assert not issubclass(OnnxWaveGlow, OnnxHarmonic)

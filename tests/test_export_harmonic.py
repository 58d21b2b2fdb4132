"""The harmonic vocoder as an ONNX file: it is the network in memory, and speaks without MindSpore."""

import numpy as np
import pytest
from mindspore import Tensor
from toy_harmonic import SETTINGS

from src import create_model
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.export.mindir_inference import MindirHarmonic, mindir_vocoder
from src.export.writing import export

pytest.importorskip("onnxruntime")
from src.export.onnx.inference import OnnxHarmonic, OnnxWaveGlow, onnx_vocoder


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


def test_a_folder_without_its_file_is_one_of_waveglow(tmp_path):
    with pytest.raises(InputError, match=r"waveglow\.onnx"):
        onnx_vocoder(tmp_path)
    assert not issubclass(OnnxWaveGlow, OnnxHarmonic)

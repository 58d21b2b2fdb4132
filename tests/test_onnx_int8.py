"""Weights of decoder steps in 8 bits: src/export/onnx/quantisation.py, and --precision int8."""

import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.export.onnx import quantisation
from src.export.onnx.cached import load_onnx
from src.models.factory import create_model
from src.models.sampling import item_seed
from src.streaming.command import add_output_flags, speaks_by_onnx
from src.streaming.loading import load_voice

WIDE = {"model.attention_rnn_dim": 96, "model.decoder_rnn_dim": 160, "model.encoder_dim": 48, "model.prenet_dim": 24}
SMALL = {"model.encoder_layers": 1, "model.postnet_layers": 1, "model.postnet_dim": 8, "model.max_decoder_steps": 12}
LIMITS = {"model.gate_threshold": 0.999999, "model.attention_stop_frames": 99}  # speaks max_decoder_steps


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The mel of a text by weights of each precision, and the folder of the cache."""
    folder = tmp_path_factory.mktemp("int8")
    config = load_config(overrides=WIDE | SMALL | LIMITS)
    save_checkpoint(folder / "net.ckpt", create_model(config=config), config)
    text, lengths = np.arange(1, 11, dtype=np.int32)[None], np.array([10], np.int32)
    mels = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPH_CACHE", str(folder / "cache"))
        patch.setattr(quantisation, "SMALLEST", 50_000)
        for precision in ("float32", "int8"):
            net, _ = load_onnx(folder / "net.ckpt", None, {}, 1, precision)
            mels[precision] = net.generate(text, lengths, [item_seed(0, 0)]).mel
    return mels, folder / "cache"


def test_speech_with_int8_weights_is_near(spoken):
    mels, _ = spoken
    reference = mels["float32"]
    difference = np.linalg.norm(mels["int8"] - reference) / np.linalg.norm(reference)
    assert 0 < difference < 0.02


def test_the_files_are_beside_those_in_float32(spoken):
    sizes = {path.name.split("-", 2)[-1]: path / "decoder_step.onnx" for path in spoken[1].glob("onnx-*")}
    assert len(sizes) == 2 and "int8" in sizes
    small = sizes.pop("int8").stat().st_size
    assert small < 0.5 * next(iter(sizes.values())).stat().st_size


def test_each_block_has_its_own_scale():
    weight = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
    weight[:128] *= 100  # must not cost the others their precision
    weight[128:256, 2] = 0
    found, scales = quantisation.quantised(weight)
    assert found.shape == (5, 3, 128) and scales.shape == (5, 3) and found.dtype == np.uint8
    assert (found[:, 2, 300 - 256 :] == 128).all()  # 0 behind the end
    back = ((found.astype(np.float32) - 128) * scales[..., None]).reshape(5, -1)[:, :300].T
    assert np.abs(back[128:] - weight[128:]).max() < 0.5 * np.abs(weight[128:]).max() / 127 + 1e-6
    assert not back[128:256, 2].any()


def parsed(monkeypatch, *flags):
    from src.cli import CommandLine  # noqa: PLC0415

    command = CommandLine("")
    command.add_argument("--speaker")
    add_output_flags(command)
    monkeypatch.setattr(sys, "argv", ["eval.py", *flags])
    return command.parse()


def test_int8_means_onnx_runtime(monkeypatch):
    arguments, overrides = parsed(monkeypatch, "--precision", "int8")
    assert speaks_by_onnx(arguments, overrides) and arguments.runtime == "onnx"
    arguments, overrides = parsed(monkeypatch, "--precision", "int8", "--runtime", "mindspore")
    with pytest.raises(InputError, match="--precision int8: is ONNX Runtime's"):
        speaks_by_onnx(arguments, overrides)
    with pytest.raises(InputError, match="precision int8 is ONNX Runtime's"):
        load_voice(runtime="mindspore", precision="int8")


@pytest.mark.parametrize("options", [{"precision": "int4"}, {"processes": -1}])
def test_a_voice_by_an_option_that_is_none_is_refused(options):
    (name,) = options
    with pytest.raises(InputError, match=f"^{name} must be"):
        load_voice(**options)

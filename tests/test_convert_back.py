"""Our checkpoints as files for PyTorch, and back again."""

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_checkpoint, save_checkpoint
from src.config import load_config
from src.convert.conversion import convert
from src.convert.originals import OUR_CONFIG
from src.convert.source import read_source
from src.convert.tacotron2 import tacotron2_sizes
from src.convert.to_torch import to_torch
from src.errors import InputError
from src.models.factory import create_model
from tests.toy_tacotron2 import D_RNN, R, nvidia_tensors

DATA = Path(__file__).parent / "data"


def test_a_pytorch_file_of_ours_comes_back_unchanged(torch_files, tmp_path):
    symbols = ["_", " ", "a", "~"]
    sizes = tacotron2_sizes(nvidia_tensors()) | {"model.n_symbols": 4, "text.symbols": symbols, "text.end_symbol": "~"}
    config = load_config(overrides={**sizes, "audio.sample_rate": 16000, "model.gate_threshold": 0.3})
    save_checkpoint(tmp_path / "a.ckpt", create_model(config=config), config, step=7, epoch=2)
    to_torch(tmp_path / "a.ckpt", tmp_path / "a.pt")
    written = read_source(tmp_path / "a.pt")
    assert written.rest["iteration"] == 7 and written.tensors.keys() == nvidia_tensors().keys()
    convert(tmp_path / "a.pt", tmp_path / "b.ckpt")
    before, after = load_checkpoint(tmp_path / "a.ckpt"), load_checkpoint(tmp_path / "b.ckpt")
    assert (after.config, after.symbols, after.step, after.epoch) == (before.config, symbols, 7, 2)
    for name, value in before.weights.items():
        assert value.tobytes() == after.weights[name].tobytes(), name
    for content, complaint in (
        ("a: [b", "cannot be read as YAML"),
        ("a: 2001-99-99", "cannot be read as YAML"),
        ("text: {symbols: 5}", "text.symbols"),
    ):
        with pytest.raises(InputError, match=rf"c\.pt: .*{complaint}"):
            convert(torch_files("c.pt", nvidia_tensors(), **{OUR_CONFIG: content}), tmp_path / "c.ckpt")
    with pytest.raises(InputError, match=r"a\.pth: .* ends in \.pt or \.safetensors"):
        to_torch(tmp_path / "a.ckpt", tmp_path / "a.pth")
    with pytest.raises(InputError, match="checkpoint of this project already"):
        convert(tmp_path / "a.ckpt", tmp_path / "c.ckpt")


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize("names", ["nvidia", "dle"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_file_of_pytorch_comes_back_to_the_bit(kind, names, suffix, tmp_path, convert_script):
    """Although ours has one bias per LSTM, and no counters of batches."""
    source, back = DATA / "torch" / f"tacotron2_{kind}.pt", tmp_path / f"y.{suffix}"
    for arguments in ((source, tmp_path / "x.ckpt"), (tmp_path / "x.ckpt", back, "--names", names)):
        assert convert_script(*arguments)[0] == 0
    wanted, found = read_source(source), read_source(back)
    prefix = "module." if names == "dle" else ""
    assert set(found.tensors) == {f"{prefix}{name}" for name in wanted.tensors} and found.rest["iteration"] == 5
    for name, array in wanted.tensors.items():
        other = found.tensors[f"{prefix}{name}"]
        assert (other.dtype, other.shape, other.tobytes()) == (array.dtype, array.shape, array.tobytes()), name
    if suffix == "pt" and names == "dle":
        assert found.rest["config"]["n_frames_per_step"] == R and found.rest["config"]["decoder_rnn_dim"] == D_RNN
    assert convert_script(back, tmp_path / "z.ckpt")[0] == 0
    first, last = load_checkpoint(tmp_path / "x.ckpt"), load_checkpoint(tmp_path / "z.ckpt")
    assert (first.config, first.step) == (last.config, last.step)
    assert all(value.tobytes() == last.weights[name].tobytes() for name, value in first.weights.items())


def test_after_more_training_the_way_back_gives_the_new_weights(tmp_path):
    convert(DATA / "torch" / "tacotron2_zip.pt", tmp_path / "a.ckpt")
    before = load_checkpoint(tmp_path / "a.ckpt")
    net = create_model(checkpoint=str(tmp_path / "a.ckpt"))
    bias = net.decoder.lstm.bias
    bias.set_data(Tensor(bias.asnumpy() + 1))
    save_checkpoint(tmp_path / "b.ckpt", net, before.config, extra=before.extra)
    to_torch(tmp_path / "b.ckpt", tmp_path / "b.pt")
    tensors = read_source(tmp_path / "b.pt").tensors
    found = tensors["decoder.decoder_rnn.bias_ih"] + tensors["decoder.decoder_rnn.bias_hh"]
    np.testing.assert_array_equal(found, before.weights["decoder.lstm.bias"] + 1)


@pytest.mark.parametrize("originals", ["no base64", "AAAA", 5, None])
def test_kept_tensors_that_cannot_be_read_are_passed_over(originals, tmp_path):
    convert(DATA / "torch" / "tacotron2_zip.pt", tmp_path / "a.ckpt")
    before = load_checkpoint(tmp_path / "a.ckpt")
    net = create_model(checkpoint=str(tmp_path / "a.ckpt"))
    save_checkpoint(tmp_path / "b.ckpt", net, before.config, extra={"originals": originals})
    to_torch(tmp_path / "b.ckpt", tmp_path / "b.pt")
    found = read_source(tmp_path / "b.pt").tensors
    np.testing.assert_array_equal(found["decoder.decoder_rnn.bias_ih"], before.weights["decoder.lstm.bias"])
    assert not found["decoder.decoder_rnn.bias_hh"].any()


def test_a_foreign_file_becomes_safetensors_in_one_step(torch_files, tmp_path, convert_script):
    tensors = nvidia_tensors()
    source = torch_files("x.pt", {f"_orig_mod.module.module.{name}": array for name, array in tensors.items()})
    code, out, errors = convert_script(source, tmp_path / "x.safetensors", "--audio.sample_rate", 16000)
    assert code == 0 and "16000 Hz" in out, errors
    found = read_source(tmp_path / "x.safetensors")
    assert all(found.tensors[name].tobytes() == array.tobytes() for name, array in tensors.items())
    convert(tmp_path / "x.safetensors", tmp_path / "x.ckpt")
    assert load_checkpoint(tmp_path / "x.ckpt").config.audio.sample_rate == 16000
    code, _, errors = convert_script(tmp_path / "x.ckpt", tmp_path / "y.pt", "--audio.sample_rate", 16000)
    assert code == 2 and "tells everything" in errors
    code, _, errors = convert_script(source, tmp_path / "y.ckpt", "--names", "dle")
    assert code == 2 and "--names is for a DEST that ends in .pt or .safetensors" in errors

"""WaveGlow files of other implementations; data/tiny_waveglow.npz holds the weights and results of the public one."""

import re
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_checkpoint, save_checkpoint
from src.config import load_config
from src.convert.conversion import convert
from src.convert.source import read_source
from src.convert.to_torch import to_torch
from src.errors import InputError
from src.models.factory import create_model

FILES = Path(__file__).parent / "data" / "torch"
N_LAYERS, WIDTH = 3, 16
WN_CONFIG = {"n_layers": N_LAYERS, "n_channels": WIDTH, "kernel_size": 3}
CONFIG = {
    "n_mel_channels": 20,
    "n_flows": 6,
    "n_group": 8,
    "n_early_every": 2,
    "n_early_size": 2,
    "WN_config": WN_CONFIG,
}


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parent / "data" / "tiny_waveglow.npz") as file:
        return dict(file)


@pytest.fixture
def tensors(reference):
    return {name[2:]: value for name, value in reference.items() if name.startswith("w/")}


def without_weight_norm(tensors):
    folded = {}
    for name, array in tensors.items():
        if name.endswith("weight_g"):
            v = tensors[name.replace("weight_g", "weight_v")]
            folded[name.removesuffix("_g")] = array * v / np.sqrt((v**2).sum((1, 2), keepdims=True))
        elif not name.endswith("weight_v"):
            folded[name] = array
    return folded


def split_conditions(tensors):
    split = {}
    for name, array in tensors.items():
        parts = np.split(array, N_LAYERS) if ".cond_layer." in name else []
        split |= (
            {name.replace("cond_layer", f"cond_layers.{i}"): part for i, part in enumerate(parts)}
            if parts
            else {name: array}
        )
    return split


def split_residuals(tensors):
    split = {}
    for name, array in tensors.items():
        if ".res_skip_layers." in name:
            if len(array) > WIDTH:
                split[name.replace("res_skip", "res")] = array[:WIDTH]
            split[name.replace("res_skip", "skip")] = array[-WIDTH:]
        else:
            split[name] = array
    return split


def with_prefix(tensors):
    return {f"module.{name}": array for name, array in tensors.items()}


def assert_computes_what_it_did(checkpoint, reference):
    net = create_model(checkpoint=str(checkpoint))
    z, *_ = net(Tensor(reference["mel"]), Tensor(reference["audio"]))
    noise = [reference[f"infer_noise_{i}"] for i in range(3)]
    audio = net.infer(Tensor(reference["mel"]), sigma=float(reference["infer_sigma"]), noise=noise)
    for found, name in ((z, "z"), (audio, "infer_audio")):
        assert np.linalg.norm(found.asnumpy() - reference[name]) <= 1e-4 * np.linalg.norm(reference[name]), name


@pytest.mark.parametrize(
    ("versions", "layout"),
    [
        ((), "nvidia"),
        ((without_weight_norm,), "nvidia"),
        ((split_residuals,), "nvidia"),
        ((split_conditions, with_prefix), "dle"),
        ((without_weight_norm, split_residuals, split_conditions), "dle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(each.__name__ for each in value) or "newest",
)
def test_every_version_makes_the_same_network(torch_files, tensors, tmp_path, versions, layout):
    wanted = convert(torch_files("newest.pt", tensors), tmp_path / "newest.ckpt")
    for version in versions:
        tensors = version(tensors)
    done = convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")
    assert done.layout == layout and done.config == wanted.config
    found, newest = load_checkpoint(tmp_path / "x.ckpt").weights, load_checkpoint(tmp_path / "newest.ckpt").weights
    assert found.keys() == newest.keys()
    for name in newest:
        ours, theirs = found[name], newest[name]
        if without_weight_norm in versions and name.endswith("weight_v"):  # its length is lost, and means nothing
            ours, theirs = ours / np.linalg.norm(ours, axis=0), theirs / np.linalg.norm(theirs, axis=0)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if without_weight_norm in versions else 0, atol=0)


def test_the_script_makes_a_network_that_computes_what_theirs_did(
    torch_files, tensors, reference, tmp_path, convert_script
):
    source = torch_files("x.pt", with_prefix(split_conditions(tensors)), config=CONFIG, epoch=3, iteration=40)
    code, out, _ = convert_script(source, tmp_path / "x.ckpt")
    assert code == 0 and "waveglow, 20 mel bands, 6 flows, 16 channels, hop 256, 22050 Hz, step 40; layout: dle" in out
    assert_computes_what_it_did(tmp_path / "x.ckpt", reference)
    (tmp_path / "symbols.json").write_text('["_"]')
    for arguments, message in (
        (("--model.wn_channels", 256), "model.wn_channels is 16 by the tensors, not 256"),
        (("--audio.hop_length", 300), "audio.hop_length (300) must be a multiple of model.n_group (8)"),
        (("--audio.hop_length", 384), "model.upsample_kernel_size (1024) must be a multiple of audio.hop_length (384)"),
        (("--symbols", tmp_path / "symbols.json"), "x.pt: is a waveglow, which reads no symbols"),
        (("--source", "torchaudio"), "not named like torchaudio; but like dle"),
    ):
        code, _, errors = convert_script(source, tmp_path / "y.ckpt", *arguments)
        assert (
            code == 2 and message in errors and len(errors.splitlines()) == 1 and not (tmp_path / "y.ckpt").exists()
        ), errors


def test_the_configuration_in_the_file_is_checked(torch_files, tensors, tmp_path):
    for spoilt, complaint in (
        ({**CONFIG, "n_flows": 12}, "config says n_flows 12, its tensors 6"),
        (
            {**CONFIG, "WN_config": {**WN_CONFIG, "n_channels": 512}},
            "config says WN_config.n_channels 512, its tensors 16",
        ),
    ):
        with pytest.raises(InputError, match=complaint):
            convert(torch_files("x.pt", tensors, config=spoilt), tmp_path / "x.ckpt")
    done = convert(
        torch_files("x.pt", tensors), tmp_path / "x.ckpt", overrides={"audio.hop_length": 128, "audio.fmax": 7600.0}
    )
    assert (done.config.audio.hop_length, done.config.audio.fmax, done.config.model.sigma) == (128, 7600.0, 0.8)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("WN.2.in_layers.1.bias", lambda tensors, name: tensors.pop(name)),
        ("WN.3.cond_layers.1.weight_v", lambda tensors, name: tensors.pop(name)),
        ("WN.1.res_layers.0.bias", lambda tensors, name: tensors.pop(name)),
        ("convinv.0.conv.weight", lambda tensors, name: tensors.pop(name)),
        ("WN.0.speaker.weight", lambda tensors, name: tensors.update({name: np.zeros((2, 2))})),
        ("convinv.5.conv.weight", lambda tensors, name: tensors.update({name: np.zeros((6, 6, 1))})),
    ],
)
def test_tensors_that_make_no_network_are_named(torch_files, tensors, tmp_path, name, spoil):
    tensors = split_residuals(split_conditions(tensors))
    spoil(tensors, name)
    whole = name.replace("cond_layers.1", "cond_layer").replace("res_layers", "res_skip_layers")  # what lacks a part
    with pytest.raises(InputError, match=rf"x\.pt: .*{re.escape(whole)}( is missing| is \[|,|$)"):
        convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")
    assert not (tmp_path / "x.ckpt").exists()


def test_a_filter_of_zeros_stays_one(torch_files, tensors, tmp_path):
    tensors = without_weight_norm(tensors)
    tensors["WN.0.in_layers.0.weight"][3] = 0
    convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")
    layer = create_model(checkpoint=str(tmp_path / "x.ckpt")).flows[0].wn.in_layers[0]
    assert not layer.folded()[:, 3].any() and np.isfinite(layer().asnumpy()).all()


def test_a_pytorch_file_of_ours_comes_back_unchanged(torch_files, tensors, tmp_path):
    convert(torch_files("x.pt", tensors, iteration=7), tmp_path / "a.ckpt", overrides={"audio.fmax": 7600.0})
    to_torch(tmp_path / "a.ckpt", tmp_path / "a.pt")
    written = read_source(tmp_path / "a.pt").tensors
    assert written.keys() == tensors.keys()
    for name, array in tensors.items():
        assert written[name].tobytes() == array.tobytes(), name
    convert(tmp_path / "a.pt", tmp_path / "b.ckpt")
    before, after = load_checkpoint(tmp_path / "a.ckpt"), load_checkpoint(tmp_path / "b.ckpt")
    assert (after.config, after.step) == (before.config, 7)
    assert all(value.tobytes() == after.weights[name].tobytes() for name, value in before.weights.items())


def test_when_nothing_leaves_early_any_n_early_every_is_right(tmp_path):
    sizes = {"model.n_flows": 2, "model.n_group": 4, "model.wn_layers": 2, "model.wn_channels": 4, "audio.n_mels": 3}
    config = load_config(overrides={"model.name": "waveglow", **sizes, "model.n_early_every": 4})
    save_checkpoint(tmp_path / "a.ckpt", create_model(config=config), config)
    to_torch(tmp_path / "a.ckpt", tmp_path / "a.pt")
    source = tmp_path / "a.pt"
    assert convert(source, tmp_path / "b.ckpt").config == config
    assert convert(source, tmp_path / "b.ckpt", overrides={"model.n_early_every": 3}).config.model.n_early_every == 3
    with pytest.raises(InputError, match=r"model\.n_early_every is 2 by the tensors, not 1"):
        convert(source, tmp_path / "b.ckpt", overrides={"model.n_early_every": 1})


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_module_that_pytorch_pickled_goes_there_and_back(kind, tmp_path, convert_script):
    source, hop = FILES / f"waveglow_module_{kind}.pt", ("--audio.hop_length", 32)
    code, out, errors = convert_script(source, tmp_path / "x.ckpt", *hop)
    assert code == 0 and "3 mel bands, 3 flows, 4 channels, hop 32, 22050 Hz, step 9; layout: nvidia" in out, errors
    wanted = read_source(source).tensors
    for suffix in ("pt", "safetensors"):
        assert convert_script(tmp_path / "x.ckpt", tmp_path / f"y.{suffix}")[0] == 0
        found = read_source(tmp_path / f"y.{suffix}").tensors
        assert found.keys() == wanted.keys()
        assert all(found[name].tobytes() == array.tobytes() for name, array in wanted.items())


def test_parametrized_weight_norm_is_the_same_network(tmp_path):
    """Both files hold the same WaveGlow; in one PyTorch's newer weight norm has named the halves of the weights."""
    options = {"overrides": {"audio.hop_length": 32}}
    convert(FILES / "waveglow_module_zip.pt", tmp_path / "old.ckpt", **options)
    convert(FILES / "waveglow_parametrized.pt", tmp_path / "new.ckpt", **options)
    old, new = (load_checkpoint(tmp_path / f"{name}.ckpt").weights for name in ("old", "new"))
    assert old.keys() == new.keys() and all(old[name].tobytes() == new[name].tobytes() for name in old)


def test_names_of_deep_learning_examples_there_and_back(torch_files, tensors, tmp_path, convert_script):
    source = torch_files("x.pt", with_prefix(split_conditions(tensors)), config=CONFIG, epoch=3, iteration=40)
    for arguments in (("x.pt", "x.ckpt"), ("x.ckpt", "y.pt", "--names", "dle")):
        assert convert_script(tmp_path / arguments[0], tmp_path / arguments[1], *arguments[2:])[0] == 0
    first, last = read_source(source), read_source(tmp_path / "y.pt")
    assert last.rest["config"] == CONFIG and (last.rest["iteration"], last.rest["epoch"]) == (40, 3)
    assert first.tensors.keys() == last.tensors.keys()
    assert all(last.tensors[name].tobytes() == array.tobytes() for name, array in first.tensors.items())

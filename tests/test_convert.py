"""Checkpoints of other implementations: through files, and on to a network that computes what theirs did."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src import prepare_input_sequence
from src.checkpoint import load_checkpoint
from src.config import load_config
from src.convert.conversion import convert
from src.convert.layouts import LAYOUTS, recognise, rename_torchaudio, rename_zoo, to_nvidia_names
from src.convert.mapping import to_ours, to_theirs
from src.convert.tacotron2 import tacotron2_mapping, tacotron2_sizes
from src.errors import InputError
from src.models.factory import create_model
from src.text import SYMBOLS
from tests.toy_tacotron2 import A_RNN, D_RNN, POST, QUERY, A, E, F, K, M, P, R, nvidia_tensors

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
DROPOUT_OFF = {f"model.{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")}
OUTPUTS = ("mel", "mel_postnet", "gate", "alignments")


def table_of(tensors):
    return tacotron2_mapping(load_config(overrides=tacotron2_sizes(tensors)))


@pytest.fixture(scope="module")
def zoo():
    with np.load(DATA / "tiny_tacotron2_zoo.npz") as file:
        return dict(file)


@pytest.fixture
def zoo_file(zoo, tmp_path):
    """The model zoo's network as its own training saves it."""
    tensors = {name[2:]: value for name, value in zoo.items() if name.startswith("w/")}
    beside = {"moment1.model.embedding.embedding_table": np.ones((149, 24), np.float32), "loss_scale": np.float32(4096)}
    beside |= {
        "learning_rate": np.ones(9, np.float32),
        "global_step": np.array([321], np.int32),
        "beta1_power": np.float32(0.9),
    }
    ms.save_checkpoint(
        [{"name": name, "data": Tensor(value)} for name, value in {**tensors, **beside}.items()],
        str(tmp_path / "zoo.ckpt"),
    )
    return tmp_path / "zoo.ckpt"


def assert_close(found, wanted, name):
    assert found.shape == wanted.shape, name
    assert np.linalg.norm(found - wanted) <= 1e-4 * np.linalg.norm(wanted), name


def test_sizes_are_read_off_the_tensors():
    sizes = tacotron2_sizes(nvidia_tensors())
    assert sizes["audio.n_mels"] == M and sizes["model.reduction_factor"] == R
    assert sizes["model.encoder_dim"] == E and sizes["model.encoder_layers"] == 3 and sizes["model.postnet_layers"] == 5
    assert sizes["model.prenet_dim"] == P and sizes["model.postnet_dim"] == POST and sizes["model.attention_dim"] == A
    assert (sizes["model.attention_rnn_dim"], sizes["model.decoder_rnn_dim"]) == (A_RNN, D_RNN)
    assert (sizes["model.location_filters"], sizes["model.location_kernel_size"]) == (F, K)


def test_the_layers_compute_what_they_did():
    tensors = nvidia_tensors()
    weights = to_ours(table_of(tensors), tensors)
    x = np.random.default_rng(1).standard_normal((5, M)).astype(np.float32)  # five frames, the width of the kernel
    theirs = tensors["postnet.convolutions.0.0.conv.weight"]
    middle = np.array([(theirs[out] * x.T).sum() for out in range(POST)])  # PyTorch's definition of the middle output
    np.testing.assert_allclose(x.reshape(-1) @ weights["postnet.convolutions.0.conv.weight"], middle, rtol=1e-5)

    state = np.random.default_rng(2).standard_normal(A_RNN + E + D_RNN).astype(np.float32)
    cell = {name: tensors[f"decoder.decoder_rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    gates = (
        cell["weight_ih"] @ state[: A_RNN + E]
        + cell["bias_ih"]
        + cell["weight_hh"] @ state[A_RNN + E :]
        + cell["bias_hh"]
    )
    np.testing.assert_allclose(
        state @ weights["decoder.lstm.weight"] + weights["decoder.lstm.bias"], gates, rtol=1e-4, atol=1e-5
    )

    hidden = state[: D_RNN + E]
    gate = (
        tensors["decoder.gate_layer.linear_layer.weight"][0] @ hidden
        + tensors["decoder.gate_layer.linear_layer.bias"][0]
    )
    np.testing.assert_allclose(
        (hidden @ weights["decoder.projection.weight"] + weights["decoder.projection.bias"])[-1], gate, rtol=1e-5
    )


def test_there_and_back_is_the_same_to_the_bit():
    tensors = nvidia_tensors()
    mapping = table_of(tensors)
    weights = to_ours(mapping, tensors)
    back = to_theirs(mapping, weights)
    assert {name: value.shape for name, value in back.items()} == {name: value.shape for name, value in tensors.items()}
    for name, value in tensors.items():
        if "bias_" not in name and "num_batches" not in name:  # ours are the sum of two biases
            np.testing.assert_array_equal(back[name], value)
    for name, value in to_ours(mapping, back).items():
        assert value.tobytes() == weights[name].tobytes(), name


def test_a_training_checkpoint_from_file_to_file(torch_files, tmp_path):
    source = torch_files("x.pt", nvidia_tensors(), iteration=12, optimizer={}, learning_rate=1e-3)
    (tmp_path / "c.yaml").write_text("audio: {sample_rate: 16000}\nmodel: {encoder_dim: 512, max_decoder_steps: 77}\n")
    done = convert(source, tmp_path / "x.ckpt", config=tmp_path / "c.yaml")
    loaded = load_checkpoint(tmp_path / "x.ckpt")
    assert (
        loaded.config.audio.sample_rate,
        loaded.config.model.max_decoder_steps,
        loaded.config.model.encoder_dim,
    ) == (16000, 77, E)
    assert (done.layout, done.step, loaded.step, loaded.extra["converted_from"]) == ("nvidia", 12, 12, "x.pt")
    net = create_model(checkpoint=str(tmp_path / "x.ckpt"))
    np.testing.assert_array_equal(net.embedding.asnumpy(), nvidia_tensors()["embedding.weight"])


@pytest.mark.parametrize("prefix", ["module.", "module.1."])
def test_the_configuration_of_deep_learning_examples_is_used_and_checked(torch_files, tmp_path, prefix):
    tensors = {f"{prefix}{name}": value for name, value in nvidia_tensors().items()}
    config = {
        "n_mel_channels": M,
        "attention_dim": A,
        "gate_threshold": 0.4,
        "max_decoder_steps": 50,
        "mask_padding": True,
    }
    done = convert(
        torch_files("x.pt", tensors, config=config, epoch=3),
        tmp_path / "x.ckpt",
        overrides={"model.max_decoder_steps": 60},
    )
    assert done.layout == "dle" and (done.config.model.gate_threshold, done.config.model.max_decoder_steps) == (0.4, 60)
    assert load_checkpoint(tmp_path / "x.ckpt").epoch == 3
    with pytest.raises(InputError, match=f"config says attention_dim 99, its tensors {A}"):
        convert(torch_files("y.pt", tensors, config={**config, "attention_dim": 99}), tmp_path / "y.ckpt")
    assert not (tmp_path / "y.ckpt").exists()
    convert(
        torch_files("y.pt", tensors, config={"attention_dim": np.ones(2), "n_symbols": None}), tmp_path / "y.ckpt"
    )  # no numbers


def test_torchaudio_computes_what_it_did(torch_files, tmp_path):
    """The reference is torchaudio 2.11, random weights, identity in place of dropout, each item run alone."""
    with np.load(DATA / "tiny_torchaudio.npz") as file:
        reference = dict(file)
    source = torch_files("x.pt", {name[2:]: value for name, value in reference.items() if name.startswith("w/")})
    with pytest.raises(InputError, match=r"x\.pt: its embedding is of 38 symbols, text\.symbols lists 148.*--symbols"):
        convert(source, tmp_path / "x.ckpt")
    convert(source, tmp_path / "x.ckpt", symbols=ROOT / "config" / "symbols_torchaudio_characters.json")
    net = create_model(checkpoint=str(tmp_path / "x.ckpt"), overrides=DROPOUT_OFF)
    lengths = np.array([[len(reference[f"text{i}"]), reference[f"mel{i}"].shape[1]] for i in range(2)], np.int32)
    text, mel = np.zeros((2, lengths[:, 0].max()), np.int32), np.zeros((2, 6, lengths[:, 1].max()), np.float32)
    for i, (n_symbols, n_frames) in enumerate(lengths):
        text[i, :n_symbols], mel[i, :, :n_frames] = reference[f"text{i}"], reference[f"mel{i}"]
    found = [
        output.asnumpy() for output in net(Tensor(text), Tensor(lengths[:, 0]), Tensor(mel), Tensor(lengths[:, 1]))
    ]
    for i, (n_symbols, n_frames) in enumerate(lengths):
        cut = (
            found[0][i, :, :n_frames],
            found[1][i, :, :n_frames],
            found[2][i, :n_frames],
            found[3][i, :n_frames, :n_symbols],
        )
        for name, output in zip(OUTPUTS, cut, strict=True):
            assert_close(output, reference[f"out{i}_{name}"], f"{i} {name}")
    ids, _ = prepare_input_sequence(["Ab?"], net.config)
    assert ids.asnumpy().tolist() == [[12, 13, 10]]


def test_the_model_zoo_computes_what_it_did(zoo, zoo_file, tmp_path, convert_script):
    code, out, _ = convert_script(zoo_file, tmp_path / "x.ckpt")
    assert code == 0 and "reduction factor 3, 149 symbols, 22050 Hz, step 321; layout: zoo" in out
    assert (
        "`research` flavour" in out
        and "left out, as it belongs to a training: moment1.model.embedding" in out
        and "and 2 more" in out
    )
    net = create_model(checkpoint=str(tmp_path / "x.ckpt"), overrides=DROPOUT_OFF)
    lengths = [Tensor(np.full(2, zoo[name].shape[-1], np.int32)) for name in ("text", "mel")]
    outputs = net(Tensor(zoo["text"]), lengths[0], Tensor(zoo["mel"]), lengths[1])
    for name, output in zip(OUTPUTS, outputs, strict=True):
        assert_close(output.asnumpy(), zoo[f"out_{name}"], name)
    assert (net.config.audio.fmin, net.config.audio.compression, net.config.text.end_symbol) == (125.0, "unit", "~")
    ids, ends = prepare_input_sequence(["Hi."], net.config)
    assert (
        [SYMBOLS[i] for i in ids.asnumpy()[0][:-1]] == ["h", "i", "."]
        and ids.asnumpy()[0][-1] == 148
        and ends.asnumpy() == [4]
    )

    official = ROOT / "config" / "tacotron2_zoo_official.yaml"
    code, out, _ = convert_script(zoo_file, tmp_path / "o.ckpt", "--source", "zoo", "--config", official)
    audio = load_checkpoint(tmp_path / "o.ckpt").config.audio
    assert (
        code == 0
        and "flavour" not in out
        and (audio.sample_rate, audio.hop_length, audio.preemphasis) == (16000, 200, 0.85)
    )
    with pytest.raises(InputError, match="choose another name"):
        convert(zoo_file, zoo_file)


def test_names_of_the_layouts_are_of_one_network(zoo):
    tensors, _ = to_nvidia_names({name[2:]: value for name, value in zoo.items() if name.startswith("w/")}, "zoo")
    assert set(tensors) == set(nvidia_tensors())
    assert rename_zoo("model.postnet.convolutions.26.moving_variance") == "postnet.convolutions.4.1.running_var"
    assert rename_torchaudio("decoder.prenet.layers.1.weight") == "decoder.prenet.layers.1.linear_layer.weight"
    with pytest.raises(InputError, match="is there twice"):
        to_nvidia_names({"module.a": np.zeros(1), "a": np.zeros(1)}, "dle")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.pop(QUERY.replace("query", "memory")),
        lambda tensors: tensors.pop("postnet.convolutions.4.1.running_var"),
        lambda tensors: tensors.update({"speaker_embedding.weight": np.zeros((2, 2))}),
        lambda tensors: tensors.update({"decoder.decoder_rnn.weight_ih": np.zeros((3, 3))}),
        lambda tensors: tensors.update({"decoder.decoder_rnn.bias_hh": np.zeros(1)}),
        lambda tensors: tensors.update({"decoder.prenet.layers.0.linear_layer.weight": np.zeros((P, M + 1))}),
        lambda tensors: tensors.update({"postnet.convolutions.0.0.conv.weight": np.zeros((POST, 0, 5))}),
    ],
    ids=[
        "missing",
        "missing from a layer",
        "left over",
        "misshapen",
        "misshapen so that numpy would not mind",
        "impossible",
        "empty",
    ],
)
def test_tensors_that_make_no_network_are_named_and_nothing_is_written(torch_files, tmp_path, spoil):
    tensors = nvidia_tensors()
    spoil(tensors)
    (name,) = {name for name, _ in set(shapes(tensors).items()) ^ set(shapes(nvidia_tensors()).items())}
    complaint = (
        "the prenet takes"
        if "prenet" in name or "postnet.convolutions.0.0" in name
        else rf"{name.replace('.', '[.]')}( is missing| is \[|$)"
    )
    with pytest.raises(InputError, match=rf"x\.pt: .*{complaint}"):
        convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")
    assert not (tmp_path / "x.ckpt").exists()


def shapes(tensors):
    return {name: np.shape(value) for name, value in tensors.items()}


def test_all_that_is_wrong_is_listed(torch_files, tmp_path):
    tensors = nvidia_tensors()
    tensors["extra"] = tensors.pop("decoder.attention_rnn.bias_ih")
    tensors["encoder.convolutions.1.0.conv.weight"] = np.zeros((E, E, 3))
    with pytest.raises(
        InputError,
        match=r"attention_rnn.bias_ih is missing, there is no use for extra, .*1.0.conv.weight is \[8, 8, 3\]",
    ):
        convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")
    tensors.pop("embedding.weight")
    tensors["decoder.decoder_rnn.weight_hh"] = np.zeros(3)
    with pytest.raises(
        InputError, match=r"embedding.weight is missing, decoder.decoder_rnn.weight_hh is \[3\], expected 2 dimensions"
    ):
        convert(torch_files("x.pt", tensors), tmp_path / "x.ckpt")


def test_layouts_are_told_apart():
    names = {
        "nvidia": [QUERY],
        "dle": [f"module.{QUERY}"],
        "torchaudio": [QUERY.replace(".linear_layer", "")],
        "zoo": [f"model.{QUERY.replace('decoder', 'decoder.decode')}"],
        "coqui": [QUERY.replace("attention_layer", "attention")],
    }
    assert list(names) == list(LAYOUTS)
    for layout, tensors in names.items():
        assert recognise(tensors) == recognise(tensors, layout) == layout
    with pytest.raises(InputError, match="not named like zoo; but like dle"):
        recognise(names["dle"], "zoo")
    with pytest.raises(InputError, match=r"\(nvidia, dle, torchaudio, zoo, coqui\); the first are a\.weight, b"):
        recognise(["a.weight", "b"])
    with pytest.raises(InputError, match="none at all"):
        recognise([])

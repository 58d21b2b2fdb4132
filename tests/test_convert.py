"""Checkpoints of other implementations: through files, and on to a network that computes what theirs did."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src import prepare_input_sequence
from src.checkpoint import load_checkpoint, save_checkpoint
from src.config import load_config
from src.convert.conversion import convert
from src.convert.layouts import LAYOUTS, recognise, rename_torchaudio, rename_zoo, to_nvidia_names
from src.convert.mapping import to_ours, to_theirs
from src.convert.originals import OUR_CONFIG
from src.convert.tacotron2 import tacotron2_mapping, tacotron2_sizes
from src.convert.to_torch import to_torch
from src.errors import InputError
from src.models.factory import create_model
from src.text import SYMBOLS
from src.text.symbols import read_symbols

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
E, P, A_RNN, D_RNN, A, F, K, POST, M, R = (
    8,
    6,
    10,
    12,
    4,
    3,
    7,
    9,
    5,
    2,
)  # every width another number, so that mix-ups show
QUERY = "decoder.attention_layer.query_layer.linear_layer.weight"
DROPOUT_OFF = {f"model.{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")}
OUTPUTS = ("mel", "mel_postnet", "gate", "alignments")


def nvidia_tensors(r: int = R) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).standard_normal
    shapes = {"embedding.weight": (len(SYMBOLS), E)}
    postnet = [M, POST, POST, POST, POST, M]
    blocks = [("encoder", i, E, E) for i in range(3)] + [("postnet", i, postnet[i], postnet[i + 1]) for i in range(5)]
    for part, i, n_in, n_out in blocks:
        prefix = f"{part}.convolutions.{i}"
        shapes |= {f"{prefix}.0.conv.weight": (n_out, n_in, 5), f"{prefix}.0.conv.bias": (n_out,)}
        shapes |= {f"{prefix}.1.{name}": (n_out,) for name in ("weight", "bias", "running_mean", "running_var")}
        shapes |= {f"{prefix}.1.num_batches_tracked": ()}
    cells = [("encoder.lstm", "_l0", E, E // 2), ("encoder.lstm", "_l0_reverse", E, E // 2)]
    cells += [("decoder.attention_rnn", "", P + E, A_RNN), ("decoder.decoder_rnn", "", A_RNN + E, D_RNN)]
    for prefix, suffix, n_in, n_hidden in cells:
        shapes |= {
            f"{prefix}.weight_ih{suffix}": (4 * n_hidden, n_in),
            f"{prefix}.weight_hh{suffix}": (4 * n_hidden, n_hidden),
        }
        shapes |= {f"{prefix}.bias_ih{suffix}": (4 * n_hidden,), f"{prefix}.bias_hh{suffix}": (4 * n_hidden,)}
    shapes |= {
        "decoder.prenet.layers.0.linear_layer.weight": (P, M * r),
        "decoder.prenet.layers.1.linear_layer.weight": (P, P),
        QUERY: (A, A_RNN),
        "decoder.attention_layer.memory_layer.linear_layer.weight": (A, E),
        "decoder.attention_layer.v.linear_layer.weight": (1, A),
        "decoder.attention_layer.location_layer.location_conv.conv.weight": (F, 2, K),
        "decoder.attention_layer.location_layer.location_dense.linear_layer.weight": (A, F),
        "decoder.linear_projection.linear_layer.weight": (M * r, D_RNN + E),
        "decoder.linear_projection.linear_layer.bias": (M * r,),
        "decoder.gate_layer.linear_layer.weight": (1, D_RNN + E),
        "decoder.gate_layer.linear_layer.bias": (1,),
    }
    return {name: np.asarray(draw(shape), np.float32) for name, shape in shapes.items()}


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
    """The reference is torchaudio 2.11's Tacotron2 with random weights, dropout replaced by identity, each item run alone."""
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
    }
    assert list(names) == list(LAYOUTS)
    for layout, tensors in names.items():
        assert recognise(tensors) == recognise(tensors, layout) == layout
    with pytest.raises(InputError, match="not named like zoo; but like dle"):
        recognise(names["dle"], "zoo")
    with pytest.raises(InputError, match=r"\(nvidia, dle, torchaudio, zoo\); the first are a\.weight, b"):
        recognise(["a.weight", "b"])
    with pytest.raises(InputError, match="none at all"):
        recognise([])


def test_symbol_files(tmp_path):
    path = tmp_path / "symbols"
    for content in ('["_", " ", "é"]', "_\n \né\n", "_\n \né"):
        path.write_text(content, encoding="utf-8")
        assert read_symbols(path) == ["_", " ", "é"]
    for content in ("", "a\n\nb", '["a", 1]', '{"a": 1}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="one symbol to a line"):
            read_symbols(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_symbols(path)
    assert len(read_symbols(ROOT / "config" / "symbols_torchaudio_phonemes.json")) == 96


def test_a_pytorch_file_of_ours_comes_back_unchanged(torch_files, tmp_path, monkeypatch):
    symbols = ["_", " ", "a", "~"]
    sizes = tacotron2_sizes(nvidia_tensors()) | {"model.n_symbols": 4, "text.symbols": symbols, "text.end_symbol": "~"}
    config = load_config(overrides={**sizes, "audio.sample_rate": 16000, "model.gate_threshold": 0.3})
    save_checkpoint(tmp_path / "a.ckpt", create_model(config=config), config, step=7, epoch=2)
    written = {}
    monkeypatch.setattr("src.convert.conversion.write_torch", lambda path, content: written.update(content))
    to_torch(tmp_path / "a.ckpt", tmp_path / "a.pt")
    assert written["iteration"] == 7 and written["state_dict"].keys() == nvidia_tensors().keys()
    convert(torch_files("a.pt", written.pop("state_dict"), **written), tmp_path / "b.ckpt")
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
    with pytest.raises(InputError, match=r"a\.pth: .* ends in \.pt"):
        to_torch(tmp_path / "a.ckpt", tmp_path / "a.pth")
    with pytest.raises(InputError, match="checkpoint of this project already"):
        convert(tmp_path / "a.ckpt", tmp_path / "c.ckpt")


def test_with_pytorch_there_and_back(tmp_path, convert_script):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value.copy()) for name, value in nvidia_tensors().items()}
    torch.save({"state_dict": tensors, "iteration": 5, "optimizer": {"state": {}}}, tmp_path / "x.pt")
    for arguments in (("x.pt", "x.ckpt"), ("x.ckpt", "y.pt", "--to", "torch"), ("y.pt", "y.ckpt")):
        assert convert_script(tmp_path / arguments[0], tmp_path / arguments[1], *arguments[2:])[0] == 0
    state = torch.load(tmp_path / "y.pt", weights_only=True)["state_dict"]
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in tensors.items()
    }
    first, last = load_checkpoint(tmp_path / "x.ckpt"), load_checkpoint(tmp_path / "y.ckpt")
    assert first.config == last.config
    assert all(value.tobytes() == last.weights[name].tobytes() for name, value in first.weights.items())


def test_the_script(torch_files, tmp_path, convert_script):
    source, destination = torch_files("x.pt", nvidia_tensors()), tmp_path / "x.ckpt"
    code, out, _ = convert_script(source, destination, "--source", "nvidia", "--audio.sample_rate", 16000)
    assert code == 0 and out.startswith(f"{destination}: tacotron2, {M} mel bands, reduction factor {R}")
    assert load_checkpoint(destination).config.audio.sample_rate == 16000
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(destination.read_bytes()[:5000])
    destination.unlink()
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "one.json").write_text(json.dumps(["_"]))
    (tmp_path / "key.yaml").write_text("audio: {sample_rte: 1}")
    (tmp_path / "type.yaml").write_text("text: {symbols: 5}")
    for arguments, message in (
        ((source,), "required: DEST"),
        ((source, destination, "--source", "other"), "invalid choice: 'other'"),
        ((source, destination, "--source", "zoo"), "not named like zoo; but like nvidia"),
        ((source, destination, "--audio.sample_rte", 1), "did you mean 'audio.sample_rate'?"),
        ((source, destination, "--model.encoder_dim", 512), f"model.encoder_dim is {E} by the tensors, not 512"),
        (
            (source, destination, "--symbols", tmp_path / "one.json"),
            "its embedding is of 148 symbols, text.symbols lists 1",
        ),
        (
            (source, destination, "--symbols", tmp_path / "gone.json"),
            f"error: {tmp_path / 'gone.json'}: cannot be read (No such file",
        ),
        (
            (source, destination, "--config", tmp_path / "key.yaml"),
            f"error: {tmp_path / 'key.yaml'}: unknown key 'audio.sample_rte'",
        ),
        ((source, destination, "--config", tmp_path / "type.yaml"), f"error: {tmp_path / 'type.yaml'}: "),
        ((source, tmp_path / "x.pth"), "ends in .ckpt"),
        ((tmp_path / "gone.pt", destination), "gone.pt: no such file"),
        ((cut, destination), "cut.ckpt: the checkpoint is damaged, cut off"),
        ((tmp_path / "empty.ckpt", destination), "empty.ckpt: the checkpoint is empty"),
        (
            (tmp_path / "text.ckpt", destination),
            "text.ckpt: the checkpoint is damaged, cut off or not a MindSpore checkpoint",
        ),
        (
            (source, tmp_path / "x.pt", "--to", "torch", "--audio.fmin", 3),
            "leave --source, --config, --symbols and keys out",
        ),
    ):
        code, _, errors = convert_script(*arguments)
        assert code == 2 and message in errors and len(errors.splitlines()) == 1 and not destination.exists(), errors


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.pt").write_bytes(b"PK")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"x\.pt: cannot be read \(Permission denied\)"):
        convert(tmp_path / "x.pt", tmp_path / "x.ckpt")

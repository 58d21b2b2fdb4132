import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src import create_model
from src.checkpoint import copy_strictly, load_checkpoint, load_weights, network_parameters
from src.config import load_config
from src.convert import convert, from_nvidia, nvidia_sizes, read_torch, recognise
from src.errors import InputError
from src.text import SYMBOLS

ROOT = Path(__file__).resolve().parents[1]
E, P, A_RNN, D_RNN, A, F, K, POST, M, R = 8, 6, 10, 12, 4, 3, 7, 9, 5, 2  # every width another number, so that mix-ups show
QUERY = "decoder.attention_layer.query_layer.linear_layer.weight"


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
        shapes |= {f"{prefix}.weight_ih{suffix}": (4 * n_hidden, n_in), f"{prefix}.weight_hh{suffix}": (4 * n_hidden, n_hidden)}
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


def test_sizes_are_read_off_the_tensors():
    sizes = nvidia_sizes(nvidia_tensors())
    assert sizes["audio.n_mels"] == M and sizes["model.reduction_factor"] == R
    assert sizes["model.encoder_dim"] == E and sizes["model.encoder_layers"] == 3 and sizes["model.postnet_layers"] == 5
    assert sizes["model.prenet_dim"] == P and sizes["model.postnet_dim"] == POST and sizes["model.attention_dim"] == A
    assert (sizes["model.attention_rnn_dim"], sizes["model.decoder_rnn_dim"]) == (A_RNN, D_RNN)
    assert (sizes["model.location_filters"], sizes["model.location_kernel_size"]) == (F, K)


@pytest.mark.parametrize("r", [1, 3])
def test_the_converted_weights_are_exactly_a_network(r):
    tensors = nvidia_tensors(r)
    net = create_model(config=load_config(overrides=nvidia_sizes(tensors)))
    copy_strictly(from_nvidia(tensors), network_parameters(net), "x")
    text = Tensor(np.ones((1, 4), np.int32))
    mel = Tensor(np.zeros((1, M, 6), np.float32))
    outputs = net(text, Tensor(np.array([4], np.int32)), mel, Tensor(np.array([6], np.int32)))
    assert outputs[0].shape == (1, M, 6) and outputs[3].shape == (1, 6 // r, 4)


def test_the_layers_compute_what_they_did():
    tensors = nvidia_tensors()
    weights = from_nvidia(tensors)
    x = np.random.default_rng(1).standard_normal((5, M)).astype(np.float32)  # five frames, the width of the kernel
    theirs = tensors["postnet.convolutions.0.0.conv.weight"]
    middle = np.array([(theirs[out] * x.T).sum() for out in range(POST)])  # PyTorch's definition of the middle output
    np.testing.assert_allclose(x.reshape(-1) @ weights["postnet.convolutions.0.conv.weight"], middle, rtol=1e-5)

    state = np.random.default_rng(2).standard_normal(A_RNN + E + D_RNN).astype(np.float32)
    cell = {name: tensors[f"decoder.decoder_rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    gates = cell["weight_ih"] @ state[: A_RNN + E] + cell["bias_ih"] + cell["weight_hh"] @ state[A_RNN + E :] + cell["bias_hh"]
    np.testing.assert_allclose(state @ weights["decoder.lstm.weight"] + weights["decoder.lstm.bias"], gates, rtol=1e-4, atol=1e-5)

    hidden = state[: D_RNN + E]
    gate = tensors["decoder.gate_layer.linear_layer.weight"][0] @ hidden + tensors["decoder.gate_layer.linear_layer.bias"][0]
    np.testing.assert_allclose((hidden @ weights["decoder.projection.weight"] + weights["decoder.projection.bias"])[-1], gate, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(nvidia_tensors()))
def test_every_tensor_is_needed(name):
    tensors = nvidia_tensors()
    del tensors[name]
    with pytest.raises(InputError, match=name.replace(".", r"\.") if "convolutions" not in name else "missing"):
        nvidia_sizes(tensors)
        from_nvidia(tensors)


def test_a_tensor_without_use_is_named():
    with pytest.raises(InputError, match=r"no use for tensor speaker_embedding\.weight"):
        from_nvidia(nvidia_tensors() | {"speaker_embedding.weight": np.zeros((2, 2))})
    with pytest.raises(InputError, match=r"no use for tensor .*decoder\.attention_rnn\.extra"):
        from_nvidia(nvidia_tensors() | {"decoder.attention_rnn.extra": np.zeros(1)})


def test_tensors_that_do_not_fit_are_named():
    tensors = nvidia_tensors()
    tensors["decoder.decoder_rnn.weight_hh"] = np.zeros((3, 3), np.float32)
    with pytest.raises(InputError, match=r"do not go together: .*decoder\.decoder_rnn\.weight_hh \[3, 3\]"):
        from_nvidia(tensors)
    tensors = nvidia_tensors() | {"embedding.weight": np.zeros((149, E), np.float32)}
    with pytest.raises(InputError, match="149 symbols"):
        nvidia_sizes(tensors)
    tensors = nvidia_tensors() | {"decoder.prenet.layers.0.linear_layer.weight": np.zeros((P, M + 1), np.float32)}
    with pytest.raises(InputError, match="multiple"):
        nvidia_sizes(tensors)


def test_other_layouts_are_not_taken_for_nvidia():
    assert recognise(nvidia_tensors()) == "nvidia"
    with pytest.raises(InputError, match=r"first are a\.weight, b"):
        recognise({"a.weight": np.zeros(1), "b": np.zeros(1)})
    with pytest.raises(InputError, match="none at all"):
        recognise({})


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"x\.pt: .*pip install torch"):
        read_torch(tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"y\.pt: no such file"):
        read_torch(tmp_path / "y.pt")
    with pytest.raises(InputError, match=r"ends in \.ckpt"):
        convert(tmp_path / "x.pt", tmp_path / "x.pth")


def test_from_file_to_file(tmp_path, monkeypatch):
    monkeypatch.setattr("src.convert.read_torch", lambda path: nvidia_tensors())
    (tmp_path / "c.yaml").write_text("audio: {sample_rate: 16000}\nmodel: {encoder_dim: 512, max_decoder_steps: 77}\n")
    convert(tmp_path / "x.pt", tmp_path / "x.ckpt", config=tmp_path / "c.yaml")
    loaded = load_checkpoint(tmp_path / "x.ckpt")
    assert (loaded.config.audio.sample_rate, loaded.config.model.max_decoder_steps, loaded.config.model.encoder_dim) == (16000, 77, E)
    assert loaded.extra["converted_from"] == "x.pt"
    net = create_model(checkpoint=str(tmp_path / "x.ckpt"))
    load_weights(net, loaded)
    np.testing.assert_array_equal(loaded.weights["embedding"], nvidia_tensors()["embedding.weight"])


def test_the_script(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("src.convert.read_torch", lambda path: nvidia_tensors())

    def script(*arguments):
        monkeypatch.setattr(sys, "argv", ["convert_checkpoint.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(ROOT / "scripts/convert_checkpoint.py"), run_name="__main__")
        return exit.value.code, *capsys.readouterr()

    destination = tmp_path / "x.ckpt"
    code, out, _ = script("x.pt", destination, "--source", "nvidia", "--audio.sample_rate", 16000)
    assert code == 0 and out.startswith(f"{destination}: tacotron2, {M} mel bands, reduction factor {R}")
    assert load_checkpoint(destination).config.audio.sample_rate == 16000
    destination.unlink()
    for arguments, message in (
        (("x.pt",), "required: DEST.ckpt"),
        (("x.pt", destination, "--source", "other"), "invalid choice: 'other'"),
        (("x.pt", destination, "--audio.sample_rte", 1), "did you mean 'audio.sample_rate'?"),
        (("x.pt", destination, "--model.encoder_dim", 512), f"model.encoder_dim is {E} by its tensors, not 512"),
    ):
        code, _, errors = script(*arguments)
        assert code == 2 and message in errors and len(errors.splitlines()) == 1 and not destination.exists()


def test_pytorch_files(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value) for name, value in nvidia_tensors().items()}
    torch.save({"state_dict": tensors, "iteration": 5, "optimizer": {"state": {}}}, tmp_path / "nested.pt")
    torch.save(tensors, tmp_path / "flat.pt")
    for file in ("nested.pt", "flat.pt"):
        np.testing.assert_array_equal(read_torch(tmp_path / file)[QUERY], nvidia_tensors()[QUERY])
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "flat.pt").read_bytes()[:1000])
    for file in ("module.pt", "cut.pt"):
        with pytest.raises(InputError, match="never run"):
            read_torch(tmp_path / file)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="no tensors by name"):
        read_torch(tmp_path / "list.pt")

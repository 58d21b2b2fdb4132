"""Checkpoints: what was saved comes back; damaged files, other networks and failed writes are refused in one line."""

import errno
import os
import shutil
import subprocess
import warnings

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from src import runtime
from src.checkpoint import file as checkpoint_module
from src.checkpoint import load_checkpoint, load_optimizer, load_weights, match_embedding, save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS
from src.train.run_folder import latest, numbered, prune


class Net(nn.Cell):
    def __init__(self, width: int = 4, seed: int = 0):
        super().__init__()
        ms.set_seed(seed)
        self.first = nn.Dense(3, width)
        self.norm = nn.BatchNorm1d(width)
        self.scale = Parameter(Tensor(np.float32(2.0)), name="scale")

    def construct(self, x):
        return self.norm(self.first(x)) * self.scale


@pytest.fixture(autouse=True)
def graph_mode():
    runtime.setup()


def weights_of(net):
    return {name: value.asnumpy().copy() for name, value in net.parameters_and_names()}


def adam(net):
    return nn.Adam(net.trainable_params(), learning_rate=1e-3)


@pytest.fixture
def config():
    return load_config(overrides={"model.encoder_dim": 32, "audio.sample_rate": 16000})


@pytest.fixture
def saved(tmp_path, config):
    path = tmp_path / "tacotron2-7.ckpt"
    save_checkpoint(path, Net(), config, step=7, epoch=2, extra={"best_val_loss": 0.25, "data": [1, 2], "note": "ä"})
    return path


def test_everything_comes_back(saved, config):
    loaded = load_checkpoint(saved)
    assert (loaded.step, loaded.epoch, loaded.config, loaded.symbols) == (7, 2, config, SYMBOLS)
    assert loaded.extra == {"best_val_loss": 0.25, "data": [1, 2], "note": "ä"}
    assert loaded.mel_signature["sample_rate"] == 16000
    assert loaded.optimizer == {}
    net = Net(seed=1)
    assert load_weights(net, loaded) == []
    for name, value in weights_of(Net()).items():
        np.testing.assert_array_equal(weights_of(net)[name], value)
    assert "norm.moving_mean" in loaded.weights and loaded.weights["scale"].shape == ()
    assert os.listdir(saved.parent) == [saved.name]


class Reader(nn.Cell):
    def __init__(self, config, width: int = 2):
        super().__init__()
        rows = np.random.default_rng(config.model.n_symbols).random((config.model.n_symbols, width))
        self.embedding = Parameter(Tensor(rows.astype(np.float32)), name="embedding")


def reading(*symbols):
    return load_config(overrides={"text.symbols": list(symbols), "model.n_symbols": len(symbols)})


def test_embeddings_are_copied_symbol_by_symbol(tmp_path):
    theirs, ours = reading("_", "a", "b", "AH0", "B"), reading("_", "b", "é", "@AH0", "B", "@B")
    source, target = Reader(theirs), Reader(ours)
    save_checkpoint(tmp_path / "a.ckpt", source, theirs)
    loaded = load_checkpoint(tmp_path / "a.ckpt")
    assert loaded.symbols == ["_", "a", "b", "AH0", "B"]
    before, trained = target.embedding.asnumpy().copy(), source.embedding.asnumpy()
    matched, new, unused = match_embedding(target, ours, loaded)
    assert (new, unused) == (["é", "B"], ["a"])  # theirs is the phoneme
    load_weights(target, matched)
    np.testing.assert_array_equal(
        target.embedding.asnumpy(), [trained[0], trained[2], before[2], trained[3], before[4], trained[4]]
    )
    assert match_embedding(source, theirs, loaded) == (loaded, [], [])
    with pytest.raises(InputError, match=r"embedding is \[5, 2\], expected \[6, 3\]"):
        load_weights(Reader(ours, 3), match_embedding(Reader(ours, 3), ours, loaded)[0])
    with pytest.raises(InputError, match="another network than this tacotron2: scale is missing"):
        load_weights(Net(), match_embedding(Net(), ours, loaded)[0])


def test_optimizer_state_continues_where_it_was(tmp_path, config):
    def train(net, optimizer, steps):
        def loss(x):
            return net(x).square().mean()

        gradients = ms.value_and_grad(loss, None, optimizer.parameters)
        for step in range(*steps):
            optimizer(gradients(Tensor(np.full((2, 3), step, np.float32)))[1])

    net = Net()
    optimizer = adam(net)
    train(net, optimizer, (0, 2))
    save_checkpoint(tmp_path / "a.ckpt", net, config, optimizer=optimizer)
    train(net, optimizer, (2, 4))
    loaded = load_checkpoint(tmp_path / "a.ckpt")
    assert "moment1.first.weight" in loaded.optimizer and "first.weight" not in loaded.optimizer
    resumed = Net(seed=1)
    load_weights(resumed, loaded)
    optimizer = adam(resumed)
    load_optimizer(optimizer, loaded)
    train(resumed, optimizer, (2, 4))
    for name, value in weights_of(net).items():
        np.testing.assert_allclose(weights_of(resumed)[name], value, rtol=1e-6, err_msg=name)


def test_a_file_for_inference_does_not_resume(saved):
    with pytest.raises(InputError, match=r"tacotron2-7\.ckpt: holds no optimiser state"):
        load_optimizer(adam(Net()), load_checkpoint(saved))


def test_the_file_can_be_read_by_mindspore_alone(saved):
    net = Net(seed=1)
    missing, _ = ms.load_param_into_net(net, ms.load_checkpoint(str(saved)))
    assert missing == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share, capfd):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"tacotron2-7\.ckpt: .*(cut off|empty)"):
        load_checkpoint(saved)
    assert capfd.readouterr().err == ""


def test_every_possible_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 97):
        saved.write_bytes(content[:length])
        with pytest.raises(InputError):
            load_checkpoint(saved)


def test_a_flipped_bit_in_a_weight_is_refused(saved):
    content = bytearray(saved.read_bytes())
    weight = load_checkpoint(saved).weights["first.weight"].tobytes()
    content[content.index(weight) + 2] ^= 1
    saved.write_bytes(content)
    with pytest.raises(InputError, match="sha256"):
        load_checkpoint(saved)


def test_files_that_are_not_ours_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.ckpt: no such"):
        load_checkpoint(tmp_path / "nothing.ckpt")
    with pytest.raises(InputError, match="no such"):
        load_checkpoint(tmp_path)
    (tmp_path / "text.ckpt").write_text("no checkpoint at all")
    with pytest.raises(InputError, match=r"text\.ckpt: .*not a MindSpore checkpoint"):
        load_checkpoint(tmp_path / "text.ckpt")
    ms.save_checkpoint(Net(), str(tmp_path / "foreign.ckpt"))
    with pytest.raises(InputError, match=r"foreign\.ckpt: .*convert_checkpoint"):
        load_checkpoint(tmp_path / "foreign.ckpt")
    (tmp_path / "weights.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match="convert_checkpoint"):
        load_checkpoint(tmp_path / "weights.pt")


def test_a_pickle_is_not_executed(tmp_path):
    marker = tmp_path / "executed"
    payload = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    (tmp_path / "evil.ckpt").write_bytes(payload)
    with pytest.raises(InputError):
        load_checkpoint(tmp_path / "evil.ckpt")
    assert not marker.exists()


def test_a_network_of_another_size_or_kind_is_refused_and_left_alone(saved):
    loaded = load_checkpoint(saved)
    net = Net(width=5)
    before = weights_of(net)
    with pytest.raises(
        InputError, match=r"tacotron2-7\.ckpt: .*first\.weight is \[4, 3\], expected \[5, 3\].* and \d+ more"
    ):
        load_weights(net, loaded)
    assert all(np.array_equal(before[name], value) for name, value in weights_of(net).items())
    with pytest.raises(InputError, match=r"weight is missing, bias is missing, .* is not known here"):
        load_weights(nn.Dense(3, 4), loaded)
    del loaded.weights["norm.gamma"]
    with pytest.raises(InputError, match=r"norm\.gamma is missing"):
        load_weights(Net(), loaded)


def test_ignored_parameters_stay_as_they_are(saved):
    loaded = load_checkpoint(saved)
    fresh = Net(width=4, seed=5)
    before = weights_of(fresh)
    assert load_weights(fresh, loaded, ignore=["first"]) == ["first.weight", "first.bias"]
    np.testing.assert_array_equal(weights_of(fresh)["first.weight"], before["first.weight"])
    assert load_weights(Net(width=5), loaded, ignore=["first", "norm.*"])
    with pytest.raises(InputError, match=r"no parameter is called 'embeding'.*first"):
        load_weights(fresh, loaded, ignore=["embeding"])


def test_a_failed_write_keeps_the_file_that_was_there(saved, config, monkeypatch):
    def full(saved_object, path, **_):
        with open(path.replace(".ckpt", ".tmp"), "wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(checkpoint_module.ms, "save_checkpoint", full)
    with pytest.raises(InputError, match=r"tacotron2-7\.ckpt: .*No space left on device"):
        save_checkpoint(saved, Net(seed=1), config)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
def test_a_disk_that_fills(tmp_path, config):
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        save_checkpoint(tmp_path / "tacotron2-1.ckpt", Net(), config)
        with pytest.raises(InputError, match=r"tacotron2-2\.ckpt: .*No space left on device"):
            save_checkpoint(tmp_path / "tacotron2-2.ckpt", Net(width=10_000), config)
        assert os.listdir(tmp_path) == ["tacotron2-1.ckpt"]
        assert latest(tmp_path).step == 0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_is_not_there(tmp_path, config):
    with pytest.raises(InputError, match=r"gone/x\.ckpt"):
        save_checkpoint(tmp_path / "gone" / "x.ckpt", Net(), config)


def test_latest_skips_a_damaged_one_and_prune_keeps_the_best(tmp_path, config):
    for step in (90, 100, 1000):
        save_checkpoint(tmp_path / f"tacotron2-{step}.ckpt", Net(), config, step=step)
    save_checkpoint(tmp_path / "best.ckpt", Net(), config, step=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest(tmp_path).step == 1000
    (tmp_path / "tacotron2-1000.ckpt").write_bytes(b"cut")
    with pytest.warns(UserWarning, match=r"tacotron2-1000\.ckpt: .*renamed to tacotron2-1000\.ckpt\.damaged"):
        assert latest(tmp_path).step == 100
    assert (tmp_path / "tacotron2-1000.ckpt.damaged").read_bytes() == b"cut"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest(tmp_path).step == 100
    prune(tmp_path, keep=2)
    assert [path.name for path in numbered(tmp_path)] == ["tacotron2-90.ckpt", "tacotron2-100.ckpt"]
    assert (tmp_path / "best.ckpt").exists()
    for path in numbered(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"no usable checkpoint .*tacotron2-100\.ckpt: the checkpoint is empty"):
        latest(tmp_path)
    assert len(numbered(tmp_path)) == 2  # without one to fall back to, nothing is touched


def test_loaded_weights_reach_an_already_compiled_graph(saved):
    net = Net(seed=1).set_train(False)
    run = ms.jit(net.construct)
    x = Tensor(np.ones((2, 3), np.float32))
    before = run(x).asnumpy()
    load_weights(net, load_checkpoint(saved))
    wanted = ops.stop_gradient(Net().set_train(False)(x)).asnumpy()
    assert not np.allclose(before, wanted)
    np.testing.assert_allclose(run(x).asnumpy(), wanted, rtol=1e-6)


def test_the_config_inside_must_be_understood(saved, config, monkeypatch):
    text = config.to_yaml().replace("encoder_dim:", "encoder_dimension:")
    monkeypatch.setattr(type(config), "to_yaml", lambda self: text)
    save_checkpoint(saved, Net(), config)
    with pytest.raises(InputError, match=r"tacotron2-7\.ckpt: .*encoder_dimension"):
        load_checkpoint(saved)

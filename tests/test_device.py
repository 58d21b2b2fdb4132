"""What the device is chosen and refused by."""

import mindspore as ms
import pytest
from mindspore import Tensor, ops

from src import runtime
from src.config import load_config
from src.errors import InputError
from src.models.factory import create_model
from src.runtime import device


def refuse(name):
    raise OSError(f"{name}: cannot open shared object file")


def test_a_gpu_without_its_libraries_is_one_line(monkeypatch):
    monkeypatch.setenv("DEVICE_TARGET", "GPU")
    present = {"libcuda.so.1", "libcudart.so.11.0", "libcublas.so.11"}
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: None if name in present else refuse(name))
    monkeypatch.setattr(device.ms, "set_device", lambda *_: pytest.fail("MindSpore would say it in its own way"))
    with pytest.raises(InputError, match=r"^DEVICE_TARGET GPU: .* does not find libcudnn\.so\.8 \(cuDNN 8\); install"):
        runtime.setup()


def test_the_networks_loops_are_as_long_as_the_device_wants(monkeypatch):
    widths = "encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet"
    config = load_config(overrides={f"model.{name}_dim": 4 for name in widths})

    def blocks():
        decoder = create_model(config=config).decoder
        return decoder.lstm.scan.block, decoder.attention.scan.block, decoder.block

    assert blocks() == (5, 5, 1)
    monkeypatch.setattr(device, "BLOCKS", {ms.get_context("device_target"): (10, 4)})
    assert blocks() == (10, 10, 4)


@pytest.mark.parametrize(
    "soc, refused", [("ascend910", True), ("ascend910b", False), ("ascend910_93", False), ("", False)]
)
def test_the_first_ascend_910_is_refused_by_name(monkeypatch, soc, refused):
    monkeypatch.delenv("DEVICE_TARGET", raising=False)
    monkeypatch.setattr(device, "_soc", lambda: soc)
    monkeypatch.setattr(device.ms, "set_context", lambda **_: None)
    monkeypatch.setattr(device.ms, "get_context", lambda _: "Ascend")
    if not refused:
        assert runtime.setup() == "Ascend"
        return
    with pytest.raises(InputError, match=r"ascend910 \(910A\): .* Atlas A2"):
        runtime.setup()


@pytest.mark.parametrize("target, given, level", [
    ("CPU", None, "O0"), ("GPU", "", "O0"), ("Ascend", None, "O1"), ("Ascend", "O0", "O0"), ("CPU", "O1", "O1")
])  # fmt: skip
def test_the_jit_level_is_that_of_the_environment_or_the_device(monkeypatch, target, given, level):
    monkeypatch.setattr(device.ms, "get_context", lambda _: target)
    monkeypatch.delenv("JIT_LEVEL", raising=False)
    if given is not None:
        monkeypatch.setenv("JIT_LEVEL", given)
    assert runtime.jit_level() == level


def test_the_jit_level_reaches_functions_and_cells_alike(monkeypatch):
    monkeypatch.setenv("JIT_LEVEL", "O1")
    monkeypatch.setenv("DEVICE_TARGET", "CPU")
    contexts, levels, jit = [], [], ms.jit
    monkeypatch.setattr(device.ms, "set_device", lambda *chosen: None)  # refused once a graph has run
    monkeypatch.setattr(device.ms, "set_context", lambda **settings: contexts.append(settings))
    monkeypatch.setattr(device.ms, "jit", lambda function, jit_level: levels.append(jit_level) or jit(function))
    runtime.setup()
    assert {"jit_config": {"jit_level": "O1"}} in contexts  # what cells are compiled by
    double = runtime.jit(double_it)
    assert levels == ["O1"] and float(double(Tensor(2.0, ms.float32)).asnumpy()) == 4.0


def double_it(x):
    return ops.add(x, x)


def test_an_unknown_jit_level_is_bad_input(monkeypatch):
    monkeypatch.setenv("JIT_LEVEL", "O3")
    with pytest.raises(InputError, match="JIT_LEVEL must be O0 or O1, not 'O3'"):
        runtime.setup()

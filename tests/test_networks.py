"""A third network needs one registration: then it is configured, trained, resumed, saved and loaded by the programs as they are."""

from dataclasses import dataclass

import numpy as np
import pytest
from toy_training import N_MELS, ToyNetwork, write_corpus

from src import create_model
from src.checkpoint import load_checkpoint
from src.cli import CommandLine
from src.config import NETWORKS, Network, keys, load_config, register_network, setting
from src.errors import InputError
from src.export.writing import export
from src.train.loop import Training
from src.train.run_folder import latest
from src.train.tacotron2 import Tacotron2Task


@dataclass
class ToyConfig:
    """A network for tests."""

    name: str = setting("toy", "which network")
    n_symbols: int = setting(148, "rows of the embedding table", above=0)
    encoder_dim: int = setting(8, "width", above=0)
    reduction_factor: int = setting(1, "frames per step", above=0)
    sharpness: float = setting(0.5, "a key that no other network has", least=0, below=1)


def check_toy(config, where):
    if config.model.sharpness == 0.25:
        raise InputError(f"{where}: a sharpness of 0.25 does not fit")


@pytest.fixture
def toy():
    register_network(Network("acoustic", ToyConfig, cell=ToyNetwork, task=Tacotron2Task, check=check_toy))
    yield {
        "model.name": "toy",
        "audio.n_mels": N_MELS,
        "train.batch_size": 3,
        "train.max_steps": 2,
        "train.log_every": 1,
        "train.validate_every": 2,
        "data.n_buckets": 1,
    }
    del NETWORKS["toy"]


def test_its_keys_are_flags_with_bounds(toy, capsys):
    assert "model.sharpness" in keys()
    assert load_config(overrides=toy).model == ToyConfig()
    with pytest.raises(InputError, match=r"model.sharpness is 1.0, but must be below 1"):
        load_config(overrides=toy | {"model.sharpness": 1.0})
    with pytest.raises(InputError, match=r"a sharpness of 0.25 does not fit"):
        load_config(overrides=toy | {"model.sharpness": 0.25})
    with pytest.raises(InputError, match=r"'model.prenet_dim' is a key of another network; model.name is toy"):
        load_config(overrides=toy | {"model.prenet_dim": 8})
    with pytest.raises(SystemExit):
        CommandLine("Test.").parse(["--help"])
    assert "a key that no other network has (float, at least 0, below 1, default: 0.5)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_name_is_registered_once(toy):
    with pytest.raises(ValueError, match="a network 'toy' already"):
        register_network(NETWORKS["toy"])


def test_it_trains_resumes_saves_and_loads(toy, tmp_path):
    config, data = load_config(overrides=toy), write_corpus(tmp_path / "data")
    assert Training(config, data, tmp_path / "out").run().finished
    longer = load_config(overrides=toy | {"train.max_steps": 3})
    outcome = Training(longer, data, tmp_path / "out", latest(tmp_path / "out")).run()
    assert outcome.checkpoint.name == "toy-3.ckpt"
    loaded = load_checkpoint(outcome.checkpoint)
    nets = [create_model("toy", checkpoint=each) for each in (loaded, str(outcome.checkpoint))]
    assert loaded.config.model == ToyConfig()
    for name, weight in loaded.weights.items():
        for net in nets:
            np.testing.assert_array_equal(weight, net.parameters_dict()[name].asnumpy())
    with pytest.raises(InputError, match="a toy cannot be written as ONNX"):
        export(outcome.checkpoint, "ONNX", tmp_path / "exported")

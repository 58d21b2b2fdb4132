from pathlib import Path

import pytest
import yaml

from src import create_model
from src.config import Config, load_config

FOLDER = Path(__file__).parents[1] / "config"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_file_says_everything(path):
    keys = {section: set(values) for section, values in yaml.safe_load(path.read_text()).items()}
    assert keys == {section: set(values) for section, values in Config().to_dict().items()}


def test_the_ljspeech_file_holds_the_defaults():
    assert load_config(FOLDER / "tacotron2_ljspeech.yaml") == Config()


def test_the_small_network_is_a_tenth_of_the_large_one():
    networks = [create_model(config=str(FOLDER / f"tacotron2_{name}.yaml")) for name in ("small", "ljspeech")]
    small, large = (sum(weight.size for weight in net.trainable_params()) for net in networks)
    assert small == pytest.approx(large / 10, rel=0.15)

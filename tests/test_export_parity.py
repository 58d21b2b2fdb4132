"""Exported files of the parity networks and of a network of full size agree with the network."""

from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.convert.conversion import convert
from src.convert.torch_writer import write_torch
from src.export.writing import export
from src.models.factory import create_model

DATA = Path(__file__).parent / "data"
LIMITS = {"ONNX": 2e-5, "MINDIR": 1e-5}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tacotron2", "waveglow"])
def test_the_parity_networks_export(name, tmp_path):
    with np.load(DATA / f"tiny_{name}.npz") as file:
        tensors = {key.removeprefix("w/"): file[key] for key in file if key.startswith("w/")}
    write_torch(tmp_path / "network.pt", {"state_dict": tensors})
    convert(tmp_path / "network.pt", tmp_path / "network.ckpt")
    for file_format, limit in LIMITS.items():
        written = export(tmp_path / "network.ckpt", file_format, tmp_path / file_format)
        assert written and all(difference <= limit for _, difference in written)


@pytest.mark.slow
def test_a_tacotron2_of_full_size_exports(tmp_path):
    config = load_config()
    save_checkpoint(tmp_path / "network.ckpt", create_model(config=config), config)
    written = export(tmp_path / "network.ckpt", "ONNX", tmp_path / "out")
    assert len(written) == 3 and all(difference <= LIMITS["ONNX"] for _, difference in written)

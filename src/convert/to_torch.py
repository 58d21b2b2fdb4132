"""Checkpoints of ours into files for PyTorch, under the names of NVIDIA's implementations."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.checkpoint import load_checkpoint, read_mindspore
from src.config import Config
from src.convert.conversion import Conversion, convert, public_layouts
from src.convert.originals import OUR_CONFIG, restore
from src.convert.safetensors_file import is_safetensors, write_safetensors
from src.convert.torch_writer import write_torch
from src.errors import InputError

SUFFIXES = (".pt", ".safetensors")
NAMINGS = ("nvidia", "dle")


def to_torch(source: str | Path, destination: str | Path, names: str = "nvidia") -> Conversion:
    """Write a checkpoint of ours as a PyTorch or safetensors file, as the end of `destination` says.

    A `.pt` is `{'state_dict': ..., 'iteration': step, 'epoch': ...}`. Our configuration goes along as text, so that a
    way back loses nothing; the optimiser's state stays behind. A checkpoint that was converted gives its source's
    tensors back to the bit.

    Args:
        names: `nvidia`, or `dle` for those of DeepLearningExamples: `module.` before each, WaveGlow's conditions split
            by layer, and the sizes under `config`.

    Raises:
        InputError: no checkpoint of ours; the file cannot be written.
    """
    destination = Path(destination)
    if destination.suffix not in SUFFIXES:
        raise InputError(f"{destination}: the file for PyTorch needs a name that ends in .pt or .safetensors")
    loaded = load_checkpoint(source)
    network = public_layouts()[loaded.config.model.name]
    tensors = restore(network.mapping(loaded.config), loaded.weights, loaded.extra)
    beside = {"iteration": loaded.step, "epoch": loaded.epoch, OUR_CONFIG: loaded.config.to_yaml()}
    if names == "dle":
        tensors = {f"module.{name}": array for name, array in network.to_dle(tensors, loaded.config).items()}
    if destination.suffix == ".safetensors":
        write_safetensors(destination, tensors, {"format": "pt", **{name: str(each) for name, each in beside.items()}})
    else:
        config = {"config": _dle_config(loaded.config, network.dle_config)} if names == "dle" else {}
        write_torch(destination, {**beside, **config, "state_dict": tensors})
    return Conversion(names, loaded.config, loaded.step, [f"optimizer.{name}" for name in loaded.optimizer])


def convert_to_torch(source: str | Path, destination: str | Path, names: str = "nvidia", **options: Any) -> Conversion:
    """Write a foreign checkpoint as `to_torch` writes ours; `options` are those of `convert`.

    Raises:
        InputError: as of `convert` and `to_torch`; `destination` is `source`.
    """
    if Path(destination).resolve() == Path(source).resolve():
        raise InputError(f"{destination}: would take the place of the file that is converted; choose another name")
    with tempfile.TemporaryDirectory() as folder:
        read = convert(source, Path(folder) / f"{Path(source).stem}.ckpt", **options)
        to_torch(Path(folder) / f"{Path(source).stem}.ckpt", destination, names)
    return read


def is_ours(path: str | Path) -> bool:
    """Return whether a file is a checkpoint of this project, whole or damaged."""
    path = Path(path)
    if path.suffix != ".ckpt" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(9)
    foreign = head[:2] == b"PK" or head[:1] == b"\x80" or is_safetensors(head)
    return not foreign and path.stat().st_size > 0 and "format" in read_mindspore(path)[0]


def _dle_config(config: Config, dle_config: Mapping[str, str]) -> dict[str, Any]:
    """Return the sizes under the names that DeepLearningExamples has for them."""
    values = {f"{section}.{key}": value for section, keys in config.to_dict().items() for key, value in keys.items()}
    nested: dict[str, Any] = {}
    for name, key in dle_config.items():
        *part, leaf = name.split(".")
        (nested.setdefault(part[0], {}) if part else nested)[leaf] = values[key]
    return nested

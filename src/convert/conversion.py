"""Files of other Tacotron 2 implementations into ours, and ours into NVIDIA's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from src import create_model
from src.checkpoint import copy_strictly, load_checkpoint, network_parameters, read_mindspore, save_checkpoint
from src.config import Config, given_keys, load_config
from src.convert.layouts import DLE_CONFIG, recognise, to_nvidia_names
from src.convert.nvidia import from_nvidia, misfits, nvidia_sizes, to_nvidia
from src.convert.symbols_file import read_symbols
from src.convert.torch_file import StandIn, read_torch, write_torch
from src.errors import InputError, some_of
from src.text import SYMBOLS

ZOO_CONFIG = Path(__file__).resolve().parents[2] / "config" / "tacotron2_zoo_research.yaml"
OUR_CONFIG = "mindspore_tts_config"  # under this name a PyTorch file written here carries our configuration, for the way back


class Conversion(NamedTuple):
    """What was converted."""

    layout: str
    config: Config  # as stored in the new checkpoint
    step: int
    left_out: list[str]  # tensors that belong to a training and not to the network


def convert(
    source: str | Path,
    destination: str | Path,
    layout: str = "auto",
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    symbols: str | Path | None = None,
) -> Conversion:
    """Read a foreign checkpoint and write it as ours.

    Args:
        source: a PyTorch file or a MindSpore `.ckpt`, read without running the code that pickles can carry.
        destination: path of the `.ckpt` to write.
        layout: one of `layouts.LAYOUTS`, or `auto` to tell by the tensors' names.
        config: YAML file with what tensors do not tell (audio settings above all), which goes before what the source itself says; None
            means the LJSpeech defaults, or for the model zoo those of its `research` flavour.
        overrides: dotted keys that go before both, `{"audio.mel_floor": 1e-4}`.
        symbols: file with the symbols in the order of the embedding's rows, a JSON list or one to a line.

    Raises:
        InputError: unreadable or unknown file; tensors missing, left over or of the wrong shape; settings that the tensors contradict.
    """
    source, destination = Path(source), Path(destination)
    if destination.suffix != ".ckpt":
        raise InputError(f"{destination}: the converted checkpoint needs a name that ends in .ckpt")
    if destination.resolve() == source.resolve():
        raise InputError(f"{destination}: would take the place of the file that is converted; choose another name")
    found, rest = _read(source)
    try:
        layout = recognise(found, layout)
        tensors, left_out = to_nvidia_names(found, layout)
        asked = {**(overrides or {}), **({"text.symbols": read_symbols(symbols)} if symbols else {})}
        converted = _configuration(layout, nvidia_sizes(tensors), _claims(rest), config, asked)
        net = create_model(config=converted)
        parameters = network_parameters(net)
        problems = misfits(tensors, {name: value.asnumpy() for name, value in parameters.items()})
        if problems:
            raise InputError(f"tensors that do not make one network: {some_of(problems, 10)}")
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    copy_strictly(from_nvidia(tensors), parameters, str(source))
    step, epoch = (_count(rest, name) for name in ("iteration", "epoch"))
    save_checkpoint(destination, net, converted, step, epoch, extra={"converted_from": source.name})
    return Conversion(layout, converted, step, left_out)


def to_torch(source: str | Path, destination: str | Path) -> Conversion:
    """Write a checkpoint of ours as a PyTorch file in NVIDIA's layout, `{'state_dict': ..., 'iteration': step}`.

    Our configuration goes along as text, so that a way back loses nothing; the optimiser's state stays behind.

    Raises:
        InputError: no checkpoint of a Tacotron 2; PyTorch is not installed; the file cannot be written.
    """
    destination = Path(destination)
    if destination.suffix != ".pt":
        raise InputError(f"{destination}: the PyTorch file needs a name that ends in .pt")
    loaded = load_checkpoint(source)
    if loaded.config.model.name != "tacotron2":
        raise InputError(f"{source}: is of the network '{loaded.config.model.name}'; only tacotron2 is written as a PyTorch file")
    tensors = to_nvidia(loaded.weights, loaded.config.model)
    write_torch(destination, {"iteration": loaded.step, "state_dict": tensors, OUR_CONFIG: loaded.config.to_yaml()})
    return Conversion("nvidia", loaded.config, loaded.step, [f"optimizer.{name}" for name in loaded.optimizer])


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors by name and what lies beside them; which kind of file it is shows in its first bytes, for names end in anything."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(2)
    if head == b"PK" or head[:1] == b"\x80" or path.suffix != ".ckpt":
        return read_torch(path)
    texts, arrays = read_mindspore(path)
    if "format" in texts:
        raise InputError(f"{path}: is a checkpoint of this project already; --to torch writes it as a PyTorch file")
    step = arrays.get("global_step", np.zeros(1))
    return arrays, {"iteration": int(step.reshape(-1)[0])}


def _configuration(
    layout: str, sizes: dict[str, Any], claims: list[tuple[str, str, Any]], config: str | Path | None, asked: dict[str, Any]
) -> Config:
    """What the tensors tell, then what is asked for, the configuration file, what the source says of itself, and the layout's defaults."""
    contradicted = [f"{key} is {size} by the tensors, not {asked[key]}" for key, size in sizes.items() if asked.get(key, size) != size]
    contradicted += [
        f"its own config says {name} {value}, its tensors {sizes[key]}" for name, key, value in claims if sizes.get(key, value) != value
    ]
    if contradicted:
        raise InputError(some_of(contradicted))
    defaults = given_keys(ZOO_CONFIG) if layout == "zoo" and config is None else {}
    settings = {**defaults, **{key: value for _, key, value in claims}, **given_keys(config), **asked, **sizes}
    n_symbols = len(settings.get("text.symbols", SYMBOLS))
    if n_symbols != sizes["model.n_symbols"]:
        raise InputError(
            f"its embedding is of {sizes['model.n_symbols']} symbols, text.symbols lists {n_symbols}: "
            "give its table by --symbols FILE (those of torchaudio are in config/)"
        )
    return load_config(None, settings)


def _claims(rest: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """What a file says of its network: name there, our dotted key, value."""
    if isinstance(rest.get(OUR_CONFIG), str):
        try:
            ours = yaml.safe_load(rest[OUR_CONFIG])
        except yaml.YAMLError as error:
            raise InputError(f"its {OUR_CONFIG} cannot be read as YAML") from error
        return [(key, key, value) for key, value in given_keys(ours if isinstance(ours, dict) else {}).items()]
    config = rest.get("config")
    config = config.state if isinstance(config, StandIn) else config
    if not isinstance(config, dict):
        return []
    return [(name, key, config[name]) for name, key in DLE_CONFIG.items() if name in config]


def _count(rest: Mapping[str, Any], name: str) -> int:
    return rest[name] if isinstance(rest.get(name), int) else 0

"""Files of other Tacotron 2 and WaveGlow implementations into ours, and ours into NVIDIA's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from src.checkpoint import copy_strictly, load_checkpoint, network_parameters, read_mindspore, save_checkpoint
from src.config import NETWORKS, Config, given_keys, imported, load_config, typed
from src.convert.layouts import recognise, to_nvidia_names
from src.convert.mapping import PublicLayout, misfits, to_ours, to_theirs
from src.convert.torch_file import StandIn, read_torch, write_torch
from src.errors import InputError, some_of
from src.models.factory import create_model
from src.text import SYMBOLS
from src.text.symbols import read_symbols

CONFIGS = Path(__file__).resolve().parents[2] / "config"
OUR_CONFIG = (
    "mindspore_tts_config"  # under this name a PyTorch file written here carries our configuration, for the way back
)
EARLY = "model.n_early_every"  # the one size that tensors may leave open


def public_layouts() -> dict[str, PublicLayout]:
    """Return how public checkpoints of each network become ours, by network."""
    return {name: imported(network.layout) for name, network in NETWORKS.items() if network.layout}


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
        config: YAML file with what tensors do not tell (audio settings above all), which goes before what the source itself says; sizes
            in it that are not those of the tensors are passed over. None means the network's LJSpeech defaults, or for the model zoo those
            of its `research` flavour.
        overrides: dotted keys that go before both, `{"audio.mel_floor": 1e-4}`; these must not contradict the tensors.
        symbols: file with the symbols in the order of the embedding's rows, a JSON list or one to a line.

    Raises:
        InputError: unreadable or unknown file; tensors missing, left over or of the wrong shape; settings that the tensors contradict.
    """
    source, destination = Path(source), Path(destination)
    if destination.suffix != ".ckpt":
        raise InputError(f"{destination}: the converted checkpoint needs a name that ends in .ckpt")
    if destination.resolve() == source.resolve():
        raise InputError(f"{destination}: would take the place of the file that is converted; choose another name")
    given = None if config is None else typed(given_keys(config), str(config))
    asked = {**(overrides or {}), **({"text.symbols": read_symbols(symbols)} if symbols else {})}
    found, rest = _read(source)
    layouts = public_layouts()
    try:
        layout = recognise(found, layout)
        tensors, left_out = to_nvidia_names(found, layout)
        network = next((name for name, known in layouts.items() if known.recognises(tensors)), "tacotron2")
        if symbols and NETWORKS[network].kind == "vocoder":
            raise InputError(f"is a {network}, which reads no symbols; leave --symbols out")
        defaults = CONFIGS / ("tacotron2_zoo_research.yaml" if layout == "zoo" else f"{network}_ljspeech.yaml")
        claims = _claims(rest, layouts[network].dle_config)
        converted = _configuration(layouts[network].sizes(tensors), claims, given, given_keys(defaults), asked)
        net = create_model(config=converted)
        parameters = network_parameters(net)
        mapping = layouts[network].mapping(converted)
        problems = misfits(mapping, tensors, {name: value.asnumpy() for name, value in parameters.items()})
        if problems:
            raise InputError(f"tensors that do not make one network: {some_of(problems, 10)}")
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    copy_strictly(to_ours(mapping, tensors), parameters, str(source))
    step, epoch = (_counter(rest, name) for name in ("iteration", "epoch"))
    save_checkpoint(destination, net, converted, step, epoch, extra={"converted_from": source.name})
    return Conversion(layout, converted, step, left_out)


def to_torch(source: str | Path, destination: str | Path) -> Conversion:
    """Write a checkpoint of ours as a PyTorch file in NVIDIA's layout, `{'state_dict': ..., 'iteration': step, 'epoch': ...}`.

    Our configuration goes along as text, so that a way back loses nothing; the optimiser's state stays behind.

    Raises:
        InputError: no checkpoint of ours; PyTorch is not installed; the file cannot be written.
    """
    destination = Path(destination)
    if destination.suffix != ".pt":
        raise InputError(f"{destination}: the PyTorch file needs a name that ends in .pt")
    loaded = load_checkpoint(source)
    tensors = to_theirs(public_layouts()[loaded.config.model.name].mapping(loaded.config), loaded.weights)
    counters = {"iteration": loaded.step, "epoch": loaded.epoch}
    write_torch(destination, {**counters, "state_dict": tensors, OUR_CONFIG: loaded.config.to_yaml()})
    return Conversion("nvidia", loaded.config, loaded.step, [f"optimizer.{name}" for name in loaded.optimizer])


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors by name and what lies beside them; which kind of file it is shows in its first bytes, for names end in anything."""
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        with path.open("rb") as file:
            head = file.read(2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if head == b"PK" or head[:1] == b"\x80" or path.suffix != ".ckpt":
        return read_torch(path)
    texts, arrays = read_mindspore(path)
    if "format" in texts:
        raise InputError(f"{path}: is a checkpoint of this project already; --to torch writes it as a PyTorch file")
    step = arrays.get("global_step", np.zeros(1))
    return arrays, {"iteration": int(step.reshape(-1)[0])}


def _configuration(
    sizes: dict[str, Any],
    claims: list[tuple[str, str, Any]],
    given: dict[str, Any] | None,
    defaults: dict[str, Any],
    asked: dict[str, Any],
) -> Config:
    """What the tensors tell goes first, then what is asked for, what a configuration file gives, what the source says of itself, and
    without that file the defaults."""
    contradicted = [
        f"{key} is {sizes[key]} by the tensors, not {value}"
        for key, value in asked.items()
        if not _agrees(key, value, sizes)
    ]
    contradicted += [
        f"its own config says {name} {value}, its tensors {sizes[key]}"
        for name, key, value in claims
        if not _agrees(key, value, sizes)
    ]
    if contradicted:
        raise InputError(some_of(contradicted))
    claimed = {key: value for _, key, value in claims}
    settings = {**(defaults if given is None else {}), **claimed, **(given or {}), **asked}
    settings |= {
        key: size for key, size in sizes.items() if key != EARLY or not _agrees(key, settings.get(key, 0), sizes)
    }
    symbols = settings.get("text.symbols", SYMBOLS)
    if sizes.get("model.n_symbols", len(symbols)) != len(symbols):
        raise InputError(
            f"its embedding is of {sizes['model.n_symbols']} symbols, text.symbols lists {len(symbols)}: "
            "give its table by --symbols FILE (those of torchaudio are in config/)"
        )
    return load_config(None, settings)


def _agrees(key: str, value: Any, sizes: Mapping[str, Any]) -> bool:
    """Whether `value` is what the tensors tell. When no channels leave early, any `n_early_every` from `n_flows` on is the same network."""
    size = sizes.get(key, value)
    return value == size or (key == EARLY and min(value, size) >= sizes["model.n_flows"])


def _claims(rest: Mapping[str, Any], dle_config: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """What a file says of its network: name there, our dotted key, value."""
    if isinstance(rest.get(OUR_CONFIG), str):
        try:
            ours = yaml.safe_load(rest[OUR_CONFIG])
        except (yaml.YAMLError, ValueError) as error:  # the latter of dates that are none
            raise InputError(f"its {OUR_CONFIG} cannot be read as YAML") from error
        return [
            (key, key, value)
            for key, value in typed(given_keys(ours if isinstance(ours, dict) else {}), OUR_CONFIG).items()
        ]
    config = rest.get("config")
    config = config.state if isinstance(config, StandIn) else config
    if not isinstance(config, dict):
        return []
    nested = {
        f"{part}.{name}": value
        for part, values in config.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
    said = {**config, **nested}
    return [(name, key, said[name]) for name, key in dle_config.items() if isinstance(said.get(name), int | float)]


def _counter(rest: Mapping[str, Any], name: str) -> int:
    return rest[name] if isinstance(rest.get(name), int) else 0

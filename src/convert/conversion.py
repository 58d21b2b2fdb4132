"""Checkpoints of other Tacotron 2 and WaveGlow implementations into ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from src.checkpoint import copy_strictly, network_parameters, save_checkpoint
from src.config import NETWORKS, Config, given_keys, imported, load_config, typed
from src.convert.cleaner import infer_cleaner
from src.convert.coqui import read_coqui_config
from src.convert.layouts import recognise, to_nvidia_names
from src.convert.mapping import PublicLayout, TensorMapping, misfits, not_finite, to_ours
from src.convert.originals import OUR_CONFIG, keep_originals
from src.convert.source import Source, read_source, read_source_config
from src.convert.unpickler import StandIn
from src.errors import InputError, quote, some_of
from src.models.factory import create_model
from src.text import SYMBOLS
from src.text.symbols import read_symbols

CONFIGS = Path(__file__).resolve().parents[2] / "config"
EARLY = "model.n_early_every"  # the one size that tensors may leave open
LONGEST_CONFIG = 100_000  # characters


def public_layouts() -> dict[str, PublicLayout]:
    """Return how public checkpoints of each network become ours, by network."""
    return {name: imported(network.layout) for name, network in NETWORKS.items() if network.layout}


class Conversion(NamedTuple):
    """The outcome of a conversion."""

    layout: str
    config: Config  # as stored in the new checkpoint
    step: int
    left_out: list[str]  # tensors that belong to a training and not to the network
    notes: tuple[str, ...] = ()  # decisions that the source left open, a line each


def convert(
    source: str | Path,
    destination: str | Path,
    layout: str = "auto",
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    symbols: str | Path | None = None,
    weights: str | None = None,
    source_config: str | Path | None = None,
) -> Conversion:
    """Read a foreign checkpoint and write it as ours.

    Args:
        source: a PyTorch or safetensors file or a MindSpore `.ckpt`, read without running the code that pickles can
            carry.
        destination: path of the `.ckpt` to write.
        layout: one of `layouts.LAYOUTS`, or `auto` to tell by the tensors' names.
        config: YAML file with what tensors do not tell (audio settings above all). It takes precedence over what the
            source says of itself; sizes in it that are not those of the tensors are passed over. None means the
            network's LJSpeech defaults, or for the model zoo those of its `research` flavour.
        overrides: dotted keys that take precedence over both, `{"audio.mel_floor": 1e-4}`; they must not contradict
            the tensors.
        symbols: file with the symbols in the order of the embedding's rows, a JSON list or one to a line.
        weights: where in a PyTorch file the weights lie, such as `ema`, when it has several.
        source_config: the foreign training's own JSON configuration, if it does not lie in the checkpoint; needed by
            coqui's layout.

    Raises:
        InputError: unreadable or unknown file; tensors missing, left over, of the wrong shape or not finite; settings
            that the tensors contradict.
    """
    source, destination = Path(source), Path(destination)
    if destination.suffix != ".ckpt":
        raise InputError(f"{destination}: the converted checkpoint needs a name that ends in .ckpt")
    if destination.resolve() == source.resolve():
        raise InputError(f"{destination}: would take the place of the file that is converted; choose another name")
    given = None if config is None else typed(given_keys(config), str(config))
    asked = {**(overrides or {}), **({"text.symbols": read_symbols(symbols)} if symbols else {})}
    coqui_config = None if source_config is None else read_source_config(source_config)
    found = read_source(source, weights)
    try:
        network = _recognise(found, layout, given, asked, coqui_config)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    values = to_ours(network.mapping, network.tensors)
    net = create_model(config=network.config)
    copy_strictly(values, network_parameters(net), str(source))
    step, epoch = (_counter(found.rest, names) for names in (("iteration", "step", "global_step"), ("epoch",)))
    extra = {"converted_from": source.name, **keep_originals(network.mapping, network.tensors, values)}
    save_checkpoint(destination, net, network.config, step, epoch, extra=extra)
    return Conversion(network.layout, network.config, step, network.left_out, (*_place_notes(found), *network.notes))


class _Recognised(NamedTuple):
    """A foreign network before it is built: tensors that fit its mapping one to one."""

    layout: str
    config: Config
    mapping: list[TensorMapping]
    tensors: dict[str, np.ndarray]
    left_out: list[str]
    notes: list[str]


def _recognise(
    found: Source,
    layout: str,
    given: dict[str, Any] | None,
    asked: dict[str, Any],
    coqui_config: dict[str, Any] | None,
) -> _Recognised:
    layout = recognise(found.tensors, layout)
    if coqui_config is not None and layout != "coqui":
        raise InputError(f"is of the layout {layout}, which needs no --source_config; leave it out")
    coqui = read_coqui_config(found.rest, coqui_config) if layout == "coqui" else None
    tensors, left_out = to_nvidia_names(found.tensors, layout, coqui)
    if broken := not_finite(tensors):
        raise InputError(f"NaN or infinity in {some_of(broken)}: the training diverged, take an earlier checkpoint")
    layouts = public_layouts()
    network = next((name for name, known in layouts.items() if known.recognises(tensors)), "tacotron2")
    if "text.symbols" in asked and NETWORKS[network].kind != "acoustic":
        raise InputError(f"is a {network}, which reads no symbols; leave --symbols out")
    defaults = CONFIGS / ("tacotron2_zoo_research.yaml" if layout == "zoo" else f"{network}_ljspeech.yaml")
    claims = list(coqui.claims) if coqui else _claims(found.rest, layouts[network].dle_config)
    sizes = layouts[network].sizes(tensors)
    config, notes = _configuration(sizes, claims, given, typed(given_keys(defaults), str(defaults)), asked)
    mapping = layouts[network].mapping(config)
    # Before the network is built: a file whose tensors do not fit could claim one of any size.
    if problems := misfits(mapping, tensors):
        raise InputError(f"tensors that do not make one network: {some_of(problems, 10)}")
    return _Recognised(layout, config, mapping, tensors, left_out, notes)


def _place_notes(found: Source) -> list[str]:
    if not found.others:
        return []
    taken = f"the weights under {quote(found.place)}" if found.place else "the weights at the top"
    return [f"took {taken}; --weights PLACE takes those under {some_of([quote(place) for place in found.others], 10)}"]


def _configuration(
    sizes: dict[str, Any],
    claims: list[tuple[str, str, Any]],
    given: dict[str, Any] | None,
    defaults: dict[str, Any],
    asked: dict[str, Any],
) -> tuple[Config, list[str]]:
    """Return the configuration, and a line for each decision that none of the sources makes.

    The tensors decide first, then what is asked for, a configuration file, the source itself, and without that file
    the defaults.
    """
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
    chosen = {**{key: value for _, key, value in claims}, **(given or {}), **asked}
    settings = {**(defaults if given is None else {}), **chosen}
    settings |= {
        key: size for key, size in sizes.items() if key != EARLY or not _agrees(key, settings.get(key, 0), sizes)
    }
    symbols = settings.get("text.symbols", SYMBOLS)
    if sizes.get("model.n_symbols", len(symbols)) != len(symbols):
        raise InputError(
            f"its embedding is of {sizes['model.n_symbols']} symbols, text.symbols lists {len(symbols)}: "
            "give its table by --symbols FILE (those of torchaudio are in config/)"
        )
    notes = []
    if (
        "text.symbols" in chosen
        and "text.cleaner" not in chosen
        and symbols not in (SYMBOLS, defaults.get("text.symbols"))
    ):
        settings["text.cleaner"], cause = infer_cleaner(symbols)
        notes.append(f"texts go through {settings['text.cleaner']}: {cause}; --cleaner NAME chooses another")
    return load_config(None, settings), notes


def _agrees(key: str, value: Any, sizes: Mapping[str, Any]) -> bool:
    """Return whether the tensors allow `value`.

    If no channels leave early, any `n_early_every` from `n_flows` on makes the same network.
    """
    size = sizes.get(key, value)
    return value == size or (key == EARLY and min(value, size) >= sizes["model.n_flows"])


def _claims(rest: Mapping[str, Any], dle_config: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Return what a file says of its network: name there, our dotted key, value."""
    if isinstance(rest.get(OUR_CONFIG), str):
        return [(key, key, value) for key, value in _own_config(rest[OUR_CONFIG]).items()]
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


def _own_config(text: str) -> dict[str, Any]:
    """Return the keys of our configuration out of a file written here, or by a stranger who says so."""
    try:
        if len(text) > LONGEST_CONFIG or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise InputError(f"its {OUR_CONFIG} is longer than any configuration, or repeats itself by aliases")
        ours = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"its {OUR_CONFIG} cannot be read as YAML") from error
    except ValueError as error:  # such as a date that is none; an InputError is one too
        raise (
            error if isinstance(error, InputError) else InputError(f"its {OUR_CONFIG} cannot be read as YAML")
        ) from error
    return typed(given_keys(ours if isinstance(ours, dict) else {}), OUR_CONFIG)


def _counter(rest: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((rest[name] for name in names if isinstance(rest.get(name), int)), 0)

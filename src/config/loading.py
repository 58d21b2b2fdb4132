"""Reading a configuration: from YAML, overlaid by dotted overrides, strict about names and types."""

import dataclasses
import difflib
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from src.config.checks import check_audio, check_bounds, check_text, check_train
from src.config.networks import NETWORKS, network_of
from src.config.schema import Config, Tacotron2Config
from src.errors import InputError, one_line, quote
from src.files import read_text
from src.text.mandarin.dictionary import parse_readings
from src.text.symbols import symbol_table

LARGEST_FILE = 2**24  # bytes of a configuration; symbols are most of it
DEEPEST = 8  # nested lists and mappings; sections of lists take 3


def sections() -> dict[str, tuple[type, ...]]:
    """Return the dataclasses of each section; `model` has one for every registered network."""
    plain = {section.name: (section.default_factory,) for section in dataclasses.fields(Config)}
    return plain | {"model": tuple(network.config for network in NETWORKS.values())}


def keys() -> dict[str, dataclasses.Field]:
    """Return the field of every dotted key. Of a key that several networks have, it is the first one's."""
    found: dict[str, dataclasses.Field] = {}
    for name, kinds in sections().items():
        for kind in kinds:
            for key in dataclasses.fields(kind):
                found.setdefault(f"{name}.{key.name}", key)
    return found


def load_config(source: str | Path | dict[str, Any] | None = None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a configuration and overlay it.

    Args:
        source: path of a YAML file, its content as nested dicts, or None for the defaults.
        overrides: values by dotted key, such as `{"model.prenet_dropout": 0.0}`.

    Raises:
        InputError: unreadable file, unknown key (names the nearest valid one), value of the wrong type or out of range.
    """
    where = str(source) if isinstance(source, str | Path) else "config"
    values = typed(given_keys(source), where)
    config = _build(values, where)
    if overrides:
        config = _build(values | typed(overrides, "override"), "override")
    for name, section in vars(config).items():
        for field in dataclasses.fields(section):
            key = f"{name}.{field.name}"
            origin = "override" if key in (overrides or {}) else where
            check_bounds(key, getattr(section, field.name), field.metadata, origin)
    if overrides:  # fields that do not fit together may come from both
        where = "override" if source is None else f"{where} with overrides"
    check_audio(config.audio, where)
    check_text(config.text, where)
    check_train(config.train, where)
    network_of(config).check(config, where)
    return config


def given_keys(source: str | Path | dict[str, Any] | None) -> dict[str, Any]:
    """Return the values by dotted key that a configuration's YAML file, or its content, gives; for `typed` to read.

    Raises:
        InputError: unreadable file or unknown section.
    """
    where = "config"
    if isinstance(source, str | Path):
        where, source = str(source), _read_yaml(Path(source))
    values: dict[str, Any] = {}
    for section, content in (source or {}).items():
        if section not in sections() or not isinstance(content, dict):
            raise InputError(f"{where}: no section '{section}'; the sections are {', '.join(sections())}")
        values |= {f"{section}.{key}": value for key, value in content.items()}
    return values


def typed(overrides: dict[str, Any], where: str = "flag") -> dict[str, Any]:
    """Turn values by dotted key, which may be texts, into the types of the configuration. Errors name `where`.

    Raises:
        InputError: unknown key or value of the wrong type.
    """
    parser, known = ArgumentParser(exit_on_error=False), keys()
    for key in overrides:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'; did you mean '{nearest_key(key)}'?")
        parser.add_argument(f"--{key}", type=known[key].type)
    try:
        parsed = parser.parse_object(
            {key: _as_list(key, value, known[key].type, where) for key, value in overrides.items()}
        )
    except ArgumentError as error:
        raise InputError(f"{where}: {_type_complaint(error, overrides)}") from error
    return {key: parsed[key] for key in overrides}


def nearest_key(key: str) -> str:
    """Return the valid dotted key most like `key`."""
    return difflib.get_close_matches(key, keys(), n=1, cutoff=0.0)[0]


def _type_complaint(error: ArgumentError, values: dict[str, Any]) -> str:
    """Say which of `values` has the wrong type, in words for people; jsonargparse shows Python's own."""
    message = one_line(error)
    named = re.search(r'"(\w+\.\w+)"', message)
    if not named or named[1] not in values:
        return message
    kind = keys()[named[1]].type
    return f"{named[1]} is {quote(str(values[named[1]]))}, but must be {_in_words(kind)}"


def _in_words(kind: Any) -> str:
    """Say what values of a type are, for people."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return {
        float: "a finite number",
        int: "a whole number",
        bool: "true or false",
        str: "a text",
        list[str]: "a list of texts, such as [one, two]",
        list[int]: "a list of whole numbers, such as [1000, 2000]",
        dict[int, int]: "whole numbers by whole numbers, such as {1000: 2}",
    }[kind]


def _as_list(key: str, value: Any, kind: Any, where: str) -> Any:
    """Make a list of a text that is no YAML list.

    That is, of a table's name its symbols, of a dictionary's file its lines, of others the parts between commas.

    Sentences hold commas, so a text in their place is one sentence.
    """
    if kind != list[str] or not isinstance(value, str) or value.lstrip().startswith("["):
        return value
    if key == "text.readings":
        return _lines_of_readings(value)
    if key != "text.symbols":
        return [value] if key == "train.spoken_sentences" else [each.strip() for each in value.split(",")]
    try:
        return symbol_table(value)
    except InputError as error:
        raise InputError(f"{where}: text.symbols: {error}") from error


def _lines_of_readings(path: str) -> list[str]:
    """Read a dictionary's file, so that a checkpoint holds its lines and needs the file no more."""
    if not path.strip():
        return []
    lines = read_text(Path(path), LARGEST_FILE).splitlines()
    parse_readings(lines, path)  # errors name the file and the line in it
    return [line for line in (" ".join(line.partition("#")[0].split()) for line in lines) if line]


def _build(values: dict[str, Any], where: str) -> Config:
    name = values.get("model.name", Tacotron2Config.name)
    if name not in NETWORKS:
        raise InputError(f"{where}: model.name is '{name}', but must be one of {', '.join(NETWORKS)}")
    kinds = {section: kind[0] for section, kind in sections().items()} | {"model": NETWORKS[name].config}
    content: dict[str, dict[str, Any]] = {section: {} for section in kinds}
    for key, value in values.items():
        section, field = key.split(".")
        if field not in {known.name for known in dataclasses.fields(kinds[section])}:
            raise InputError(f"{where}: '{key}' is a key of another network; model.name is {name}")
        content[section][field] = value
    return Config(**{section: kind(**content[section]) for section, kind in kinds.items()})


def _refuse_nesting(text: str, path: Path) -> None:
    """Refuse what a few lines of YAML could blow up with: references to what stands elsewhere, and deep nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise InputError(
                f"{path}: line {event.start_mark.line + 1}: aliases (*{event.anchor}) are not read; write it out"
            )
        if depth > DEEPEST:
            raise InputError(f"{path}: line {event.start_mark.line + 1}: is nested too deeply for a configuration")


def _read_yaml(path: Path) -> dict[str, Any]:
    text = read_text(path, LARGEST_FILE)
    try:
        _refuse_nesting(text, path)
        content = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: an impossible date
        raise InputError(f"{path}: cannot be read as YAML: {one_line(error)}") from error
    if not isinstance(content, dict | None):
        raise InputError(f"{path}: expected sections ({', '.join(sections())}), found {type(content).__name__}")
    return content or {}

"""The configuration: the sections of `src.config.schema`, read from YAML, overlaid by dotted overrides, strict about names and types."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from src.config.checks import check_values
from src.config.schema import Config, Tacotron2Config, WaveGlowConfig
from src.errors import InputError

NETWORKS = {"tacotron2": Tacotron2Config, "waveglow": WaveGlowConfig}
SECTIONS = {section.name: (section.default_factory,) for section in dataclasses.fields(Config)} | {
    "model": tuple(NETWORKS.values())
}
KEYS = {
    f"{name}.{key.name}": key
    for name, kinds in SECTIONS.items()
    for kind in kinds[::-1]
    for key in dataclasses.fields(kind)
}


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
    check_values(_flat(config), config, where)
    return config


def given_keys(source: str | Path | dict[str, Any] | None) -> dict[str, Any]:
    """The values by dotted key that a configuration's YAML file, or its content, gives.

    Raises:
        InputError: unreadable file or unknown section.
    """
    where = "config"
    if isinstance(source, str | Path):
        where, source = str(source), _read_yaml(Path(source))
    values: dict[str, Any] = {}
    for section, keys in (source or {}).items():
        if section not in SECTIONS or not isinstance(keys, dict):
            raise InputError(f"{where}: no section '{section}'; the sections are {', '.join(SECTIONS)}")
        values |= {f"{section}.{key}": value for key, value in keys.items()}
    return values


def typed(overrides: dict[str, Any], where: str = "flag") -> dict[str, Any]:
    """`overrides` by dotted key with their values, which may be texts, turned into the types of the configuration; errors name `where`.

    Raises:
        InputError: unknown key or value of the wrong type.
    """
    parser = ArgumentParser(exit_on_error=False)
    for key in overrides:
        if key not in KEYS:
            raise InputError(f"{where}: unknown key '{key}'; did you mean '{nearest_key(key)}'?")
        parser.add_argument(f"--{key}", type=KEYS[key].type)
    try:
        parsed = parser.parse_object(overrides)
    except ArgumentError as error:
        raise InputError(f"{where}: {' '.join(str(error).split())}") from error
    return {key: parsed[key] for key in overrides}


def _build(values: dict[str, Any], where: str) -> Config:
    network = values.get("model.name", Tacotron2Config.name)
    sections = {name: kinds[0] for name, kinds in SECTIONS.items()} | {"model": NETWORKS[network]}
    content: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for key, value in values.items():
        section, name = key.split(".")
        if name not in {field.name for field in dataclasses.fields(sections[section])}:
            raise InputError(f"{where}: '{key}' is a key of another network; model.name is {network}")
        content[section][name] = value
    return Config(**{name: section(**content[name]) for name, section in sections.items()})


def _flat(config: Config) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, keys in config.to_dict().items() for name, value in keys.items()}


def nearest_key(key: str) -> str:
    """The valid dotted key most like `key`."""
    return difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, an impossible date
        raise InputError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict | None):
        raise InputError(f"{path}: expected sections ({', '.join(SECTIONS)}), found {type(content).__name__}")
    return content or {}

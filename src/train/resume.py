"""A resumed run: the settings that differ from those of its checkpoint, its place in the data, its best loss so far."""

import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from src.checkpoint import Checkpoint, load_checkpoint, optimizer_parameters
from src.config import Config, network_of
from src.errors import InputError, quote, some_of
from src.train.progress import Progress
from src.train.report import Report

Changes = dict[str, tuple[Any, Any]]  # by dotted key: the value in the checkpoint, and the one from now on
MOMENTS = ("moment1.", "moment2.")  # how Adam's names of them begin


def find_changes(before: Config, after: Config) -> Changes:
    """Return the settings that differ. Those of a text matter to networks that read one only."""
    changes: Changes = {}
    for section in fields(Config):
        if section.name == "text" and network_of(after).kind != "acoustic":
            continue
        old, new = vars(getattr(before, section.name)), vars(getattr(after, section.name))
        if old.get("name") != new.get("name"):  # another network; its keys are others
            old, new = {"name": old["name"]}, {"name": new["name"]}
        changes |= {f"{section.name}.{key}": (old[key], new[key]) for key in new if old[key] != new[key]}
    return changes


def accept_changes(checkpoint: Checkpoint, config: Config, data_path: Path, report: Report) -> Changes:
    """Say which settings a resumed run changes, and make sure that it may.

    Args:
        checkpoint: the one that the run resumes from.
        config: with the reduction factor of the checkpoint's step.
        data_path: of the resumed run.

    Raises:
        InputError: weights or data depend on a setting that differs; names all of them.
    """
    changes = find_changes(checkpoint.config, config)
    if not config.data.speakers:  # the dataset will say them
        changes.pop("data.speakers", None)
    if refused := [key for key, values in changes.items() if not _may_change(key, values, config)]:
        listed = some_of(["{} ({} in the checkpoint, {} now)".format(key, *shown(changes[key])) for key in refused], 5)
        raise InputError(
            f"{checkpoint.path}: a run cannot be resumed with other values of {listed}; give the old ones, or begin a "
            f"new run with --warm_start {checkpoint.path}, which takes the weights over"
        )
    before = checkpoint.extra.get("data_path", str(data_path))
    if before != str(data_path):
        changes["data_path"] = before, str(data_path)
    for key, values in changes.items():
        report.say("{}: {} in the checkpoint, {} from now on".format(key, *shown(values)))
    return changes


def _may_change(key: str, values: tuple[Any, Any], config: Config) -> bool:
    section, name = key.split(".")
    if key == "model.reduction_factor":
        return values[1] < values[0]  # as it may during a run
    if key == "data.speakers":
        return not values[0]
    known = {field.name: field for field in fields(getattr(config, section))}
    return section in ("data", "train") or (name in known and known[name].metadata["free"])


def shown(values: tuple[Any, Any]) -> list[str]:
    """Write two different values in a few words each."""
    words = [_in_words(value) for value in values]
    return [f"other {words[0]}", words[1]] if words[0] == words[1] else words


def _in_words(value: object) -> str:
    if isinstance(value, list | dict) and len(value) > 3:
        return f"{len(value)} items"
    return quote(value) if isinstance(value, str) else str(value)


def match_optimizer(checkpoint: Checkpoint, optimizer: nn.Optimizer) -> Checkpoint:
    """Fit Adam's moments to another choice of `train.freeze`.

    Those of parameters that are frozen now are dropped; those of parameters that are not any more begin as zeros.
    """
    saved, wanted = checkpoint.optimizer, optimizer_parameters(optimizer)
    kept = {name: value for name, value in saved.items() if name in wanted or not name.startswith(MOMENTS)}
    begun = [name for name in wanted if name not in kept and name.startswith(MOMENTS)]
    zeros = {name: np.zeros(wanted[name].shape, np.float32) for name in begun}
    return replace(checkpoint, optimizer=kept | zeros)


def restore_best(progress: Progress, best: Path) -> None:
    """Take the smallest validation loss from `best`, so that no worse network replaces it.

    It may be newer than the checkpoint that the run resumes from.
    """
    if not best.exists():
        return
    try:
        val_loss = load_checkpoint(best).extra["best_val_loss"]
    except InputError as error:
        warnings.warn(f"{error}; the next validation writes it anew", stacklevel=2)
        progress.best_val_loss = None
    else:
        progress.best_val_loss = min(val_loss, progress.best_val_loss or val_loss)

"""The beginning of a run with the weights of another one, and a report of what was taken and what does not fit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from src.audio import mel_signature
from src.checkpoint import Checkpoint, chosen, load_checkpoint, load_weights, match_embedding, network_parameters
from src.config import Config, network_of
from src.errors import InputError, some_of
from src.train.reduction import with_reduction_factor
from src.train.report import Report

SPEAKERS = "speaker_embedding"  # the parameter whose rows are voices


def warm_start(
    net: nn.Cell, config: Config, path: str | Path, ignore_layers: Sequence[str], report: Report
) -> dict[str, Any]:
    """Copy the weights of another run into `net`; its embeddings are copied symbol by symbol and voice by voice.

    Args:
        config: of `net`, with the reduction factor of the first step.
        path: checkpoint of the other run.
        ignore_layers: parameters that stay as initialised; see `src.checkpoint.load_weights`.

    Returns:
        A row for the log: the checkpoint, how many parameters were taken, what is freshly initialised, what of the
            checkpoint is not used, and which settings of mel and text differ.

    Raises:
        InputError: the checkpoint cannot be read, or is of another network; names what does not fit.
    """
    loaded = load_checkpoint(path)
    if loaded.config.model.name != config.model.name:
        raise InputError(f"{path}: is a {loaded.config.model.name}, which cannot start a {config.model.name}")
    trained = with_reduction_factor(loaded, config)
    checkpoint, fresh_symbols, unused_symbols = match_embedding(net, config, trained)
    checkpoint, fresh_voices = match_speakers(net, config, checkpoint)
    try:
        fresh = load_weights(net, checkpoint, ignore_layers)
    except InputError as error:
        layers = _layers_that_do_not_fit(net, checkpoint, ignore_layers)
        hint = f"; --ignore_layers {','.join([*ignore_layers, *layers])} leaves these freshly initialised"
        raise InputError(f"{error}{hint if layers else ''}") from error
    weights = network_parameters(net)
    unused = [name for name in loaded.weights if name not in weights or name in fresh]
    taken = {name: weight.size for name, weight in weights.items() if name not in fresh}
    report.say(
        f"warm start from {path}, step {loaded.step}: {len(taken)} parameters taken ({sum(taken.values()) / 1e6:.2f} M "
        f"numbers); freshly initialised: {some_of(fresh, 8) or 'nothing'}; not used: {some_of(unused, 8) or 'nothing'}"
    )
    if "embedding" in fresh:
        fresh_symbols = unused_symbols = []
    elif checkpoint.symbols != config.text.symbols and network_of(config).kind == "acoustic":
        report.say(
            "its symbols differ, so embeddings are copied symbol by symbol; "
            f"freshly initialised: {' '.join(fresh_symbols) or 'none'}; not used: {' '.join(unused_symbols) or 'none'}"
        )
    if SPEAKERS not in fresh and fresh_voices:
        report.say(f"voices that it does not have begin as its common one: {some_of(fresh_voices, 8)}")
    if other := _other_settings(loaded.config, config):
        report.say(
            f"its weights were trained with other settings, to which training must adapt them: {some_of(other, 9)}"
        )
    row = {"warm_start": str(path), "taken": len(taken), "fresh": fresh, "unused": unused}
    row |= {"fresh_symbols": fresh_symbols, "unused_symbols": unused_symbols, "fresh_voices": fresh_voices}
    return row | {"other_settings": other}


def match_speakers(net: nn.Cell, config: Config, checkpoint: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """Fit the voices of `checkpoint` to those of `net`, whose configuration is `config`, by their names.

    A voice that the checkpoint lacks begins at the mean of its voices: for a network of one voice, with that one.

    Returns:
        The checkpoint to load, and the voices that it lacks.
    """
    target = network_parameters(net).get(SPEAKERS)
    if target is None:
        return checkpoint, []
    ours = config.data.speakers or [str(number) for number in range(target.shape[0])]
    trained = checkpoint.weights.get(SPEAKERS, np.zeros((1, target.shape[1]), np.float32))
    if trained.shape[1] != target.shape[1]:
        return checkpoint, []
    has_voices = SPEAKERS in checkpoint.weights
    names = checkpoint.config.data.speakers or [str(number) for number in range(len(trained))]
    theirs = dict(zip(names, trained, strict=True)) if has_voices else {}
    rows = np.stack([theirs.get(name, trained.mean(0)) for name in ours]).astype(np.float32)
    matched = replace(checkpoint, weights={**checkpoint.weights, SPEAKERS: rows})
    return matched, [name for name in ours if name not in theirs]


def _layers_that_do_not_fit(net: nn.Cell, checkpoint: Checkpoint, ignored: Sequence[str]) -> list[str]:
    """Return parameters of either network that the other lacks or has in another shape, by their outer layers."""
    ours = {name: tuple(weight.shape) for name, weight in network_parameters(net).items()}
    theirs = {name: value.shape for name, value in checkpoint.weights.items()}
    names = [*dict.fromkeys([*ours, *theirs])]
    try:
        known = chosen(names, ignored, "")
    except InputError:
        return []  # that is what the error is about
    misfits = [name for name in names if name not in known and ours.get(name) != theirs.get(name)]
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in misfits))


def _other_settings(before: Config, after: Config) -> list[str]:
    """Return settings of the mel and, for a network that reads, of the text that differ, with both values."""
    pairs = [(mel_signature(before.audio), mel_signature(after.audio))]
    if network_of(after).kind == "acoustic":
        pairs.append(({"cleaner": before.text.cleaner}, {"cleaner": after.text.cleaner}))
    return [f"{key} {old[key]} there, {new[key]} here" for old, new in pairs for key in new if old[key] != new[key]]

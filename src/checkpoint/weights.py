"""Parameters of networks and optimisers by name, and strict copies into them from a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.config import Config
from src.errors import InputError, some_of
from src.text import spelled
from src.text.registry import cleaner_named

if TYPE_CHECKING:
    from src.checkpoint.content import Checkpoint


def load_weights(net: nn.Cell, checkpoint: "Checkpoint", ignore: Sequence[str] = ()) -> list[str]:
    """Copy the weights of `checkpoint` into `net`. Both must have the same parameters in the same shapes.

    Args:
        ignore: parameters that keep their values in `net`: name prefixes up to a dot (`embedding`, `decoder.attention`)
            or patterns (`*.bias`).

    Returns:
        Names of the ignored parameters of `net`.

    Raises:
        InputError: parameters missing, left over or of another shape (names the first few); an entry of `ignore` that
            matches nothing.
    """
    parameters = network_parameters(net)
    skipped = chosen([*parameters, *checkpoint.weights], ignore, f"{checkpoint.path}")
    targets = {name: value for name, value in parameters.items() if name not in skipped}
    values = {name: value for name, value in checkpoint.weights.items() if name not in skipped}
    copy_strictly(
        values, targets, f"{checkpoint.path}: a checkpoint of another network than this {checkpoint.config.model.name}"
    )
    return [name for name in parameters if name in skipped]


def match_embedding(
    net: nn.Cell, config: Config, checkpoint: "Checkpoint"
) -> tuple["Checkpoint", list[str], list[str]]:
    """Reorder the embedding of `checkpoint` to the symbol table of `config`, the configuration of `net`.

    Rows are copied symbol by symbol. Between networks of two cleaners, a symbol takes the row of the one that its
    cleaner calls the nearest (`Cleaner.nearest`). The row of a symbol that the checkpoint lacks keeps its value in
    `net`.

    Returns:
        The checkpoint to load, the symbols that are new, and the symbols of the checkpoint that are not used.
    """
    reads_symbols = "embedding" in checkpoint.weights and "embedding" in network_parameters(net)
    if checkpoint.symbols == config.text.symbols or not reads_symbols:
        return checkpoint, [], []
    theirs = {symbol: row for row, symbol in enumerate(spelled(checkpoint.symbols))}
    ours = spelled(config.text.symbols)
    is_other = checkpoint.config.text.cleaner != config.text.cleaner
    nearest = cleaner_named(config.text.cleaner).nearest if is_other else {}
    sources = {symbol: nearest[symbol] if nearest.get(symbol) in theirs else symbol for symbol in ours}
    trained, embedding = checkpoint.weights["embedding"], network_parameters(net)["embedding"].asnumpy().copy()
    if trained.shape[1] == embedding.shape[1]:
        for row, symbol in enumerate(ours):
            if sources[symbol] in theirs:
                embedding[row] = trained[theirs[sources[symbol]]]
        checkpoint = replace(checkpoint, weights={**checkpoint.weights, "embedding": embedding})
    return (
        checkpoint,
        [symbol for symbol in ours if sources[symbol] not in theirs],
        [symbol for symbol in theirs if symbol not in sources.values()],
    )


def load_optimizer(optimizer: nn.Optimizer, checkpoint: "Checkpoint") -> None:
    """Copy the optimiser state of `checkpoint` into `optimizer`, as strictly as `load_weights` does.

    Raises:
        InputError: a checkpoint without optimiser state, or with that of another optimiser.
    """
    if not checkpoint.optimizer:
        raise InputError(
            f"{checkpoint.path}: holds no optimiser state, so training cannot resume from it; use it with --warm_start"
        )
    copy_strictly(
        checkpoint.optimizer,
        optimizer_parameters(optimizer),
        f"{checkpoint.path}: holds the state of another optimiser",
    )


def copy_strictly(values: Mapping[str, np.ndarray], targets: Mapping[str, Parameter], complaint: str) -> None:
    """Assign `values` to `targets`, which must have the same names and shapes.

    Raises:
        InputError: names or shapes differ; `complaint`, then the first three differences.
    """
    problems = [f"{name} is missing" for name in targets if name not in values]
    problems += [f"{name} is not known here" for name in values if name not in targets]
    shapes = {name: (value.shape, tuple(targets[name].shape)) for name, value in values.items() if name in targets}
    problems += [
        f"{name} is {list(found)}, expected {list(wanted)}"
        for name, (found, wanted) in shapes.items()
        if found != wanted
    ]
    if problems:
        raise InputError(f"{complaint}: {some_of(problems)}")
    assign = ops.Assign()  # `set_data` has no effect on graphs that `ms.jit` has compiled
    for name, value in values.items():
        assign(targets[name], Tensor(value, targets[name].dtype))


def network_parameters(net: nn.Cell) -> dict[str, Parameter]:
    """Parameters of `net` by their path in its structure."""
    return dict(net.parameters_and_names())


def optimizer_parameters(optimizer: nn.Optimizer) -> dict[str, Parameter]:
    """The optimiser's own parameters (moments, counters) by name, without the weights it updates."""
    weights = {id(weight) for weight in optimizer.parameters}
    return {parameter.name: parameter for parameter in optimizer.get_parameters() if id(parameter) not in weights}


def chosen(names: Sequence[str], patterns: Sequence[str], where: str) -> set[str]:
    """Return the parameters' `names` that any of `patterns` chooses.

    Args:
        patterns: name prefixes up to a dot (`embedding`, `decoder.attention`) or patterns (`*.bias`).
        where: begins the message.

    Raises:
        InputError: a pattern that chooses nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in names if _matches(name, pattern)}
        if not matched:
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise InputError(f"{where}: no parameter is called '{pattern}'; the names begin with {known}")
        found |= matched
    return found


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(pattern.rstrip(".") + ".") or fnmatchcase(name, pattern)

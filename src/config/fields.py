"""A field of the configuration: its default, its explanation, its bounds, and whether a resumed run may change it."""

import math
from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple


class Bounds(NamedTuple):
    """The values that a number of the configuration may take. None means that there is no such bound."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    odd: bool = False
    even: bool = False

    def rules(self) -> list[tuple[str, Callable[[float], bool]]]:
        """Return what a value must be, in words and as a predicate."""
        rules: list[tuple[str, Callable[[float], bool]]] = []
        if self.above is not None:
            rules.append((f"above {self.above}", lambda value: value > self.above))
        if self.least is not None:
            rules.append((f"at least {self.least}", lambda value: value >= self.least))
        if self.below is not None:
            rules.append((f"below {self.below}", lambda value: value < self.below))
        if self.most is not None:
            rules.append((f"at most {self.most}", lambda value: value <= self.most))
        if self.odd:
            rules.append(("odd", lambda value: value % 2 == 1))
        if self.even:
            rules.append(("even", lambda value: value % 2 == 0))
        return rules

    def complaint(self, value: float) -> str | None:
        """Say what `value` must be and is not; None if nothing is wrong with it."""
        if not math.isfinite(value):
            return "finite"
        return next((words for words, holds in self.rules() if not holds(value)), None)

    def __str__(self) -> str:
        return ", ".join(words for words, _ in self.rules())


def setting(default: Any, explanation: str, free: bool = False, **bounds: Any) -> Any:
    """Define a field of the configuration.

    Args:
        default: its value when nothing is given; lists and dicts are copied.
        explanation: what the key means, with its unit, as `--help` shows it.
        free: in audio, text and model: trained weights do not depend on it, so a resumed run may change it. In data and
            train every key is free.
        bounds: of a number, see `Bounds`.
    """
    metadata = {"explanation": explanation, "bounds": Bounds(**bounds), "free": free}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)

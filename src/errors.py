"""The exception for bad input, which the user can mend, and helpers that keep its message to one line."""

from collections.abc import Sequence


class InputError(ValueError):
    """Input that cannot be used. The message is one line: which file and line, what is wrong, what to do."""


def diverged(symptom: str) -> InputError:
    """The error for a checkpoint whose weights have diverged; `symptom` says how that was noticed."""
    return InputError(f"{symptom}: the network's weights have diverged, take an earlier checkpoint")


def one_line(text: object) -> str:
    """Write a text, or the message of an error, in one line."""
    return " ".join(str(text).split())


def quote(text: str) -> str:
    """Put `text` in quotation marks, shortened if it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def some_of(items: Sequence[object], limit: int = 3) -> str:
    """List the first `limit` of `items` and say how many more there are."""
    return ", ".join(map(str, items[:limit])) + (f" and {len(items) - limit} more" if len(items) > limit else "")

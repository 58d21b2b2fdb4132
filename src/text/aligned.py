"""A text joined with the readings that a list of recordings carries beside it."""

from typing import NamedTuple


class Aligned(NamedTuple):
    """A text with readings.

    Attributes:
        text: for the cleaner; the readings stand in braces.
        given: readings of the list.
        found: what the cleaner would have read, where it reads otherwise; None where it agrees.
        problem: why the readings could not be laid on the text; empty if they could.
    """

    text: str
    given: str
    found: str | None = None
    problem: str = ""

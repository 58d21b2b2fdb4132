"""A text joined with the readings that a list of recordings carries beside it."""

from typing import NamedTuple


class Difference(NamedTuple):
    """A place where the list and the cleaner read differently: what is written there, and both readings."""

    written: str
    given: str
    found: str


class Aligned(NamedTuple):
    """A text with readings.

    Attributes:
        text: for the cleaner; the readings of the list stand in braces.
        n_readings: how many the list has.
        differences: where the cleaner would have read otherwise.
        problem: why the readings could not be laid on the text; empty if they could.
    """

    text: str
    n_readings: int
    differences: tuple[Difference, ...] = ()
    problem: str = ""

"""The voice of the server. Runtimes are imported only when the voice is loaded, after the address is taken."""

from collections.abc import Callable
from typing import Any


def open_voice(options: dict[str, Any], report: Callable[[str], None]) -> Any:
    """Load a voice.

    Args:
        options: of `src.synthesis.load_voice`.
        report: is told the stages.

    Raises:
        InputError: as `load_voice`.
    """
    from src.synthesis import load_voice  # noqa: PLC0415

    return load_voice(**options, warm=True, report=report)

"""From text to sound: sentences, batches, vocoders, and the files of spoken lines.

`load_voice` is that of `src.streaming`, which other code imports from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.streaming.loading import load_voice

__all__ = ["load_voice"]


def __getattr__(name: str) -> Any:
    if name != "load_voice":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("src.streaming.loading").load_voice  # when asked for: that room is built on this one

"""Tacotron 2 and WaveGlow in MindSpore: the names that outside code imports; each is loaded when it is first asked for.

So the text and audio modules, and the worker processes of preprocessing, start without MindSpore.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    os.getcwd()
except OSError as error:  # MindSpore's import would end in a page of traces
    print(f"error: the working directory cannot be used ({error.strerror}); change to another one", file=sys.stderr)
    raise SystemExit(2) from None

os.environ.setdefault("GLOG_v", "3")  # MindSpore warns about its own internals; must be set before it is imported

if TYPE_CHECKING:
    from src.models.factory import create_model
    from src.streaming.loading import load_voice
    from src.text import prepare_input_sequence

__all__ = ["__version__", "create_model", "load_voice", "prepare_input_sequence"]
__version__ = "0.1.0"

_HOMES = {
    "create_model": "src.models.factory",
    "load_voice": "src.streaming.loading",
    "prepare_input_sequence": "src.text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

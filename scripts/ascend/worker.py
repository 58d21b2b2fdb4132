"""A process that compiles one graph for Ascend and leaves the compiler's dumps and log behind."""

import importlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Compile the graph that the arguments name: module:list, number, ranks, and a file for the error ("" for none)."""
    graphs, number, n_ranks, answer = sys.argv[1:]
    error = ""
    try:
        module, name = graphs.split(":")
        graph = getattr(importlib.import_module(module), name)[int(number)]
        from ascend.graphs import meet_ranks  # noqa: PLC0415  (MindSpore is loaded here)
        from src.config import load_config  # noqa: PLC0415

        meet_ranks(int(n_ranks))
        graph.compile(load_config(overrides=graph.overrides))
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    Path(answer).write_text(json.dumps(error), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # MindSpore's own end waits for a device

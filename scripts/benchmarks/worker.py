"""Worker side of the pipe to scripts/benchmark.py. Standard library only, since the peer's Python has no more."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(
    tasks: dict[str, Callable[..., Callable[[], dict[str, Any] | None]]], versions: dict[str, str] | None = None
) -> None:
    """Answer each JSON line on stdin with one on stdout, until stdin closes.

    Between two requests, the process waits for input and leaves the machine to the other side. Requests:
        {"command": "versions"} -> {"versions": {...}}
        {"command": "prepare", "task": name, "arguments": {...}} -> {}, after `tasks[name](**arguments)`
        {"command": "run"} -> {"seconds": ...}, of the function that the task returned, and what that function returns
        {"command": "peak_memory"} -> {"gib": ...}, of this process since its start
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # other output must not come between the answers
    run: Callable[[], dict[str, Any] | None] | None = None
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        if request["command"] == "versions":
            answer["versions"] = versions
        elif request["command"] == "prepare":
            run = tasks[request["task"]](**request["arguments"])
        elif request["command"] == "run":
            began = time.perf_counter()
            found = run()
            answer = {"seconds": time.perf_counter() - began, **(found or {})}
        elif request["command"] == "peak_memory":
            unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, kilobytes elsewhere
            answer["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

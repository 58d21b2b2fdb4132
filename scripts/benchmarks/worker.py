"""The end of the pipe that a worker process of scripts/benchmark.py holds. Standard library only: the peer's Python has none of ours."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable


def serve(tasks: dict[str, Callable[..., Callable[[], None]]], versions: dict[str, str] | None = None) -> None:
    """Answer each JSON line on stdin by one on stdout, until stdin closes.

    Between two requests the process waits for input, so that it leaves the machine to the other side. Requests:
        {"command": "versions"} -> {"versions": {...}}
        {"command": "prepare", "task": name, "arguments": {...}} -> {} once `tasks[name](**arguments)` has returned what `run` calls
        {"command": "run"} -> {"seconds": ...}
        {"command": "peak_memory"} -> {"gib": ...}, of this process since it began
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not come between the answers
    run: Callable[[], None] | None = None
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        if request["command"] == "versions":
            answer["versions"] = versions
        elif request["command"] == "prepare":
            run = tasks[request["task"]](**request["arguments"])
        elif request["command"] == "run":
            answer["seconds"] = _seconds(run)
        elif request["command"] == "peak_memory":
            unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, kilobytes elsewhere
            answer["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began

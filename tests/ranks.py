"""Run a function of a test module as several ranks by msrun; `python tests/ranks.py MODULE:FUNCTION ARGUMENTS` is what each does."""

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_ranks(function: str, *arguments: str | Path, log_dir: Path, n_ranks: int = 2) -> str:
    """Call `function`, given as module:name, with `arguments` on every rank. Returns what rank 0 printed; fails if a rank does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [
        "msrun",
        "--join=True",
        f"--worker_num={n_ranks}",
        f"--local_worker_num={n_ranks}",
        f"--master_port={port}",
    ]
    command = [*launcher, f"--log_dir={log_dir}", __file__, function, *map(str, arguments)]
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": search, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DEVICE_TARGET": "CPU"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    logs = [(log_dir / f"worker_{rank}.log").read_text() for rank in range(n_ranks)]
    assert done.returncode == 0, "\n".join([done.stdout[-2000:], done.stderr[-2000:], *(log[-2000:] for log in logs)])
    return logs[0]


if __name__ == "__main__":
    from src import runtime

    module, name = sys.argv[1].split(":")
    runtime.meet_ranks()
    getattr(importlib.import_module(module), name)(*sys.argv[2:])

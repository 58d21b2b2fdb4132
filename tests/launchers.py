"""The launchers in a folder of their own, and stand-ins for the programs that they start."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]

# Records how it was called.
RECORDER = """
import json, os, sys
record = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
open(os.environ["RECORD"], "w").write(json.dumps(record))
sys.exit(7)
"""

# Does what msrun --join=False does, without MindSpore.
MSRUN = """
import os, subprocess, sys
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--") and "=" in word)
task = next(i for i, word in enumerate(sys.argv) if word.endswith("train.py"))
node, n_ranks = int(options["node_rank"]), int(options["local_worker_num"])
processes = [("MS_WORKER", rank, f"worker_{rank}") for rank in range(node * n_ranks, (node + 1) * n_ranks)]
for role, rank, log in processes if node else [("MS_SCHED", 0, "scheduler"), *processes]:
    environment = os.environ | {"MS_ROLE": role, "RANK_ID": str(rank), "MS_WORKER_NUM": options["worker_num"]}
    with open(f"{options['log_dir']}/{log}.log", "w") as file:
        command = ["python", *sys.argv[task:]]
        subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=role == "MS_WORKER")
"""

# Beginning of each stand-in for train.py.
RANK = """
import os, signal, subprocess, sys, time
rank = int(os.environ["RANK_ID"])
if os.environ["MS_ROLE"] == "MS_SCHED":
    time.sleep(600)
print(f"rank {rank} at work", flush=True)
"""


class Launchers:
    """Copies of the launchers in `root`, beside programs that a test puts there. What they start is killed."""

    def __init__(self, folder: Path):
        self.folder, self.root, self.bin = folder, folder / "root", folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        path = os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), os.environ["PATH"]])
        for package in ("te", "hccl"):  # of CANN
            (folder / "cann" / package).mkdir(parents=True)
            (folder / "cann" / package / "__init__.py").touch()
        own = {
            "PATH": path,
            "PYTHONPATH": str(folder / "cann"),
            "DEVICE_TARGET": "CPU",
            "OMP_NUM_THREADS": "1",
            "RECORD": str(folder / "record"),
            "LAUNCHED_BY": str(folder),
        }
        self.environment = {**os.environ, **own}

    def put(self, name: str, text: str) -> None:
        """A program beside the launchers."""
        (self.root / name).write_text(text)

    def put_msrun(self, text: str) -> None:
        (self.bin / "msrun").write_text(f"#!{sys.executable}\n{text}")
        (self.bin / "msrun").chmod(0o755)

    def start(self, name: str, *arguments, **environment) -> subprocess.Popen:
        command = ["bash", str(self.root / "scripts" / name), *map(str, arguments)]
        environment = {key: value for key, value in {**self.environment, **environment}.items() if value is not None}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.folder, start_new_session=True, **pipes)

    def run(self, name: str, *arguments, **environment) -> tuple[int, str, str]:
        """Exit status, stdout and stderr."""
        return end_of(self.start(name, *arguments, **environment))

    def train(self, *flags, **environment) -> subprocess.Popen:
        """Two ranks, into `out`."""
        return self.start("run_distribute_train.sh", "c.yaml", "data", "out", "2", *flags, **environment)

    def record(self) -> dict:
        return json.loads((self.folder / "record").read_text())

    def running(self, **environment) -> list[psutil.Process]:
        """Processes that were started here, and have these variables."""
        found = []
        for process in psutil.process_iter():
            try:
                theirs = process.environ()
            except psutil.Error:
                continue
            if theirs.get("LAUNCHED_BY") == str(self.folder) and environment.items() <= theirs.items():
                found.append(process)
        return found


def end_of(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for(happened, process: subprocess.Popen) -> None:
    """Until `happened()`; a launcher that has ended before is a failure."""
    while not happened():
        assert process.poll() is None, end_of(process)
        time.sleep(0.1)


def prepare(folder: Path) -> Iterator[Launchers]:
    """Launchers in `folder`, beside files for their arguments; afterwards kills what they have started."""
    launchers = Launchers(folder)
    (folder / "c.yaml").write_text("{}")
    (folder / "x.ckpt").write_text("no checkpoint")
    (folder / "data").mkdir()
    yield launchers
    for process in launchers.running():
        process.kill()

"""Processes that scripts/benchmark.py and scripts/benchmarks/growth.py measure: one for each side, run in turn."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.report import count_cores
from src.cli import CommandLine, positive
from src.errors import InputError

HERE = Path(__file__).resolve().parent
OURS, PEER, PLAIN, MEL = "ours", "torchaudio", "PyTorch", "STFT by PyTorch"
ONNX, INT8, COMPILED = "ours by ONNX Runtime", "ours by ONNX Runtime, int8", "torchaudio with torch.compile"


def add_peer_flags(parser: CommandLine) -> None:
    """Add the flags that `commands` reads."""
    parser.add_argument(
        "--peer_python", type=str, default=sys.executable, help="Python that has torch (default: this one)"
    )
    parser.add_argument(
        "--peer_source", type=str, help="torchaudio's models/tacotron2.py, if that Python has no torchaudio"
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=count_cores(),
        help="threads of PyTorch; MindSpore always takes all cores",
    )


def commands(arguments: Namespace) -> dict[str, list[str]]:
    """Command line that starts a worker of each side."""
    peer_source = ["--source", arguments.peer_source] if arguments.peer_source else []
    plain = [arguments.peer_python, str(HERE / "peer_plain.py"), "--threads"]
    ours = [sys.executable, str(HERE / "ours.py")]
    peer = [arguments.peer_python, str(HERE / "peer.py"), "--threads", str(arguments.threads), *peer_source]
    return {
        OURS: ours,
        ONNX: [*ours, "--runtime", "onnx"],
        INT8: [*ours, "--runtime", "onnx", "--precision", "int8"],
        PEER: peer,
        COMPILED: [*peer, "--compile"],
        PLAIN: [*plain, str(arguments.threads)],
        MEL: [*plain, "1"],
    }


def read_shape(text: str) -> tuple[int, int, int]:
    """Batch size, frames and text length from "16x400x100"."""
    try:
        batch_size, n_frames, length = (positive(number) for number in text.split("x"))
    except (ValueError, ArgumentTypeError):
        raise ArgumentTypeError(f"'{text}' is not batch size x frames x text length, such as 16x400x100") from None
    return batch_size, n_frames, length


class WorkerFailed(RuntimeError):
    """The end of a worker before its time, for example for lack of memory."""


class Worker:
    """A process that holds one side's state, runs once on request, and is idle otherwise."""

    def __init__(self, command: list[str], **environment: str):
        self.script = Path(command[1]).name
        # A thread count meant for something else must not slow down the one side that heeds it. Waiting threads must
        # sleep: spinning makes PyTorch several times slower as soon as another process uses the machine too.
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        environment = {"OMP_WAIT_POLICY": "PASSIVE"} | inherited | environment
        self.errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  (closed on exit)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        try:
            self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        except OSError as error:
            raise InputError(f"{command[0]}: cannot be run as a Python ({error.strerror})") from error

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer; see scripts/benchmarks/worker.py.

        Raises:
            InputError: the worker lacks something, such as torch.
            WorkerFailed: it has ended for another reason.
        """
        self.send(command, **request)
        return self.receive()

    def send(self, command: str, **request: Any) -> None:
        """Send a request; `receive` waits for its answer."""
        with contextlib.suppress(OSError):  # if the worker has ended, `receive` says why
            self.process.stdin.write(json.dumps({"command": command, **request}) + "\n")
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the oldest request that was sent."""
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines() or ["no message"]
            if code == 2:
                raise InputError(lines[-1])
            raise WorkerFailed(f"{self.script} ended with exit code {code}: {lines[-1]}")
        return json.loads(line)


def prepare(
    stack: contextlib.ExitStack,
    commands: dict[str, list[str]],
    task: str,
    config: dict[str, Any],
    sides: dict[str, tuple[str, int, int, int]],
) -> dict[str, Worker]:
    """Workers ready to run `task`, for each (side, batch size, frames, text length); they live as long as `stack`."""
    workers = {label: stack.enter_context(Worker(commands[side])) for label, (side, *_) in sides.items()}
    for label, worker in workers.items():
        sizes = dict(zip(("batch_size", "n_frames", "length"), sides[label][1:], strict=True))
        worker.send("prepare", task=task, arguments={"config": config, "seed": config["train"]["seed"], **sizes})
    for worker in workers.values():
        worker.receive()
    return workers


def alternate(workers: dict[str, Worker], repeats: int, title: str) -> dict[str, list[float]]:
    """Seconds of `repeats` runs of each worker in turn, after an uncounted run that all do at the same time."""
    samples: dict[str, list[float]] = {label: [] for label in workers}
    with tqdm(total=repeats * len(workers), desc=title, leave=False) as bar:
        bar.set_postfix_str("warming up")
        for worker in workers.values():
            worker.send("run")
        for worker in workers.values():
            worker.receive()
        for number in range(repeats):
            for label, worker in workers.items():
                bar.set_postfix_str(f"{label}, run {number + 1} of {repeats}")
                samples[label].append(worker.ask("run")["seconds"])
                bar.update()
    return samples

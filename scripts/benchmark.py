"""Benchmark against torchaudio's Tacotron 2 and a plain WaveGlow, both PyTorch (eager), on this machine's CPU.

Both sides have the same sizes and the same work, and run in turn. The peer runs in a process of its own, with any
Python that has it:
    pip install torch==2.13.0
    pip install --no-deps torchaudio==2.11.0
    python scripts/benchmark.py --peer_python /path/to/that/python --json benchmark.json
Each number is the median of the counted runs, with the smallest and the largest in brackets. A ratio is one of medians,
below 1 when ours needs less. Ours is the training step of train.py and the free running and vocoder of eval.py, not a
copy of them. The files of export.py are compared with the graph that they were made from.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.process import (
    MEL,
    OURS,
    PEER,
    PLAIN,
    Worker,
    WorkerFailed,
    add_peer_flags,
    alternate,
    commands,
    prepare,
    read_shape,
)
from benchmarks.report import Row, describe_machine
from tqdm import tqdm

from src.cli import CommandLine, positive, run
from src.config import Config, WaveGlowConfig, load_config
from src.errors import InputError
from src.files import write_json
from src.hub.card import shipped_voice

ROOT = Path(__file__).resolve().parents[1]
SMALL = ROOT / "config/tacotron2_small.yaml"
FORMATS = {"MINDIR": "MINDIR", "ONNX Runtime": "ONNX"}
SHAPES = [(4, 100, 80), (16, 400, 100)]


def seconds_to_wav(cache: Path, output_dir: Path) -> float:
    """Seconds from the start of eval.py, a new process with its graphs in `cache`, to the first wav in `output_dir`."""
    command = [sys.executable, ROOT / "eval.py", "--text", "Hello world.", "--output_dir", output_dir]
    wav, began = output_dir / "0001.wav", time.perf_counter()
    with tempfile.TemporaryFile(mode="w+") as errors:
        environment = os.environ | {"GRAPH_CACHE": str(cache)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as process:
            while process.poll() is None and not wav.is_file():
                time.sleep(0.01)
            seconds = time.perf_counter() - began
        if process.returncode != 0 or not wav.is_file():
            errors.seek(0)
            raise WorkerFailed(f"eval.py ended with exit code {process.returncode}: {errors.read().strip()[-200:]}")
    return seconds


class Benchmark:
    """The measurements, row by row."""

    def __init__(self, arguments: Namespace, config: dict[str, Any]):
        self.commands = commands(arguments)
        self.arguments, self.config = arguments, config

    def versions(self) -> dict[str, str]:
        """Versions of both sides. Fails early if the peer cannot run, or a package for a later row is missing."""
        ours = {}
        if not self.arguments.quick:
            shipped_voice()
            try:
                ours = {name: import_module(name).__version__ for name in ("onnx", "onnxruntime")}
            except ImportError as error:
                raise InputError(f"{error.name} is missing here: pip install -r requirements-onnx.txt") from error
        with Worker(self.commands[PEER]) as worker:
            peer = worker.ask("versions")["versions"]
        return {"mindspore": version("mindspore"), **ours, **peer}

    def rows(self) -> Iterator[Row]:
        """Measure all comparisons."""
        arguments = self.arguments
        for shape in arguments.shapes:
            yield from self._training(*shape, memory=shape == arguments.shapes[-1])
        yield from self._free_running()
        yield self._vocoding()
        yield self._preprocessing()
        if not arguments.quick:
            yield self._compilation()
            yield self._start()
            yield from self._exported()

    def _training(self, batch_size: int, n_frames: int, length: int, memory: bool) -> Iterator[Row]:
        size, name = f"B {batch_size}, T {n_frames}, L {length}", f"b{batch_size}_t{n_frames}_l{length}"
        with ExitStack() as stack:
            sides = {side: (side, batch_size, n_frames, length) for side in (OURS, PEER)}
            workers = prepare(stack, self.commands, "training", self.config, sides)
            samples = alternate(workers, self.arguments.repeats, f"training step, {size}")
            yield Row(f"training_step_{name}", f"training step, {size}", "s", samples)
            if memory:  # these processes have done nothing but this
                peaks = {side: [worker.ask("peak_memory")["gib"]] for side, worker in workers.items()}
                yield Row(f"training_peak_memory_{name}", f"peak memory, {size}", "GiB", peaks)

    def _free_running(self) -> Iterator[Row]:
        n_frames, length = self.arguments.frames, self.arguments.text_length
        sides = {f"{side}, batch {n}": (side, n, n_frames, length) for n in (1, 8) for side in (OURS, PEER)}
        with ExitStack() as stack:
            workers = prepare(stack, self.commands, "free_running", self.config, sides)
            samples = alternate(workers, self.arguments.free_running_repeats, "free running")
        # Milliseconds for a frame of one text.
        frame = {label: [1e3 * seconds / (n_frames * sides[label][1]) for seconds in samples[label]] for label in sides}
        for ours, peer in ((1, 1), (8, 1), (8, 8)):
            name = f"free_running_batch_{ours}" + (f"_against_batch_{peer}" if peer != ours else "")
            labels, title = (
                (f"{OURS}, batch {ours}", f"{PEER}, batch {peer}"),
                f"free running, {n_frames} frames, a frame",
            )
            yield Row(name, title, "ms", {label: frame[label] for label in labels})

    def _compilation(self) -> Row:
        """Compile the training step in new processes, at two lengths; the largest batch shows growth best."""
        length, batch_size = self.arguments.text_length, self.arguments.shapes[-1][0]
        frames = sorted(self.arguments.compile_frames, reverse=True)
        sides = {f"{OURS}, T {n_frames}": (OURS, batch_size, n_frames, length) for n_frames in frames}
        samples: dict[str, list[float]] = {label: [] for label in sides}
        for _ in tqdm(range(self.arguments.compile_repeats), desc="compilation", leave=False):
            with ExitStack() as stack:
                for label, worker in prepare(stack, self.commands, "compiling", self.config, sides).items():
                    samples[label].append(worker.ask("run")["seconds"])
        return Row("compile_time", f"compiling the training step, B {batch_size}, L {length}", "s", samples)

    def _vocoding(self) -> Row:
        """WaveGlow with fresh weights, without weight norm, on one mel spectrogram; per second of sound."""
        n_frames, config = self.arguments.vocoder_frames, Config(model=WaveGlowConfig())
        task = {"config": config.to_dict(), "seed": config.train.seed, "n_frames": n_frames}
        request = {"task": "vocoding", "arguments": task}
        with ExitStack() as stack:
            workers = {side: stack.enter_context(Worker(self.commands[side])) for side in (OURS, PLAIN)}
            for worker in workers.values():
                worker.ask("prepare", **request)
            samples = alternate(workers, self.arguments.vocoder_repeats, "vocoder")
        seconds = n_frames * config.audio.hop_length / config.audio.sample_rate
        samples = {side: [sample / seconds for sample in samples[side]] for side in workers}
        return Row(f"waveglow_{n_frames}_frames", f"WaveGlow, {n_frames} frames, a second of sound", "s", samples)

    def _preprocessing(self) -> Row:
        """Make mel spectrograms of wavs, in one process on one thread."""
        config = load_config(SMALL)
        folder, audio = str(ROOT / "demo_corpus/wavs"), config.audio
        sizes = {name: getattr(audio, name) for name in ("n_fft", "hop_length", "win_length", "n_mels")}
        arguments = {OURS: {"config": config.to_dict()}, MEL: sizes}
        with ExitStack() as stack:
            one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            workers = {side: stack.enter_context(Worker(self.commands[side], **one_thread)) for side in arguments}
            for side, worker in workers.items():
                worker.ask("prepare", task="mel", arguments={"folder": folder, **arguments[side]})
            samples = alternate(workers, self.arguments.free_running_repeats, "preprocessing")
        n_clips = len(list(Path(folder).glob("*.wav")))
        return Row("preprocessing", f"mel spectrograms of {n_clips} clips, one core", "s", samples)

    def _start(self) -> Row:
        """Start eval.py and wait for its first wav: with an empty graph cache, and with what that start has cached."""
        samples: dict[str, list[float]] = {"second start": [], "first start": []}
        for _ in tqdm(range(self.arguments.compile_repeats), desc="start of eval.py", leave=False):
            with tempfile.TemporaryDirectory() as folder:
                for side in ("first start", "second start"):
                    samples[side].append(seconds_to_wav(Path(folder, "cache"), Path(folder, side)))
        return Row("start", "eval.py, start to first wav", "s", samples)

    def _exported(self) -> Iterator[Row]:
        """Compare the files of export.py with the graph that they were made from, on the same sentence."""
        n_frames, length = self.arguments.frames, self.arguments.text_length
        request = {"config": self.config, "seed": self.config["train"]["seed"], "n_frames": n_frames, "length": length}
        with ExitStack() as stack:
            workers = {side: stack.enter_context(Worker(self.commands[OURS])) for side in (OURS, *FORMATS)}
            workers[OURS].ask("prepare", task="free_running", arguments={**request, "batch_size": 1})
            for side, file_format in FORMATS.items():
                workers[side].ask("prepare", task="exported", arguments={**request, "file_format": file_format})
            samples = alternate(workers, self.arguments.free_running_repeats, "exported files")
        frame = {side: [1e3 * seconds / n_frames for seconds in samples[side]] for side in samples}
        for side, file_format in FORMATS.items():
            title = f"{file_format} file, {n_frames} frames, a frame"
            yield Row(
                f"exported_{file_format.lower()}", title, "ms", {side: frame[side], f"{OURS}, graph": frame[OURS]}
            )


def main() -> None:
    """Parse the command line, measure, print the rows and write them."""
    parser = CommandLine(__doc__)
    parser.add_argument("--config", type=Path, help="YAML file of the network (default: full width)")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"), help="file for machine, settings and rows")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two minutes: one run per side, the first shape only, fewer frames; no compilation, start, exported files",
    )
    add_peer_flags(parser)
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=read_shape,
        default=SHAPES,
        help="training: batch x frames x text, such as 16x400x100; compilation takes the batch of the last one",
    )
    parser.add_argument("--frames", type=positive, default=200, help="free running: frames to speak")
    parser.add_argument(
        "--text_length", type=positive, default=100, help="free running and compilation: symbols of a text"
    )
    parser.add_argument(
        "--compile_frames", type=positive, nargs=2, default=[200, 800], help="compilation: the two sizes to compare"
    )
    parser.add_argument("--vocoder_frames", type=positive, default=400, help="WaveGlow: frames to turn into sound")
    parser.add_argument("--repeats", type=positive, default=5, help="counted training steps of each side")
    parser.add_argument("--free_running_repeats", type=positive, default=10, help="counted runs of each side")
    parser.add_argument("--compile_repeats", type=positive, default=3, help="compilations of each size")
    parser.add_argument("--vocoder_repeats", type=positive, default=3, help="counted runs of WaveGlow of each side")
    arguments, overrides = parser.parse()
    config = load_config(arguments.config, overrides)
    if config.model.name != "tacotron2":
        raise InputError("--config must be of a Tacotron 2; WaveGlow is measured at its defaults")
    if config.model.reduction_factor != 1:
        raise InputError("torchaudio's Tacotron 2 makes one frame a step; model.reduction_factor must be 1 to compare")
    if arguments.quick:
        arguments.repeats = arguments.free_running_repeats = arguments.vocoder_repeats = 1
        arguments.frames, arguments.vocoder_frames = -(-arguments.frames // 2), -(-arguments.vocoder_frames // 4)
        arguments.shapes = arguments.shapes[:1]
    try:
        measure(Benchmark(arguments, config.to_dict()), arguments)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None


def measure(benchmark: Benchmark, arguments: Namespace) -> None:
    """Print each row once it is measured, and write all rows so far to `arguments.json`."""
    kinds = ("repeats", "frames", "length", "shapes", "threads", "quick")
    result = {
        "machine": describe_machine(),
        "versions": {"python": platform.python_version(), **benchmark.versions()},
        "settings": {name: value for name, value in vars(arguments).items() if name.endswith(kinds)},
        "config": benchmark.config,
        "ratios": {},
        "rows": [],
    }

    def write() -> None:
        write_json(arguments.json, result, indent=1)

    write()  # an unwritable path is better known before the measurements
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()), end="; ")
    print("{cpu}, {cores} cores, load {load_average_at_start}".format(**result["machine"]), flush=True)
    for row in benchmark.rows():
        print(row, flush=True)
        result["rows"].append(row.to_dict())
        result["ratios"][row.name] = row.ratio
        write()
    print(f"written: {arguments.json}")


if __name__ == "__main__":
    run(main)

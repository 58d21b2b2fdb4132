"""Benchmark against torchaudio's Tacotron 2 and a plain WaveGlow, both PyTorch (eager), on this machine's CPU.

Both sides have the same sizes and the same work, and run in turn. The peer runs in a process of its own, with any
Python that has it:
    pip install torch==2.13.0
    pip install --no-deps torchaudio==2.11.0
    python scripts/benchmark.py --peer_python /path/to/that/python --json benchmark.json
Each number is the median of the counted runs, with the smallest and the largest in brackets. A ratio is one of medians,
below 1 when ours needs less. Ours is the training step of train.py and the free running and vocoder of eval.py, not a
copy of them. The files of export.py are compared with the graph that they were made from. Free running is also measured
by ONNX Runtime, as eval.py speaks on CPUs, and against torchaudio with torch.compile.

--limits first measures what binds on this machine: products, memory, the start of a kernel. Each row then shows how
much of its limit both sides reach.
"""

import platform
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.comparison import ROWS, Benchmark
from benchmarks.process import WorkerFailed, add_peer_flags, read_shape
from benchmarks.report import describe_machine

from src.cli import CommandLine, positive, run
from src.config import load_config
from src.errors import InputError
from src.files import write_json

SHAPES = [(4, 100, 80), (16, 400, 100)]


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
    parser.add_argument("--rows", nargs="+", choices=ROWS, help="what to measure (default: all; with --quick four)")
    parser.add_argument(
        "--limits", action="store_true", help="also measure what binds on this machine, and each row's share of it"
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
    kinds = ("repeats", "frames", "length", "shapes", "threads", "quick", "rows")
    result: dict[str, Any] = {
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
    if arguments.limits:
        limits = benchmark.measure_limits()
        print(limits, flush=True)
        result["limits"] = limits.measured
    for row in benchmark.rows():
        print(row, flush=True)
        result["rows"].append(row.to_dict())
        result["ratios"][row.name] = row.ratio
        write()
    print(f"written: {arguments.json}")


if __name__ == "__main__":
    run(main)

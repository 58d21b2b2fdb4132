"""Profile a training step of Tacotron 2: multiply-adds by part, kernels that ran, limits of the machine.

python scripts/benchmarks/profile_step.py --shape 16x400x100 --json profile.json

GFLOP/s are the network's multiply-adds over the time of all matrix products, including those that only broadcast or
recompute. The timed step is not the profiled one, which is a little slower. Run it on an otherwise idle machine. The
kernels come from MindSpore's own profiler, which knows CPU kernels; on Ascend and GPU use MindSpore Insight.
docs/performance.md explains the results.
"""

import csv
import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from benchmarks import ceilings
from benchmarks.counting import multiply_adds
from benchmarks.ours import training
from benchmarks.process import read_shape
from benchmarks.report import describe_machine
from src.cli import CommandLine, run
from src.config import Config, load_config
from src.errors import InputError
from src.files import write_atomically


def kernels(work: Callable[[], None], folder: Path) -> list[dict[str, Any]]:
    """Kernel types that `work` runs, with launches and milliseconds, the longest first.

    Raises:
        InputError: MindSpore's profiler has written no CPU kernels, as on other devices.
    """
    with profile(activities=[ProfilerActivity.CPU], on_trace_ready=tensorboard_trace_handler(str(folder))) as profiler:
        work()
        profiler.step()
    tables = list(folder.rglob("cpu_op_type_info_0.csv"))
    if not tables:
        raise InputError("MindSpore's profiler has written no CPU kernels; use this device's own profiler")
    rows = csv.DictReader(tables[0].read_text().splitlines())
    found = [
        {"kernel": row["op_type"], "launches": int(row["type_occurrences"]), "ms": float(row["total_compute_time"])}
        for row in rows
    ]
    return sorted(found, key=lambda row: -row["ms"])


def main() -> None:
    """Parse the command line, and report."""
    parser = CommandLine(__doc__)
    parser.add_argument("--config", type=Path, help="YAML file of the network (default: full width)")
    parser.add_argument(
        "--shape", type=read_shape, default=(16, 400, 100), help="batch x frames x text (default: 16x400x100)"
    )
    parser.add_argument("--json", type=Path, default=Path("profile.json"), help="file for the numbers")
    arguments, overrides = parser.parse()
    config = load_config(arguments.config, overrides)
    if config.model.name != "tacotron2":
        raise InputError("--config must be of a Tacotron 2")
    report(config, arguments)


def report(config: Config, arguments: Namespace) -> None:
    """Measure, print, and write to `arguments.json`."""
    counts = multiply_adds(config, *arguments.shape)
    step = training(config.to_dict(), config.train.seed, *arguments.shape)
    step()
    began = time.perf_counter()
    step()
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        rows = kernels(step, Path(folder))
    limits = {"gflops": ceilings.large_product(), "gbytes_per_s": ceilings.memory()["triad_gbytes_per_s"]}
    gflop = 6 * sum(counts.values()) / 1e9
    products = sum(row["ms"] for row in rows if "MatMul" in row["kernel"]) / 1e3
    print(f"{'part':<24}{'G multiply-adds, forward':>26}")
    for name, count in counts.items():
        print(f"{name:<24}{count / 1e9:>26.2f}")
    print(f"\n{'kernel':<24}{'launches':>10}{'ms':>10}{'share':>8}")
    total = sum(row["ms"] for row in rows)
    for row in rows[:15]:
        print(f"{row['kernel']:<24}{row['launches']:>10}{row['ms']:>10.1f}{row['ms'] / total:>8.1%}")
    launches = sum(row["launches"] for row in rows)
    print(f"{'all':<24}{launches:>10}{total:>10.1f}")
    reached, best, moved = gflop / products, limits["gflops"], limits["gbytes_per_s"]
    print(
        f"\na step takes {seconds:.2f} s, {total / 1e3:.2f} s of them in kernels; its products are about "
        f"{gflop:.0f} GFLOP, done at {reached:.0f} GFLOP/s where a large product reaches {best:.0f}; "
        f"memory moves at {moved:.1f} GB/s"
    )
    result = {
        "machine": describe_machine(),
        "shape": arguments.shape,
        "multiply_adds": counts,
        "kernels": rows,
        "seconds": seconds,
    }
    write_atomically(arguments.json, (json.dumps(result | {"ceilings": limits}, indent=1) + "\n").encode())


if __name__ == "__main__":
    run(main)

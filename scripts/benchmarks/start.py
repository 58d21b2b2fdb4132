"""The start of eval.py: seconds from the beginning of the process to its first wav, and where they go.

python scripts/benchmarks/start.py --repeats 3

The stages are those of a start with an empty cache and of the one after it, each in a process of its own. Writing of
ONNX files, which a cold start does in processes of their own, is part of loading, and listed apart. The picture and the
summary come after the first wav.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.process import WorkerFailed

ROOT = Path(__file__).resolve().parents[2]
FIRST_WAV = "first wav"
STAGES = ("imports", "loading", "of that writing ONNX files", "speaking", FIRST_WAV)


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


def traced(began: float, output_dir: str) -> None:
    """Run eval.py in this process and print, as JSON, how many seconds after `began` each stage took."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.time()
            result = work(*arguments, **options)
            seconds.setdefault(name, time.time() - start)
            return result

        return run

    specification = importlib.util.spec_from_file_location("eval_script", ROOT / "eval.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    from src.export.onnx import cached  # noqa: PLC0415
    from src.synthesis import output  # noqa: PLC0415

    seconds["imports"] = time.time() - began
    save = output.save_wav

    def save_wav(*arguments: Any) -> None:
        save(*arguments)
        seconds.setdefault(FIRST_WAV, time.time() - began)

    output.save_wav = save_wav
    script._load = timed("loading", script._load)
    cached.onnx_files = timed("of that writing ONNX files", cached.onnx_files)
    sys.argv = ["eval.py", "--text", "Hello world.", "--output_dir", output_dir]
    script.main()
    seconds["speaking"] = seconds[FIRST_WAV] - seconds["imports"] - seconds["loading"]
    print(json.dumps(seconds))


def stages(cache: Path, output_dir: Path) -> dict[str, float]:
    """Seconds of each stage of a start of eval.py in a new process, with `cache` as its cache."""
    command = [sys.executable, __file__, "--traced", repr(time.time()), str(output_dir)]
    environment = os.environ | {"GRAPH_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkerFailed(f"eval.py ended with exit code {done.returncode}: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(repeats: int) -> str:
    """Measure starts of both kinds, and format the medians as a table."""
    found: dict[str, list[dict[str, float]]] = {"empty cache": [], "second start": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            for kind, samples in found.items():
                samples.append(stages(Path(folder, "cache"), Path(folder, kind)))
    lines = [f"{'seconds':<30}" + "".join(f"{kind:>14}" for kind in found)]
    for stage in STAGES:
        medians = [statistics.median(sample.get(stage, 0.0) for sample in samples) for samples in found.values()]
        lines.append(f"{stage:<30}" + "".join(f"{median:>14.2f}" for median in medians))
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print."""
    from src.cli import CommandLine, positive  # noqa: PLC0415  (the traced process loads what eval.py loads)

    parser = CommandLine(__doc__)
    parser.add_argument("--repeats", type=positive, default=3, help="starts of each kind")
    print(report(parser.parse()[0].repeats))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--traced"]:
        traced(float(sys.argv[2]), sys.argv[3])
    else:
        from src.cli import run

        run(main)

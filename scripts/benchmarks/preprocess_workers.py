"""Measure how preprocessing gains by processes: clips a second with 1 worker and more, and the share that each adds.

python scripts/benchmarks/preprocess_workers.py --data_path LJSpeech-1.1 --json preprocess_workers.json

The corpus is repeated until it has `--clips` clips, by hard links where it can, since a mel is kept for each path. The
numbers of workers are measured in turn, after a run that does not count, from a corpus to a finished dataset, splits
and all. A share of 1 means that n workers do n times the work of one.
"""

import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.process import Worker, WorkerFailed, alternate
from benchmarks.report import count_cores, describe_machine
from benchmarks.worker import serve
from src.cli import CommandLine, positive, run
from src.config import load_config
from src.data.file_list import read_source
from src.data.preprocess import preprocess
from src.errors import InputError
from src.files import write_json

ROOT = Path(__file__).resolve().parents[2]


def repeat(data_path: Path, n_clips: int, folder: Path) -> None:
    """Make a corpus of `n_clips` clips in `folder`, of hard links to the wavs of another one, or copies.

    Raises:
        InputError: the other corpus cannot be read, or lacks a recording.
    """
    source, lines = read_source(data_path, None), []
    if not source.rows:
        raise InputError(f"{source.list_file}: none of its rows can be used")
    (folder / "wavs").mkdir()
    for i in range(n_clips):
        row = source.rows[i % len(source.rows)]
        lines.append(f"clip{i:06d}|{row.text}")
        wav, link = (source.folder / row.wav).resolve(), folder / "wavs" / f"clip{i:06d}.wav"
        try:
            os.link(wav, link)
        except FileNotFoundError as error:
            raise InputError(f"{source.list_file}:{row.line}: no such recording: {row.wav}") from error
        except OSError:  # another file system
            shutil.copyfile(wav, link)
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def preprocessing(corpus: str, config: dict[str, Any], workers: int) -> Callable[[], None]:
    """Prepare preprocessing by `workers` processes. A run makes the dataset anew."""
    parent = Path(corpus).parent

    def work() -> None:
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            preprocess(Path(folder, "data"), load_config(config), Path(corpus), workers=workers)

    return work


def main() -> None:
    """Parse the command line, measure, print, and write the file."""
    parser = CommandLine(__doc__)
    parser.add_argument(
        "--data_path", type=Path, default=ROOT / "demo_corpus", help="corpus in the layout of LJSpeech (default: demo)"
    )
    parser.add_argument(
        "--config", type=Path, default=ROOT / "config/tacotron2_ljspeech.yaml", help="YAML file of the network"
    )
    parser.add_argument("--clips", type=positive, default=2000, help="clips of the repeated corpus")
    parser.add_argument(
        "--workers", type=positive, nargs="+", default=[1, count_cores()], help="numbers of processes, the first is 1"
    )
    parser.add_argument("--repeats", type=positive, default=3, help="counted runs of each number")
    parser.add_argument("--json", type=Path, default=Path("preprocess_workers.json"), help="file for the numbers")
    parser.add_argument("--worker", action="store_true", help="answer requests of this script, in a process it starts")
    arguments, overrides = parser.parse()
    if arguments.worker:
        serve({"preprocessing": preprocessing})
        return
    config, numbers = load_config(arguments.config, overrides), sorted({1, *arguments.workers})
    try:
        samples = measure(arguments, config.to_dict(), numbers)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None
    alone = median(samples[1])
    rows = []
    for n in numbers:
        seconds = median(samples[n])
        row = {"workers": n, "seconds": samples[n], "clips_per_second": arguments.clips / seconds}
        rows.append(row | {"share": alone / (n * seconds)})
        print(f"{n} workers: {rows[-1]['clips_per_second']:.0f} clips a second, {rows[-1]['share']:.2f} of one each")
    write_json(arguments.json, {"machine": describe_machine(), "clips": arguments.clips, "rows": rows})
    print(f"written: {arguments.json}")


def measure(arguments: Namespace, config: dict[str, Any], numbers: list[int]) -> dict[int, list[float]]:
    """Seconds of preprocessing by each number of workers, in turn; a process holds each."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        corpus = Path(name, "corpus")
        corpus.mkdir()
        repeat(arguments.data_path, arguments.clips, corpus)
        workers = {str(n): stack.enter_context(Worker([sys.executable, __file__, "--worker"])) for n in numbers}
        for label, worker in workers.items():
            task = {"corpus": str(corpus), "config": config, "workers": int(label)}
            worker.ask("prepare", task="preprocessing", arguments=task)
        samples = alternate(workers, arguments.repeats, "preprocessing")
    return {int(label): seconds for label, seconds in samples.items()}


if __name__ == "__main__":
    run(main)

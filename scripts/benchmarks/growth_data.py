"""Measure how time and memory grow with the clips of a dataset's index, and with the sentences of a text.

python scripts/benchmarks/growth_data.py --json growth_data.json --picture growth_data.png

The indices are synthetic; reading one, choosing batch shapes and planning an epoch is what train.py does before its
first step and at each epoch. The text is spoken by the voice that ships, sentence by sentence, as `load_voice` does.
Each point has a process of its own, so that the peak memory is that of this size.
"""

import functools
import io
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

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.process import Worker, WorkerFailed
from benchmarks.report import describe_machine
from benchmarks.worker import serve
from src.cli import CommandLine, positive, run
from src.config import Config
from src.files import read_text, write_atomically, write_json

SENTENCES = Path(__file__).resolve().parents[2] / "demo_voice/sentences.txt"
TITLES = {"clips": "clips in the index", "sentences": "sentences of a text"}
MEASURES = {"seconds": "seconds", "gib": "peak memory of the process in GiB"}


def clips(n: int) -> Callable[[], None]:
    """Prepare an index of `n` clips, of lengths as in LJSpeech. A run reads it and plans an epoch."""
    from src.data.batches import Batches, plan_buckets  # noqa: PLC0415  (takes MindSpore)
    from src.data.corpus import FORMAT, Corpus  # noqa: PLC0415

    folder, config, random = Path(tempfile.mkdtemp()), Config(), np.random.default_rng(0)
    frames = random.integers(100, 860, n).astype(np.int32)
    names = np.array([f"LJ{i:08d}" for i in range(n)])
    wavs = np.array([f"/data/LJSpeech-1.1/wavs/{name}.wav" for name in names])
    np.savez(folder / "train_index.npz", ids=names, wavs=wavs, text_lengths=frames // 6, mel_lengths=frames)
    stats = {"format": FORMAT, "splits": {"train": {"files": ["train.mindrecord0"]}}, "mel_signature": {"n_mels": 80}}
    write_json(folder / "stats.json", stats)
    for name in ("train.mindrecord0", "train.mindrecord0.db"):
        (folder / name).touch()  # never read

    def work() -> None:
        corpus = Corpus(folder)
        buckets = plan_buckets(corpus.text_lengths, corpus.mel_lengths, config.data.n_buckets, 1)
        Batches(corpus, 32, buckets, 0, shuffle=True).plan(1)

    return work


def sentences(n: int) -> Callable[[], None]:
    """Prepare the voice that ships. A run speaks a text of `n` sentences, and keeps none of its sound."""
    from src.synthesis import load_voice  # noqa: PLC0415

    lines = read_text(SENTENCES).splitlines()
    text = " ".join(lines[i % len(lines)].split("|")[-1].rstrip(".,;:") + "." for i in range(n))
    voice = load_voice()
    return functools.partial(_drain, voice, text)


def _drain(voice: Any, text: str) -> None:
    for _ in voice.stream(text):
        pass


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a PNG with a row for each measure and a column for each kind; axes begin at 0."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes_row, (measure, title) in zip(figure.subplots(2, 2), MEASURES.items(), strict=True):
        for axes, (kind, what) in zip(axes_row, TITLES.items(), strict=True):
            chosen = [row for row in rows if row["kind"] == kind]
            axes.plot([row["n"] for row in chosen], [row[measure] for row in chosen], "o-")
            axes.set(xlabel=what, ylabel=title, xlim=(0, None), ylim=(0, None))
            axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=80)
    write_atomically(path, content.getvalue())


def measure(kind: str, n: int, repeats: int) -> dict[str, Any]:
    """Measure a size in a process of its own; the first run does not count."""
    with ExitStack() as stack:
        worker = stack.enter_context(Worker([sys.executable, __file__, "--worker"]))
        worker.ask("prepare", task=kind, arguments={"n": n})
        samples = [worker.ask("run")["seconds"] for _ in range(repeats + 1)][1:]
        return {"kind": kind, "n": n, "seconds": median(samples), "gib": worker.ask("peak_memory")["gib"]}


def series_of(arguments: Namespace) -> dict[str, list[int]]:
    """The sizes of each kind, ascending."""
    return {kind: sorted(getattr(arguments, kind)) for kind in TITLES}


def main() -> None:
    """Parse the command line, measure, draw; the files are written anew after each point."""
    parser = CommandLine(__doc__)
    parser.add_argument(
        "--clips", type=positive, nargs="+", default=[1000, 25000, 50000, 100000], help="clips in the index"
    )
    parser.add_argument("--sentences", type=positive, nargs="+", default=[1, 4, 8, 16], help="sentences of a text")
    parser.add_argument("--repeats", type=positive, default=3, help="counted runs of each size")
    parser.add_argument("--json", type=Path, default=Path("growth_data.json"), help="file for the numbers")
    parser.add_argument("--picture", type=Path, default=Path("growth_data.png"), help="file for the picture")
    parser.add_argument("--worker", action="store_true", help="answer requests of this script, in a process it starts")
    arguments, _ = parser.parse()
    if arguments.worker:
        serve({"clips": clips, "sentences": sentences})
        return
    rows: list[dict[str, Any]] = []
    try:
        sizes = [(kind, n) for kind, series in series_of(arguments).items() for n in series]
        for kind, n in tqdm(sizes, desc="sizes"):
            rows.append(row := measure(kind, n, arguments.repeats))
            tqdm.write(f"{n} {TITLES[kind]}: {row['seconds']:.3g} s, {row['gib']:.2f} GiB")
            write_json(arguments.json, {"machine": describe_machine(), "rows": rows})
            draw(rows, arguments.picture)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None
    print(f"written: {arguments.json}, {arguments.picture}")


if __name__ == "__main__":
    run(main)

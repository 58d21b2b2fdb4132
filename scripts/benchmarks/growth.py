"""Measure how time and memory of a training step grow with clips, frames and symbols: ours against torchaudio's.

    python scripts/benchmarks/growth.py --peer_python /path/to/that/python --json growth.json --picture growth.png

One size varies while the other two stay at --shape. Each point has processes of its own, so that their peak memory is
that of this size. Their steps run in turn, and the time is a median. The first step of ours compiles, and is listed
apart.
"""

import io
import json
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.process import OURS, PEER, WorkerFailed, add_peer_flags, alternate, commands, prepare, read_shape
from benchmarks.report import describe_machine
from src.cli import CommandLine, positive, run
from src.config import load_config
from src.errors import InputError
from src.files import write_atomically

SIZES = ("batch", "frames", "text")
MEASURES = {
    "seconds": "seconds a step",
    "gib": "peak memory of the process in GiB",
    "first_seconds": "seconds of the first step",
}


def points(shape: tuple[int, int, int], series: dict[str, list[int]]) -> list[tuple[int, int, int]]:
    """Shapes to measure: those of all series, each once."""
    found = [(*shape[:place], value, *shape[place + 1 :]) for place, size in enumerate(SIZES) for value in series[size]]
    return list(dict.fromkeys(found))


def measure(shape: tuple[int, int, int], config: dict[str, Any], arguments: Namespace) -> dict[str, dict[str, float]]:
    """Measure training steps of a shape, for each side."""
    with ExitStack() as stack:
        workers = prepare(
            stack, commands(arguments), "training", config, {side: (side, *shape) for side in (OURS, PEER)}
        )
        first = {side: worker.ask("run")["seconds"] for side, worker in workers.items()}
        samples = alternate(workers, arguments.repeats, "x".join(map(str, shape)))
        peaks = {side: worker.ask("peak_memory")["gib"] for side, worker in workers.items()}
    return {
        side: {"seconds": median(samples[side]), "gib": peaks[side], "first_seconds": first[side]} for side in workers
    }


def draw(rows: list[dict[str, Any]], shape: tuple[int, int, int], path: Path) -> None:
    """Draw a PNG with a row for each measure and a column for each size.

    Both axes begin at 0, so proportional growth is a line through the origin.
    """
    figure = Figure(figsize=(12, 9), layout="constrained")
    grid = figure.subplots(len(MEASURES), len(SIZES), sharey="row")
    for axes_row, (measure_name, title) in zip(grid, MEASURES.items(), strict=True):
        for place, (axes, size) in enumerate(zip(axes_row, SIZES, strict=True)):
            others = [other for other in range(len(SIZES)) if other != place]
            chosen = sorted(
                (row for row in rows if all(row["shape"][n] == shape[n] for n in others)),
                key=lambda row: row["shape"][place],
            )
            for side in (OURS, PEER):
                axes.plot(
                    [row["shape"][place] for row in chosen],
                    [row[side][measure_name] for row in chosen],
                    "o-",
                    label=side,
                )
            fixed = ", ".join(f"{SIZES[n]} {shape[n]}" for n in others)
            axes.set(xlabel=f"{size} ({fixed})", xlim=(0, None))
            axes.grid(alpha=0.3)
        axes_row[0].set(ylabel=title, ylim=(0, None))  # the row shares it, so all of it must be drawn before
    grid[0][0].legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=80)
    write_atomically(path, content.getvalue())


def main() -> None:
    """Parse the command line, measure, draw; the files are written anew after each point."""
    parser = CommandLine(__doc__)
    parser.add_argument("--config", type=Path, help="YAML file of the network (default: full width)")
    parser.add_argument(
        "--shape", type=read_shape, default=(4, 200, 80), help="values of the other two sizes (default: 4x200x80)"
    )
    parser.add_argument("--batch", type=positive, nargs="+", default=[1, 4, 16], help="numbers of clips")
    parser.add_argument("--frames", type=positive, nargs="+", default=[100, 200, 400, 800], help="frames of a clip")
    parser.add_argument("--text", type=positive, nargs="+", default=[40, 80, 160, 320], help="symbols of a text")
    parser.add_argument("--repeats", type=positive, default=3, help="counted steps of each side")
    parser.add_argument("--json", type=Path, default=Path("growth.json"), help="file for the numbers")
    parser.add_argument("--picture", type=Path, default=Path("growth.png"), help="file for the picture")
    add_peer_flags(parser)
    arguments, overrides = parser.parse()
    config = load_config(arguments.config, overrides)
    if config.model.name != "tacotron2" or config.model.reduction_factor != 1:
        raise InputError("--config must be of a Tacotron 2 whose model.reduction_factor is 1, as torchaudio's is")
    result: dict[str, Any] = {"machine": describe_machine(), "config": config.to_dict(), "rows": []}
    try:
        for shape in tqdm(points(arguments.shape, vars(arguments)), desc="shapes"):
            row = {"shape": shape, **measure(shape, result["config"], arguments)}
            result["rows"].append(row)
            numbers = ", ".join(
                f"{side} {row[side]['seconds']:.3g} s {row[side]['gib']:.2f} GiB" for side in (OURS, PEER)
            )
            tqdm.write(f"{'x'.join(map(str, shape))}: {numbers}, first step {row[OURS]['first_seconds']:.1f} s")
            write_atomically(arguments.json, (json.dumps(result, indent=1) + "\n").encode())
            draw(result["rows"], arguments.shape, arguments.picture)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None
    print(f"written: {arguments.json}, {arguments.picture}")


if __name__ == "__main__":
    run(main)

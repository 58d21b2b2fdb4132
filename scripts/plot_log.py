"""Draw the logs of training runs: losses, learning rate, gradient norm, times, loss scale, alignment score.

python scripts/plot_log.py outdir
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import run
from src.errors import InputError
from src.plotting import save_curves
from src.train.log import TrainingLog


def main() -> None:
    """Parse the command line, read, draw, print the picture's path."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "output_dir",
        type=Path,
        nargs="+",
        metavar="OUTPUT_DIR",
        help="output folder of train.py, whose run need not have ended; several are drawn over each other",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE.png", help="the picture (default: log.png in the first folder)"
    )
    arguments = parser.parse_args()
    picture = arguments.output or arguments.output_dir[0] / "log.png"
    if picture.suffix.lower() != ".png":
        raise InputError(f"{picture}: the picture is a PNG; its name must end with .png")
    for folder in arguments.output_dir:
        if not (folder / "log.jsonl").is_file():
            raise InputError(f"{folder}: no log.jsonl in it; give the output folder of a training")
    save_curves(picture, {str(folder): TrainingLog(folder / "log.jsonl").rows() for folder in arguments.output_dir})
    print(picture)


if __name__ == "__main__":
    run(main)

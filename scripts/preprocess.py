"""Make a MindRecord dataset of recordings: a corpus in the LJSpeech layout, or a list of `path|text`.

python scripts/preprocess.py --data_path LJSpeech-1.1 --output_dir data/ljspeech --config config/tacotron2_ljspeech.yaml
"""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # one core per worker process; read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.config import load_config
from src.data.file_list import BadRowsError
from src.data.preprocess import preprocess


def main() -> None:
    """Parse the command line, preprocess, report."""
    parser = CommandLine(__doc__)
    parser.add_argument(
        "--data_path",
        type=Path,
        help="folder with metadata.csv and wavs/, or the folder that the paths in --file_list start from",
    )
    parser.add_argument(
        "--file_list",
        type=Path,
        help="list of path|text, in place of metadata.csv; paths start from --data_path or the list's folder",
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="the dataset folder to make")
    parser.add_argument("--config", type=Path, help="YAML file; every key can also be given as a flag")
    parser.add_argument(
        "--val_ids", type=Path, help="file with one validation id per line, instead of data.val_fraction"
    )
    parser.add_argument(
        "--train_ids",
        type=Path,
        help="file with one training id per line; without it, all ids that are not in --val_ids",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="number of processes (default: one per core)"
    )
    parser.add_argument("--skip_bad", action="store_true", help="leave bad rows out and list them in skipped.csv")
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset of other recordings or settings")
    arguments, overrides = parser.parse()
    config = load_config(arguments.config, overrides)
    options = {
        key: getattr(arguments, key)
        for key in ("data_path", "file_list", "val_ids", "train_ids", "workers", "skip_bad", "overwrite")
    }
    try:
        stats, already_done = preprocess(arguments.output_dir, config, **options)
    except BadRowsError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        raise
    if already_done:
        print(f"{arguments.output_dir} is already done, with these recordings and settings; --overwrite makes it again")
    for split, numbers in stats["splits"].items():
        print(f"{split}: {numbers['clips']} clips, {numbers['hours']:.2f} hours, {numbers['frames']} frames")
    if stats["skipped"]:
        print(f"skipped: {stats['skipped']} bad rows, see {arguments.output_dir / 'skipped.csv'}")
    if stats["left_out"]:
        print(f"left out: {stats['left_out']} clips that are in neither id list")


if __name__ == "__main__":
    run(main)

"""Make a MindRecord dataset of recordings: a corpus in the LJSpeech layout, or a list of recordings and texts.

python scripts/preprocess.py --data_path LJSpeech-1.1 --output_dir data/ljspeech --config config/tacotron2_ljspeech.yaml
"""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # one core per worker process; read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.config import load_config
from src.data.audio_checks import read_csv
from src.data.file_list import BadRowsError
from src.data.preprocess import preprocess
from src.errors import InputError, some_of
from src.plotting import save_overview


def command_line() -> CommandLine:
    """Define the flags."""
    parser = CommandLine(__doc__)
    parser.add_argument(
        "--data_path",
        type=Path,
        help="folder with metadata.csv and wavs/, or the folder that the paths in --file_list start from",
    )
    parser.add_argument(
        "--file_list",
        type=Path,
        help="list of path|text, path|text|speaker and the like, csv with a header or JSON lines, in place of "
        "metadata.csv; paths start from --data_path or the list's folder",
    )
    parser.add_argument(
        "--columns",
        help="what the list's columns are, in order (id, path, text, normalised, speaker, - for none), such as "
        "path,speaker,text; or by names, such as path=clip,text=sentence (default: recognised, and printed)",
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="the dataset folder to make")
    parser.add_argument("--config", type=Path, help="YAML file; every key can also be given as a flag")
    parser.add_argument("--val_file_list", type=Path, help="a second list, like --file_list, of the validation clips")
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
    parser.add_argument(
        "--report",
        type=Path,
        metavar="PNG",
        help="draw an overview of the recordings: lengths, pace, silence, loudness, and the 20 that stand out most",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset of other recordings or settings")
    return parser


def main() -> None:
    """Parse the command line, preprocess, report."""
    arguments, overrides = command_line().parse()
    if arguments.report and arguments.report.suffix.lower() != ".png":
        raise InputError(f"{arguments.report}: the report is a picture; its name must end with .png")
    config = load_config(arguments.config, overrides)
    names = "data_path file_list columns val_file_list val_ids train_ids workers skip_bad overwrite"
    options = {key: getattr(arguments, key) for key in names.split()}
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
    if too_long := stats.get("too_long"):
        print(f"left out: {len(too_long)} clips longer than data.max_seconds: {some_of(too_long, 10)}")
    if arguments.report:
        _report(arguments.output_dir, arguments.report)


def _report(dataset: Path, picture: Path) -> None:
    table = dataset / "audio.csv"
    if not table.exists():
        raise InputError(f"{table}: is missing, the dataset was made by an earlier version; make it with --overwrite")
    save_overview(picture, read_csv(table), dataset.resolve().name)
    print(f"overview of the recordings: {picture}")


if __name__ == "__main__":
    run(main)

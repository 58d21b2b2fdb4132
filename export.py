"""Write a trained network in a format for inference, after a comparison with the network itself.

python export.py --checkpoint x.ckpt --file_format MINDIR --output_dir out
python export.py --checkpoint x.ckpt --file_format MINDIR --fixed_frames 400 --output_dir out
python export.py --checkpoint x.ckpt --file_format ONNX --model.prenet_dropout 0 --output_dir out
"""

import sys
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` leaves it out

from src.cli import CommandLine, positive, run
from src.export.writing import ExportMismatch, FileFormat, export


def main() -> None:
    """Parse the command line, export, report."""
    command = CommandLine(__doc__)
    command.add_argument("--checkpoint", type=Path, required=True, help="the network, a Tacotron 2 or a WaveGlow")
    command.add_argument(
        "--file_format",
        choices=get_args(FileFormat),
        required=True,
        help="ONNX takes requirements-onnx.txt, AIR an Ascend",
    )
    command.add_argument(
        "--output_dir", type=Path, required=True, help="folder for the files, each with a description (.json) beside it"
    )
    command.add_argument(
        "--max_symbols",
        type=positive,
        help="of Tacotron 2 as MINDIR or AIR: longest text (default: text.max_sentence_length)",
    )
    command.add_argument("--speaker", help="voice of the files, if the network has several (default: the first)")
    command.add_argument(
        "--fixed_frames",
        type=positive,
        metavar="FRAMES",
        help="of MINDIR: also write parts of fixed sizes and without loops, that take so many frames at once",
    )
    command.add_argument(
        "--verify", action=BooleanOptionalAction, default=True, help="run what was written and compare (default: yes)"
    )
    arguments, overrides = command.parse()
    try:
        done = export(**vars(arguments), overrides=overrides)
    except ExportMismatch as error:
        raise SystemExit(f"error: {error}") from None
    for file, difference in done:
        checked = (
            "not compared with the network"
            if difference is None
            else f"largest relative difference to the network {difference:.1e}"
        )
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB, {checked}")


if __name__ == "__main__":
    run(main)

"""Turn a checkpoint of another Tacotron 2 implementation into ours: python scripts/convert_checkpoint.py SOURCE DEST.ckpt"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jsonargparse import ArgumentParser

from src.cli import run
from src.convert import convert


def main() -> None:
    """Parse the command line, convert, report."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("source", type=str, help="checkpoint to convert: a PyTorch file of plain tensors")
    parser.add_argument("destination", type=str, help="path of the .ckpt to write")
    parser.add_argument("--source", dest="layout", type=Literal["auto", "nvidia"], default="auto", help="layout of the source")
    parser.add_argument("--config", type=str, help="YAML file with what tensors do not tell, such as the audio settings")
    arguments = parser.parse_args()
    config = convert(arguments.source, arguments.destination, arguments.layout, arguments.config)
    print(
        f"{arguments.destination}: {config.model.name}, {config.audio.n_mels} mel bands, reduction factor {config.model.reduction_factor}"
    )


if __name__ == "__main__":
    run(main)

"""Turn a checkpoint of another Tacotron 2 implementation into ours: python scripts/convert_checkpoint.py SOURCE DEST.ckpt"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.convert import convert


def main() -> None:
    """Parse the command line, convert, report."""
    parser = CommandLine(__doc__)
    parser.usage = "%(prog)s SOURCE DEST.ckpt [--flag value ...] [--section.key value ...]"
    parser.add_argument("source", metavar="SOURCE", help="checkpoint to convert: a PyTorch file of plain tensors")
    parser.add_argument("destination", metavar="DEST.ckpt", help="path of the .ckpt to write")
    parser.add_argument("--source", dest="layout", choices=("auto", "nvidia"), default="auto", help="layout of the source")
    parser.add_argument("--config", help="YAML file with what tensors do not tell, such as the audio settings; keys can be flags too")
    arguments, overrides = parser.parse()
    config = convert(arguments.source, arguments.destination, arguments.layout, arguments.config, overrides)
    print(
        f"{arguments.destination}: {config.model.name}, {config.audio.n_mels} mel bands, reduction factor {config.model.reduction_factor}"
    )


if __name__ == "__main__":
    run(main)

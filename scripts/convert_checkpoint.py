"""Turn a checkpoint of another Tacotron 2 or WaveGlow implementation into ours, or ours into a PyTorch file.

python scripts/convert_checkpoint.py SOURCE DEST.ckpt
python scripts/convert_checkpoint.py SOURCE.ckpt DEST.pt --to torch
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.config import Tacotron2Config
from src.convert.conversion import convert, to_torch
from src.convert.layouts import LAYOUTS
from src.errors import InputError, some_of


def main() -> None:
    """Parse the command line, convert, report."""
    parser = CommandLine(__doc__.splitlines()[0])
    parser.usage = "%(prog)s SOURCE DEST [--flag value ...] [--section.key value ...]"
    parser.add_argument("source", metavar="SOURCE", help="checkpoint to convert: a PyTorch file or a MindSpore .ckpt")
    parser.add_argument("destination", metavar="DEST", help="path of the .ckpt to write, or with --to torch of the .pt")
    parser.add_argument(
        "--source",
        dest="layout",
        choices=("auto", *LAYOUTS),
        default="auto",
        help="layout of SOURCE; auto recognises it by its names (default)",
    )
    parser.add_argument(
        "--config",
        help="YAML file for what tensors cannot tell, such as audio settings; sizes are those of the tensors",
    )
    parser.add_argument(
        "--symbols", metavar="FILE", help="symbols in the order of the embedding's rows: a JSON list, or one to a line"
    )
    parser.add_argument(
        "--to", choices=("mindspore", "torch"), default="mindspore", help="torch: write our SOURCE in NVIDIA's layout"
    )
    arguments, overrides = parser.parse()
    if arguments.to == "torch":
        if arguments.config or arguments.symbols or overrides or arguments.layout != "auto":
            raise InputError(
                "--to torch takes everything from the checkpoint; leave --source, --config, --symbols and keys out"
            )
        done = to_torch(arguments.source, arguments.destination)
    else:
        done = convert(
            arguments.source, arguments.destination, arguments.layout, arguments.config, overrides, arguments.symbols
        )
    config = done.config
    if isinstance(config.model, Tacotron2Config):
        network = f"reduction factor {config.model.reduction_factor}, {config.model.n_symbols} symbols"
    else:
        network = f"{config.model.n_flows} flows, {config.model.wn_channels} channels, hop {config.audio.hop_length}"
    print(
        f"{arguments.destination}: {config.model.name}, {config.audio.n_mels} mel bands, {network}, "
        f"{config.audio.sample_rate} Hz, step {done.step}; layout: {done.layout}"
    )
    if done.layout == "zoo" and not arguments.config:
        flavour = "for the `official` flavour add --config config/tacotron2_zoo_official.yaml"
        print(f"taken for the model zoo's `research` flavour; {flavour}")
    if done.left_out:
        print(f"left out, as it belongs to a training: {some_of(done.left_out)}")


if __name__ == "__main__":
    run(main)

"""Turn a checkpoint of another Tacotron 2 or WaveGlow implementation into ours, or any of them into a file for PyTorch.

python scripts/convert_checkpoint.py SOURCE DEST.ckpt
python scripts/convert_checkpoint.py SOURCE DEST.{pt,safetensors} [--names nvidia|dle]
"""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.config import Tacotron2Config
from src.convert.conversion import Conversion, convert
from src.convert.layouts import LAYOUTS
from src.convert.to_torch import NAMINGS, SUFFIXES, convert_to_torch, is_ours, to_torch
from src.errors import InputError, some_of
from src.text.cleaners import CLEANERS


def main() -> None:
    """Parse the command line, convert, report."""
    parser = _parser()
    arguments, overrides = parser.parse()
    done = _convert(arguments, overrides)
    config = done.config
    if isinstance(config.model, Tacotron2Config):
        network = f"reduction factor {config.model.reduction_factor}, {config.model.n_symbols} symbols"
    else:
        network = f"{config.model.n_flows} flows, {config.model.wn_channels} channels, hop {config.audio.hop_length}"
    print(
        f"{arguments.destination}: {config.model.name}, {config.audio.n_mels} mel bands, {network}, "
        f"{config.audio.sample_rate} Hz, step {done.step}; layout: {done.layout}"
    )
    for note in done.notes:
        print(note)
    if done.layout == "zoo" and not arguments.config:
        print(
            "taken for the model zoo's `research` flavour; "
            "for the `official` one add --config config/tacotron2_zoo_official.yaml"
        )
    if done.left_out:
        print(f"left out, as it belongs to a training: {some_of(done.left_out)}")


def _parser() -> CommandLine:
    parser = CommandLine(__doc__)
    parser.usage = "%(prog)s SOURCE DEST [--flag value ...] [--section.key value ...]"
    add = parser.add_argument
    add("source", metavar="SOURCE", help="checkpoint to convert: a PyTorch or safetensors file, or a MindSpore .ckpt")
    add("destination", metavar="DEST", help="file to write; its end, .ckpt, .pt or .safetensors, says which kind")
    add(
        "--source",
        dest="layout",
        choices=("auto", *LAYOUTS),
        default="auto",
        help="layout of SOURCE; auto tells it by names (default)",
    )
    add(
        "--config",
        help="YAML file with what tensors do not tell, such as the audio settings; sizes in it give way to theirs. "
        "Keys can be flags",
    )
    add("--source_config", metavar="FILE", help="the foreign training's config.json; coqui's layout needs it")
    add("--symbols", metavar="FILE", help="symbols in the order of the embedding's rows: a JSON list, or one to a line")
    add("--cleaner", choices=tuple(CLEANERS), help="text cleaner of a network with symbols of its own")
    add(
        "--weights",
        metavar="PLACE",
        help="which weights of a PyTorch file with several, such as ema or model.generator",
    )
    add(
        "--names",
        choices=NAMINGS,
        help="naming in a .pt or .safetensors: NVIDIA's (default) or that of DeepLearningExamples",
    )
    add("--to", choices=("mindspore", "torch"), help="not needed any more: the end of DEST says it")
    return parser


def _convert(arguments: Namespace, overrides: dict[str, Any]) -> Conversion:
    """Convert in the direction that the ends of the files say."""
    source, destination = arguments.source, arguments.destination
    to_pytorch = Path(destination).suffix in SUFFIXES or arguments.to == "torch"
    if arguments.names and not to_pytorch:
        raise InputError("--names is for a DEST that ends in .pt or .safetensors")
    if arguments.cleaner:
        overrides = {**overrides, "text.cleaner": arguments.cleaner}
    options = {
        "layout": arguments.layout,
        "config": arguments.config,
        "overrides": overrides,
        "symbols": arguments.symbols,
        "weights": arguments.weights,
        "source_config": arguments.source_config,
    }
    if not to_pytorch:
        return convert(source, destination, **options)
    if not is_ours(source):
        return convert_to_torch(source, destination, arguments.names or NAMINGS[0], **options)
    if any(value for value in options.values() if value != "auto"):
        raise InputError(
            f"{source}: is a checkpoint of this project and tells everything; give SOURCE, DEST and --names"
        )
    return to_torch(source, destination, arguments.names or NAMINGS[0])


if __name__ == "__main__":
    run(main)

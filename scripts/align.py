"""Write the teacher-forced mel, the alignment and the durations of every clip of a dataset.

python scripts/align.py --checkpoint outdir/best.ckpt --data_path data/ljspeech --output_dir aligned
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src import runtime
from src.cli import CommandLine, positive, run, seed
from src.config import network_of
from src.errors import InputError
from src.models.factory import create_model
from src.train.teacher_forcing import align


def main() -> None:
    """Parse the command line, load the network, align."""
    parser = CommandLine(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a Tacotron 2, with its configuration inside")
    parser.add_argument(
        "--data_path", type=Path, required=True, help="dataset of scripts/preprocess.py; all of its splits are aligned"
    )
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="folder for the files; an interrupted run in it is continued"
    )
    parser.add_argument("--batch_size", type=positive, help="clips at a time (default: train.batch_size)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the prenet's dropout")
    parser.add_argument("--overwrite", action="store_true", help="replace the mels of another network or dataset")
    arguments, overrides = parser.parse()
    runtime.setup(arguments.seed)
    net = create_model(checkpoint=arguments.checkpoint, overrides=overrides)
    if network_of(net.config).kind != "acoustic":
        raise InputError(f"{arguments.checkpoint}: is a {net.config.model.name}, which reads no text")
    batch_size = arguments.batch_size or net.config.train.batch_size
    counts = align(net, arguments.data_path, arguments.output_dir, batch_size, arguments.overwrite)
    there = f", {counts['there']} were there" if counts["there"] else ""
    print(f"{arguments.output_dir}: {counts['written']} clips aligned{there}; train a WaveGlow on them by --data.mels")


if __name__ == "__main__":
    run(main)

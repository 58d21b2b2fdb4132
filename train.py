"""Train a network on a preprocessed corpus."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` leaves it out

from src import runtime
from src.cli import CommandLine, run
from src.config import load_config
from src.errors import InputError
from src.train.divergence import Diverged
from src.train.loop import Training
from src.train.run_folder import latest


def main() -> None:
    """Parse the command line, train, report where the results are."""
    command = CommandLine(
        "Train a network on a corpus made by scripts/preprocess.py. "
        "Ctrl-C saves a checkpoint and exits with code 130 or 143."
    )
    command.add_argument(
        "--config", type=str, help="YAML file of the configuration (default when resuming: the run's own)"
    )
    command.add_argument(
        "--data_path", type=str, help="folder made by scripts/preprocess.py (default when resuming: the run's own)"
    )
    command.add_argument("--output_dir", type=str, help="new folder for log, pictures and checkpoints")
    command.add_argument(
        "--resume", type=str, metavar="OUTPUT_DIR", help="go on with the run in this folder from its newest checkpoint"
    )
    command.add_argument(
        "--warm_start",
        type=str,
        metavar="CKPT",
        help="begin with the weights of this checkpoint, embeddings symbol by symbol (no use when resuming)",
    )
    command.add_argument(
        "--ignore_layers", type=str, metavar="A,B", help="parameters that --warm_start leaves fresh, such as embedding"
    )
    command.add_argument("--target_val_loss", type=float, help="stop when the validation loss is not above this")
    arguments, overrides = command.parse()

    if arguments.ignore_layers and not arguments.warm_start:
        raise InputError("--ignore_layers says what --warm_start leaves out; give --warm_start too")
    runtime.meet_ranks()
    with runtime.first_rank_first():  # rank 0 renames damaged checkpoints
        resume = latest(arguments.resume) if arguments.resume else None
    output_dir = Path(arguments.output_dir or arguments.resume or "")
    if resume and output_dir.resolve() != Path(arguments.resume).resolve():
        raise InputError(
            f"--output_dir {output_dir} is not the run to --resume, {arguments.resume}; leave one of them out"
        )
    data_path = arguments.data_path or (resume and resume.extra.get("data_path"))
    if not (data_path and (arguments.output_dir or arguments.resume)):
        raise InputError("--data_path and --output_dir are needed, or --resume")
    config = load_config(arguments.config or (Path(arguments.resume) / "config.yaml" if resume else None), overrides)

    ignore_layers = [name.strip() for name in (arguments.ignore_layers or "").split(",") if name.strip()]
    try:
        training = Training(config, data_path, output_dir, resume, arguments.warm_start, ignore_layers)
        outcome = training.run(arguments.target_val_loss)
    except Diverged as error:
        raise SystemExit(f"error: {error}") from None
    best = f", best: {output_dir / 'best.ckpt'}" if (output_dir / "best.ckpt").exists() else ""
    print(f"checkpoint: {outcome.checkpoint}{best}, pictures: {output_dir}/*.png")
    if not outcome.finished:
        cause = outcome.stopped_by.name if outcome.stopped_by else "train.max_hours"
        print(f"stopped by {cause} at step {outcome.progress.step}; go on with --resume {output_dir}")
    if outcome.stopped_by:
        raise SystemExit(128 + outcome.stopped_by)


if __name__ == "__main__":
    run(main)

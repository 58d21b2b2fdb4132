"""What all command-line scripts share: dotted configuration flags, one-line errors, exit codes."""

import math
import re
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, Literal, NoReturn, get_args, get_origin

from src.config import KEYS, SECTIONS, nearest_key, typed
from src.errors import InputError


class CommandLine(ArgumentParser):
    """A parser with every configuration key as a dotted flag; `parse` tells which of them were given.

    It is argparse's, as jsonargparse's would take `--text` and `--data` for whole sections.
    """

    def __init__(self, description: str):
        super().__init__(
            description=description, usage="%(prog)s [--flag value ...] [--section.key value ...]", allow_abbrev=False
        )
        for name, kinds in SECTIONS.items():
            for section in kinds:
                self._add_section(name, section)

    def _add_section(self, name: str, section: type) -> None:
        group = self.add_argument_group(getattr(section, "name", name), section.__doc__.splitlines()[0])
        explanations = dict(re.findall(r"^ +(\w+): (.+)$", section.__doc__, re.MULTILINE))
        for key in fields(section):
            if KEYS[f"{name}.{key.name}"] is key:  # not so model.name of all networks but the first
                kind = "|".join(get_args(key.type)) if get_origin(key.type) is Literal else key.type.__name__
                default = f"{len(key.default_factory())} items" if key.default is MISSING else key.default
                explanation = f"{explanations[key.name]} ({kind}, default: {default})".replace("%", "%%")
                group.add_argument(f"--{name}.{key.name}", metavar="VALUE", default=SUPPRESS, help=explanation)

    def parse(self, argv: list[str] | None = None) -> tuple[Namespace, dict[str, Any]]:
        """Parse `argv` (default: the process's). Returns the script's arguments and the configuration keys given, `{dotted key: value}`."""
        arguments = self.parse_args(argv)
        given = {key: vars(arguments).pop(key) for key in KEYS if key in arguments}
        try:
            return arguments, typed(given)
        except InputError as error:
            self.error(str(error))

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with code 2."""
        message = " ".join(message.split())
        unknown = re.search(r"--(\w+\.\w+)", message)
        if "nrecognized" in message and unknown:
            message = f"unknown key '{unknown[1]}'; did you mean '{nearest_key(unknown[1])}'?"
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def positive(text: str) -> int:
    """A count given on the command line.

    Raises:
        ArgumentTypeError: it is below 1.
    """
    if int(text) < 1:
        raise ArgumentTypeError(f"is {text}, but must be at least 1")
    return int(text)


def amount(text: str) -> float:
    """A number given on the command line that is not negative.

    Raises:
        ArgumentTypeError: it is, or is not finite.
    """
    if not 0 <= float(text) < math.inf:
        raise ArgumentTypeError(f"is {text}, but must be at least 0")
    return float(text)


def seed(text: str) -> int:
    """A number given on the command line that every generator takes as its seed.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= int(text) < 2**32:
        raise ValueError
    return int(text)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script's `main` and leave with its exit code: 0 done, 2 bad input or no permission (one line on stderr), 130 Ctrl-C, 1 else."""
    try:
        main()
    except (InputError, PermissionError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)

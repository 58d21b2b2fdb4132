"""The command line of all scripts: dotted configuration flags, one-line errors, exit codes."""

import contextlib
import errno
import math
import os
import re
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, NoReturn, get_args, get_origin

from src.config import NETWORKS, keys, nearest_key, sections, typed
from src.errors import InputError, one_line
from src.text.registry import CLEANERS

# Errors of the system that a user can mend: a full disk, a name that is too long, a folder in the place of a file ...
USERS_ERRORS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "ENAMETOOLONG", "ENOTDIR", "EISDIR", "ELOOP", "EFBIG", "ENODEV", "ENXIO")
}


class CommandLine(ArgumentParser):
    """A parser with every configuration key as a dotted flag.

    It builds on argparse because jsonargparse would take `--text` and `--data` for whole sections.
    """

    def __init__(self, description: str | None):
        first_line = (description or "").partition("\n")[0]  # of a docstring, which `python -OO` leaves out
        super().__init__(
            description=first_line, usage="%(prog)s [--flag value ...] [--section.key value ...]", allow_abbrev=False
        )
        known = keys()
        for name, kinds in sections().items():
            for section in kinds:
                group = self.add_argument_group(getattr(section, "name", name), section.__doc__)
                for field in fields(section):
                    key = f"{name}.{field.name}"
                    if known[key] is field:  # a key that two networks share belongs to the first
                        text = f"{field.metadata['explanation']} ({facts(key, field)})".replace("%", "%%")
                        group.add_argument(f"--{key}", metavar="VALUE", default=SUPPRESS, help=text)

    def parse(self, argv: list[str] | None = None) -> tuple[Namespace, dict[str, Any]]:
        """Parse `argv` (default: the process's).

        Returns:
            The script's own arguments, and the configuration keys that were given, by dotted key.
        """
        arguments = self.parse_args(argv)
        given = {key: vars(arguments).pop(key) for key in keys() if key in arguments}
        try:
            return arguments, typed(given)
        except InputError as error:
            self.error(str(error))

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with code 2."""
        message = one_line(message)
        unknown = re.search(r"--(\w+\.\w+)", message)
        if "nrecognized" in message and unknown:
            message = f"unknown key '{unknown[1]}'; did you mean '{nearest_key(unknown[1])}'?"
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def facts(key: str, field: Field) -> str:
    """Describe type, bounds and default of a configuration key, for help texts and pages."""
    kind = "|".join(get_args(field.type)) if get_origin(field.type) is Literal else getattr(field.type, "__name__", "")
    if registry := {"model.name": NETWORKS, "text.cleaner": CLEANERS}.get(key):
        kind = "|".join(registry)
    default = field.default_factory() if field.default is MISSING else field.default
    default = f"{len(default)} items" if isinstance(default, list | dict) and len(default) > 3 else default
    return ", ".join(filter(None, (kind, str(field.metadata["bounds"]), f"default: {default}")))


def positive(text: str) -> int:
    """Read a count from the command line.

    Raises:
        ArgumentTypeError: it is below 1.
    """
    if int(text) < 1:
        raise ArgumentTypeError(f"is {text}, but must be at least 1")
    return int(text)


def amount(text: str) -> float:
    """Read a number from the command line that is not negative.

    Raises:
        ArgumentTypeError: it is negative or not finite.
    """
    if not 0 <= float(text) < math.inf:
        raise ArgumentTypeError(f"is {text}, but must be at least 0")
    return float(text)


def seed(text: str) -> int:
    """Read a seed from the command line, in the range that every random generator takes.

    Raises:
        ValueError: it is outside the range.
    """
    if not 0 <= int(text) < 2**32:
        raise ValueError
    return int(text)


def spoken(text: str) -> str:
    """Read a text from the command line.

    Where the locale is not UTF-8, Python hands on the bytes beyond ASCII as lone surrogates; they are decoded here.

    Raises:
        ArgumentTypeError: the bytes are not UTF-8.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError as error:
        raise ArgumentTypeError("is not UTF-8 text") from error


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script's `main` and exit.

    0 done; 2 bad input, no permission, or an output that cannot be written (one line on stderr); 130 Ctrl-C; 1 failure.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may hold any byte, and a locale few characters
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            main()
        finally:
            sys.stdout.flush()
    except (InputError, PermissionError) as error:
        _end(error)
    except BrokenPipeError:  # whoever read this has enough
        _end(None)
    except OSError as error:
        if error.errno not in USERS_ERRORS:
            raise
        _end(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)


def _end(error: Exception | None) -> NoReturn:
    """Print the error, if there is one, in one line, and exit with code 2."""
    if error is not None:
        print(f"error: {one_line(error)}", file=sys.stderr)
    with contextlib.suppress(OSError):  # what is left in the buffer cannot be written; Python would try it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(2) from None

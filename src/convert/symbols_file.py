"""Symbol tables in files."""

import json
from pathlib import Path

from src.errors import InputError


def read_symbols(path: str | Path) -> list[str]:
    """The symbols of a JSON list, or of a file with one to a line, in order. White space counts: a line of one space is the space.

    Raises:
        InputError: the file cannot be read, or is no such list.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    try:
        symbols = json.loads(text)
    except ValueError:
        symbols = text.removesuffix("\n").split("\n")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
        raise InputError(f"{path}: neither a JSON list of symbols nor one symbol to a line")
    return symbols

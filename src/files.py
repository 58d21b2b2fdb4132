"""Files that appear whole or not at all."""

import os
from pathlib import Path

from src.errors import InputError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` through a temporary name in the same folder; what stood there before stays until the new file is complete.

    Raises:
        InputError: the file cannot be written (no such folder, no permission, disk full).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)

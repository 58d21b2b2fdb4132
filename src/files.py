"""Reading text, writing files atomically, digests of files, and folders locked by one process."""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO

from src.errors import InputError


def read_text(path: str | Path) -> str:
    """Read a text file that a user wrote: UTF-8, with or without a byte order mark; every line ending becomes a newline.

    Raises:
        InputError: the file cannot be read, or is not UTF-8; names the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` through a temporary name in the same folder; what stood there before stays until the new file is complete.

    Raises:
        InputError: the file cannot be written (no such folder, no permission, disk full).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):  # what made the writing fail may forbid this too
            partial.unlink(missing_ok=True)


def sha256_of(content: bytes | Path) -> str:
    """Hexadecimal digest of bytes, or of what a file holds.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return hashlib.sha256(content.read_bytes() if isinstance(content, Path) else content).hexdigest()
    except OSError as error:
        raise InputError(f"{content}: cannot be read ({error.strerror})") from error


def claim_folder(folder: str | Path) -> IO[str]:
    """Make `folder` unless it is there, have it for this process alone, and delete what a killed one left half written in it.

    Returns:
        The open file `.lock`. The lock ends when it is closed, or when the process ends in whatever way.

    Raises:
        InputError: another process has the folder, or it cannot be made or written into.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = (Path(folder) / ".lock").open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(
            f"{folder}: another process is training into it; let it end, or choose another --output_dir"
        ) from error
    except OSError:
        return file  # a network file system that knows no locks
    for partial in Path(folder).glob(".*.partial*"):
        partial.unlink(missing_ok=True)
    return file

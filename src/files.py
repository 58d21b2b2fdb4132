"""Reading text, writing files atomically, digests of files, and folders locked by one process."""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO

from src.errors import InputError


def read_text(path: str | Path) -> str:
    """Read a text file that a user wrote: UTF-8, with or without a byte order mark. Line endings become newlines.

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
    """Write `content` to a temporary file beside `path`, then rename it; a file already there stays until then.

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
        with contextlib.suppress(OSError):  # the cause of a failed write may forbid deleting too
            partial.unlink(missing_ok=True)


def sha256_of(content: bytes | Path) -> str:
    """Hexadecimal SHA-256 of bytes, or of a file's content.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return hashlib.sha256(content.read_bytes() if isinstance(content, Path) else content).hexdigest()
    except OSError as error:
        raise InputError(f"{content}: cannot be read ({error.strerror})") from error


def claim_folder(folder: str | Path) -> IO[str]:
    """Create `folder` if needed, lock it for this process, and delete partial files that a killed process left in it.

    Returns:
        The open file `.lock`. The lock is released when it is closed or when the process ends, even if killed.

    Raises:
        InputError: another process holds the lock, or the folder cannot be created or written into.
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
        return file  # a network file system without locks
    for partial in Path(folder).glob(".*.partial*"):
        partial.unlink(missing_ok=True)
    return file

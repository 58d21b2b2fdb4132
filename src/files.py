"""Reading text, writing files atomically, digests of files, and folders locked by one process."""

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import IO, Any

from src.errors import InputError, one_line

LARGEST_TEXT = 2**28  # bytes
OPEN_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Read a file that a user named: a regular one, or a pipe that the shell has opened (/dev/stdin, /dev/fd/63).

    Other pipes could wait for ever, and devices such as /dev/zero never end.

    Raises:
        InputError: the file cannot be read, is something else, or holds more than `most` bytes.
    """
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and str(path).startswith(OPEN_PIPES))):
            raise InputError(f"{path}: is a {'folder' if stat.S_ISDIR(mode) else 'device or pipe'}, not a file")
        with open(path, "rb") as file:
            content = file.read(-1 if most is None else most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if most is not None and len(content) > most:
        raise InputError(f"{path}: holds more than {most} bytes, too much to be what is expected here")
    return content


def read_text(path: str | Path, most: int = LARGEST_TEXT) -> str:
    """Read a text file that a user wrote: UTF-8, with or without a byte order mark. Line endings become newlines.

    Raises:
        InputError: the file cannot be read (see `read_bytes`), or is not UTF-8; names the line.
    """
    try:
        text = read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or is no JSON, or one nested too deeply.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({one_line(error)})") from error


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


def write_json(path: str | Path, content: Any, indent: int = 2) -> None:
    """Write `content` as JSON, by `write_atomically`. What is no character, as in some paths, is written as its number.

    Raises:
        InputError: the file cannot be written.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode(errors="backslashreplace"))


def make_folder(folder: Path) -> None:
    """Make a folder with those above it, unless it is there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from error


def cache_folder() -> Path | None:
    """Return the user's folder for what takes long to make, which may not exist yet.

    The environment variable GRAPH_CACHE names it, by default `$XDG_CACHE_HOME/tacotron2-mindspore` (`~/.cache/...`).
    None if GRAPH_CACHE is `off`.
    """
    named = os.environ.get("GRAPH_CACHE")
    if named == "off":
        return None
    default = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "tacotron2-mindspore"
    return Path(named) if named else default


def sha256_of(content: bytes | Path) -> str:
    """Hexadecimal SHA-256 of bytes, or of a file's content.

    Raises:
        InputError: the file cannot be read.
    """
    return hashlib.sha256(read_bytes(content) if isinstance(content, Path) else content).hexdigest()


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

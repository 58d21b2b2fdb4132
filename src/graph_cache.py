"""Compiled graphs that outlive the process: the second start of a program need not compile what it did in the first."""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mindspore as ms

KEPT = 30  # graphs, of some megabytes each; the longest unused ones go
_compiled = itertools.count()  # graphs that this process has asked for


@contextlib.contextmanager
def graph_cache(key: str) -> Iterator[None]:
    """A graph compiled inside is loaded from the cache, or compiled and kept there. This holds for the first graph of a process: MindSpore
    2.10 stays with the first folder that it was told, and would mix up graphs in it.

    The cache is `$XDG_CACHE_HOME/tacotron2-mindspore` (`~/.cache/...`), or the folder that the environment variable GRAPH_CACHE names;
    `GRAPH_CACHE=off` does without, and so does a folder that cannot be written, or Python without a script.

    Args:
        key: all that the graph depends on beside this code, the script that runs, MindSpore and the device.
    """
    folder, script = _folder(), Path(sys.argv[0]).resolve()
    aside = _make_aside(folder) if next(_compiled) == 0 and folder and script.is_file() else None  # MindSpore reads the script
    if not aside:
        yield
        return
    facts = (key, _code_sha256(script), ms.__version__, ms.get_context("device_target"), str(script))
    # A folder for each, as MindSpore looks at code alone: it would take a graph for that of another shape or configuration.
    graph = folder / hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    known = graph.is_dir()
    try:
        ms.set_context(enable_compile_cache=True, compile_cache_path=str(graph if known else aside))
        yield
        with contextlib.suppress(OSError):  # somebody else may have put it there, or taken it away
            if not known:
                aside.rename(graph)
            graph.touch()
            ours = [path for path in folder.iterdir() if re.fullmatch(r"[0-9a-f]{32}|\.new\w{8}", path.name)]
            for old in sorted(ours, key=lambda path: path.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(graph, ignore_errors=True)  # should it be to blame, the next start is without it
        raise
    finally:
        ms.set_context(enable_compile_cache=False)
        shutil.rmtree(aside, ignore_errors=True)


def _folder() -> Path | None:
    named = os.environ.get("GRAPH_CACHE")
    if named == "off":
        return None
    default = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "tacotron2-mindspore"
    return Path(named) if named else default


def _make_aside(folder: Path) -> Path | None:
    """A fresh folder in `folder`, where a graph is written before it gets its name."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder, prefix=".new"))
    return None


def _code_sha256(script: Path) -> str:
    files = [script, *sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

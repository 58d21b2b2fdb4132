"""Compiled graphs that come from another process: from an earlier start of the program, or from a child that only compiles.

MindSpore 2.10 stays with the first cache folder that it was told and numbers the graphs in it by the order of their compilation. So both
ways hold for the first use in a process only; whatever comes later is compiled where it is needed.
"""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mindspore as ms

from src.runtime.child import can_fork, run_in_child
from src.runtime.device import jit_level

KEPT = 30  # graphs, of some megabytes each; the longest unused ones go
SCRIPT = Path(
    sys.argv[0]
).resolve()  # the script that MindSpore reads when it uses its cache, whatever sys.argv says later
_uses = itertools.count()  # of MindSpore's cache in this process


@contextlib.contextmanager
def graph_cache(key: str) -> Iterator[None]:
    """A graph compiled inside is loaded from the cache, or compiled and kept there.

    The cache is `$XDG_CACHE_HOME/tacotron2-mindspore` (`~/.cache/...`), or the folder that the environment variable GRAPH_CACHE names;
    `GRAPH_CACHE=off` does without, and so does a folder that cannot be written, or Python without a script.

    Args:
        key: all that the graph depends on beside this code, the script that runs, MindSpore and the device.
    """
    folder = _folder()
    aside = _make_aside(folder) if next(_uses) == 0 and folder and SCRIPT.is_file() else None
    if not aside:
        yield
        return
    facts = (key, _code_sha256(), ms.__version__, ms.get_context("device_target"), jit_level(), str(SCRIPT))
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


def compile_aside(compile_graphs: Callable[[], None]) -> None:
    """Have a child process compile what `compile_graphs` compiles, then load that here by the same calls.

    MindSpore's compiler does not give back hundreds of megabytes per graph; the child takes them with it. Where a process cannot be
    copied (see `src.runtime.child.can_fork`), or has used the cache before, the graphs are compiled here.
    """
    if next(_uses) > 0 or not SCRIPT.is_file() or not can_fork():
        compile_graphs()
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            ms.set_context(enable_compile_cache=True, compile_cache_path=folder)
            run_in_child(compile_graphs)  # should it fail, it does so here again, with an error to show
            compile_graphs()
        finally:
            ms.set_context(enable_compile_cache=False)


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


def _code_sha256() -> str:
    files = [SCRIPT, *sorted(Path(__file__).parents[1].rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

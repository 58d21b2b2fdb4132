"""Graphs compiled by another process: by an earlier run of the program, or by a child that only compiles.

MindSpore 2.10 sticks to the first cache folder that it was given, and numbers the graphs in it by the order of their
compilation. So both ways work only for the first use in a process; later graphs are compiled where they are used.
"""

import contextlib
import hashlib
import itertools
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mindspore as ms

from src.files import cache_folder
from src.runtime.child import can_fork, run_in_child
from src.runtime.device import jit_level

KEPT = 30  # graphs, of some megabytes each; the least recently used are deleted
# The script, which MindSpore reads when it uses its cache; sys.argv may change later.
SCRIPT = Path(sys.argv[0]).resolve()
_uses = itertools.count()  # of MindSpore's cache in this process


@contextlib.contextmanager
def graph_cache(key: str) -> Iterator[None]:
    """Context manager: a graph compiled inside is loaded from the user's cache, or compiled and kept there.

    The cache is in `src.files.cache_folder`. Without effect if that is turned off or cannot be written, or if Python
    runs without a script.

    Args:
        key: everything that the graph depends on, other than this code, the script, MindSpore and the device.
    """
    folder = cache_folder()
    aside = _make_aside(folder) if next(_uses) == 0 and folder and SCRIPT.is_file() else None
    if not aside:
        yield
        return
    facts = (key, _code_sha256(), ms.__version__, ms.get_context("device_target"), jit_level(), str(SCRIPT))
    # One folder per graph: MindSpore compares only code, and would mix up graphs of different shapes or configurations.
    graph = folder / hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    known = graph.is_dir()
    try:
        ms.set_context(enable_compile_cache=True, compile_cache_path=str(graph if known else aside))
        yield
        with contextlib.suppress(OSError):  # another process may have added or deleted it
            if not known:
                aside.rename(graph)
            graph.touch()
            ours = [path for path in folder.iterdir() if re.fullmatch(r"[0-9a-f]{32}|\.new\w{8}", path.name)]
            for old in sorted(ours, key=lambda path: path.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(graph, ignore_errors=True)  # it may be the cause; the next run compiles anew
        raise
    finally:
        ms.set_context(enable_compile_cache=False)
        shutil.rmtree(aside, ignore_errors=True)


def compile_aside(compile_graphs: Callable[[], None]) -> None:
    """Compile graphs in a child process, then load them here by the same calls.

    MindSpore's compiler keeps hundreds of megabytes per graph, which are freed when the child ends. Where a fork would
    not work (see `src.runtime.child.can_fork`), or the process has used the cache before, the graphs are compiled here.
    """
    if next(_uses) > 0 or not SCRIPT.is_file() or not can_fork():
        compile_graphs()
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            ms.set_context(enable_compile_cache=True, compile_cache_path=folder)
            run_in_child(compile_graphs)  # if it fails, the next line shows the error
            compile_graphs()
        finally:
            ms.set_context(enable_compile_cache=False)


def _make_aside(folder: Path) -> Path | None:
    """Make a fresh folder in `folder`, in which a graph is written before it gets its name."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder, prefix=".new"))
    return None


def _code_sha256() -> str:
    files = [SCRIPT, *sorted(Path(__file__).parents[1].rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

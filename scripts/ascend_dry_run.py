"""Compile every graph for Ascend on this computer, without an Ascend, and report which kernel each primitive gets.

python scripts/ascend_dry_run.py [--quick] --json FILE [--page docs/backends.md]

MindSpore's own Ascend plug-in compiles, on stand-ins for CANN's libraries; nothing runs. docs/ascend.md says what this
shows and what not. Exit status: 0 all graphs compile, 1 a graph fails, 2 something needed is missing.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ascend.compilation import JIT_LEVELS, Case, Result, compile_cases, kinds, launches
from ascend.page import around_marks, per_decoder_step, write_page

from src.cli import positive, run
from src.errors import InputError
from src.files import write_json

if TYPE_CHECKING:
    from ascend.graphs import Graph


LISTS = {"quick": "ascend.graphs:QUICK", "whole": "ascend.graphs:GRAPHS"}


def cases(graphs: Sequence["Graph"], levels: Sequence[str] = JIT_LEVELS) -> list[Case]:
    """Each graph at all jit levels for one rank, and at the first of them for several, which add all-reduces alone."""
    return [
        Case(number, graph.name, level, n_ranks)
        for number, graph in enumerate(graphs)
        for n_ranks in graph.ranks
        for level in (levels if n_ranks == 1 else levels[:1])
    ]


def record(result: Result) -> dict[str, object]:
    """A result as the JSON file holds it."""
    case, compiled = result.case, result.compiled
    loops = sorted({kernel.loop for kernel in compiled.kernels if kernel.loop}) if compiled else []
    by_loop = {loop: launches(compiled, loop) for loop in loops}
    in_place = [kernel.primitive for kernel in compiled.kernels if kernel.in_place] if compiled else []
    return {
        "graph": case.graph,
        "jit_level": case.jit_level,
        "ranks": case.ranks,
        "ok": not result.error,
        "error": result.error,
        "kernels": kinds(compiled) if compiled else {},
        "launches": launches(compiled) if compiled else 0,
        "launches_by_loop": by_loop,
        "launches_per_decoder_step": per_decoder_step(by_loop),
        "in_place": {primitive: in_place.count(primitive) for primitive in sorted(set(in_place))},
        "counts": counts(compiled.kernels) if compiled else {},
        "types": {name: sorted(map(str, found)) for name, found in sorted(compiled.types.items())} if compiled else {},
    }


def counts(kernels: Sequence) -> dict[str, dict[str, int]]:
    """Kind -> primitive -> number of kernels."""
    found: dict[str, dict[str, int]] = {}
    for kernel in kernels:
        of_kind = found.setdefault(kernel.kind, {})
        of_kind[kernel.primitive] = of_kind.get(kernel.primitive, 0) + 1
    return found


def say(result: Result) -> None:
    """One line for a case."""
    case = result.case
    told = f"{launches(result.compiled)} launches" if result.compiled else ""
    outcome = f"FAILED: {result.error}" if result.error else "ok"
    print(f"{case.graph}, jit level {case.jit_level}, ranks {case.ranks}: {told and told + ', '}{outcome}", flush=True)


def main() -> None:
    """Parse, compile, report."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a training step of 8 ranks and a free-running graph only")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="file to write all results to")
    parser.add_argument("--page", type=Path, help="also write the table into this page, between its marks")
    parser.add_argument(
        "--jobs", type=positive, default=os.cpu_count() or 1, help="compilations at a time (default: all cores)"
    )
    arguments = parser.parse_args()
    if not arguments.json.parent.is_dir():
        raise InputError(f"--json {arguments.json}: there is no folder {arguments.json.parent}")
    if arguments.page:
        around_marks(arguments.page)
    from ascend.graphs import GRAPHS, QUICK  # noqa: PLC0415  (loads MindSpore, which --help can do without)

    todo, where = (cases(QUICK, ("O0",)), LISTS["quick"]) if arguments.quick else (cases(GRAPHS), LISTS["whole"])
    results = compile_cases(todo, where, arguments.jobs, say)
    records = [record(result) for result in results]
    write_json(arguments.json, records, indent=1)
    if arguments.page:
        write_page(arguments.page, records)
    failed = sum(not each["ok"] for each in records)
    print(f"{len(records) - failed} of {len(records)} compile for Ascend; nothing has run there")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run(main)

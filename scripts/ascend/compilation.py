"""Compile graphs for Ascend in processes of their own, and judge what the compiler made of each."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ascend.documented_types import DOCUMENTED
from ascend.reading import AICPU, CANN, HOST, NO_TENSOR, Compiled, Kernel, Types, read
from ascend.stubs import stub_environment

ROOT = Path(__file__).resolve().parents[2]
JIT_LEVELS = ("O0", "O1")
SECONDS = 900  # for one graph
SOC = "Ascend910B2"
SETTINGS = {
    "MS_SIMULATION_LEVEL": "1",  # MindSpore's own stand-in for the device
    "MS_DISABLE_KERNEL_BACKOFF": "1",  # or a primitive without a kernel for Ascend gets one for CPU, without a word
    "DVM_SOC_NAME": SOC,  # fusion at O1 asks for it
    "DEVICE_TARGET": "Ascend",
    "DEVICE_ID": "0",
    "GRAPH_CACHE": "off",
    "MS_SUBMODULE_LOG_v": "{DEVICE:1,RUNTIME_FRAMEWORK:1}",
    "GLOG_logtostderr": "1",
    "MS_DEV_SAVE_GRAPHS": "1",
    "MS_DEV_DUMP_IR_PASSES": "execute,graph_build",
    "MS_DEV_DUMP_IR_FORMAT": "1",  # with types
}
# Of an environment that was made for another run.
NOT_INHERITED = ("MS_ROLE", "RANK_TABLE_FILE", "GLOG_v", "GLOG_log_dir", "MS_ENABLE_GE", "MS_DEV_JIT_LEVEL")
BEGINNING = "import sys; sys.path[:0] = {paths!r}; from ascend.worker import main; main()"


class Case(NamedTuple):
    """A graph to compile."""

    number: int  # in the list of graphs
    graph: str
    jit_level: str
    ranks: int


class Result(NamedTuple):
    """The outcome of compiling a case."""

    case: Case
    error: str  # empty if the graph compiles and could run
    compiled: Compiled | None


def compile_cases(
    cases: Sequence[Case], graphs: str, jobs: int = 1, report: Callable[[Result], None] | None = None
) -> list[Result]:
    """Compile all cases, `jobs` at a time.

    Args:
        cases: of the list of graphs.
        graphs: where that list is, as module:name; the modules of the repository, `scripts` and `tests` are found.
        report: called with each result as it comes.

    Raises:
        InputError: what is needed to load MindSpore's Ascend plug-in is missing.
    """
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    environment |= SETTINGS | stub_environment()

    def run(case: Case) -> Result:
        result = _compile(case, graphs, environment)
        if report:
            report(result)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, cases))


def _compile(case: Case, graphs: str, environment: dict[str, str]) -> Result:
    with tempfile.TemporaryDirectory(prefix="ascend-") as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        code = BEGINNING.format(paths=[str(ROOT), str(ROOT / "scripts")])  # not a script: nothing is compiled aside
        command = [sys.executable, "-c", code, graphs, str(case.number), str(case.ranks), str(answer)]
        own = {
            "RANK_SIZE": str(case.ranks),
            "RANK_ID": "0",
            "JIT_LEVEL": case.jit_level,
            "MS_DEV_SAVE_GRAPHS_PATH": folder,
        }
        with log.open("wb") as file:
            try:
                done = subprocess.run(
                    command, env=environment | own, cwd=folder, stdout=file, stderr=file, timeout=SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                return Result(case, f"still compiling after {SECONDS} s", None)
        text = log.read_text(encoding="utf-8", errors="replace")
        if not answer.is_file():
            last = [line for line in text.splitlines() if line.strip()][-1:]
            return Result(
                case, f"the compiler ended with status {done.returncode}; its last line: {''.join(last)[:300]}", None
            )
        if error := json.loads(answer.read_text(encoding="utf-8")):
            return Result(case, first_lines(error), None)
        try:
            compiled = read(Path(folder), text)
        except (RuntimeError, ValueError) as error:
            return Result(case, str(error), None)
        return Result(case, "; ".join(objections(case, compiled)), compiled)


def first_lines(error: str) -> str:
    """The part of MindSpore's message that says what is wrong, in one line."""
    told = error.partition("\n----")[0]
    return " ".join(told.split())[:500]


def objections(case: Case, compiled: Compiled) -> list[str]:
    """Reasons not to run on Ascend what has compiled; none for a good graph."""
    if not compiled.kernels:
        return ["no kernel was compiled"]
    found = []
    if compiled.jit_levels != {case.jit_level}:
        found.append(
            f"compiled at jit level {', '.join(sorted(compiled.jit_levels)) or 'unknown'}, not {case.jit_level}"
        )

    def complain(reason: str, condition: Callable[[Kernel], bool]) -> None:
        names = sorted({kernel.primitive for kernel in compiled.kernels if condition(kernel)})
        if names:
            found.append(f"{reason}: {', '.join(names)}")

    complain("on the host", lambda kernel: kernel.kind in HOST or kernel.kind.lower() == "cpu")
    complain("on the AICPU in a loop", lambda kernel: kernel.kind == AICPU and kernel.loop)
    complain("dynamic shapes in a loop", lambda kernel: kernel.dynamic and kernel.loop)
    if compiled.host_copies:
        found.append(f"{compiled.host_copies} copies between host and device inside the graph")
    if undocumented := _undocumented(compiled):
        found.append(f"types that CANN is not documented to take: {', '.join(undocumented)}")
    return found


def _undocumented(compiled: Compiled) -> list[str]:
    """Primitives with types that ascend.documented_types lacks, such as `MatMul float64`; the compiler takes any."""
    run = {kernel.primitive for kernel in compiled.kernels if kernel.kind in CANN}
    found = {
        f"{name} {kind}" for name in run for types in compiled.types.get(name, ()) for kind in _strange(name, types)
    }
    return sorted(found | {f"{name} (not in the list)" for name in run if name not in DOCUMENTED})


def _strange(name: str, types: Types) -> set[str]:
    documented = DOCUMENTED.get(name)
    if not documented or not documented.inputs:
        return set()
    taken = {kind for position, kind in enumerate(types.inputs) if kind not in documented.taken(position)}
    return (taken | (set(types.outputs) - documented.output)) - {NO_TENSOR}


def launches(compiled: Compiled, loop: str | None = None) -> int:
    """Kernels that are started: all of them, each loop counted once, or those of one iteration of a loop."""
    return sum(kernel.launched and loop in (None, kernel.loop) for kernel in compiled.kernels)


def kinds(compiled: Compiled) -> dict[str, str]:
    """Primitive -> kinds of its kernels."""
    found: dict[str, set[str]] = {}
    for kernel in compiled.kernels:
        for primitive in kernel.parts:
            found.setdefault(primitive, set()).add(kernel.kind)
    return {
        primitive: ", ".join(sorted(each))
        for primitive, each in sorted(found.items(), key=lambda item: item[0].lower())
    }


def count_kinds(compiled: Compiled) -> Counter[str]:
    """Kernels of each kind."""
    return Counter(kernel.kind for kernel in compiled.kernels)

"""Kernels that a compilation chose, where they run, and what writes in place: from MindSpore's log and its dumps.

The log names each kernel of the final graph in order, with its kind, and the function that it is compiled for; the dump
of actors names the same kernels in the same order, with what the runtime does about each. They are held against each
other.
"""

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

# MindSpore's names of kinds of kernels, and those of the table.
KINDS = {
    "opapi_kernel": "aclnn",
    "acl_kernel": "aclop",
    "hccl_kernel": "HCCL",
    "rt_kernel": "runtime",
    "akg_kernel": "fused",
    "host_kernel": "host",
}
AICPU, VIEW, COPY = "AICPU", "view", "copy"
HOST = ("host", "CPU")
CANN = ("aclnn", "aclop", AICPU, "HCCL")  # kernels that are CANN's
# Operators of kind aclop that CANN runs on the AICPU: random numbers and linear algebra, which it has no kernels for on
# the chip's cores (MindSpore registers these in mindspore/ops/_op_impl/aicpu). The compiler cannot tell: CANN decides
# when the graph runs, and for types such as float64 or int64 decides so for others too.
AICPU_OPERATORS = re.compile(
    r"Bernoulli|Cholesky|CholeskyInverse|CholeskySolve|DropoutGenMask|DropoutGenMaskV3|Eig|Gamma|"
    r"LogMatrixDeterminant|LogNormalReverse|Lu|MatrixDeterminant|MatrixExp|MatrixInverse|"
    r"MatrixLogarithm|MatrixPower|MatrixSolve|MatrixTriangularSolve|Multinomial|"
    r"MultinomialWithReplacement|NonDeterministicInts|ParameterizedTruncatedNormal|Poisson|Qr|"
    r"RandomCategorical|RandomGamma|RandomPoisson|RandomShuffle|RandpermV2|StandardLaplace|"
    r"StandardNormal|Svd|TruncatedNormal|UniformCandidateSampler|UniformInt|UniformReal"
)

EVENTS = {"StreamSend", "StreamRecv"}  # between the streams of computation and of HCCL; they start no kernel
FUSED_NAMES = {"GraphKernel", "fusion", "split"}
FUNCTION = re.compile(r"CompileGraph\] Compile graph: (\S+), Split")
KERNEL = re.compile(r"GenerateKernelMod\] kernel opname:([^,]+), kernel type:(\w+)")
NODE = re.compile(r"^  %\d+\([^)]*\) = (?:PrimFunc_)?([A-Z][A-Za-z0-9]*)\(.*\n +: (\(.*\)) -> (\(.*\))$", re.MULTILINE)
TENSOR = re.compile(r"(?:Ref\[|Tuple\[)?Tensor\[(\w+)\]")
NO_TENSOR = "-"
SEGMENT = "CompileGraph] Status record: start compile graph"


class Kernel(NamedTuple):
    """A kernel of the final graph."""

    primitive: str
    kind: str  # of KINDS, AICPU, VIEW (nothing runs) or COPY (a view that the runtime must copy)
    loop: str  # name of the loop that it is in, or empty
    in_place: bool  # its output is one of its inputs, written over
    dynamic: bool  # the host must know its shape before it starts

    @property
    def parts(self) -> set[str]:
        """The primitives of the kernel: several if it is fused, such as GraphKernel_Mul_Add_fusion."""
        return set(self.primitive.split("_")) - FUSED_NAMES if self.kind == "fused" else {self.primitive}

    @property
    def launched(self) -> bool:
        """Return whether it costs a launch."""
        return self.kind != VIEW


class Types(NamedTuple):
    """The types of a node's tensors by position, such as float32; NO_TENSOR where there is a number or a tuple."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(self.inputs)} -> {' '.join(self.outputs)}"


class Compiled(NamedTuple):
    """The kernels of a compilation, and what else concerns the host."""

    kernels: list[Kernel]
    loops: list[str]  # the host reads the condition of each once in an iteration
    jit_levels: set[str]
    host_copies: int  # actors that copy between host and device
    types: dict[str, set[Types]]  # of each primitive that is not fused


def read(folder: Path, log: str) -> Compiled:
    """Read the dumps in `folder` and the log of a compilation.

    Raises:
        RuntimeError: the two contradict each other, as they may in another version of MindSpore.
    """
    if (of_rank := folder / "rank_0").is_dir():  # MindSpore's place for dumps where there are several ranks
        folder = of_rank
    loops = _loops(folder)
    actors, copies = [], 0
    for path in sorted(folder.glob("actor_set/0_actor_set_*.ir"), key=lambda path: path.stat().st_mtime_ns):
        text = path.read_text(encoding="utf-8", errors="replace")
        actors += _actors(text)
        copies += sum(map(int, re.findall(r"^\[Copy actors:(\d+)\]", text, re.MULTILINE)))
    kernels: list[Kernel] = []
    rest = (actor for actor in actors if actor.device == "Ascend" and _primitive(actor) not in EVENTS)
    for function, chosen in _segments(log):
        kernels += [_kernel(chosen, loops.get(function, ""), actor) for actor in itertools.islice(rest, chosen.total())]
    if len(kernels) != sum(chosen.total() for _, chosen in _segments(log)) or next(rest, None):
        raise RuntimeError(
            f"the compiler's log names other kernels than its {len(actors)} actors; is this MindSpore 2.10?"
        )
    # Those of the CPU stand in no log of Ascend's; which loop they are in is not needed, as there should be none.
    kernels += [Kernel(_primitive(actor), "CPU", "", False, actor.dynamic) for actor in actors if actor.device == "CPU"]
    return Compiled(kernels, sorted(set(loops.values())), _jit_levels(folder), copies, _types(folder))


def _segments(log: str) -> list[tuple[str, Counter[tuple[str, str]]]]:
    """Parts of functions in the order of compilation: the function's name, and the part's kernels by name and kind."""
    segments, function = [], ""
    for line in log.splitlines():
        if found := FUNCTION.search(line):
            function = found[1]
        elif SEGMENT in line:
            segments.append((function, Counter()))
        elif found := KERNEL.search(line):
            segments[-1][1][found[1], found[2]] += 1
    return segments


class _Actor(NamedTuple):
    name: str
    device: str
    skipped: bool
    dynamic: bool
    reference: bool


def _actors(text: str) -> list[_Actor]:
    section = re.search(r"^\[Kernel actors:\d+\]\n(.*?)^\[[A-Z]", text, re.MULTILINE | re.DOTALL)
    found = []
    for block in re.split(r"^\tactor_name:", section[1] if section else "", flags=re.MULTILINE)[1:]:
        name = re.search(r"kernel_name:(\S+)", block)
        flags = dict(re.findall(r"(is_dynamic_shape|is_launch_skipped):(\d)", block))
        device = re.search(r"device_context:([A-Za-z]+)", block)
        skipped, dynamic = (flags[f"is_{flag}"] == "1" for flag in ("launch_skipped", "dynamic_shape"))
        found.append(_Actor(name[1], device[1] if device else "", skipped, dynamic, "ref index:(" in block))
    return found


def _primitive(actor: _Actor) -> str:
    return re.sub(r"-op\d+$", "", actor.name.rpartition("/")[2])


def _kernel(chosen: Counter[tuple[str, str]], loop: str, actor: _Actor) -> Kernel:
    """The kernel of an actor, taken from those that were chosen for its part of the graph."""
    primitive = _primitive(actor)
    kind = next((kind for (name, kind), left in chosen.items() if name == primitive and left), None)
    if kind is None:
        raise RuntimeError(f"the compiler's log does not say which kernel {actor.name} has; is this MindSpore 2.10?")
    chosen[primitive, kind] -= 1
    named = KINDS.get(kind, kind.removesuffix("_kernel"))
    if named == "aclop" and AICPU_OPERATORS.fullmatch(primitive):
        named = AICPU
    elif named == "runtime":
        named = VIEW if actor.skipped else COPY
    return Kernel(primitive, named, loop, actor.reference and named not in (VIEW, COPY), actor.dynamic)


def _loops(folder: Path) -> dict[str, str]:
    """Function of the graph -> name of the loop that it is in.

    A loop is a circle of functions, each of which may call the next; a function that one of them calls and that returns
    is in it too.
    """
    calls: dict[str, set[str]] = {}
    returning: dict[str, set[str]] = {}
    for path in folder.glob("[0-9]*_execute_*.ir"):
        function = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := re.match(r"subgraph @([^\s(]+)", line):
                function = found[1]
                calls[function], returning[function] = set(), set()
            elif function and line.startswith("  "):
                calls[function] |= set(re.findall(r"@([^\s(),\[\]]+)", line))
                returning[function] |= set(re.findall(r"call @([^\s(),\[\]]+)", line))
    loops: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for function in sorted(calls, key=_number):
        reached = _reach(function, calls)
        if function in reached and function not in loops:
            name = _loop_name(function)
            numbers[name] += 1
            circle = {function} | {other for other in reached if function in _reach(other, calls)}
            within = set().union(*(_reach(member, returning) for member in circle))
            loops |= dict.fromkeys(circle | within, f"{name} {numbers[name]}")
    return loops


def _number(function: str) -> int:
    return int(function.partition("_")[0])


def _reach(start: str, calls: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(calls.get(start, ()))
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            waiting += calls.get(function, ())
    return seen


def _loop_name(function: str) -> str:
    """The class or function in a name: LSTMScan of `4735_2784_↵src_models_lstm_LSTMScan_construct_9564`."""
    words = [word for word in function.split("_") if not word.isdigit()]
    classes = [word for word in words if word[:1].isupper()]
    return classes[-1] if classes else re.sub(r"\W", "", "_".join(words))


def _jit_levels(folder: Path) -> set[str]:
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("[0-9]*_execute_*.ir"))
    return {level for text in texts for level in re.findall(r"^jit_level: (O\d)", text, re.MULTILINE)}


def _types(folder: Path) -> dict[str, set[Types]]:
    """Primitive -> types of its tensors, in the dumps of each part of the graph before its kernels are made.

    Fused kernels are left out: MindSpore makes them itself, of primitives that it knows the types of.
    """
    found: dict[str, set[Types]] = {}
    for path in folder.glob("graph_build_*.ir"):
        for name, taken, given in NODE.findall(path.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(name, set()).add(Types(_tensors(taken), _tensors(given)))
    return found


def _tensors(told: str) -> tuple[str, ...]:
    """The types in a list such as (<Tensor[Float32], (2, 4)>, <Bool, NoShape>)."""
    kinds = (TENSOR.match(each) for each in re.findall(r"<([^<>]*)>", told))
    return tuple(kind[1].lower() if kind else NO_TENSOR for kind in kinds)

"""List the primitives of all graphs in docs/backends.md, with the backends that are documented to run each.

python scripts/list_primitives.py
"""

import multiprocessing
import os
import re
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import run
from src.config import Config, load_config
from src.data.batches import Batch
from src.data.segments import SegmentBatch
from src.errors import InputError
from src.files import write_atomically
from src.models.factory import create_model
from src.train.step import TrainStep
from src.train.task import create_task

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backends.md"
BEGIN, END = "<!-- scripts/list_primitives.py writes from here -->", "<!-- to here -->"

PLATFORMS = ("Ascend", "GPU", "CPU")
# MindSpore reads these variables at its first compilation, and the folder's at each one.
DUMPS = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_DUMP_IR_PASSES": "validate,graph_build", "MS_DEV_DUMP_IR_FORMAT": "0"}
DUMP_FOLDER = "MS_DEV_SAVE_GRAPHS_PATH"
# Primitives that structure a graph and compute nothing.
CONTROL = {"Depend", "Load", "MakeTuple", "Partial", "Return", "Switch", "TupleGetItem", "UpdateState"}
# Primitives without documentation: the nearest documented one, and how they derive from it.
NEAREST = {
    "AddScalar": ("ops.add", "a number"),
    "BiasAddGrad": ("ops.BiasAdd", "gradient"),
    "Divs": ("ops.div", "by a number"),
    "EqScalar": ("ops.equal", "to a number"),
    "LessScalar": ("ops.less", "than a number"),
    "Max": ("Tensor.max", "of all values"),
    "Muls": ("ops.mul", "by a number"),
    "ReluGrad": ("ops.ReLU", "gradient"),
    "RsqrtGrad": ("ops.Rsqrt", "gradient"),
    "SplitWithSize": ("ops.Concat", "gradient"),
    "StridedSliceGrad": ("ops.StridedSlice", "gradient"),
    "SumExt": ("Tensor.sum", ""),
}
UNDOCUMENTED = {
    "TensorMove": "none: MindSpore puts it where a graph reads a parameter, such as batch-norm statistics, "
    "and then updates it",
}
OF_SEVERAL_RANKS = "AllReduce"  # a single process cannot compile it


def main() -> None:
    """Parse the command line, compile, write."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write into, between its two marks")
    page = parser.parse_args().page
    try:
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
    except (OSError, ValueError) as error:
        raise InputError(f"{page}: cannot be read, or does not hold the marks '{BEGIN}' and '{END}'") from error
    content = f"{before}{BEGIN}\n\n{table(compile_graphs())}\n\n{END}{after}"
    write_atomically(page, content.encode())


class Graph(NamedTuple):
    """A graph to compile: a use of a network. The networks are small, as widths do not change the primitives."""

    name: str
    run: Callable[[Config], None]
    overrides: dict[str, Any]


class Found(NamedTuple):
    """The primitives of a graph."""

    front: set[str]  # of the graph that every backend starts from
    final: set[str]  # of the graph that the CPU runs


class Support(NamedTuple):
    """Documented support of a primitive."""

    platforms: tuple[str, ...]  # out of PLATFORMS; empty if nothing is documented
    source: str


def train(config: Config) -> None:
    """Take one optimiser step."""
    net, task = create_model(config=config), create_task(config)
    step = TrainStep(net, task.forward(net), config.train)
    step([task.inputs(example(config), 0)] * config.train.accumulate, 1e-3)


def validate(config: Config) -> None:
    """Compute the losses of a batch."""
    net, task = create_model(config=config), create_task(config)
    ms.jit(task.forward(net))(*task.inputs(example(config), 0))


def speak(config: Config) -> None:
    """Run free: text to mel, or mel to sound."""
    net = create_model(config=config)
    if config.model.name == "tacotron2":
        net.compile_generate(2, 3)
    else:
        net.infer(example(config).mel)


TACOTRON2 = {
    "audio.n_mels": 4,
    "model.encoder_dim": 8,
    "model.encoder_layers": 1,
    "model.prenet_dim": 4,
    "model.attention_rnn_dim": 8,
    "model.attention_dim": 4,
    "model.location_filters": 2,
    "model.location_kernel_size": 3,
    "model.decoder_rnn_dim": 8,
    "model.postnet_dim": 4,
    "model.postnet_layers": 2,
    "model.max_decoder_steps": 3,
    "train.guided_attention": 1.0,
}
WAVEGLOW = {
    "model.name": "waveglow",
    "audio.hop_length": 32,
    "audio.n_mels": 4,
    "model.n_flows": 2,
    "model.n_early_every": 1,
    "model.wn_layers": 2,
    "model.wn_channels": 8,
    "model.upsample_kernel_size": 128,
}
GRAPHS = [
    Graph("Tacotron 2, training step", train, TACOTRON2),
    Graph("Tacotron 2, training step, `train.amp` O2", train, TACOTRON2 | {"train.amp": "O2"}),
    Graph("Tacotron 2, validation, 2 frames a step", validate, TACOTRON2 | {"model.reduction_factor": 2}),
    Graph("Tacotron 2, free running", speak, TACOTRON2),
    Graph("WaveGlow, training step of two batches", train, WAVEGLOW | {"train.accumulate": 2}),
    Graph("WaveGlow, training step, `train.amp` O2", train, WAVEGLOW | {"train.amp": "O2"}),
    Graph("WaveGlow, validation", validate, WAVEGLOW),
    Graph("WaveGlow, from noise to sound", speak, WAVEGLOW),
]


def example(config: Config, n_frames: int = 3, n_symbols: int = 3) -> Batch | SegmentBatch:
    """A batch for either network, of `n_frames` and `n_symbols` for Tacotron 2."""
    n_mels, lengths, indices = config.audio.n_mels, np.array([n_symbols, 2], np.int32), np.arange(2, dtype=np.int32)
    if config.model.name == "tacotron2":
        frames = np.array([n_frames, 2], np.int32)
        text = np.ones((2, n_symbols), np.int32)
        return Batch(text, lengths, np.ones((2, n_mels, n_frames), np.float32), frames, indices, indices)
    return SegmentBatch(
        np.ones((2, n_mels, 8), np.float32), np.ones((2, 8 * config.audio.hop_length), np.float32), indices
    )


def compile_graphs(graphs: Iterable[Graph] = GRAPHS) -> list[Found]:
    """Compile graphs for the CPU, two at a time in processes of their own, and list their primitives."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), _have_dumps) as pool:
        return list(pool.map(_compile, graphs))


def _have_dumps() -> None:
    os.environ.update(DUMPS, DEVICE_TARGET="CPU", GRAPH_CACHE="off")  # a graph from the cache leaves no dump


def _compile(graph: Graph) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        os.environ[DUMP_FOLDER] = folder
        graph.run(load_config(overrides=graph.overrides))
        return Found(*(_read(Path(folder), pattern) for pattern in ("*_validate_*.ir", "graph_build_*.ir")))


def _read(folder: Path, pattern: str) -> set[str]:
    files = list(folder.glob(pattern))
    if not files:
        raise RuntimeError(f"MindSpore {ms.__version__} has left no {pattern}")
    return {name for file in files for name in primitives(file.read_text(encoding="utf-8"))}


def primitives(dump: str) -> Iterator[str]:
    """Primitives in the text of a dump that compute something, each as often as it occurs.

    Raises:
        ValueError: a node cannot be read; so none is overlooked.
    """
    for line in dump.splitlines():
        # A node is `  %3(CNode_12) = PrimFunc_Add(%1, %2)`; the values of constants go on over further lines.
        if not re.match(r"  (%|[A-Z]\w*\()", line):
            continue
        node = re.match(r"  (?:%\w+\([^)]*\) = (?:PrimFunc_)?|(?=[A-Z]))(%|call @|[A-Z]\w*\()", line)
        if not node:
            raise ValueError(f"not a node of a graph of MindSpore 2.10: {line[:100]}")
        name = node[1].removesuffix("(")
        if name not in ("%", "call @") and name not in CONTROL:  # those two call subgraphs
            yield name


def documented(primitive: str) -> Support:
    """Look up a primitive in MindSpore's docstrings: its own, the one that it refers to, or that of NEAREST."""
    places = ("ops", "ops.operations", "ops.auto_generate")
    own = next((path for place in places if _doc(path := f"{place}.{primitive}")), "")
    path, relation = NEAREST.get(primitive, (own, ""))
    while path and not _platforms(_doc(path)):
        path = next(iter(re.findall(r"Refer to :\w+:`mindspore.([\w.]+)`", _doc(path))), "")
    if not path:
        return Support((), UNDOCUMENTED.get(primitive, "none"))
    return Support(_platforms(_doc(path)), f"`{path}`" + (f", {relation}" if relation else ""))


def _doc(path: str) -> str:
    value: Any = ms
    for name in path.split("."):
        value = getattr(value, name, None)
    return getattr(value, "__doc__", None) or ""


def _platforms(doc: str) -> tuple[str, ...]:
    """Platforms in all `Supported Platforms` of a docstring, which has one for each signature."""
    named = [re.findall(r"``(\w+)``", line) for line in re.findall(r"Supported Platforms:\s*(.+)", doc)]
    return tuple(platform for platform in PLATFORMS if named and all(platform in each for each in named))


def table(found: list[Found]) -> str:
    """Format the primitives of GRAPHS, as `compile_graphs` found them, and their documentation as Markdown."""
    front, final = (set().union(*stage) for stage in zip(*found, strict=True))
    lines = [f"{number}. {graph.name}" for number, graph in enumerate(GRAPHS, 1)]
    lines += ["", "| primitive | Ascend | GPU | CPU | graphs | documentation |", "|---|---|---|---|---|---|"]
    for primitive in sorted(front | final | {OF_SEVERAL_RANKS}, key=str.lower):
        platforms, source = documented(primitive)
        supported = ["yes" if platform in platforms else "no" if platforms else "unknown" for platform in PLATFORMS]
        graphs = " ".join(str(number) for number, each in enumerate(found, 1) if primitive in each.front | each.final)
        source += " (replaced)" * (primitive in front - final) + " (replacement)" * (primitive in final - front)
        lines.append(f"| `{primitive}` | {' | '.join(supported)} | {graphs or 'several ranks'} | {source} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)

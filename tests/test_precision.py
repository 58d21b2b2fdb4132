"""Mixed precision: operators' types in the graphs that MindSpore dumps, and training at each level.

The graphs of each network are made by a process of its own, which runs this file as a script.
"""

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from toy_waveglow import SETTINGS as WAVEGLOW

from src import runtime
from src.config import load_config
from src.models import lstm, ops, scan
from src.models.factory import create_model
from src.models.lstm import LSTMScan
from src.models.precision import set_precision
from src.models.tacotron2 import attention
from src.train.step import TrainStep
from src.train.task import create_task


def words(text):
    return set(text.split())


DIMENSIONS = ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
TACOTRON2 = {
    "audio.n_mels": 8,
    **{f"model.{part}_dim": 16 for part in DIMENSIONS},
    **{f"model.{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")},
    "model.encoder_layers": 1,
    "model.postnet_layers": 2,
    "model.location_filters": 4,
    "model.location_kernel_size": 5,
    "train.guided_attention": 1.0,
}
SETTINGS = {"tacotron2": TACOTRON2, "waveglow": WAVEGLOW}
LEVELS = ("O0", "O1", "O2")
LOSS_SCALE = 1024.0
EVALUATED = ("O0", "O2")
BLOCK = 2  # short blocks compile in a fraction of the time

PRODUCTS = {"MatMul", "BatchMatMul"}
MOVES = words(
    "Cast Concat Depend ExpandDims Gather MakeTuple Partial Reshape Split SplitWithSize Squeeze StridedSlice Switch "
    "Transpose TupleGetItem Unstack UpdateState"
)
ARITHMETIC = words("Add AddN AddScalar Div Divs Mul Muls Sub SubScalar")
# Softmax, activations, exponentials and logarithms, sums, statistics, weight norm, determinants, and their gradients.
EXACT = words(
    "BiasAddGrad CumSum Div Exp Log1p LogMatrixDeterminant MatrixInverse ReduceSum Rsqrt RsqrtGrad Sigmoid SigmoidGrad "
    "Softmax Sqrt SumExt Tanh TanhGrad"
)
# Products in form only: each sum has one term, or a few of a gradient.
EXACT_PRODUCTS = (ops.broadcast_last, ops.broadcast_rows, ops.unfold_backward)
RECURRENT = {
    "lstm.py": (lstm.lstm_step, lstm.lstm_gate_gradients, lstm.lstm_step_backward, LSTMScan),
    "attention.py": (attention.attend, attention.AttentionScan),
}


def make_network(name):
    """A network, in evaluation mode, and the function that trains it."""
    runtime.setup(0)
    config = load_config(overrides=SETTINGS[name])
    net = create_model(config=config)
    if name == "waveglow":  # its couplings start as the identity, which would hide what is before their ends
        draw = np.random.default_rng(1)
        for flow in net.flows:
            flow.wn.end.weight.set_data(
                Tensor(0.05 * draw.standard_normal(flow.wn.end.weight.shape).astype(np.float32))
            )
    return net, create_task(config).forward(net), config


def make_batch(name, draw):
    if name == "waveglow":
        mel, audio = draw.standard_normal((3, 8, 10)), 0.3 * draw.standard_normal((3, 256))
        return Tensor(mel.astype(np.float32)), Tensor(audio.astype(np.float32))
    text, mel = draw.integers(1, 148, (2, 7)), draw.standard_normal((2, 8, 12))
    lengths = Tensor(np.array([7, 5], np.int32)), Tensor(np.array([12, 10], np.int32))
    return (
        Tensor(text.astype(np.int32)),
        lengths[0],
        Tensor(mel.astype(np.float32)),
        lengths[1],
        Tensor(1.0, ms.float32),
    )


def scaled(forward):
    """Scale the loss, as the training step does."""

    def function(*inputs):
        losses = forward(*inputs)
        return losses[0] * LOSS_SCALE, losses

    return function


def write_results(name, path):
    """Write losses and gradients of a training step, and losses of evaluation, at every level."""
    scan.Scan.block = BLOCK
    results = {}
    for amp in LEVELS:
        net, forward, _ = make_network(name)
        set_precision(net, amp)
        inputs = make_batch(name, np.random.default_rng(0))
        if amp in EVALUATED:
            net.set_train(False)
            results |= {f"{amp}/evaluation/{i}": loss.asnumpy() for i, loss in enumerate(ms.jit(forward)(*inputs))}
        net.set_train(True)
        gradient = ms.value_and_grad(scaled(forward), None, net.trainable_params(), has_aux=True)
        (_, losses), gradients = ms.jit(gradient)(*inputs)
        results |= {f"{amp}/loss/{i}": loss.asnumpy() for i, loss in enumerate(losses)}
        for parameter, gradient in zip(net.trainable_params(), gradients, strict=True):
            results[f"{amp}/gradient/{parameter.name}"] = gradient.asnumpy()
    np.savez(path, **results)


class Node(NamedTuple):
    operator: str
    inputs: list[str]  # types of its tensors
    outputs: list[str]
    source: tuple[str, int]  # file and line that ask for it


def read_graph(text):
    nodes = []
    for node in re.split(r"\n(?=  +%\d+\()", text)[1:]:
        operator = re.match(r" +%\d+\(.*?\) = (?:PrimFunc_)?(\w+)\(", node)
        types = re.search(r"^ +: \((.*)\) -> \((.*)\)$", node, re.MULTILINE)
        if operator and types:
            inputs, outputs = (re.findall(r"(?:Tensor|Ref\[Tensor)\[(\w+)\]", part) for part in types.groups())
            file, line = (re.findall(r"# In file \S*?([\w.]+):(\d+)", node) or [("", 0)])[-1]
            nodes.append(Node(operator[1], inputs, outputs, (file, int(line))))
    return nodes


class Results(NamedTuple):
    graphs: dict[tuple[str, str], list[Node]]  # of training and evaluation, by level
    numbers: dict[str, np.ndarray]

    def under(self, prefix):
        return {name.removeprefix(prefix): value for name, value in self.numbers.items() if name.startswith(prefix)}


@pytest.fixture(scope="module", params=SETTINGS)
def results(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    root = Path(__file__).parents[1]
    graphs = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_SAVE_GRAPHS_PATH": str(folder)}  # read when MindSpore is imported
    last_pass = {"MS_DEV_DUMP_IR_PASSES": "validate"}  # the last pass before the backend gets the graph
    environment = {**os.environ, **graphs, **last_pass, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    done = subprocess.run(
        [sys.executable, __file__, request.param, folder / "results.npz"],
        check=False,
        env=environment,
        capture_output=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    paths = sorted(folder.rglob("*_validate_*.ir"), key=lambda path: int(path.stem.split("_")[-1]))
    texts = [path.read_text() for path in paths]
    # Smaller graphs are of single operators.
    texts = [text for text in texts if len(re.findall(r"^ +%\d+\(", text, re.MULTILINE)) > 100]
    assert len(texts) == len(LEVELS) + len(EVALUATED)
    with np.load(folder / "results.npz") as file:
        numbers = dict(file)
    made = [
        (what, amp) for amp in LEVELS for what in ("evaluation", "training") if what == "training" or amp in EVALUATED
    ]
    return Results({key: read_graph(text) for key, text in zip(made, texts, strict=True)}, numbers)


def types_of(nodes):
    """Types of all tensors that each operator takes or returns."""
    types = defaultdict(set)
    for node in nodes:
        types[node.operator] |= {*node.inputs, *node.outputs}
    return types


def lines_of(*parts):
    """The numbers of the lines in which these functions and classes are defined."""
    spans = [(first, first + len(source)) for source, first in map(inspect.getsourcelines, parts)]
    return {line for begin, end in spans for line in range(begin, end)}


@pytest.mark.parametrize("amp", ["O1", "O2"])
def test_all_products_are_float16_and_what_has_to_be_exact_float32(results, amp):
    exact_lines = lines_of(*EXACT_PRODUCTS)
    nodes = [
        node
        for node in results.graphs["training", amp]
        if node.source[0] != "ops.py" or node.source[1] not in exact_lines
    ]
    types, float32 = types_of(nodes), types_of(results.graphs["training", "O0"])
    assert "MatMul" in types
    for operator in PRODUCTS & {*types}:
        assert types[operator] == {"Float16"}, operator
    exact = EXACT & {*types}
    assert exact >= {"Exp", "Rsqrt", "Sigmoid", "SumExt"}
    assert exact >= {"Softmax", "Tanh", "CumSum"} or exact >= {"LogMatrixDeterminant", "MatrixInverse"}
    for operator in exact:
        assert types[operator] == {"Float32"}, operator
    assert all("Float16" not in types for types in float32.values())


def test_o1_computes_nothing_but_products_in_float16(results):
    for operator, types in types_of(results.graphs["training", "O1"]).items():
        assert "Float16" not in types or operator in PRODUCTS | MOVES, operator


def test_o2_keeps_activations_in_float16(results):
    types = types_of(results.graphs["training", "O2"])
    for operator in ("BiasAdd", "AddN", *(["Dropout", "ReLU", "ScatterUpdate"] if "ReLU" in types else ["Add"])):
        assert "Float16" in types[operator], operator


@pytest.mark.parametrize("amp", ["O1", "O2"])
def test_recurrences_compute_in_float32_between_their_products(results, amp):
    lines = {file: lines_of(*parts) for file, parts in RECURRENT.items()}
    arithmetic = [node for node in results.graphs["training", amp] if node.operator in ARITHMETIC]
    inside = [node for node in arithmetic if node.source[1] in lines.get(node.source[0], ())]
    if "Softmax" in types_of(results.graphs["training", amp]):
        assert len(inside) > 100
    for node in inside:
        assert "Float16" not in node.inputs + node.outputs, node


@pytest.mark.parametrize("amp", ["O1", "O2"])
def test_gradients_are_those_of_float32(results, amp):
    wanted, found = results.under("O0/gradient/"), results.under(f"{amp}/gradient/")
    whole = np.sqrt(sum(np.square(gradient).sum() for gradient in wanted.values()))
    for name, gradient in wanted.items():
        assert found[name].dtype == np.float32, name
        norm = np.linalg.norm(gradient)
        # Batch norm takes away what the bias before it adds, whose gradient is the error of rounding.
        allowed = 1e-3 * whole if norm < 1e-6 * whole else 1e-2 * norm
        assert np.linalg.norm(found[name] - gradient) <= allowed, name


def test_evaluation_and_losses_are_float32_whatever_the_precision_of_training(results):
    found, wanted = results.under("O2/evaluation/"), results.under("O0/evaluation/")
    assert len(wanted) == 4
    assert found == wanted
    types = types_of(results.graphs["evaluation", "O2"])
    assert types["MatMul"] == {"Float32"}
    assert all("Float16" not in types for types in types.values())
    for amp in LEVELS:
        assert all(loss.dtype == np.float32 for loss in results.under(f"{amp}/loss/").values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tacotron2", "waveglow"])
def test_the_loss_after_200_steps_is_that_of_float32(name, monkeypatch):
    monkeypatch.setattr(scan.Scan, "block", BLOCK)
    draw = np.random.default_rng(0)
    batches = [make_batch(name, draw) for _ in range(4)]
    losses = {}
    for amp in LEVELS:
        net, forward, config = make_network(name)
        step = TrainStep(net, forward, dataclasses.replace(config.train, amp=amp))
        results = [step([batches[i % 4]], 3e-3, 1.0 if amp == "O0" else LOSS_SCALE) for i in range(200)]
        assert all(result.updated for result in results)
        losses[amp] = [result.loss for result in results]
    first, last = np.mean(losses["O0"][:4]), np.mean(losses["O0"][-4:])
    assert last < 0.9 * first
    for amp in ("O1", "O2"):
        assert np.mean(losses[amp][-4:]) == pytest.approx(last, rel=0.02)
        assert losses[amp] != losses["O0"]


if __name__ == "__main__":
    write_results(*sys.argv[1:])

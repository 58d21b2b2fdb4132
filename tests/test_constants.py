"""Constants are the same inside graphs and outside, and no graph makes its own of NumPy arrays.

The compilation of a graph grows with the size of the arrays in it.
"""

import ast
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from src.models import constants

SRC = Path(constants.__file__).parent
GRAPHS = [
    *(SRC / f"{name}.py" for name in ("layers", "ops", "scan", "lstm")),
    *sorted((SRC / "tacotron2").glob("*.py")),
    SRC / "waveglow/flow.py",
    SRC / "waveglow/model.py",
]
CASES = {
    "ones": (((2, 3),), np.ones((2, 3), np.float32)),
    "positions": ((3,), np.array([0, 1, 2], np.int32)),
    "repeated": ((2, 3), np.array([0, 0, 0, 1, 1, 1], np.int32)),
    "unfold_index": ((2, 3, 2), np.array([0, 2, 4, 1, 3, 5], np.int32)),
    "unfold_backward_index": ((2, 3), np.array([3, 1, 6, 6, 4, 2], np.int32)),
    "identities": ((2, 2), np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_constant_is_the_same_inside_a_graph(name):
    make, (arguments, expected) = getattr(constants, name), CASES[name]

    @ms.jit
    def inside():
        return make(*arguments)

    for found in (make(*arguments).asnumpy(), inside().asnumpy()):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def arrays_in_graphs(source):
    """Line numbers of `Tensor(np. ...)` in the code of graphs.

    That is `construct`, `bprop`, and functions that do not draw weights.
    """
    tree = ast.parse(source)
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and "np.random" not in ast.unparse(node)
    ]
    functions += [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in ("construct", "bprop")
    ]
    calls = {node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)}
    return sorted(call.lineno for call in calls if ast.unparse(call).startswith("Tensor(np."))


def test_graphs_hold_no_arrays():
    assert arrays_in_graphs("def construct(self, x):\n    return x + Tensor(np.ones(3))") == [2]
    assert {path.name: lines for path in GRAPHS if (lines := arrays_in_graphs(path.read_text()))} == {}

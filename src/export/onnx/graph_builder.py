"""ONNX graphs written node by node, on top of `onnx.helper`."""

from pathlib import Path

import numpy as np

from src.errors import InputError
from src.export.artifact import TensorSpec

try:
    import onnx
    from onnx import TensorProto, checker, helper, numpy_helper
except ImportError as error:
    raise InputError(
        f"ONNX export needs packages that are missing ({error.name}): pip install -r requirements-onnx.txt"
    ) from error

OPSET = 17
IR_VERSION = 8  # came with this opset; older runtimes refuse newer versions
TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}


class Graph:
    """A graph under construction. A value is the name of a tensor; each method adds nodes and returns their value."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, array: np.ndarray | list[int]) -> str:
        """A constant; floats are stored as float32, integers as int64."""
        array = np.asarray(array)
        kind = np.float32 if array.dtype.kind == "f" else np.int64
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(array, kind, order="C"), name))
        return name

    def __call__(self, operator: str, *inputs: str, n: int = 1, **attributes: object) -> str | list[str]:
        """A node of an operator with `n` outputs."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if n == 1 else names

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
        """x W + b over the last axis."""
        product = self("MatMul", x, self.constant(weight))
        return product if bias is None else self("Add", product, self.constant(bias))

    def cut(self, x: str, axis: int, begin: int, end: int | None = None) -> str:
        """x[begin:end] along an axis; a negative end counts from the last value."""
        end = np.iinfo(np.int64).max if end is None else end
        return self("Slice", x, self.constant([begin]), self.constant([end]), self.constant([axis]))

    def split(self, x: str, axis: int, sizes: list[int]) -> list[str]:
        """Pieces of these sizes along an axis."""
        if len(sizes) == 1:
            return [x]
        return self("Split", x, self.constant(sizes), n=len(sizes), axis=axis)

    def pad(self, x: str, rank: int, axis: int, before: int, after: int, value: float = 0.0) -> str:
        """x padded with `value` at both ends of an axis."""
        pads = np.zeros((2, rank), np.int64)
        pads[:, axis] = before, after
        return self("Pad", x, self.constant(pads.reshape(-1)), self.constant(np.float32(value)), mode="constant")

    def unsqueeze(self, x: str, axis: int) -> str:
        """x with a new axis of size 1."""
        return self("Unsqueeze", x, self.constant([axis]))

    def squeeze(self, x: str, axis: int) -> str:
        """x without an axis of size 1."""
        return self("Squeeze", x, self.constant([axis]))

    def mask(self, like: str, axis: int, lengths: str) -> str:
        """Float32 (B, N): 1 below each of the lengths int32 (B,), else 0; N is the size of an axis of `like`."""
        size = self("Gather", self("Shape", like), self.constant(axis))
        places = self("Range", self.constant(0), size, self.constant(1))
        before = self("Less", places, self.unsqueeze(self("Cast", lengths, to=TensorProto.INT64), 1))
        return self("Cast", before, to=TensorProto.FLOAT)

    def save(self, path: Path, inputs: dict[str, TensorSpec], outputs: dict[str, tuple[TensorSpec, str]]) -> None:
        """Write the model; `outputs` gives the spec of each output and its value in the graph."""
        nodes = self.nodes + [helper.make_node("Identity", [value], [name]) for name, (_, value) in outputs.items()]
        specs = [inputs, {name: spec for name, (spec, _) in outputs.items()}]
        values = [
            [helper.make_tensor_value_info(name, TYPES[spec.dtype], spec.shape) for name, spec in each.items()]
            for each in specs
        ]
        graph = helper.make_graph(nodes, path.stem, *values, self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="tacotron2"
        )
        checker.check_model(model)
        onnx.save(model, path)

"""Weights of an ONNX file in 8 bits, so that a decoder step reads a quarter of the memory."""

import json
from pathlib import Path

import numpy as np

from src.export.artifact import description_of
from src.export.onnx.graph_builder import helper, numpy_helper, onnx
from src.files import read_json, sha256_of

BLOCK = 128  # weights of a column that share a scale
SMALLEST = 100_000  # weights of a product that is worth it: the LSTMs
LARGEST = 127
ACTIVATIONS_INT8 = 4  # "accuracy_level" of MatMulNBits: inputs are rounded to 8 bits too, in blocks of their own


def quantised(weight: np.ndarray, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """Round a weight float32 (K, N) to 8 bits, symmetrically in blocks of so many numbers of a column.

    Returns:
        uint8 (N, blocks, block), 128 meaning 0, with zeros behind an incomplete block; scales float32 (N, blocks).
    """
    n_in, n_out = weight.shape
    n_blocks = -(-n_in // block)
    padded = np.zeros((n_out, n_blocks * block), np.float32)
    padded[:, :n_in] = weight.T
    blocks = padded.reshape(n_out, n_blocks, block)
    scales = np.abs(blocks).max(-1) / LARGEST
    scales[scales == 0] = 1
    return (np.rint(blocks / scales[..., None]) + LARGEST + 1).astype(np.uint8), scales.astype(np.float32)


def quantise(path: Path, block: int = BLOCK) -> None:
    """Replace the large products by a constant in an ONNX file by ONNX Runtime's products by 8-bit weights.

    The description beside it is brought along.

    Args:
        block: numbers of a column that share a scale.
    """
    model = onnx.load(path)
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    nodes, replaced, added = [], set(), []
    for node in graph.node:
        constant = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if constant is None or np.prod(constant.dims) < SMALLEST:
            nodes.append(node)
            continue
        weight = numpy_helper.to_array(constant)
        names = [f"{constant.name}_int8", f"{constant.name}_scales"]
        found = quantised(weight, block)
        added += [numpy_helper.from_array(array, name) for array, name in zip(found, names, strict=True)]
        replaced.add(constant.name)
        sizes = {"K": weight.shape[0], "N": weight.shape[1], "bits": 8, "block_size": block}
        inputs, outputs = [node.input[0], *names], list(node.output)
        attributes = sizes | {"accuracy_level": ACTIVATIONS_INT8, "domain": "com.microsoft"}
        nodes.append(helper.make_node("MatMulNBits", inputs, outputs, **attributes))
    kept = [constant for name, constant in constants.items() if name not in replaced]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *added])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, path)
    describe_int8(path)


def describe_int8(path: Path) -> None:
    """Bring the description of a file along with weights that were rounded to 8 bits."""
    described = description_of(path)
    description = read_json(described) | {"sha256": sha256_of(path), "precision": "int8"}
    described.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

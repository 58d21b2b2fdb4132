"""The scans and their hand-written gradients against plain loops in NumPy, differentiated numerically in float64."""

import os
import re
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src import runtime
from src.checkpoint import network_parameters
from src.config import load_config
from src.models.lstm import LSTM, BidirectionalLSTM, LSTMScan
from src.models.ops import transpose_weight
from src.models.precision import set_precision
from src.models.scan import BLOCK, whole_blocks
from src.models.tacotron2.attention import MASKED, Attention, AttentionScan

T, B, L = 5 * BLOCK + 3, 2, 5  # six blocks, the last one not full
TEXT_LENGTHS = np.array([5, 3])
SIZES = {
    "model.prenet_dim": 3,
    "model.encoder_dim": 4,
    "model.attention_rnn_dim": 5,
    "model.attention_dim": 3,
    "model.location_filters": 2,
    "model.location_kernel_size": 3,
    "model.attention_dropout": 0.2,
}


@pytest.fixture(autouse=True)
def graph_mode():
    runtime.setup(0)


class FixedDropout(nn.Cell):
    """Stand-in for `DropoutMask` that returns a known mask (T, B, H)."""

    def __init__(self, mask):
        super().__init__()
        self.mask = Tensor(mask.astype(np.float32))

    def construct(self, shape, like):
        return whole_blocks(self.mask)


class WeightedSum(nn.Cell):
    """A scalar that depends on all outputs of a recurrence."""

    def __init__(self, recurrence, factors):
        super().__init__()
        self.recurrence, self.factors = recurrence, [Tensor(factor.astype(np.float32)) for factor in factors]

    def construct(self, *inputs):
        outputs = self.recurrence(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        total = Tensor(0.0, ms.float32)
        for i in range(len(outputs)):
            total = total + (outputs[i] * self.factors[i]).sum()
        return total


class Gradient(nn.Cell):
    """Value of a cell and its gradients by the first `n_inputs` inputs and all weights."""

    def __init__(self, cell, n_inputs):
        super().__init__()
        self.cell = cell
        self.gradient = ms.value_and_grad(cell, tuple(range(n_inputs)), cell.trainable_params())

    def construct(self, *inputs):
        return self.gradient(*inputs)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, weight, bias):
    i, f, g, o = np.split(np.concatenate((x, h), 1) @ weight + bias, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_loop(dropout_mask, x, weight, bias):
    h = c = np.zeros(dropout_mask.shape[1:])
    outputs = []
    for t in range(len(dropout_mask)):
        h, c = lstm_step(x[t], h, c, weight, bias)
        h = h * dropout_mask[t]
        outputs.append(h)
    return (np.stack(outputs),)


def attention_loop(dropout_mask, x, memory, **w):
    taps, n_filters = w["location_conv"].shape[0] // 2, w["location_conv"].shape[1]
    filters = w["location_conv"].reshape(taps, 2, n_filters)
    h = c = np.zeros((B, dropout_mask.shape[2]))
    context, weights, weights_cum = np.zeros((B, memory.shape[2])), np.zeros((B, L)), np.zeros((B, L))
    states, all_weights = [], []
    for t in range(T):
        h, c = lstm_step(np.concatenate((x[t], context), 1), h, c, w["weight"], w["bias"])
        h = h * dropout_mask[t]
        padded = np.pad(np.stack((weights, weights_cum), 2), ((0, 0), (taps // 2, taps // 2), (0, 0)))
        located = sum(padded[:, k : k + L] @ filters[k] for k in range(taps)) @ w["location_dense"]  # (B, L, A)
        energy = (np.tanh((h @ w["query"])[:, None] + located + memory @ w["keys.weight"]) @ w["v"])[:, :, 0]
        exponentials = np.exp(energy) * (np.arange(L) < TEXT_LENGTHS[:, None])
        weights = exponentials / exponentials.sum(1, keepdims=True)
        weights_cum = weights_cum + weights
        context = (weights[:, :, None] * memory).sum(1)
        states.append(np.concatenate((h, context), 1))
        all_weights.append(weights)
    return np.stack(states), np.stack(all_weights)


def numeric_gradient(function, value, eps=1e-5):
    gradient = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        sides = []
        for change in (eps, -eps):
            moved = value.copy()
            moved[index] += change
            sides.append(function(moved))
        gradient[index] = (sides[0] - sides[1]) / (2 * eps)
    return gradient


def check(cell, loop, dropout_mask, inputs, constants=()):
    """Check that value and gradients of `cell`, by `inputs` (by name) and weights, are those of `loop`."""
    draw = np.random.default_rng(1)
    weights = {name: value.asnumpy().astype(np.float64) for name, value in network_parameters(cell).items()}
    arguments = {**inputs, **weights}
    factors = [draw.standard_normal(output.shape) for output in loop(dropout_mask, **arguments)]

    def total(**changed):
        return sum(
            (output * factor).sum()
            for output, factor in zip(loop(dropout_mask, **{**arguments, **changed}), factors, strict=True)
        )

    cell.dropout = FixedDropout(dropout_mask)
    cell.set_train(True)
    tensors = [Tensor(value.astype(np.float32)) for value in (*inputs.values(), *constants)]
    value, (by_inputs, by_weights) = Gradient(WeightedSum(cell, factors), len(inputs))(*tensors)
    by_inputs = by_inputs if isinstance(by_inputs, tuple) else (by_inputs,)
    np.testing.assert_allclose(float(value), total(), rtol=1e-4)
    for name, found in zip(arguments, (*by_inputs, *by_weights), strict=True):
        wanted = numeric_gradient(lambda value, name=name: total(**{name: value}), arguments[name])
        # Only differences of energies matter, so much cancels in their gradients. A missing term would be ten times as
        # large as the tolerance.
        np.testing.assert_allclose(found.asnumpy(), wanted, atol=1e-3 * np.abs(wanted).max(), rtol=0, err_msg=name)


@pytest.mark.parametrize(("n_steps", "n_batch"), [(T, B), (BLOCK + 1, 1), (BLOCK - 2, B)])
def test_lstm_with_dropout_on_its_state(n_steps, n_batch):
    draw = np.random.default_rng(0)
    dropout_mask = (draw.random((n_steps, n_batch, 4)) < 0.8) / 0.8
    check(LSTM(3, 4, dropout=0.2), lstm_loop, dropout_mask, {"x": draw.standard_normal((n_steps, n_batch, 3))})


# With 1, states are as wide as the text is long, and the scan's buffers have equal shapes.
@pytest.mark.parametrize("n_hidden", [5, 1])
def test_attention_with_dropout_on_its_state(n_hidden):
    draw = np.random.default_rng(0)
    model = load_config(overrides={**SIZES, "model.attention_rnn_dim": n_hidden}).model
    dropout_mask = (draw.random((T, B, model.attention_rnn_dim)) < 0.8) / 0.8
    inputs = {
        "x": draw.standard_normal((T, B, model.prenet_dim)),
        "memory": draw.standard_normal((B, L, model.encoder_dim)),
    }
    energy_mask = MASKED * (np.arange(L) >= TEXT_LENGTHS[:, None])
    check(Attention(model), attention_loop, dropout_mask, inputs, [energy_mask])


@pytest.mark.parametrize("n_rows", [256, 130])  # in two parts, in one
def test_a_transposition_is_exact(n_rows):
    weight = np.random.default_rng(0).standard_normal((n_rows, 5)).astype(np.float32)
    np.testing.assert_array_equal(transpose_weight(Tensor(weight)).asnumpy(), weight.T)


def test_a_bidirectional_lstm_reads_each_item_backwards_from_its_own_end():
    draw = np.random.default_rng(0)
    net, lengths = BidirectionalLSTM(3, 4), np.array([7, 4], np.int32)
    x = draw.standard_normal((7, 2, 3)).astype(np.float32)
    y = net(Tensor(x), Tensor(lengths)).asnumpy()
    weights = {name: value.asnumpy() for name, value in network_parameters(net).items()}
    for item, length in enumerate(lengths):
        for direction, order, half in (
            ("forwards", slice(None), slice(4)),
            ("backwards", slice(None, None, -1), slice(4, 8)),
        ):
            h = c = np.zeros((1, 4))
            steps = []
            for frame in x[:length, item][order]:
                h, c = lstm_step(frame[None], h, c, weights[f"{direction}.weight"], weights[f"{direction}.bias"])
                steps.append(h[0])
            np.testing.assert_allclose(y[:length, item, half], np.stack(steps)[order], rtol=1e-4, atol=1e-5)
        assert not y[length:, item].any()


@pytest.mark.parametrize("attends", [False, True])
def test_the_cell_state_adds_up_what_float16_would_lose(attends):
    n_steps, small = 20, 2.0**-12  # float16 has nothing between 1 and 1 + 2^-10
    x = np.full((n_steps, 1), small)
    x[0] = 20.0  # the cell state begins with 1
    weight, bias = np.zeros((3 if attends else 2, 4)), np.full(4, 20.0)  # all gates are open
    weight[0, 2], bias[2] = 1.0, 0.0  # and x is what comes in
    activations, parameters = [x, np.ones((n_steps, 1, 1))], [weight, bias]
    if attends:
        activations += [np.zeros((1, 1, 1)), np.zeros((1, 1, 1))]  # memory and keys
        parameters = [np.zeros((1, 1)), *parameters, np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((6, 1))]
    scan = AttentionScan(0.0) if attends else LSTMScan(0.0)
    set_precision(scan, "O2")
    scan.set_train(True)
    inputs = [Tensor(value.astype(np.float16)) for value in activations] + [
        Tensor(value.astype(np.float32)) for value in parameters
    ]
    h, *_, c, _ = scan(*inputs)
    assert (h.dtype, c.dtype) == (ms.float16, ms.float32)
    np.testing.assert_allclose(c.asnumpy()[1:, 0], 1 + small * np.arange(n_steps), atol=small / 10)


def compile_for(n_blocks):
    """Compile value and gradient of both recurrences for a number of blocks."""
    model = load_config(overrides=SIZES).model
    x, memory = ops.ones((n_blocks * BLOCK, B, 3), ms.float32), ops.ones((B, L, model.encoder_dim), ms.float32)
    energy_mask = ops.zeros((B, L), ms.float32)
    Gradient(WeightedSum(LSTM(3, 4), [np.ones(1)]), 1).compile(x)
    Gradient(WeightedSum(Attention(model), [np.ones(1), np.ones(1)]), 2).compile(x, memory, energy_mask)


def test_graphs_of_value_and_gradient_do_not_grow_with_the_steps(tmp_path):
    graphs = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_SAVE_GRAPHS_PATH": str(tmp_path)}  # read when MindSpore is imported
    last_pass = {"MS_DEV_DUMP_IR_PASSES": "validate"}  # the last pass before the backend gets the graph
    environment = {**os.environ, **graphs, **last_pass, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, __file__], check=True, env=environment, capture_output=True, cwd=tmp_path)
    texts = [path.read_text() for path in sorted(tmp_path.rglob("*_validate_*.ir"))]
    nodes = [len(re.findall(r"^ +%\d+\(", text, re.MULTILINE)) for text in texts]
    # Smaller graphs are of single operators.
    lstm, attention, longer_lstm, longer_attention = (count for count in nodes if count > 100)
    assert (lstm, attention) == (longer_lstm, longer_attention)


if __name__ == "__main__":
    runtime.setup(0)
    compile_for(n_blocks=2)
    compile_for(n_blocks=20)

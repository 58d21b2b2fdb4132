"""Long-short-term-memory layers (Hochreiter & Schmidhuber 1997) as a scan: a loop in the graph, with a gradient of its own.

The loop runs over blocks of `BLOCK` steps, so compile time does not depend on the number of steps. What inputs give to the gates is one
product for all steps. The forward pass keeps h, c and the sums that gates are made of; the backward pass writes the gradients of these sums
in their place, block by block, and makes the LSTM's weight gradients of them, one product each. Gates come in the order i, f, g, o.
In mixed precision a scan takes, gives and keeps sequences in the type of its input; cell states, gates and all sums but those within a
product are float32.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from src.models.constants import positions
from src.models.layers import uniform
from src.models.ops import (
    add_bias,
    as_steps,
    broadcast_last,
    concat_last,
    concat_rows,
    depend,
    matmul_fp32,
    matmul_fp32_transposed,
    matmul_state,
    matmul_transposed,
    one_step_later,
    take_rows,
    transpose_weight,
    unstack,
    write_rows,
    zeros,
)
from src.models.precision import cast, to_float32
from src.models.scan import DropoutMask, Scan, block_length, block_rows, whole_blocks

split_gates = ops.Split(-1, 4)


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step from gate sums (B, 4H) and cell state (B, H): new h and c, both (B, H)."""
    i, f, g, o = split_gates(gates)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def lstm_gate_gradients(gates: Tensor, c_before: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What backward steps need, for N rows at once: gate sums (N, 4H), c (N, H) before and after.

    Returns d(i, f, g)/dc (N, 3H), d(o)/dh (N, H), dc/dh (N, H) and the forget gate (N, H).
    """
    i, f, g, o = split_gates(gates)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    tanh_c = ops.tanh(c)
    by_c = concat_last((g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)))
    return by_c, tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c), f


def lstm_step_backward(
    dh: Tensor, dc: Tensor, by_c: Tensor, by_h: Tensor, c_by_h: Tensor, f: Tensor
) -> tuple[Tensor, Tensor]:
    """One backward step from dh, dc (B, H) and the slopes of that step: d(gates) (B, 4H) and dc of the step before (B, H)."""
    dc = dc + dh * c_by_h
    return concat_last((concat_last((dc, dc, dc)) * by_c, dh * by_h)), dc * f


class LSTMScan(Scan):
    """x (T * B, X), dropout_mask (T, B, H), weight [X + H, 4H], bias [4H] -> h (T * B, H), c ((1 + T) * B, H), gates (T * B, 4H).

    Sequences are in rows, step after step, T is a whole number of blocks. c begins with what is before the first step. Gates are the sums
    without bias; the backward pass writes their gradients in their place.

    `dropout_mask` multiplies h after each step: dropout on the state as Tacotron 2 has it (Shen et al. 2018, sec. 2.2).
    """

    def construct(self, x: Tensor, dropout_mask: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k = block_length(n_steps)
        weight = self.cast_operand(weight)
        w_in, w_hidden = weight[: x.shape[1]], transpose_weight(weight[x.shape[1] :])
        gates = matmul_fp32(x, w_in)
        all_h, all_c = zeros((n_steps * n_batch, n_hidden), x, x.dtype), zeros(((1 + n_steps) * n_batch, n_hidden), x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        t = Tensor(0, ms.int32)
        while t < n_steps // k:
            here = block_rows(t, k * n_batch)
            from_input, block_mask = (
                ops.Split(0, k)(take_rows(gates, here)),
                unstack(to_float32(take_rows(dropout_mask, block_rows(t, k)))),
            )
            block_gates, block_h, block_c = (), (), ()
            for step in range(k):
                gate = from_input[step] + matmul_state(h, w_hidden)
                h, c = lstm_step(add_bias(gate, bias), c)
                h = h * block_mask[step]
                block_gates, block_h, block_c = (*block_gates, gate), (*block_h, h), (*block_c, c)
            gates = write_rows(gates, here, concat_rows(block_gates))
            all_h = write_rows(all_h, here, cast(concat_rows(block_h), x.dtype))
            all_c = write_rows(all_c, here + n_batch, concat_rows(block_c))
            t = t + 1
        return all_h, all_c, gates

    def bprop(self, x, dropout_mask, weight, bias, out, dout):  # noqa: ANN001, ANN201
        h, c, gates = out
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps), x.shape[1]
        weight = depend(weight, dout[0])  # or its parts are made in the forward pass already
        operand = self.cast_operand(weight)
        w_in, w_hidden = operand[:n_in], operand[n_in:]
        split = ops.Split(0, k)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        t = Tensor(n_steps // k - 1, ms.int32)
        while t >= 0:
            here = block_rows(t, k * n_batch)
            slopes = lstm_gate_gradients(
                add_bias(take_rows(gates, here), bias), take_rows(c, here), take_rows(c, here + n_batch)
            )
            by_c, by_h, c_by_h, f = split(slopes[0]), split(slopes[1]), split(slopes[2]), split(slopes[3])
            block_mask, block_dh = (
                split(self.applied_dropout_mask(take_rows(h, here))),
                split(to_float32(take_rows(dout[0], here))),
            )
            dgates = ()
            for back in range(k):
                step = k - 1 - back
                dh = (dh + block_dh[step]) * block_mask[step]
                dgate, dc = lstm_step_backward(dh, dc, by_c[step], by_h[step], c_by_h[step], f[step])
                dh = matmul_state(dgate, w_hidden)
                dgates = (dgate, *dgates)
            gates = write_rows(gates, here, concat_rows(dgates))
            t = t - 1
        dbias, dgates = gates.sum(0), self.cast_operand(gates)
        dweight = concat_rows(
            (matmul_fp32_transposed(x, dgates), matmul_fp32_transposed(one_step_later(h, n_batch), dgates))
        )
        dx = cast(matmul_transposed(dgates, w_in), x.dtype)
        return depend(dx, dweight), zeros(dropout_mask.shape, weight, dropout_mask.dtype), dweight, dbias


def lstm_weight(n_in: int, n_hidden: int) -> tuple[Parameter, Parameter]:
    """Fresh weight [n_in + n_hidden, 4 * n_hidden] and bias [4 * n_hidden]."""
    bound = n_hidden**-0.5
    weight = Parameter(uniform((n_in + n_hidden, 4 * n_hidden), bound), name="weight")
    return weight, Parameter(uniform((4 * n_hidden,), bound), name="bias")


class LSTM(nn.Cell):
    """One layer, one direction, time first: x (T, B, n_in) -> h (T, B, n_hidden), with dropout on the state while training."""

    def __init__(self, n_in: int, n_hidden: int, dropout: float = 0.0):
        super().__init__()
        self.weight, self.bias = lstm_weight(n_in, n_hidden)
        self.dropout = DropoutMask(dropout)
        self.n_hidden = n_hidden
        self.scan = LSTMScan(dropout)

    def construct(self, x: Tensor) -> Tensor:
        n_steps, n_batch, n_in = x.shape
        x = whole_blocks(x)
        dropout_mask = self.dropout((x.shape[0], n_batch, self.n_hidden), x)
        h = self.scan(x.reshape(-1, n_in), dropout_mask, self.weight, self.bias)[
            0
        ]  # not unpacked: MindSpore warns of what is then left unused
        return as_steps(h, n_batch, n_steps)


class BidirectionalLSTM(nn.Cell):
    """x (T, B, n_in) -> (T, B, 2 * n_hidden); padding does not change what real positions get, and comes out as 0."""

    def __init__(self, n_in: int, n_hidden: int):
        super().__init__()
        self.forwards = LSTM(n_in, n_hidden)
        self.backwards = LSTM(n_in, n_hidden)

    def construct(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` int32 (B,): real steps of each item."""
        forwards = self.forwards(x)
        backwards = reverse_by_length(self.backwards(reverse_by_length(x, lengths)), lengths)
        both = concat_last((forwards, backwards))
        real = positions(x.shape[0]).reshape(-1, 1) < lengths  # (T, B)
        return both * broadcast_last(real.astype(both.dtype).expand_dims(2), both.shape[2])


def reverse_by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """x (T, B, C) with the first `lengths` (B,) steps of each item in reverse order, its padding left where it is."""
    n_steps, n_batch, n_channels = x.shape
    step = positions(n_steps).reshape(-1, 1)
    source = ops.where(step < lengths, lengths - 1 - step, step)  # (T, B)
    rows = source * n_batch + positions(n_batch)
    return ops.gather(x.reshape(n_steps * n_batch, n_channels), rows.reshape(-1), 0).reshape(x.shape)

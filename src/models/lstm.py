"""LSTM layers (Hochreiter & Schmidhuber 1997) as a scan: a loop in the graph with a hand-written gradient.

The loop runs over blocks of a few steps, so compile time does not depend on the number of steps. The input's share of
the gate sums is one product for all steps. The forward pass keeps h, c and the gate sums (before their activation). The
backward pass overwrites the gate sums with their gradients, block by block, and then computes each weight gradient by
one product. Gates are in the order i, f, g, o.

In mixed precision a scan takes, returns and keeps sequences in the type of its input. Cell states, gates and all sums
outside of products are float32.
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
    tanh,
    transpose_weight,
    unstack,
    write_rows,
    zeros,
)
from src.models.precision import cast, to_float32
from src.models.scan import DropoutMask, Scan, block_length, block_rows, whole_blocks

split_gates = ops.Split(-1, 4)


# One step


def lstm_step(gates: Tensor, c: Tensor, exact: bool = True) -> tuple[Tensor, Tensor]:
    """One LSTM step: gate sums (B, 4H) and cell state (B, H) -> new h and c, both (B, H). For `exact` see `tanh`."""
    i, f, g, o = split_gates(gates)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * tanh(g, exact)
    return ops.sigmoid(o) * tanh(c, exact), c


def lstm_gate_gradients(gates: Tensor, c_before: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Local derivatives of LSTM steps, for N rows at once, from gate sums (N, 4H) and c (N, H) before and after.

    Returns:
        dc/d(sums of i, f, g) (N, 3H), dh/d(sum of o) (N, H), dh/dc (N, H), and the forget gate, dc/dc_before (N, H).
    """
    i, f, g, o = split_gates(gates)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    tanh_c = ops.tanh(c)
    dc_dgates = concat_last((g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)))
    return dc_dgates, tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c), f


def lstm_step_backward(
    dh: Tensor, dc: Tensor, dc_dgates: Tensor, dh_dgate: Tensor, dh_dc: Tensor, f: Tensor
) -> tuple[Tensor, Tensor]:
    """One backward step from dh, dc (B, H) and the step's `lstm_gate_gradients`.

    Returns:
        Gradients of the gate sums (B, 4H) and of the cell state before the step (B, H).
    """
    dc = dc + dh * dh_dc
    return concat_last((concat_last((dc, dc, dc)) * dc_dgates, dh * dh_dgate)), dc * f


# Whole sequences


class LSTMScan(Scan):
    """The recurrence of an LSTM over all T steps, with its own gradient.

    Inputs: x (T * B, X), dropout_mask (T, B, H), weight [X + H, 4H], bias [4H].
    Outputs: h (T * B, H), c ((1 + T) * B, H), gates (T * B, 4H).

    Sequences are in rows, step after step; T is a whole number of blocks. c begins with the state before the first
    step. `gates` are the gate sums without bias; the backward pass overwrites them with their gradients.
    `dropout_mask` multiplies h after each step: dropout on the state, as in Tacotron 2 (Shen et al. 2018, sec. 2.2).
    """

    def construct(self, x: Tensor, dropout_mask: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k = block_length(n_steps, self.block)
        weight = self.cast_operand(weight)
        w_in, w_hidden = weight[: x.shape[1]], transpose_weight(weight[x.shape[1] :])
        gates = matmul_fp32(x, w_in)
        all_h, all_c = zeros((n_steps * n_batch, n_hidden), x, x.dtype), zeros(((1 + n_steps) * n_batch, n_hidden), x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        t = Tensor(0, ms.int32)
        while t < n_steps // k:
            rows = block_rows(t, k * n_batch)
            input_gates = ops.Split(0, k)(take_rows(gates, rows))
            block_mask = unstack(to_float32(take_rows(dropout_mask, block_rows(t, k))))
            block_gates, block_h, block_c = (), (), ()
            for step in range(k):
                step_gates = input_gates[step] + matmul_state(h, w_hidden)
                h, c = lstm_step(add_bias(step_gates, bias), c, not self.training)
                h = h * block_mask[step]
                block_gates, block_h, block_c = (*block_gates, step_gates), (*block_h, h), (*block_c, c)
            gates = write_rows(gates, rows, concat_rows(block_gates))
            all_h = write_rows(all_h, rows, cast(concat_rows(block_h), x.dtype))
            all_c = write_rows(all_c, rows + n_batch, concat_rows(block_c))
            t = t + 1
        return all_h, all_c, gates

    def bprop(self, x, dropout_mask, weight, bias, out, dout):  # noqa: ANN001, ANN201
        h, c, gates = out
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps, self.block), x.shape[1]
        weight = depend(weight, dout[0])  # otherwise its parts would be made, and kept, in the forward pass
        weight_operand = self.cast_operand(weight)
        w_in, w_hidden = weight_operand[:n_in], weight_operand[n_in:]
        split = ops.Split(0, k)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        t = Tensor(n_steps // k - 1, ms.int32)
        while t >= 0:
            rows = block_rows(t, k * n_batch)
            gradients = lstm_gate_gradients(
                add_bias(take_rows(gates, rows), bias), take_rows(c, rows), take_rows(c, rows + n_batch)
            )
            dc_dgates, dh_dgate = split(gradients[0]), split(gradients[1])
            dh_dc, f = split(gradients[2]), split(gradients[3])
            block_mask = split(self.applied_dropout_mask(take_rows(h, rows)))
            block_dh = split(to_float32(take_rows(dout[0], rows)))
            block_dgates = ()
            for back in range(k):
                step = k - 1 - back
                dh = (dh + block_dh[step]) * block_mask[step]
                step_dgates, dc = lstm_step_backward(dh, dc, dc_dgates[step], dh_dgate[step], dh_dc[step], f[step])
                dh = matmul_state(step_dgates, w_hidden)
                block_dgates = (step_dgates, *block_dgates)
            gates = write_rows(gates, rows, concat_rows(block_dgates))
            t = t - 1
        dbias, dgates = gates.sum(0), self.cast_operand(gates)
        dweight = concat_rows(
            (matmul_fp32_transposed(x, dgates), matmul_fp32_transposed(one_step_later(h, n_batch), dgates))
        )
        dx = cast(matmul_transposed(dgates, w_in), x.dtype)
        return depend(dx, dweight), zeros(dropout_mask.shape, weight, dropout_mask.dtype), dweight, dbias


# Layers


def lstm_weight(n_in: int, n_hidden: int) -> tuple[Parameter, Parameter]:
    """Fresh weight [n_in + n_hidden, 4 * n_hidden] and bias [4 * n_hidden]."""
    bound = n_hidden**-0.5
    weight = Parameter(uniform((n_in + n_hidden, 4 * n_hidden), bound), name="weight")
    return weight, Parameter(uniform((4 * n_hidden,), bound), name="bias")


class LSTM(nn.Cell):
    """One layer in one direction, time first: x (T, B, n_in) -> h (T, B, n_hidden).

    While training, dropout is applied to the state.
    """

    def __init__(self, n_in: int, n_hidden: int, dropout: float = 0.0):
        super().__init__()
        self.weight, self.bias = lstm_weight(n_in, n_hidden)
        self.dropout = DropoutMask(dropout)
        self.n_hidden = n_hidden
        self.scan = LSTMScan(dropout)

    def construct(self, x: Tensor) -> Tensor:
        n_steps, n_batch, n_in = x.shape
        x = whole_blocks(x, self.scan.block)
        dropout_mask = self.dropout((x.shape[0], n_batch, self.n_hidden), x)
        outputs = self.scan(x.reshape(-1, n_in), dropout_mask, self.weight, self.bias)
        return as_steps(outputs[0], n_batch, n_steps)  # not unpacked: MindSpore would warn of unused outputs


class BidirectionalLSTM(nn.Cell):
    """One layer in both directions: x (T, B, n_in) -> (T, B, 2 * n_hidden), 0 at padding.

    Padding does not change the output at real positions.
    """

    def __init__(self, n_in: int, n_hidden: int):
        super().__init__()
        self.forwards = LSTM(n_in, n_hidden)
        self.backwards = LSTM(n_in, n_hidden)

    def construct(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` int32 (B,): real steps of each item."""
        return self.join(self.forwards(x), self.backwards(reverse_by_length(x, lengths)), lengths)

    def join(self, forwards: Tensor, backwards: Tensor, lengths: Tensor) -> Tensor:
        """Put the outputs of both directions side by side; `backwards` (T, B, n_hidden) is of the reversed sequence."""
        both = concat_last((forwards, reverse_by_length(backwards, lengths)))
        real = positions(both.shape[0]).reshape(-1, 1) < lengths  # (T, B)
        return both * broadcast_last(real.astype(both.dtype).expand_dims(2), both.shape[2])


def reverse_by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the first `lengths` (B,) steps of each item of x (T, B, C); its padding stays in place."""
    n_steps, n_batch, n_channels = x.shape
    step = positions(n_steps).reshape(-1, 1)
    source = ops.where(step < lengths, lengths - 1 - step, step)  # (T, B)
    rows = source * n_batch + positions(n_batch)
    return ops.gather(x.reshape(n_steps * n_batch, n_channels), rows.reshape(-1), 0).reshape(x.shape)

"""Location-sensitive attention (Chorowski et al. 2015, sec. 2.1; Shen et al. 2018, sec. 2.2) and its LSTM.

Energies of step t: e = v . tanh(W_q h_t + W_m memory + W_l (F * [a_{t-1}, sum of a before t])), a_t = softmax(e).
The location filters F and their projection W_l are folded into one matrix, which multiplies the unfolded weights.
"""

# ruff: noqa: ANN001, ANN201  (`construct`, `bprop` and `attend` take and return tensors, as their docstrings list them)

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from src.config import Tacotron2Config
from src.models.layers import INITIAL_GAINS, Linear, uniform, xavier_uniform
from src.models.lstm import lstm_gate_gradients, lstm_step, lstm_step_backward, lstm_weight
from src.models.ops import (
    add_bias,
    as_steps,
    broadcast_last,
    broadcast_rows,
    broadcast_to,
    concat_last,
    concat_rows,
    depend,
    matmul_fp32,
    matmul_fp32_transposed,
    matmul_state,
    matmul_transposed,
    one_step_later,
    repeat_rows,
    take_rows,
    tanh,
    transpose,
    transpose_weight,
    unfold,
    unfold_backward,
    unstack,
    write_rows,
    zeros,
)
from src.models.precision import MixedPrecision, cast, to_float32
from src.models.scan import DropoutMask, Scan, block_length, block_rows, whole_blocks

# Energy of a padded position: its weight becomes exactly 0. It is finite, and float16 could hold it.
MASKED = -1e4

batch_matmul = ops.BatchMatMul()
transposed_batch_matmul = ops.BatchMatMul(transpose_a=True)
split_last = ops.Split(-1, 2)


def batch_matmul_fp32(x: Tensor, matrices: Tensor) -> Tensor:
    """Multiply x (B, L) by the matrix (L, C) of each item, in the type of `matrices` (B, L, C): float32 (B, C)."""
    return to_float32(batch_matmul(cast(x, matrices.dtype).expand_dims(1), matrices).reshape(-1, matrices.shape[2]))


class AttentionScan(Scan):
    """The recurrence of attention and its LSTM over all T decoder steps, with its own gradient.

    Inputs: x (T * B, P), dropout_mask (T, B, H), memory (B, L, E), keys (B, L, A), energy_mask (B, L),
    weight [P + E + H, 4H], bias [4H], query [H, A], v [A, 1], location [kernel_size * 2, A].
    Outputs: h and context side by side (T * B, H + E), attention weights (T * B, L), c and gates as in `LSTMScan`.

    In mixed precision x, dropout_mask, memory, keys, h and context have the type of activations. Attention weights and
    everything else are float32.
    """

    def construct(self, x, dropout_mask, memory, keys, energy_mask, weight, bias, query, v, location):
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps, self.block), x.shape[1]
        _, length, n_memory = memory.shape
        weight, query, v, location = (
            self.cast_operand(weight),
            self.cast_operand(query),
            self.cast_operand(v),
            self.cast_operand(location),
        )
        memory, keys = self.cast_operand(memory), to_float32(keys)
        w_in, w_state = weight[:n_in], transpose_weight(weight[n_in:])
        gates = matmul_fp32(x, w_in)
        all_states = zeros((n_steps * n_batch, n_hidden + n_memory), x, x.dtype)
        all_c, all_weights = zeros(((1 + n_steps) * n_batch, n_hidden), x), zeros((n_steps * n_batch, length), x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        context = ops.zeros((n_batch, n_memory), ms.float32)
        weights = ops.zeros((n_batch, length), ms.float32)
        weights_cum = ops.zeros((n_batch, length), ms.float32)
        t = Tensor(0, ms.int32)
        while t < n_steps // k:
            rows = block_rows(t, k * n_batch)
            input_gates = ops.Split(0, k)(take_rows(gates, rows))
            block_mask = unstack(to_float32(take_rows(dropout_mask, block_rows(t, k))))
            block_gates, block_states, block_c, block_weights = (), (), (), ()
            for step in range(k):
                step_gates = input_gates[step] + matmul_state(concat_last((context, h)), w_state)
                h, c = lstm_step(add_bias(step_gates, bias), c, not self.training)
                h = h * block_mask[step]
                weights, weights_cum, context = attend(
                    matmul_fp32(h, query),
                    weights,
                    weights_cum,
                    memory,
                    keys,
                    energy_mask,
                    v,
                    location,
                    not self.training,
                )
                block_gates, block_c = (*block_gates, step_gates), (*block_c, c)
                block_states = (*block_states, concat_last((h, context)))
                block_weights = (*block_weights, weights)
            gates = write_rows(gates, rows, concat_rows(block_gates))
            all_states = write_rows(all_states, rows, cast(concat_rows(block_states), x.dtype))
            all_c = write_rows(all_c, rows + n_batch, concat_rows(block_c))
            all_weights = write_rows(all_weights, rows, concat_rows(block_weights))
            t = t + 1
        return all_states, all_weights, all_c, gates

    # One long function: the steps of one derivation, over about thirty arrays that all its parts share.
    def bprop(self, x, dropout_mask, memory, keys, energy_mask, weight, bias, query, v, location, out, dout):
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps, self.block), x.shape[1]
        n_rows = k * n_batch
        _, length, n_memory = memory.shape
        n_attention, n_taps = keys.shape[2], location.shape[0]
        hidden_shape = (k, n_batch, length, n_attention)
        states, weights, c, gates = out
        # Otherwise their parts and transposes would be made, and kept, in the forward pass.
        weight, memory = depend(weight, dout[0]), depend(memory, dout[0])
        weights_cum = ops.CumSum()(weights.reshape(n_steps, n_batch, length), 0).reshape(weights.shape)
        # (T * B, L * 2)
        history = one_step_later(ops.Stack(-1)((weights, weights_cum)).reshape(-1, length * 2), n_batch)
        weight_operand, query_operand = self.cast_operand(weight), self.cast_operand(query)
        location_operand = self.cast_operand(location)
        w_in, w_context = weight_operand[:n_in], weight_operand[n_in : n_in + n_memory]
        w_hidden = weight_operand[n_in + n_memory :]
        # Gradients through tanh are multiplied by v: in the loop by way of these two matrices, after it in the sums.
        query_transposed = self.cast_operand(transpose(query * broadcast_rows(v, n_hidden), (1, 0)))
        location_transposed = self.cast_operand(transpose(location * broadcast_rows(v, n_taps), (1, 0)))
        block_keys = broadcast_to(depend(to_float32(keys), dout[0]), hidden_shape)
        memory_transposed = transpose(self.cast_operand(memory), (0, 2, 1))
        dmemory, dkeys = ops.zeros_like(to_float32(memory)), ops.zeros_like(to_float32(keys))
        dquery, dv, dlocation = ops.zeros_like(query), ops.zeros_like(v), ops.zeros_like(location)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        dcontext = ops.zeros((n_batch, n_memory), ms.float32)
        dweights = ops.zeros((n_batch, length), ms.float32)
        dweights_cum = ops.zeros((n_batch, length), ms.float32)
        split = ops.Split(0, k)
        t = Tensor(n_steps // k - 1, ms.int32)
        while t >= 0:
            rows = block_rows(t, n_rows)
            gradients = lstm_gate_gradients(
                add_bias(take_rows(gates, rows), bias), take_rows(c, rows), take_rows(c, rows + n_batch)
            )
            dc_dgates, dh_dgate = split(gradients[0]), split(gradients[1])
            dh_dc, f = split(gradients[2]), split(gradients[3])
            block_h, block_weights = take_rows(states, rows)[:, :n_hidden], take_rows(weights, rows)
            columns = unfold(take_rows(history, rows).reshape(n_rows, length, 2), n_taps // 2)  # (K * B * L, taps)
            queries = repeat_rows(matmul_fp32(block_h, query_operand), length)
            hidden = ops.tanh((matmul_fp32(columns, location_operand) + queries).reshape(hidden_shape) + block_keys)
            # Derivatives of energies by the argument of tanh (without v) and by `columns`; the loop only scales them.
            tanh_gradient = 1 - hidden * hidden
            columns_gradient = matmul_fp32(tanh_gradient.reshape(-1, n_attention), location_transposed).reshape(
                k, n_batch * length, n_taps
            )
            tanh_gradients, columns_gradients = unstack(self.cast_operand(tanh_gradient)), unstack(columns_gradient)
            step_weights, block_mask = split(block_weights), split(self.applied_dropout_mask(block_h))
            dstates = to_float32(take_rows(dout[0], rows))
            dh_out, dcontext_out = split(dstates[:, :n_hidden]), split(dstates[:, n_hidden:])
            dweights_out = split(take_rows(dout[1], rows))
            block_dgates, dqueries, denergies, dcontexts = (), (), (), ()
            for back in range(k):
                step = k - 1 - back
                dcontext = dcontext + dcontext_out[step]
                dweights_from_context = batch_matmul_fp32(dcontext, memory_transposed)
                dweights = dweights_out[step] + dweights + dweights_cum + dweights_from_context
                weighted = step_weights[step] * dweights
                # (B, L), through the softmax
                denergy = weighted - step_weights[step] * weighted.sum(-1, keepdims=True)
                dquery_step = batch_matmul_fp32(denergy, tanh_gradients[step])  # (B, A)
                scale = broadcast_last(denergy.reshape(n_batch * length, 1), n_taps)
                dhistory = unfold_backward(columns_gradients[step] * scale, (n_batch, length, 2))
                dweights, dweights_cum_step = split_last(dhistory)
                dweights = dweights.reshape(denergy.shape)
                dweights_cum = dweights_cum + dweights_cum_step.reshape(denergy.shape)
                dh = (dh + dh_out[step] + matmul_fp32(dquery_step, query_transposed)) * block_mask[step]
                step_dgates, dc = lstm_step_backward(dh, dc, dc_dgates[step], dh_dgate[step], dh_dc[step], f[step])
                block_dgates, dqueries = (step_dgates, *block_dgates), (dquery_step, *dqueries)
                denergies, dcontexts = (denergy, *denergies), (dcontext, *dcontexts)
                dcontext = matmul_state(step_dgates, w_context)
                dh = matmul_state(step_dgates, w_hidden)
            gates = write_rows(gates, rows, concat_rows(block_dgates))
            denergy = concat_rows(denergies).reshape(-1, 1)  # (K * B * L, 1)
            dhidden = tanh_gradient * broadcast_last(denergy, n_attention).reshape(hidden_shape)
            dquery = dquery + matmul_fp32_transposed(block_h, self.cast_operand(concat_rows(dqueries)))
            dkeys = dkeys + dhidden.sum(0)
            dv = dv + matmul_fp32_transposed(hidden.reshape(-1, n_attention), self.cast_operand(denergy))
            dlocation = dlocation + matmul_fp32_transposed(columns, self.cast_operand(dhidden.reshape(-1, n_attention)))
            weights_by_item = self.cast_operand(transpose(block_weights.reshape(k, n_batch, length), (1, 0, 2)))
            dmemory = dmemory + to_float32(
                transposed_batch_matmul(weights_by_item, self.cast_operand(ops.Stack(1)(dcontexts)))
            )
            t = t - 1
        dbias, dgates = gates.sum(0), self.cast_operand(gates)
        # In the order of `states` (h, context), which in `weight` is the other way round.
        dw_state = matmul_fp32_transposed(one_step_later(states, n_batch), dgates)
        dweight = concat_rows((matmul_fp32_transposed(x, dgates), dw_state[n_hidden:], dw_state[:n_hidden]))
        dx = depend(cast(matmul_transposed(dgates, w_in), x.dtype), dweight)
        dquery, dlocation = dquery * broadcast_rows(v, n_hidden), dlocation * broadcast_rows(v, n_taps)
        dkeys = dkeys * broadcast_rows(v, n_batch * length).reshape(dkeys.shape)
        dmemory, dkeys = cast(dmemory, memory.dtype), cast(dkeys, keys.dtype)
        ddropout_mask, denergy_mask = zeros(dropout_mask.shape, weight, dropout_mask.dtype), ops.zeros_like(energy_mask)
        return dx, ddropout_mask, dmemory, dkeys, denergy_mask, dweight, dbias, dquery, dv, dlocation


def attend(query, weights, weights_cum, memory, keys, energy_mask, v, location, exact=True):
    """One step of attention.

    Args:
        query: float32 (B, A).
        weights, weights_cum: attention weights of the step before and their running sum, float32 (B, L).
        memory: (B, L, E); its products, like those of v and location, are in its own type.
        keys: float32 (B, L, A).
        energy_mask: float32 (B, L), 0 at symbols and MASKED at padding.
        v: [A, 1].
        location: [kernel_size * 2, A], see `Attention.location`.
        exact: see `src.models.ops.tanh`.

    Returns:
        The new weights and their new sum (B, L), and the context (B, E), all float32.
    """
    n_batch, length, n_attention = keys.shape
    columns = unfold(ops.Stack(-1)((weights, weights_cum)), location.shape[0] // 2)
    hidden = matmul_fp32(columns, location) + repeat_rows(query, length) + keys.reshape(-1, n_attention)  # (B * L, A)
    hidden = tanh(hidden, exact)
    energy = matmul_fp32(hidden, v).reshape(n_batch, length)
    weights = ops.Softmax(-1)(energy + energy_mask)
    context = batch_matmul_fp32(weights, memory)
    return weights, weights_cum + weights, context


class Attention(MixedPrecision):
    """Attention and its LSTM. `construct` is teacher forced; the free-running loop uses the same weights."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        n_hidden, n_attention = config.attention_rnn_dim, config.attention_dim
        kernel_size, n_filters = config.location_kernel_size, config.location_filters
        self.weight, self.bias = lstm_weight(config.prenet_dim + config.encoder_dim, n_hidden)
        self.query = Parameter(
            xavier_uniform((n_hidden, n_attention), n_hidden, n_attention, gain=INITIAL_GAINS["tanh"]), name="query"
        )
        self.keys = Linear(config.encoder_dim, n_attention, bias=False, gain=INITIAL_GAINS["tanh"])
        self.v = Parameter(xavier_uniform((n_attention, 1), n_attention, 1), name="v")
        bound = (2 * kernel_size) ** -0.5
        self.location_conv = Parameter(uniform((kernel_size * 2, n_filters), bound), name="location_conv")
        self.location_dense = Parameter(
            xavier_uniform((n_filters, n_attention), n_filters, n_attention, gain=INITIAL_GAINS["tanh"]),
            name="location_dense",
        )
        self.dropout = DropoutMask(config.attention_dropout)
        self.n_hidden = n_hidden
        self.scan = AttentionScan(config.attention_dropout)

    def location(self) -> Tensor:
        """Fold the location filters and their projection into one matrix [kernel_size * 2, A]."""
        return matmul_fp32(self.cast_operand(self.location_conv), self.cast_operand(self.location_dense))

    def construct(self, x: Tensor, memory: Tensor, energy_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Run all steps: x (T, B, P), memory (B, L, E), energy_mask (B, L).

        Returns h and context side by side (T, B, H + E), and the attention weights (T, B, L).
        """
        n_steps, n_batch, n_in = x.shape
        x = whole_blocks(x, self.scan.block)
        dropout_mask = self.dropout((x.shape[0], n_batch, self.n_hidden), x)
        outputs = self.scan(
            x.reshape(-1, n_in),
            dropout_mask,
            memory,
            self.keys(memory),
            energy_mask,
            self.weight,
            self.bias,
            self.query,
            self.v,
            self.location(),
        )
        return as_steps(outputs[0], n_batch, n_steps), as_steps(outputs[1], n_batch, n_steps)

"""Location-sensitive attention (Chorowski et al. 2015, sec. 2.1; Shen et al. 2018, sec. 2.2) and the LSTM that drives it.

Energies of step t: e = v . tanh(W_q h_t + W_m memory + W_l (F * [a_{t-1}, sum of a before t])), a_t = softmax(e).
The location filters F and their projection W_l are folded into one matrix, applied to the gathered neighbourhood.
"""

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

MASKED = (
    -1e4
)  # energy of a padded position: its weight is exactly 0; finite, and float16 can hold it should energies ever be that

batch_matmul = ops.BatchMatMul()
transposed_batch_matmul = ops.BatchMatMul(transpose_a=True)
split_last = ops.Split(-1, 2)


def batch_matmul_fp32(x: Tensor, matrices: Tensor) -> Tensor:
    """x (B, L) times the matrix (B, L, C) of each item, multiplied in the matrices' type, as float32: (B, C)."""
    return to_float32(batch_matmul(cast(x, matrices.dtype).expand_dims(1), matrices).reshape(-1, matrices.shape[2]))


class AttentionScan(Scan):
    """The attention recurrence over all T decoder steps, with its own gradient.

    Inputs: x (T * B, P), dropout_mask (T, B, H), memory (B, L, E), keys (B, L, A), energy_mask (B, L), weight [P + E + H, 4H], bias [4H],
    query [H, A], v [A, 1], location [kernel_size * 2, A].
    Outputs: h and context side by side (T * B, H + E), attention weights (T * B, L); c and gates as `LSTMScan` has them.

    In mixed precision x, dropout_mask, memory, keys and the states are of the type of activations, attention weights and all else float32.
    """

    def construct(self, x, dropout_mask, memory, keys, energy_mask, weight, bias, query, v, location):  # noqa: ANN001, ANN201
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps), x.shape[1]
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
            here = block_rows(t, k * n_batch)
            from_input, block_mask = (
                ops.Split(0, k)(take_rows(gates, here)),
                unstack(to_float32(take_rows(dropout_mask, block_rows(t, k)))),
            )
            block_gates, block_states, block_c, block_weights = (), (), (), ()
            for step in range(k):
                gate = from_input[step] + matmul_state(concat_last((context, h)), w_state)
                h, c = lstm_step(add_bias(gate, bias), c)
                h = h * block_mask[step]
                weights, weights_cum, context = attend(
                    matmul_fp32(h, query), weights, weights_cum, memory, keys, energy_mask, v, location
                )
                block_gates, block_c, block_weights = (*block_gates, gate), (*block_c, c), (*block_weights, weights)
                block_states = (*block_states, concat_last((h, context)))
            gates = write_rows(gates, here, concat_rows(block_gates))
            all_states = write_rows(all_states, here, cast(concat_rows(block_states), x.dtype))
            all_c = write_rows(all_c, here + n_batch, concat_rows(block_c))
            all_weights = write_rows(all_weights, here, concat_rows(block_weights))
            t = t + 1
        return all_states, all_weights, all_c, gates

    def bprop(self, x, dropout_mask, memory, keys, energy_mask, weight, bias, query, v, location, out, dout):  # noqa: ANN001, ANN201
        n_steps, n_batch, n_hidden = dropout_mask.shape
        k, n_in = block_length(n_steps), x.shape[1]
        n_rows = k * n_batch
        _, length, n_memory = memory.shape
        n_attention, n_taps = keys.shape[2], location.shape[0]
        large = (k, n_batch, length, n_attention)
        states, weights, c, gates = out
        weight, memory = (
            depend(weight, dout[0]),
            depend(memory, dout[0]),
        )  # or parts and transposes are made in the forward pass already
        weights_cum = ops.CumSum()(weights.reshape(n_steps, n_batch, length), 0).reshape(weights.shape)
        history = one_step_later(
            ops.Stack(-1)((weights, weights_cum)).reshape(-1, length * 2), n_batch
        )  # (T * B, L * 2)
        operand, query_operand, location_operand = (
            self.cast_operand(weight),
            self.cast_operand(query),
            self.cast_operand(location),
        )
        w_in, w_context, w_hidden = operand[:n_in], operand[n_in : n_in + n_memory], operand[n_in + n_memory :]
        # v multiplies all that passes through tanh: here it is in the factors of the loop and, after it, in the sums.
        query_transposed = self.cast_operand(transpose(query * broadcast_rows(v, n_hidden), (1, 0)))
        location_transposed = self.cast_operand(transpose(location * broadcast_rows(v, n_taps), (1, 0)))
        many_keys = broadcast_to(depend(to_float32(keys), dout[0]), large)
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
            here = block_rows(t, n_rows)
            gate_slopes = lstm_gate_gradients(
                add_bias(take_rows(gates, here), bias), take_rows(c, here), take_rows(c, here + n_batch)
            )
            by_c, by_h, c_by_h, f = (
                split(gate_slopes[0]),
                split(gate_slopes[1]),
                split(gate_slopes[2]),
                split(gate_slopes[3]),
            )
            block_h, block_weights = take_rows(states, here)[:, :n_hidden], take_rows(weights, here)
            columns = unfold(take_rows(history, here).reshape(n_rows, length, 2), n_taps // 2)  # (K * B * L, taps)
            queries = repeat_rows(matmul_fp32(block_h, query_operand), length)
            hidden = ops.tanh((matmul_fp32(columns, location_operand) + queries).reshape(large) + many_keys)
            # Slope of the energy by what stands inside tanh, but for v, and by the gathered weights: the loop below only scales them.
            slope = 1 - hidden * hidden
            location_slope = matmul_fp32(slope.reshape(-1, n_attention), location_transposed).reshape(
                k, n_batch * length, n_taps
            )
            slopes, location_slopes = unstack(self.cast_operand(slope)), unstack(location_slope)
            a, block_mask = split(block_weights), split(self.applied_dropout_mask(block_h))
            dstates = to_float32(take_rows(dout[0], here))
            dh_out, dcontext_out = split(dstates[:, :n_hidden]), split(dstates[:, n_hidden:])
            dweights_out = split(take_rows(dout[1], here))
            dgates, dqueries, denergies, dcontexts = (), (), (), ()
            for back in range(k):
                step = k - 1 - back
                dcontext = dcontext + dcontext_out[step]
                from_context = batch_matmul_fp32(dcontext, memory_transposed)
                dweights = dweights_out[step] + dweights + dweights_cum + from_context
                scaled = a[step] * dweights
                denergy = scaled - a[step] * scaled.sum(-1, keepdims=True)  # (B, L), through the softmax
                dq = batch_matmul_fp32(denergy, slopes[step])  # (B, A)
                scale = broadcast_last(denergy.reshape(n_batch * length, 1), n_taps)
                dhistory = unfold_backward(location_slopes[step] * scale, (n_batch, length, 2))
                dweights, dweights_cum_step = split_last(dhistory)
                dweights, dweights_cum = (
                    dweights.reshape(a[step].shape),
                    dweights_cum + dweights_cum_step.reshape(a[step].shape),
                )
                dh = (dh + dh_out[step] + matmul_fp32(dq, query_transposed)) * block_mask[step]
                dgate, dc = lstm_step_backward(dh, dc, by_c[step], by_h[step], c_by_h[step], f[step])
                dgates, dqueries = (dgate, *dgates), (dq, *dqueries)
                denergies, dcontexts = (denergy, *denergies), (dcontext, *dcontexts)
                dcontext = matmul_state(dgate, w_context)
                dh = matmul_state(dgate, w_hidden)
            gates = write_rows(gates, here, concat_rows(dgates))
            denergy = concat_rows(denergies).reshape(-1, 1)  # (K * B * L, 1)
            dhidden = slope * broadcast_last(denergy, n_attention).reshape(large)
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
        from_states = matmul_fp32_transposed(
            one_step_later(states, n_batch), dgates
        )  # in the order of `states`, not of `weight`
        dweight = concat_rows((matmul_fp32_transposed(x, dgates), from_states[n_hidden:], from_states[:n_hidden]))
        dx = depend(cast(matmul_transposed(dgates, w_in), x.dtype), dweight)
        dquery, dlocation = dquery * broadcast_rows(v, n_hidden), dlocation * broadcast_rows(v, n_taps)
        dkeys = dkeys * broadcast_rows(v, n_batch * length).reshape(dkeys.shape)
        dmemory, dkeys = cast(dmemory, memory.dtype), cast(dkeys, keys.dtype)
        ddropout_mask, denergy_mask = zeros(dropout_mask.shape, weight, dropout_mask.dtype), ops.zeros_like(energy_mask)
        return dx, ddropout_mask, dmemory, dkeys, denergy_mask, dweight, dbias, dquery, dv, dlocation


def attend(query, weights, weights_cum, memory, keys, energy_mask, v, location):  # noqa: ANN001, ANN201
    """One step of attention: query (B, A), weights of the step before and their running sum (B, L), keys (B, L, A), float32.

    The products are those of memory (B, L, E), v [A, 1] and location [kernel_size * 2, A], in the type of these; the rest is float32.

    Returns the new weights, the new sum, both (B, L), and the context (B, E).
    """
    n_batch, length, n_attention = keys.shape
    columns = unfold(ops.Stack(-1)((weights, weights_cum)), location.shape[0] // 2)
    hidden = ops.tanh(
        matmul_fp32(columns, location) + repeat_rows(query, length) + keys.reshape(-1, n_attention)
    )  # (B * L, A)
    energy = matmul_fp32(hidden, v).reshape(n_batch, length)
    weights = ops.Softmax(-1)(energy + energy_mask)
    context = batch_matmul_fp32(weights, memory)
    return weights, weights_cum + weights, context


class Attention(MixedPrecision):
    """The weights of attention and of its LSTM, for the scan of training and the free-running loop alike."""

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
        """Location filters and their projection as one matrix [kernel_size * 2, A]."""
        return matmul_fp32(self.cast_operand(self.location_conv), self.cast_operand(self.location_dense))

    def construct(self, x: Tensor, memory: Tensor, energy_mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, P), memory (B, L, E), energy_mask (B, L) -> h and context side by side (T, B, H + E), weights (T, B, L)."""
        n_steps, n_batch, n_in = x.shape
        x = whole_blocks(x)
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

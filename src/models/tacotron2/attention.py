"""Location-sensitive attention (Chorowski et al. 2015, sec. 2.1; Shen et al. 2018, sec. 2.2) and the LSTM that drives it.

Energies of step t: e = v . tanh(W_q h_t + W_m memory + W_l (F * [a_{t-1}, sum of a before t])), a_t = softmax(e).
The location filters F and their projection W_l are folded into one matrix, applied to the gathered neighbourhood.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from src.config import Tacotron2Config
from src.models.layers import INITIAL_GAINS, Linear, uniform, xavier_uniform
from src.models.lstm import lstm_slopes, lstm_step, lstm_step_backward, lstm_weight
from src.models.ops import (
    add_bias,
    as_steps,
    concat_last,
    concat_rows,
    depend,
    filled,
    matmul_transposed,
    neighbourhood,
    neighbourhood_backward,
    one_step_later,
    part,
    repeat_rows,
    spread,
    spread_last,
    spread_rows,
    state_times,
    times,
    transpose,
    transposed,
    transposed_times,
    unstack,
    zeros,
)
from src.models.precision import MixedPrecision, cast, single
from src.models.scan import DropoutFactors, Scan, block_length, block_rows, whole_blocks

MASKED = -1e4  # energy of a padded position: its weight is exactly 0; finite, and float16 can hold it should energies ever be that

batch_matmul = ops.BatchMatMul()
transposed_batch_matmul = ops.BatchMatMul(transpose_a=True)
split_last = ops.Split(-1, 2)


def batch_times(x: Tensor, factor: Tensor) -> Tensor:
    """x (B, L) times `factor` (B, L, C) of each item, multiplied in the factor's type, as float32: (B, C)."""
    return single(batch_matmul(cast(x, factor.dtype).expand_dims(1), factor).reshape(-1, factor.shape[2]))


class AttentionScan(Scan):
    """The attention recurrence over all T decoder steps, with its own gradient.

    Inputs: x (T * B, P), keep (T, B, H), memory (B, L, E), keys (B, L, A), energy_mask (B, L), weight [P + E + H, 4H], bias [4H],
    query [H, A], v [A, 1], location [kernel_size * 2, A].
    Outputs: h and context side by side (T * B, H + E), attention weights (T * B, L); c and gates as `LSTMScan` has them.

    In mixed precision x, keep, memory, keys and the states are of the type of activations, attention weights and all else float32.
    """

    def construct(self, x, keep, memory, keys, energy_mask, weight, bias, query, v, location):  # noqa: ANN001, ANN201
        n_steps, n_batch, n_hidden = keep.shape
        k, n_in = block_length(n_steps), x.shape[1]
        _, length, n_memory = memory.shape
        weight, query, v, location = self.factor(weight), self.factor(query), self.factor(v), self.factor(location)
        memory, keys = self.factor(memory), single(keys)
        w_in, w_state = weight[:n_in], transposed(weight[n_in:])
        gates = times(x, w_in)
        all_states = zeros((n_steps * n_batch, n_hidden + n_memory), x, x.dtype)
        all_c, all_weights = zeros(((1 + n_steps) * n_batch, n_hidden), x), zeros((n_steps * n_batch, length), x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        context = ops.zeros((n_batch, n_memory), ms.float32)
        weights = ops.zeros((n_batch, length), ms.float32)
        summed = ops.zeros((n_batch, length), ms.float32)
        t = Tensor(0, ms.int32)
        while t < n_steps // k:
            here = block_rows(t, k * n_batch)
            from_input, block_keep = ops.Split(0, k)(part(gates, here)), unstack(single(part(keep, block_rows(t, k))))
            block_gates, block_states, block_c, block_weights = (), (), (), ()
            for step in range(k):
                gate = from_input[step] + state_times(concat_last((context, h)), w_state)
                h, c = lstm_step(add_bias(gate, bias), c)
                h = h * block_keep[step]
                weights, summed, context = attend(times(h, query), weights, summed, memory, keys, energy_mask, v, location)
                block_gates, block_c, block_weights = (*block_gates, gate), (*block_c, c), (*block_weights, weights)
                block_states = (*block_states, concat_last((h, context)))
            gates = filled(gates, here, concat_rows(block_gates))
            all_states = filled(all_states, here, cast(concat_rows(block_states), x.dtype))
            all_c = filled(all_c, here + n_batch, concat_rows(block_c))
            all_weights = filled(all_weights, here, concat_rows(block_weights))
            t = t + 1
        return all_states, all_weights, all_c, gates

    def bprop(self, x, keep, memory, keys, energy_mask, weight, bias, query, v, location, out, dout):  # noqa: ANN001, ANN201
        n_steps, n_batch, n_hidden = keep.shape
        k, n_in = block_length(n_steps), x.shape[1]
        n_rows = k * n_batch
        _, length, n_memory = memory.shape
        n_attention, n_taps = keys.shape[2], location.shape[0]
        large = (k, n_batch, length, n_attention)
        states, weights, c, gates = out
        weight, memory = depend(weight, dout[0]), depend(memory, dout[0])  # or parts and transposes are made in the forward pass already
        summed = ops.CumSum()(weights.reshape(n_steps, n_batch, length), 0).reshape(weights.shape)
        history = one_step_later(ops.Stack(-1)((weights, summed)).reshape(-1, length * 2), n_batch)  # (T * B, L * 2)
        factor, query_factor, location_factor = self.factor(weight), self.factor(query), self.factor(location)
        w_in, w_context, w_hidden = factor[:n_in], factor[n_in : n_in + n_memory], factor[n_in + n_memory :]
        # v multiplies all that passes through tanh: here it is in the factors of the loop and, after it, in the sums.
        query_transposed = self.factor(transpose(query * spread_rows(v, n_hidden), (1, 0)))
        location_transposed = self.factor(transpose(location * spread_rows(v, n_taps), (1, 0)))
        many_keys = spread(depend(single(keys), dout[0]), large)
        memory_transposed = transpose(self.factor(memory), (0, 2, 1))
        dmemory, dkeys = ops.zeros_like(single(memory)), ops.zeros_like(single(keys))
        dquery, dv, dlocation = ops.zeros_like(query), ops.zeros_like(v), ops.zeros_like(location)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        dcontext = ops.zeros((n_batch, n_memory), ms.float32)
        dweights = ops.zeros((n_batch, length), ms.float32)
        dsummed = ops.zeros((n_batch, length), ms.float32)
        split = ops.Split(0, k)
        t = Tensor(n_steps // k - 1, ms.int32)
        while t >= 0:
            here = block_rows(t, n_rows)
            gate_slopes = lstm_slopes(add_bias(part(gates, here), bias), part(c, here), part(c, here + n_batch))
            by_c, by_h, c_by_h, f = split(gate_slopes[0]), split(gate_slopes[1]), split(gate_slopes[2]), split(gate_slopes[3])
            block_h, block_weights = part(states, here)[:, :n_hidden], part(weights, here)
            columns = neighbourhood(part(history, here).reshape(n_rows, length, 2), n_taps // 2)  # (K * B * L, taps)
            queries = repeat_rows(times(block_h, query_factor), length)
            hidden = ops.tanh((times(columns, location_factor) + queries).reshape(large) + many_keys)
            # Slope of the energy by what stands inside tanh, but for v, and by the gathered weights: the loop below only scales them.
            slope = 1 - hidden * hidden
            location_slope = times(slope.reshape(-1, n_attention), location_transposed).reshape(k, n_batch * length, n_taps)
            slopes, location_slopes = unstack(self.factor(slope)), unstack(location_slope)
            a, block_keep = split(block_weights), split(self.kept(block_h))
            dstates = single(part(dout[0], here))
            dh_out, dcontext_out = split(dstates[:, :n_hidden]), split(dstates[:, n_hidden:])
            dweights_out = split(part(dout[1], here))
            dgates, dqueries, denergies, dcontexts = (), (), (), ()
            for back in range(k):
                step = k - 1 - back
                dcontext = dcontext + dcontext_out[step]
                from_context = batch_times(dcontext, memory_transposed)
                dweights = dweights_out[step] + dweights + dsummed + from_context
                scaled = a[step] * dweights
                denergy = scaled - a[step] * scaled.sum(-1, keepdims=True)  # (B, L), through the softmax
                dq = batch_times(denergy, slopes[step])  # (B, A)
                scale = spread_last(denergy.reshape(n_batch * length, 1), n_taps)
                dhistory = neighbourhood_backward(location_slopes[step] * scale, (n_batch, length, 2))
                dweights, dsummed_step = split_last(dhistory)
                dweights, dsummed = dweights.reshape(a[step].shape), dsummed + dsummed_step.reshape(a[step].shape)
                dh = (dh + dh_out[step] + times(dq, query_transposed)) * block_keep[step]
                dgate, dc = lstm_step_backward(dh, dc, by_c[step], by_h[step], c_by_h[step], f[step])
                dgates, dqueries = (dgate, *dgates), (dq, *dqueries)
                denergies, dcontexts = (denergy, *denergies), (dcontext, *dcontexts)
                dcontext = state_times(dgate, w_context)
                dh = state_times(dgate, w_hidden)
            gates = filled(gates, here, concat_rows(dgates))
            denergy = concat_rows(denergies).reshape(-1, 1)  # (K * B * L, 1)
            dhidden = slope * spread_last(denergy, n_attention).reshape(large)
            dquery = dquery + transposed_times(block_h, self.factor(concat_rows(dqueries)))
            dkeys = dkeys + dhidden.sum(0)
            dv = dv + transposed_times(hidden.reshape(-1, n_attention), self.factor(denergy))
            dlocation = dlocation + transposed_times(columns, self.factor(dhidden.reshape(-1, n_attention)))
            heard = self.factor(transpose(block_weights.reshape(k, n_batch, length), (1, 0, 2)))
            dmemory = dmemory + single(transposed_batch_matmul(heard, self.factor(ops.Stack(1)(dcontexts))))
            t = t - 1
        dbias, dgates = gates.sum(0), self.factor(gates)
        from_states = transposed_times(one_step_later(states, n_batch), dgates)  # in the order of `states`, not of `weight`
        dweight = concat_rows((transposed_times(x, dgates), from_states[n_hidden:], from_states[:n_hidden]))
        dx = depend(cast(matmul_transposed(dgates, w_in), x.dtype), dweight)
        dquery, dlocation = dquery * spread_rows(v, n_hidden), dlocation * spread_rows(v, n_taps)
        dkeys = dkeys * spread_rows(v, n_batch * length).reshape(dkeys.shape)
        dmemory, dkeys = cast(dmemory, memory.dtype), cast(dkeys, keys.dtype)
        zeros_keep, zeros_mask = zeros(keep.shape, weight, keep.dtype), ops.zeros_like(energy_mask)
        return dx, zeros_keep, dmemory, dkeys, zeros_mask, dweight, dbias, dquery, dv, dlocation


def attend(query, weights, summed, memory, keys, energy_mask, v, location):  # noqa: ANN001, ANN201
    """One step of attention: query (B, A), weights of the step before and their running sum (B, L), keys (B, L, A), float32.

    The products are those of memory (B, L, E), v [A, 1] and location [kernel_size * 2, A], in the type of these; the rest is float32.

    Returns the new weights, the new sum, both (B, L), and the context (B, E).
    """
    n_batch, length, n_attention = keys.shape
    columns = neighbourhood(ops.Stack(-1)((weights, summed)), location.shape[0] // 2)
    hidden = ops.tanh(times(columns, location) + repeat_rows(query, length) + keys.reshape(-1, n_attention))  # (B * L, A)
    energy = times(hidden, v).reshape(n_batch, length)
    weights = ops.Softmax(-1)(energy + energy_mask)
    context = batch_times(weights, memory)
    return weights, summed + weights, context


class Attention(MixedPrecision):
    """The weights of attention and of its LSTM, for the scan of training and the free-running loop alike."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        n_hidden, n_attention = config.attention_rnn_dim, config.attention_dim
        kernel_size, n_filters = config.location_kernel_size, config.location_filters
        self.weight, self.bias = lstm_weight(config.prenet_dim + config.encoder_dim, n_hidden)
        self.query = Parameter(xavier_uniform((n_hidden, n_attention), n_hidden, n_attention, gain=INITIAL_GAINS["tanh"]), name="query")
        self.keys = Linear(config.encoder_dim, n_attention, bias=False, gain=INITIAL_GAINS["tanh"])
        self.v = Parameter(xavier_uniform((n_attention, 1), n_attention, 1), name="v")
        bound = (2 * kernel_size) ** -0.5
        self.location_conv = Parameter(uniform((kernel_size * 2, n_filters), bound), name="location_conv")
        self.location_dense = Parameter(
            xavier_uniform((n_filters, n_attention), n_filters, n_attention, gain=INITIAL_GAINS["tanh"]), name="location_dense"
        )
        self.dropout = DropoutFactors(config.attention_dropout)
        self.n_hidden = n_hidden
        self.scan = AttentionScan(config.attention_dropout)

    def location(self) -> Tensor:
        """Location filters and their projection as one matrix [kernel_size * 2, A]."""
        return times(self.factor(self.location_conv), self.factor(self.location_dense))

    def construct(self, x: Tensor, memory: Tensor, energy_mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, P), memory (B, L, E), energy_mask (B, L) -> h and context side by side (T, B, H + E), weights (T, B, L)."""
        n_steps, n_batch, n_in = x.shape
        x = whole_blocks(x)
        keep = self.dropout((x.shape[0], n_batch, self.n_hidden), x)
        outputs = self.scan(
            x.reshape(-1, n_in),
            keep,
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

"""Location-sensitive attention (Chorowski et al. 2015, sec. 2.1; Shen et al. 2018, sec. 2.2) and the LSTM that drives it.

Energies of step t: e = v . tanh(W_q h_t + W_m memory + W_l (F * [a_{t-1}, sum of a before t])), a_t = softmax(e).
The location filters F and their projection W_l are folded into one matrix, applied to the gathered neighbourhood.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from src.config import Tacotron2Config
from src.layers import INITIAL_GAINS, Linear, depend, neighbourhood, neighbourhood_backward, spread, spread_last, uniform, xavier_uniform
from src.precision import MixedPrecision, cast, single
from src.recurrence import (
    DropoutFactors,
    Scan,
    block_length,
    concat_last,
    first_steps,
    into_blocks,
    into_spans,
    joined,
    lstm_slopes,
    lstm_step,
    lstm_step_backward,
    lstm_weight,
    matmul_transposed,
    part,
    part_before,
    stack,
    times,
    transpose,
    transposed,
    transposed_times,
    unstack,
    zero_gates,
    zeros,
)

MASKED = -1e4  # energy of a padded position: its weight is exactly 0; finite, and float16 can hold it should energies ever be that

batch_matmul = ops.BatchMatMul()
transposed_batch_matmul = ops.BatchMatMul(transpose_a=True)
split_last = ops.Split(-1, 2)


def batch_times(x: Tensor, factor: Tensor) -> Tensor:
    """x (B, L) times `factor` (B, L, C) of each item, multiplied in the factor's type, as float32: (B, C)."""
    return single(batch_matmul(cast(x, factor.dtype).expand_dims(1), factor).squeeze(1))


class AttentionScan(Scan):
    """The attention recurrence over all T decoder steps, with its own gradient; S spans of N steps.

    Inputs: x (S, N, B, P), keep (S, N, B, H), memory (B, L, E), keys (B, L, A), energy_mask (B, L), weight [P + E + H, 4H],
    bias [4H], query [H, A], v [A, 1], location [kernel_size * 2, A].
    Outputs: h and context side by side (S, N, B, H + E), attention weights (S, N, B, L), cell state (S, N, B, H).

    In mixed precision x, keep, memory, keys and the states are of the type of activations, attention weights and all else float32.
    """

    def construct(self, x, keep, memory, keys, energy_mask, weight, bias, query, v, location):  # noqa: ANN001, ANN201
        n_spans, n_steps, n_batch, n_in = x.shape
        n_hidden, k = keep.shape[3], block_length(n_steps)
        _, length, n_memory = memory.shape
        weight, query, v, location = self.factor(weight), self.factor(query), self.factor(v), self.factor(location)
        memory, keys = self.factor(memory), single(keys)
        w_in, w_context, w_hidden = weight[:n_in], weight[n_in : n_in + n_memory], weight[n_in + n_memory :]
        w_in, w_context, w_hidden = self.widened(w_in), self.widened(w_context), self.widened(w_hidden)
        steps, blocks = (n_spans, n_steps, n_batch), (n_steps // k, k, n_batch)
        all_states, span_states = zeros((*steps, n_hidden + n_memory), x, x.dtype), zeros((*blocks, n_hidden + n_memory), x, x.dtype)
        all_c, span_c = zeros((*steps, n_hidden), x), zeros((*blocks, n_hidden), x)
        all_weights, span_weights = zeros((*steps, length), x), zeros((*blocks, length), x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        context = ops.zeros((n_batch, n_memory), ms.float32)
        weights = ops.zeros((n_batch, length), ms.float32)
        summed = ops.zeros((n_batch, length), ms.float32)
        s = Tensor(0, ms.int32)
        while s < n_spans:
            from_input = self.gates(part(x, s), w_in, bias)
            span_keep = into_blocks(single(part(keep, s)))
            t = Tensor(0, ms.int32)
            while t < n_steps // k:
                block_input, block_keep = unstack(part(from_input, t)), unstack(part(span_keep, t))
                block_states, block_c, block_weights = (), (), ()
                for step in range(k):
                    h, c = lstm_step(block_input[step] + self.product(context, w_context) + self.product(h, w_hidden), c)
                    h = h * block_keep[step]
                    weights, summed, context = attend(times(h, query), weights, summed, memory, keys, energy_mask, v, location)
                    block_states += (concat_last((h, context)),)
                    block_c += (c,)
                    block_weights += (weights,)
                span_states[t] = cast(stack(block_states), x.dtype)
                span_c[t] = stack(block_c)
                span_weights[t] = stack(block_weights)
                t = t + 1
            all_states[s] = joined(span_states)
            all_c[s] = joined(span_c)
            all_weights[s] = joined(span_weights)
            s = s + 1
        return all_states, all_weights, all_c

    def bprop(self, x, keep, memory, keys, energy_mask, weight, bias, query, v, location, out, dout):  # noqa: ANN001, ANN201
        n_spans, n_steps, n_batch, n_in = x.shape
        n_hidden, k = keep.shape[3], block_length(n_steps)
        n_rows = n_steps * n_batch
        _, length, n_memory = memory.shape
        n_attention, n_taps = keys.shape[2], location.shape[0]
        large = (k, n_batch, length, n_attention)
        states, weights, c = out
        weight, memory = depend(weight, dout[0]), depend(memory, dout[0])  # or their transposes are made in the forward pass already
        history = ops.Stack(-1)((weights, ops.CumSum()(joined(weights), 0).reshape(weights.shape)))  # (S, N, B, L, 2)
        factor, query_factor, location_factor = self.factor(weight), self.factor(query), self.factor(location)
        w_in = factor[:n_in]
        w_context_transposed = self.widened(transposed(factor[n_in : n_in + n_memory]))
        w_hidden_transposed = self.widened(transposed(factor[n_in + n_memory :]))
        # v multiplies all that passes through tanh: here it is in the factors of the loop and, after it, in the sums.
        v_columns = v.reshape(1, n_attention)
        query_transposed = self.factor(transpose(query * spread(v_columns, query.shape), (1, 0)))
        location_transposed = self.factor(transpose(location * spread(v_columns, location.shape), (1, 0)))
        many_keys = spread(depend(single(keys), dout[0]), large)
        memory_transposed = transpose(self.factor(memory), (0, 2, 1))
        span_dgates = zeros((n_steps // k, k, n_batch, 4 * n_hidden), weight)
        dx = zeros((n_spans, n_rows, n_in), weight, x.dtype)
        dmemory, dkeys = ops.zeros_like(single(memory)), ops.zeros_like(single(keys))
        dweight, dbias = zero_gates(weight, n_hidden), ops.zeros_like(bias)
        dquery, dv, dlocation = ops.zeros_like(query), ops.zeros_like(v), ops.zeros_like(location)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        dcontext = ops.zeros((n_batch, n_memory), ms.float32)
        dweights = ops.zeros((n_batch, length), ms.float32)
        dsummed = ops.zeros((n_batch, length), ms.float32)
        s = Tensor(n_spans - 1, ms.int32)
        while s >= 0:
            # In the order of the rows of `weight`.
            before = part_before(states, s)
            inputs = concat_last((part(x, s), before[:, :, n_hidden:], before[:, :, :n_hidden]))
            gates = self.gates(inputs, factor, bias)
            c_before, c_after = into_blocks(part_before(c, s)), into_blocks(part(c, s))
            span_states, span_history = into_blocks(part(states, s)), into_blocks(part_before(history, s))
            span_weights = into_blocks(part(weights, s))
            span_dstates, span_dweights = into_blocks(single(part(dout[0], s))), into_blocks(part(dout[1], s))
            t = Tensor(n_steps // k - 1, ms.int32)
            while t >= 0:
                by_c, by_h, c_by_h, f = lstm_slopes(part(gates, t), part(c_before, t), part(c_after, t))
                block_h = part(span_states, t)[:, :, :n_hidden].reshape(k * n_batch, n_hidden)
                columns = neighbourhood(part(span_history, t).reshape(k * n_batch, length, 2), n_taps // 2)  # (K * B * L, taps)
                queries = times(block_h, query_factor).reshape(k, n_batch, 1, n_attention)
                hidden = ops.tanh(times(columns, location_factor).reshape(large) + spread(queries, large) + many_keys)
                # Slope of the energy by what stands inside tanh, but for v, and by the gathered weights: the loop below only scales them.
                slope = 1 - hidden * hidden
                location_slope = times(slope.reshape(-1, n_attention), location_transposed).reshape(k, n_batch * length, n_taps)
                slopes, location_slopes = unstack(self.factor(slope)), unstack(location_slope)
                block_weights = part(span_weights, t)
                a, block_keep = unstack(block_weights), unstack(self.kept(block_h.reshape(k, n_batch, n_hidden)))
                dstates = part(span_dstates, t)
                dh_out, dcontext_out = unstack(dstates[:, :, :n_hidden]), unstack(dstates[:, :, n_hidden:])
                dweights_out = unstack(part(span_dweights, t))
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
                    dweights, dsummed = dweights.squeeze(2), dsummed + dsummed_step.squeeze(2)
                    dh = (dh + dh_out[step] + times(dq, query_transposed)) * block_keep[step]
                    dgate, dc = lstm_step_backward(dh, dc, by_c[step], by_h[step], c_by_h[step], f[step])
                    dgates, dqueries = (dgate, *dgates), (dq, *dqueries)
                    denergies, dcontexts = (denergy, *denergies), (dcontext, *dcontexts)
                    dcontext = self.product(dgate, w_context_transposed)
                    dh = self.product(dgate, w_hidden_transposed)
                span_dgates[t] = stack(dgates)
                denergy = stack(denergies)  # (K, B, L)
                dhidden = slope * spread_last(denergy.expand_dims(3), n_attention)
                dquery = dquery + transposed_times(block_h, self.factor(stack(dqueries).reshape(k * n_batch, n_attention)))
                dkeys = dkeys + dhidden.sum(0)
                dv = dv + transposed_times(hidden.reshape(-1, n_attention), self.factor(denergy.reshape(-1, 1)))
                dlocation = dlocation + transposed_times(columns, self.factor(dhidden.reshape(-1, n_attention)))
                heard = self.factor(transpose(block_weights, (1, 0, 2)))
                dmemory = dmemory + single(transposed_batch_matmul(heard, self.factor(ops.Stack(1)(dcontexts))))
                t = t - 1
            dgates = span_dgates.reshape(n_rows, 4 * n_hidden)
            dgates_factor = self.factor(dgates)
            dx[s] = cast(matmul_transposed(dgates_factor, w_in), x.dtype)
            dweight = dweight + transposed_times(inputs.reshape(n_rows, -1), dgates_factor)
            dbias = dbias + dgates.sum(0)
            s = s - 1
        dquery, dlocation = dquery * spread(v_columns, dquery.shape), dlocation * spread(v_columns, dlocation.shape)
        dkeys = dkeys * spread(v_columns.reshape(1, 1, n_attention), dkeys.shape)
        dmemory, dkeys = cast(dmemory, memory.dtype), cast(dkeys, keys.dtype)
        zeros_keep, zeros_mask = zeros(keep.shape, weight, keep.dtype), ops.zeros_like(energy_mask)
        return dx.reshape(x.shape), zeros_keep, dmemory, dkeys, zeros_mask, dweight, dbias, dquery, dv, dlocation


def attend(query, weights, summed, memory, keys, energy_mask, v, location):  # noqa: ANN001, ANN201
    """One step of attention: query (B, A), weights of the step before and their running sum (B, L), keys (B, L, A), float32.

    The products are those of memory (B, L, E), v [A, 1] and location [kernel_size * 2, A], in the type of these; the rest is float32.

    Returns the new weights, the new sum, both (B, L), and the context (B, E).
    """
    n_batch, length, n_attention = keys.shape
    columns = neighbourhood(ops.Stack(-1)((weights, summed)), location.shape[0] // 2)
    hidden = ops.tanh(times(columns, location).reshape(keys.shape) + spread(query.expand_dims(1), keys.shape) + keys)
    energy = times(hidden.reshape(n_batch * length, n_attention), v).reshape(n_batch, length)
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
        self.scan = AttentionScan(n_hidden, config.attention_dropout)

    def location(self) -> Tensor:
        """Location filters and their projection as one matrix [kernel_size * 2, A]."""
        return times(self.factor(self.location_conv), self.factor(self.location_dense))

    def construct(self, x: Tensor, memory: Tensor, energy_mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, P), memory (B, L, E), energy_mask (B, L) -> h and context side by side (T, B, H + E), weights (T, B, L)."""
        spans = into_spans(x)
        keep = self.dropout((*spans.shape[:3], self.n_hidden), x)
        states, weights, _ = self.scan(
            spans,
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
        return first_steps(states, x.shape[0]), first_steps(weights, x.shape[0])

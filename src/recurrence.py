"""Long-short-term-memory layers (Hochreiter & Schmidhuber 1997) as a scan: loops in the graph, with a gradient of their own.

The inner loop runs over blocks of `BLOCK` steps, so compile time does not depend on the number of steps; the outer one over spans of up
to `SPAN` blocks. What does not depend on the state is computed for a whole span at once. The backward pass keeps h and c only, computes
the gates of a span again in one product, and gathers weight gradients span by span. Gates come in the order i, f, g, o.
In mixed precision a scan takes, gives and keeps sequences in the type of its input; cell states and all sums are float32.
"""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.layers import depend, length_mask, spread, spread_last, uniform
from src.precision import MixedPrecision, cast, single

BLOCK = 10  # steps per iteration of the inner loop: more means a slower compilation
SPAN = 5  # blocks at most per iteration of the outer loop: each iteration copies what a loop fills, so two small loops copy less than one
SPAN_ROWS = 400  # steps times items at most, if a span has more than one block: enough for products to be fast, and little memory

PAGE, PADDING = 1024, 32  # in numbers; see `Scan`
TRANSPOSED = 128  # rows at once: the work grows with their number

matmul = ops.MatMul()
transpose = ops.Transpose()
add_bias = ops.BiasAdd()
transposed_matmul = ops.MatMul(transpose_a=True)
matmul_transposed = ops.MatMul(transpose_b=True)
concat_last = ops.Concat(-1)
concat_time = ops.Concat(0)
stack = ops.Stack(0)
unstack = ops.Unstack(0)  # copies whole steps, where indexing goes through a slow strided slice on CPU
split_gates = ops.Split(-1, 4)


def times(x: Tensor, factor: Tensor) -> Tensor:
    """x `factor`, multiplied in the factor's type, as float32."""
    return single(matmul(cast(x, factor.dtype), factor))


def transposed_times(x: Tensor, factor: Tensor) -> Tensor:
    """x transposed times `factor`, multiplied in the factor's type, as float32."""
    return single(transposed_matmul(cast(x, factor.dtype), factor))


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step from gate sums (B, 4H) and cell state (B, H): new h and c, both (B, H)."""
    i, f, g, o = split_gates(gates)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def lstm_slopes(gates: Tensor, c_before: Tensor, c: Tensor) -> tuple[tuple[Tensor, ...], ...]:
    """What the backward step needs, for a block at once: gates (K, B, 4H), c (K, B, H) before and after each step.

    Returns, step by step, d(i, f, g)/dc (B, 3H), d(o)/dh (B, H), dc/dh (B, H) and the forget gate (B, H).
    """
    i, f, g, o = split_gates(gates)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    tanh_c = ops.tanh(c)
    by_c = concat_last((g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)))
    return unstack(by_c), unstack(tanh_c * o * (1 - o)), unstack(o * (1 - tanh_c * tanh_c)), unstack(f)


def lstm_step_backward(dh: Tensor, dc: Tensor, by_c: Tensor, by_h: Tensor, c_by_h: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """One backward step from dh, dc (B, H) and the slopes of that step: d(gates) (B, 4H) and dc of the step before (B, H)."""
    dc = dc + dh * c_by_h
    return concat_last((concat_last((dc, dc, dc)) * by_c, dh * by_h)), dc * f


def transposed(weight: Tensor) -> Tensor:
    """[M, N] -> [N, M] as products with the identity, which are exact: on CPU `ops.Transpose` keeps tables of twice the weight's size."""
    n_rows = weight.shape[0]
    n_parts = n_rows // TRANSPOSED if n_rows % TRANSPOSED == 0 else 1
    identity = cast(Tensor(np.eye(n_rows // n_parts, dtype=np.float32)), weight.dtype)
    columns = ()
    for rows in ops.Split(0, n_parts)(weight):
        columns += (transposed_matmul(rows, identity),)
    return concat_last(columns)


def block_length(n_steps: int) -> int:
    """Steps of a block, where a span or all there is has `n_steps`."""
    return BLOCK if n_steps > BLOCK else n_steps  # not `min`, of which MindSpore 2.10 makes nothing in a gradient


def into_spans(x: Tensor) -> Tensor:
    """(T, B, ...) -> (S, M * K, B, ...): S spans of M blocks of K steps, zero steps appended until the last block is whole.

    M is the most that `SPAN` and `SPAN_ROWS` allow and that leaves no block over.
    """
    n_steps, n_batch = x.shape[:2]
    k = block_length(n_steps)
    missing = -n_steps % k
    if missing > 0:
        x = concat_time((x, ops.zeros((missing, *x.shape[1:]), x.dtype)))
    n_blocks, m = (n_steps + missing) // k, 1
    for n in range(2, SPAN + 1):
        if n_blocks % n == 0 and n * k * n_batch <= SPAN_ROWS:
            m = n
    return x.reshape((n_blocks // m, m * k, *x.shape[1:]))


def into_blocks(x: Tensor) -> Tensor:
    """A span (M * K, ...) -> (M, K, ...)."""
    k = block_length(x.shape[0])
    return x.reshape((x.shape[0] // k, k, *x.shape[1:]))


def joined(x: Tensor) -> Tensor:
    """(N, K, ...) -> (N * K, ...)."""
    return x.reshape((x.shape[0] * x.shape[1], *x.shape[2:]))


def zeros(shape: tuple[int, ...], after: Tensor, dtype: ms.Type = ms.float32) -> Tensor:
    """Zeros that are made when the graph runs, as soon as it has `after`, any tensor that is not a constant.

    `ops.zeros` of a known shape is a constant, which the graph holds as long as it lives.
    """
    first = after.reshape(-1)[:1]
    # Not ops.less, which would be 0 for NaN too: MindSpore 2.10 crashes on it in the gradient of the LSTM.
    zero = ops.not_equal(first, first).astype(dtype)
    return ops.FillV2()(shape, zero.reshape(()))


def zero_gates(weight: Tensor, n_hidden: int) -> Tensor:
    """Zeros like a weight [n_in, 4 * n_hidden], gate by gate: made at once, they raised the peak of a large step by 40 MB."""
    one = zeros((weight.shape[0], n_hidden), weight)
    return concat_last((one, one, one, one))


class DropoutFactors(nn.Cell):
    """Random factors for what dropout multiplies: 0 with probability `dropout`, otherwise 1 / (1 - dropout); all 1 in evaluation.

    `always`: in evaluation too.
    """

    def __init__(self, dropout: float, always: bool = False):
        super().__init__()
        self.dropout, self.always = dropout, always

    def construct(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Factors of `shape`, as the type of `like`, which is no constant."""
        return ops.stop_gradient(ops.dropout(zeros(shape, like, like.dtype) + 1, self.dropout, self.training or self.always))


def first_steps(x: Tensor, n_steps: int) -> Tensor:
    """The first `n_steps` of spans (S, M * K, ...), which may end in padding: (n_steps, ...)."""
    steps = joined(x)
    return steps if steps.shape[0] == n_steps else steps[:n_steps]


def part(x: Tensor, t: Tensor) -> Tensor:
    """Span or block t of x (N, ...): (...)."""
    return ops.gather(x, t, 0)


def part_before(x: Tensor, s: Tensor) -> Tensor:
    """What the steps of span s find from the step before each: x (S, N, ...) one step later, 0 before the first; (N, ...)."""
    last = part(x, ops.maximum(s - 1, Tensor(0, ms.int32)))[-1:]
    exists = (s > 0).astype(x.dtype).reshape((1,) * len(last.shape))
    return concat_time((last * spread(exists, last.shape), part(x, s)[:-1]))


class Scan(MixedPrecision):
    """What the scans share: products with their weights, as float32.

    On CPU, rows that are a whole number of pages apart share a few places of the cache; a product with few rows on the left then takes
    two to three times as long. `widened` puts zeros behind rows and columns of such weights, once for a whole scan.
    """

    def __init__(self, n_hidden: int, dropout: float):
        super().__init__()
        self.wide = 4 * n_hidden % PAGE == 0
        self.dropout = dropout

    def widened(self, factor: Tensor) -> Tensor:
        """A weight [n_in, n_out] for `product`."""
        if self.wide:
            factor = concat_last((factor, zeros((factor.shape[0], PADDING), factor, factor.dtype)))
            factor = concat_time((factor, zeros((PADDING, factor.shape[1]), factor, factor.dtype)))
        return factor

    def product(self, x: Tensor, factor: Tensor) -> Tensor:
        """x (N, n_in) times a weight, widened or not: (N, n_out)."""
        if factor.shape[0] == x.shape[1]:
            return times(x, factor)
        n_rows, n_out = x.shape[0], factor.shape[1] - PADDING
        y = times(concat_last((x, ops.zeros((n_rows, PADDING), x.dtype))), factor)
        return y[:, :n_out]

    def kept(self, h: Tensor) -> Tensor:
        """The factors of dropout, float32, that states h have met: those it took are 0, and the factors themselves need not be kept."""
        if self.dropout > 0 and self.training:
            return h.astype(ms.bool_).astype(ms.float32) * (1 / (1 - self.dropout))
        return ops.ones(h.shape, ms.float32)

    def gates(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """What a span's inputs x (M * K, B, X) give to the gates by a weight [X, 4H], widened or not, and bias [4H]: (M, K, B, 4H)."""
        n_steps, n_batch, n_in = x.shape
        return into_blocks(add_bias(self.product(x.reshape(n_steps * n_batch, n_in), weight), bias).reshape(n_steps, n_batch, -1))


class LSTMScan(Scan):
    """x (S, N, B, X), keep (S, N, B, H), weight [X + H, 4H], bias [4H] -> h, c, both (S, N, B, H): S spans of N steps.

    `keep` multiplies h after each step: dropout on the state as Tacotron 2 has it (Shen et al. 2018, sec. 2.2).
    """

    def construct(self, x: Tensor, keep: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        n_spans, n_steps, n_batch, n_in = x.shape
        n_hidden, k = keep.shape[3], block_length(n_steps)
        weight = self.factor(weight)
        w_in, w_hidden = self.widened(weight[:n_in]), self.widened(weight[n_in:])
        all_h, all_c = zeros(keep.shape, x, x.dtype), zeros(keep.shape, x)
        blocks = (n_steps // k, k, n_batch, n_hidden)
        span_h, span_c = zeros(blocks, x, x.dtype), zeros(blocks, x)
        h = ops.zeros((n_batch, n_hidden), ms.float32)
        c = ops.zeros((n_batch, n_hidden), ms.float32)
        s = Tensor(0, ms.int32)
        while s < n_spans:
            from_input = self.gates(part(x, s), w_in, bias)
            span_keep = into_blocks(single(part(keep, s)))
            t = Tensor(0, ms.int32)
            while t < n_steps // k:
                block_input, block_keep = unstack(part(from_input, t)), unstack(part(span_keep, t))
                block_h, block_c = (), ()
                for step in range(k):
                    h, c = lstm_step(block_input[step] + self.product(h, w_hidden), c)
                    h = h * block_keep[step]
                    block_h += (h,)
                    block_c += (c,)
                span_h[t] = cast(stack(block_h), x.dtype)
                span_c[t] = stack(block_c)
                t = t + 1
            all_h[s] = joined(span_h)
            all_c[s] = joined(span_c)
            s = s + 1
        return all_h, all_c

    def bprop(self, x, keep, weight, bias, out, dout):  # noqa: ANN001, ANN201
        h, c = out
        n_spans, n_steps, n_batch, n_in = x.shape
        n_hidden, k = keep.shape[3], block_length(n_steps)
        n_rows = n_steps * n_batch
        weight = depend(weight, dout[0])  # or its parts and their transposes are made in the forward pass already
        factor = self.factor(weight)
        w_in, w_hidden = factor[:n_in], factor[n_in:]
        # Transposed once: on CPU a product with the transpose of a wide matrix is slow for a small batch.
        w_hidden_transposed = self.widened(transposed(w_hidden))
        dx = zeros((n_spans, n_rows, n_in), weight, x.dtype)
        dweight, dbias = zero_gates(weight, n_hidden), ops.zeros_like(bias)
        span_dgates = zeros((n_steps // k, k, n_batch, 4 * n_hidden), weight)
        dh = ops.zeros((n_batch, n_hidden), ms.float32)
        dc = ops.zeros((n_batch, n_hidden), ms.float32)
        s = Tensor(n_spans - 1, ms.int32)
        while s >= 0:
            inputs = concat_last((part(x, s), part_before(h, s)))
            gates = self.gates(inputs, factor, bias)
            c_before, c_after = into_blocks(part_before(c, s)), into_blocks(part(c, s))
            span_keep, span_dh = into_blocks(self.kept(part(h, s))), into_blocks(single(part(dout[0], s)))
            t = Tensor(n_steps // k - 1, ms.int32)
            while t >= 0:
                by_c, by_h, c_by_h, f = lstm_slopes(part(gates, t), part(c_before, t), part(c_after, t))
                block_keep, block_dh = unstack(part(span_keep, t)), unstack(part(span_dh, t))
                dgates = ()
                for back in range(k):
                    step = k - 1 - back
                    dh = (dh + block_dh[step]) * block_keep[step]
                    dgate, dc = lstm_step_backward(dh, dc, by_c[step], by_h[step], c_by_h[step], f[step])
                    dh = self.product(dgate, w_hidden_transposed)
                    dgates = (dgate, *dgates)
                span_dgates[t] = stack(dgates)
                t = t - 1
            dgates = span_dgates.reshape(n_rows, 4 * n_hidden)
            dgates_factor = self.factor(dgates)
            dx[s] = cast(matmul_transposed(dgates_factor, w_in), x.dtype)
            dweight = dweight + transposed_times(inputs.reshape(n_rows, -1), dgates_factor)
            dbias = dbias + dgates.sum(0)
            s = s - 1
        return dx.reshape(x.shape), zeros(keep.shape, weight, keep.dtype), dweight, dbias


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
        self.dropout = DropoutFactors(dropout)
        self.n_hidden = n_hidden
        self.scan = LSTMScan(n_hidden, dropout)

    def construct(self, x: Tensor) -> Tensor:
        spans = into_spans(x)
        keep = self.dropout((*spans.shape[:3], self.n_hidden), x)
        h, _ = self.scan(spans, keep, self.weight, self.bias)
        return first_steps(h, x.shape[0])


class BidirectionalLSTM(nn.Cell):
    """x (T, B, n_in) -> (T, B, 2 * n_hidden); padding does not change what real positions get, and comes out as 0."""

    def __init__(self, n_in: int, n_hidden: int):
        super().__init__()
        self.forwards = LSTM(n_in, n_hidden)
        self.backwards = LSTM(n_in, n_hidden)

    def construct(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` int32 (B,): real steps of each item."""
        mask = length_mask(lengths, x.shape[0]).swapaxes(0, 1).expand_dims(2)  # (T, B, 1)
        forwards = self.forwards(x)
        backwards = reverse_by_length(self.backwards(reverse_by_length(x, lengths)), lengths)
        both = concat_last((forwards, backwards))
        return both * spread_last(cast(mask, both.dtype), both.shape[2])


def reverse_by_length(x: Tensor, lengths: Tensor) -> Tensor:
    """x (T, B, C) with the first `lengths` (B,) steps of each item in reverse order, its padding left where it is."""
    n_steps, n_batch, n_channels = x.shape
    step = ops.arange(n_steps).reshape(-1, 1).astype(ms.int32)
    source = ops.where(step < lengths, lengths - 1 - step, step)  # (T, B)
    rows = source * n_batch + ops.arange(n_batch).astype(ms.int32)
    return ops.gather(x.reshape(n_steps * n_batch, n_channels), rows.reshape(-1), 0).reshape(x.shape)

"""Small operations that the networks are built of, in the forms that suit MindSpore's CPU kernels and graph memory."""

import mindspore as ms
from mindspore import Tensor, ops

from src.models.constants import identities, ones, positions, repeated, unfold_backward_index, unfold_index
from src.models.precision import cast, to_float32

TRANSPOSED_ROWS = 128  # rows per product in `transpose_weight`, whose work grows with their number

matmul = ops.MatMul()
transposed_matmul = ops.MatMul(transpose_a=True)
matmul_transposed = ops.MatMul(transpose_b=True)
add_bias = ops.BiasAdd()
transpose = ops.Transpose()
concat_last = ops.Concat(-1)
concat_rows = ops.Concat(0)
unstack = ops.Unstack(0)  # copies whole steps, where indexing goes through a slow strided slice on CPU
scatter_update = ops.ScatterUpdate()
# The graph orders weight gradients last, because only the update needs them, and holds their inputs until then.
# Depend makes it compute them on the way.
depend = ops.Depend()


# Broadcasting


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Broadcast x to `shape` by an operator of its own.

    An arithmetic operator that broadcasts implicitly is slower on CPU, and its kernel keeps index tables of four times
    its output's size for as long as the graph lives. The same holds for division by a number (multiply by its
    reciprocal), comparison with one, and `where`. A transposition keeps twice its size.
    """
    return ops.broadcast_to(x, shape)


def broadcast_last(x: Tensor, n: int) -> Tensor:
    """Broadcast x (..., 1) to (..., n) by a product with ones: `broadcast_to` goes element by element there on CPU."""
    return ops.MatMul()(x.reshape(-1, 1), cast(ones((1, n)), x.dtype)).reshape((*x.shape[:-1], n))


def broadcast_rows(x: Tensor, n: int) -> Tensor:
    """Repeat x (C,) in n rows, (n, C), by a product with ones: `broadcast_to` is several times slower on CPU."""
    return ops.MatMul()(cast(ones((n, 1)), x.dtype), x.reshape(1, -1))


def repeat_rows(x: Tensor, n: int) -> Tensor:
    """Repeat each row of x (N, C) n times in a row: (N * n, C)."""
    return ops.gather(x, repeated(x.shape[0], n), 0)


# Matrix products


def matmul_fp32(x: Tensor, weight: Tensor) -> Tensor:
    """x times `weight`, multiplied in the weight's type, as float32."""
    return to_float32(matmul(cast(x, weight.dtype), weight))


def matmul_fp32_transposed(x: Tensor, weight: Tensor) -> Tensor:
    """x transposed times `weight`, multiplied in the weight's type, as float32."""
    return to_float32(transposed_matmul(cast(x, weight.dtype), weight))


def matmul_state(state: Tensor, weight_t: Tensor) -> Tensor:
    """state (B, n_in) times weight_t [n_out, n_in] transposed, multiplied in the weight's type: float32 (B, n_out).

    On CPU this order, a tall weight on the left of few columns, takes half the time of few rows on the left of a wide
    weight.
    """
    return to_float32(transpose(matmul_transposed(weight_t, cast(state, weight_t.dtype)), (1, 0)))


def transpose_weight(weight: Tensor) -> Tensor:
    """Transpose [M, N] to [N, M] by products with the identity, which are exact.

    On CPU `ops.Transpose` keeps tables of twice the weight's size.
    """
    n_rows = weight.shape[0]
    n_parts = n_rows // TRANSPOSED_ROWS if n_rows % TRANSPOSED_ROWS == 0 else 1
    identity = cast(identities(n_rows // n_parts), weight.dtype)
    columns = ()
    for rows in ops.Split(0, n_parts)(weight):
        columns += (transposed_matmul(rows, identity),)
    return concat_last(columns)


# Activation


def tanh(x: Tensor, exact: bool) -> Tensor:
    """Hyperbolic tangent of x.

    MindSpore's `Tanh` on CPU is off by 1e-4 near |x| = 5 and exactly 1 beyond. `exact` computes 2 sigmoid(2 x) - 1
    instead, which is right to 2e-6 and takes 2.7 times as long: Tacotron 2 takes it outside training, where its scans
    would lose a tenth of their speed by it, and WaveGlow always.
    """
    return 2 * ops.sigmoid(2 * x) - 1 if exact else ops.tanh(x)


# Masks


def length_mask(lengths: Tensor, n_time: int) -> Tensor:
    """Mask of real positions, float32 (B, n_time): 1 before each item's length, 0 from there on; lengths int32 (B,)."""
    return (positions(n_time) < lengths.reshape(-1, 1)).astype(ms.float32)


def last_mask(lengths: Tensor, n_time: int) -> Tensor:
    """Mask of each item's last position, float32 (B, n_time); lengths int32 (B,)."""
    return (positions(n_time) == lengths.reshape(-1, 1) - 1).astype(ms.float32)


def dropout_mask_from_output(y: Tensor, dropout: float) -> Tensor:
    """Recover the dropout mask, float32, from the output y of any shape.

    Dropped values are 0, so the mask itself need not be stored.
    """
    return y.astype(ms.bool_).astype(ms.float32) * (1 / (1 - dropout))


# Convolution


def unfold(x: Tensor, kernel_size: int, dilation: int = 1) -> Tensor:
    """Gather the taps of a convolution at each position: x (B, T, C) -> (B * T, kernel_size * C), 0 beyond the edges.

    Neighbouring taps are `dilation` positions apart.
    """
    n_batch, n_time, n_channels = x.shape
    edge = ops.zeros((n_batch, kernel_size // 2 * dilation, n_channels), x.dtype)
    padded = ops.Concat(1)((edge, x, edge))
    return ops.gather(padded, unfold_index(n_time, kernel_size, dilation), 1).reshape(
        n_batch * n_time, kernel_size * n_channels
    )


def unfold_backward(dcolumns: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Gradient of `unfold` (dilation 1) for x of `shape` (B, T, C): dcolumns (B * T, kernel_size * C) -> (B, T, C)."""
    n_batch, n_time, n_channels = shape
    kernel_size = dcolumns.shape[1] // n_channels
    taps = dcolumns.reshape(n_batch, n_time * kernel_size, n_channels)
    taps = ops.Concat(1)((taps, ops.zeros((n_batch, 1, n_channels), taps.dtype)))
    gathered = ops.gather(taps, unfold_backward_index(n_time, kernel_size), 1).reshape(
        n_batch * n_time, kernel_size * n_channels
    )
    return ops.MatMul()(gathered, identities(n_channels, kernel_size)).reshape(shape)


# Sequences in rows, step after step: (T * B, C)


def as_steps(x: Tensor, n_batch: int, n_steps: int) -> Tensor:
    """Reshape rows (T * B, C) to (n_steps, B, C) without the steps that `whole_blocks` appended."""
    steps = x.reshape(-1, n_batch, x.shape[1])
    return steps if steps.shape[0] == n_steps else steps[:n_steps]


def one_step_later(x: Tensor, n_batch: int) -> Tensor:
    """Shift rows x (T * B, C) by one step; the first step is 0."""
    return concat_rows((ops.zeros((n_batch, x.shape[1]), x.dtype), x[:-n_batch]))


def take_rows(x: Tensor, at: Tensor) -> Tensor:
    """The row of x (N, ...) at index `at`, (...), or its rows at indices (M,), (M, ...)."""
    return ops.gather(x, at, 0)


def write_rows(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Write `values` (M, ...) to the rows of x (N, ...) at indices (M,), in place and by several threads.

    x must not be a constant and not be read again. `x[t] = value` would copy all of x in every iteration of a loop.
    """
    return scatter_update(x, at, values)


# Memory of the graph


def full(shape: tuple[int, ...], value: float, after: Tensor, dtype: ms.Type = ms.float32) -> Tensor:
    """A buffer of `shape` filled with `value` while the graph runs, once it has computed `after`.

    `ops.full` of a known shape is a constant, which the graph holds as long as it lives, and which must not be written
    in place. For the same reason `after` must not be a constant.
    """
    return ops.FillV2()(shape, depend(Tensor(value, dtype), after))


def zeros(shape: tuple[int, ...], after: Tensor, dtype: ms.Type = ms.float32) -> Tensor:
    """A buffer of zeros, otherwise as `full`."""
    return full(shape, 0, after, dtype)


def parameter_view(parameter: Tensor) -> Tensor:
    """A view of the parameter, which saves memory while training.

    The update waits for everything that reads a parameter, and the graph keeps the outputs of what it waits for. Of a
    view that is nothing; of a product it would be the large result. In a loop the view is a copy, so layers that may
    stand in one read the parameter itself in evaluation, where nothing is updated.
    """
    return ops.Squeeze(0)(ops.ExpandDims()(parameter, 0))

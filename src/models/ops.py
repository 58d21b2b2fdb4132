"""Small operations that networks are built of."""

import mindspore as ms
from mindspore import Tensor, ops

from src.models.constants import identities, ones, positions, repeated, unfold_backward_index, unfold_index
from src.models.precision import cast, to_float32


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x broadcast to `shape` by an operator of its own.

    An arithmetic operator that broadcasts by itself is slower on CPU, and its kernel keeps index tables four times the size of
    its output for as long as the graph lives. So does division by a number (multiply by its reciprocal), comparison with one, and
    `where`; a transposition keeps twice its size.
    """
    return ops.broadcast_to(x, shape)


def broadcast_last(x: Tensor, n: int) -> Tensor:
    """x (..., 1) broadcast to (..., n) by a product with ones, as on CPU the operator of `broadcast_to` goes element by element there."""
    return ops.MatMul()(x.reshape(-1, 1), cast(ones((1, n)), x.dtype)).reshape((*x.shape[:-1], n))


def broadcast_rows(x: Tensor, n: int) -> Tensor:
    """Repeat x (C,) as each of n rows: (n, C). A product with ones, as on CPU `broadcast_to` is several times slower."""
    return ops.MatMul()(cast(ones((n, 1)), x.dtype), x.reshape(1, -1))


def repeat_rows(x: Tensor, n: int) -> Tensor:
    """x (N, C) with n copies of each row, one after the other: (N * n, C)."""
    return ops.gather(x, repeated(x.shape[0], n), 0)


def dropout_mask_from_output(y: Tensor, dropout: float) -> Tensor:
    """The factors of dropout, float32, that y (any shape) has met: those it took are 0, so the factors themselves need not be kept."""
    return y.astype(ms.bool_).astype(ms.float32) * (1 / (1 - dropout))


# Left to itself the graph computes gradients of weights at the very end, since nothing but the update needs them, and keeps
# what they are made of until then. Depend has them computed on the way.
depend = ops.Depend()


def parameter_view(parameter: Tensor) -> Tensor:
    """The parameter through a view. The update must wait for all that reads a parameter, and the graph keeps the outputs of
    what it waits for: here that is the view, which has no memory of its own, and not the large output of a product.

    In a loop the view is a copy: layers that may stand in one do without it in evaluation, where nothing is updated."""
    return ops.Squeeze(0)(ops.ExpandDims()(parameter, 0))


def unfold(x: Tensor, kernel_size: int, dilation: int = 1) -> Tensor:
    """x (B, T, C) -> (B * T, kernel_size * C): at each position what stands around it, tap by tap, 0 beyond the edges.

    Neighbouring taps are `dilation` positions apart.
    """
    n_batch, n_time, n_channels = x.shape
    edge = ops.zeros((n_batch, kernel_size // 2 * dilation, n_channels), x.dtype)
    padded = ops.Concat(1)((edge, x, edge))
    return ops.gather(padded, unfold_index(n_time, kernel_size, dilation), 1).reshape(
        n_batch * n_time, kernel_size * n_channels
    )


def unfold_backward(dcolumns: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of `unfold` for x of `shape` (B, T, C): dcolumns (B * T, kernel_size * C) -> (B, T, C)."""
    n_batch, n_time, n_channels = shape
    kernel_size = dcolumns.shape[1] // n_channels
    taps = dcolumns.reshape(n_batch, n_time * kernel_size, n_channels)
    taps = ops.Concat(1)((taps, ops.zeros((n_batch, 1, n_channels), taps.dtype)))
    gathered = ops.gather(taps, unfold_backward_index(n_time, kernel_size), 1).reshape(
        n_batch * n_time, kernel_size * n_channels
    )
    return ops.MatMul()(gathered, identities(n_channels, kernel_size)).reshape(shape)


def length_mask(lengths: Tensor, n_time: int) -> Tensor:
    """Float32 (B, n_time), 1 before each item's length and 0 from there on; `lengths` is int32 (B,)."""
    return (positions(n_time) < lengths.reshape(-1, 1)).astype(ms.float32)


def last_mask(lengths: Tensor, n_time: int) -> Tensor:
    """Float32 (B, n_time), 1 at each item's last position; `lengths` is int32 (B,)."""
    return (positions(n_time) == lengths.reshape(-1, 1) - 1).astype(ms.float32)


TRANSPOSED = 128  # rows at once: the work grows with their number
matmul = ops.MatMul()
transpose = ops.Transpose()
add_bias = ops.BiasAdd()
transposed_matmul = ops.MatMul(transpose_a=True)
matmul_transposed = ops.MatMul(transpose_b=True)
concat_last = ops.Concat(-1)
concat_rows = ops.Concat(0)
unstack = ops.Unstack(0)  # copies whole steps, where indexing goes through a slow strided slice on CPU
scatter_update = ops.ScatterUpdate()


def matmul_fp32(x: Tensor, weight: Tensor) -> Tensor:
    """x times `weight`, multiplied in the weight's type, as float32."""
    return to_float32(matmul(cast(x, weight.dtype), weight))


def matmul_fp32_transposed(x: Tensor, weight: Tensor) -> Tensor:
    """x transposed times `weight`, multiplied in the weight's type, as float32."""
    return to_float32(transposed_matmul(cast(x, weight.dtype), weight))


def matmul_state(state: Tensor, weight_t: Tensor) -> Tensor:
    """A state (B, n_in) times a weight that is given as [n_out, n_in]: (B, n_out), multiplied in the weight's type, as float32.

    On CPU few rows on the left of a wide weight take twice the time that a tall weight takes on the left of few columns.
    """
    return to_float32(transpose(matmul_transposed(weight_t, cast(state, weight_t.dtype)), (1, 0)))


def transpose_weight(weight: Tensor) -> Tensor:
    """[M, N] -> [N, M] as products with the identity, which are exact: on CPU `ops.Transpose` keeps tables of twice the weight's size."""
    n_rows = weight.shape[0]
    n_parts = n_rows // TRANSPOSED if n_rows % TRANSPOSED == 0 else 1
    identity = cast(identities(n_rows // n_parts), weight.dtype)
    columns = ()
    for rows in ops.Split(0, n_parts)(weight):
        columns += (transposed_matmul(rows, identity),)
    return concat_last(columns)


def full(shape: tuple[int, ...], value: float, after: Tensor, dtype: ms.Type = ms.float32) -> Tensor:
    """`value` everywhere, made when the graph runs, as soon as it has `after`, any tensor that is not a constant.

    `ops.full` of a known shape is a constant, which the graph holds as long as it lives, and which must not be written in place.
    """
    return ops.FillV2()(shape, depend(Tensor(value, dtype), after))


def zeros(shape: tuple[int, ...], after: Tensor, dtype: ms.Type = ms.float32) -> Tensor:
    """Zeros, otherwise as `full`."""
    return full(shape, 0, after, dtype)


def as_steps(x: Tensor, n_batch: int, n_steps: int) -> Tensor:
    """Rows (T * B, C) -> (n_steps, B, C), without the steps that were appended."""
    steps = x.reshape(-1, n_batch, x.shape[1])
    return steps if steps.shape[0] == n_steps else steps[:n_steps]


def take_rows(x: Tensor, at: Tensor) -> Tensor:
    """The part of x (N, ...) that stands at index `at`, or at indices (M,): (...) or (M, ...)."""
    return ops.gather(x, at, 0)


def write_rows(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """x (N, ...), which is no constant and not read again, with `values` (M, ...) at indices (M,).

    They are written in place, and by several threads; `x[t] = value` would copy all of x, in every iteration of a loop.
    """
    return scatter_update(x, at, values)


def one_step_later(x: Tensor, n_batch: int) -> Tensor:
    """What each step finds from the step before: rows x (T * B, C) one step later, 0 at the first."""
    return concat_rows((ops.zeros((n_batch, x.shape[1]), x.dtype), x[:-n_batch]))

"""Parts that the recurrences share: blocks of steps, dropout masks, and the base class of the scans."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.constants import positions
from src.models.ops import concat_rows, dropout_mask_from_output, full
from src.models.precision import MixedPrecision

BLOCK = 5  # steps per iteration of the loop; more would make compilation slower


# Blocks of steps


@ms.constexpr  # as MindSpore 2.10 fails on `min` and on conditions in a gradient
def block_length(n_steps: int, block: int) -> int:
    """Steps of one block of a sequence of `n_steps`, where a block has at most `block`."""
    return min(n_steps, block)


def whole_blocks(x: Tensor, block: int = BLOCK) -> Tensor:
    """Append zero steps to x (T, ...) until its last block, see `block_length`, is whole."""
    missing = -x.shape[0] % block_length(x.shape[0], block)
    return concat_rows((x, ops.zeros((missing, *x.shape[1:]), x.dtype))) if missing > 0 else x


def block_rows(t: Tensor, n_rows: int) -> Tensor:
    """Indices of the rows of block t, int32 (n_rows,), where each block has `n_rows`."""
    return t * n_rows + positions(n_rows)


# Dropout on the state


class DropoutMask(nn.Cell):
    """Random dropout mask: 0 with probability `dropout`, otherwise 1 / (1 - dropout).

    All ones in evaluation, unless `always`.
    """

    def __init__(self, dropout: float, always: bool = False):
        super().__init__()
        self.dropout, self.always = dropout, always

    def construct(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """A mask of `shape` in the type of `like`, which must not be a constant."""
        return ops.stop_gradient(
            ops.dropout(full(shape, 1, like, like.dtype), self.dropout, self.training or self.always)
        )


class Scan(MixedPrecision):
    """Base class of the scans: mixed-precision products, and dropout on the state.

    An iteration of the loop is of `block` steps.
    """

    block = BLOCK

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = dropout

    def applied_dropout_mask(self, h: Tensor) -> Tensor:
        """The dropout mask, float32, that the states h were multiplied by."""
        return (
            dropout_mask_from_output(h, self.dropout)
            if self.dropout > 0 and self.training
            else ops.ones(h.shape, ms.float32)
        )


# Free running


class FreeRunningLoop(nn.Cell):
    """Base class of cells that run free in a loop, which ends when all items have stopped.

    An iteration is of `block` steps; those after the end of the speech are computed in vain.
    """

    block = 1


def set_blocks(net: nn.Cell, scans: int, free_running: int) -> None:
    """Set how many steps an iteration of the loops in `net` takes. Graphs compiled earlier keep theirs."""
    for _, cell in net.cells_and_names():
        if isinstance(cell, Scan):
            cell.block = scans
        elif isinstance(cell, FreeRunningLoop):
            cell.block = free_running

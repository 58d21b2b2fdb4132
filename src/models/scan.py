"""Parts that the scans over decoder and encoder steps share."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.constants import positions
from src.models.ops import concat_rows, dropout_mask_from_output, full
from src.models.precision import MixedPrecision

BLOCK = 5  # steps per iteration of the loop: more means a slower compilation


def block_length(n_steps: int) -> int:
    """Steps of a block, where there are `n_steps` in all."""
    return BLOCK if n_steps > BLOCK else n_steps  # not `min`, of which MindSpore 2.10 makes nothing in a gradient


def whole_blocks(x: Tensor) -> Tensor:
    """x (T, ...) with zero steps appended until the last block is whole."""
    missing = -x.shape[0] % block_length(x.shape[0])
    return concat_rows((x, ops.zeros((missing, *x.shape[1:]), x.dtype))) if missing > 0 else x


class DropoutMask(nn.Cell):
    """Random factors for what dropout multiplies: 0 with probability `dropout`, otherwise 1 / (1 - dropout); all 1 in evaluation.

    `always`: in evaluation too.
    """

    def __init__(self, dropout: float, always: bool = False):
        super().__init__()
        self.dropout, self.always = dropout, always

    def construct(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Factors of `shape`, as the type of `like`, which is no constant."""
        return ops.stop_gradient(
            ops.dropout(full(shape, 1, like, like.dtype), self.dropout, self.training or self.always)
        )


def block_rows(t: Tensor, n_rows: int) -> Tensor:
    """Where block t of sequences in rows is, if a block has `n_rows`: int32 (n_rows,)."""
    return t * n_rows + positions(n_rows)


class Scan(MixedPrecision):
    """What the scans share: products in the type of products, and dropout of `dropout` on the state."""

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = dropout

    def applied_dropout_mask(self, h: Tensor) -> Tensor:
        """The factors of dropout, float32, that states h have met."""
        return (
            dropout_mask_from_output(h, self.dropout)
            if self.dropout > 0 and self.training
            else ops.ones(h.shape, ms.float32)
        )

"""Mixed precision (Micikevicius et al. 2018): products in float16, everything that has to be exact in float32.

`train.amp` is one of three levels, the first three of `mindspore.amp.auto_mixed_precision` and of NVIDIA's apex:

- O0: everything is float32.
- O1: the operands of all matrix products and convolutions, forward and backward, are float16. Their results are cast
  back to float32, and everything else is computed and kept in it. MindSpore's O1 is such a white list of operators.
- O2: activations and their gradients are float16 too: the result of a product, with its bias, residual and dropout, and
  what is kept of it for the gradient. A black list stays float32: the softmax of attention and its weights, cell states
  and gates of LSTMs, batch normalisation, the activations of WaveGlow's gated units, the signal between its flows, log
  scales and their exponentials, weight norm and determinants, all sums over positions, mels and losses. Cells of the
  black list take float16, and return it where a layer follows.

Parameters and their gradients are float32 at every level. So the optimiser updates master weights, and a checkpoint
does not depend on the level it was trained at. Only training is mixed; validation and inference are float32.

MindSpore's own tools cannot do this: their lists go by the classes of `nn`; `auto` fails in cells that have a `bprop`;
and `Cell.to_float` casts cell states too, applies in evaluation, and returns gradients in float16. On CPU, float16 is
slower, and needs more memory than float32 because its kernels for sums and products keep tables.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import AmpLevel


def cast(x: Tensor, dtype: ms.Type) -> Tensor:
    """Cast x to `dtype`; if it has that type already, nothing is added to the graph."""
    return x if x.dtype == dtype else ops.Cast()(x, dtype)


def to_float32(x: Tensor) -> Tensor:
    """Cast x to float32."""
    return cast(x, ms.float32)


class MixedPrecision(nn.Cell):
    """Base class of cells that multiply matrices, in the precision that `set_precision` chooses."""

    amp: AmpLevel = "O0"

    def cast_operand(self, x: Tensor) -> Tensor:
        """Cast x for use as an operand of a matrix product."""
        return cast(x, ms.float16) if self.training and self.amp != "O0" else x

    def cast_output(self, y: Tensor) -> Tensor:
        """Cast the result of a product for the next layer."""
        return cast(y, ms.float16 if self.training and self.amp == "O2" else ms.float32)


def set_precision(net: nn.Cell, amp: AmpLevel) -> None:
    """Train `net` in precision `amp` from now on. Graphs compiled earlier keep theirs."""
    for _, cell in net.cells_and_names():
        if isinstance(cell, MixedPrecision):
            cell.amp = amp

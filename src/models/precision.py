"""Mixed precision (Micikevicius et al. 2018): products in float16, whatever has to be exact in float32.

`train.amp` is one of three levels, the first three of `mindspore.amp.auto_mixed_precision` and of NVIDIA's apex:

- O0: everything is float32.
- O1: the factors of all matrix products and convolutions, forward and backward, are float16; results come back as float32, in
  which all else is computed and kept. MindSpore's O1 is such a white list of operators.
- O2: activations and their gradients are float16 too: what a product gives stays so, with its bias, residual, dropout, and what is
  kept of it for the gradient. Float32 is a black list: the softmax of attention and its weights, cell states and gates of LSTMs,
  batch normalisation, the squashing of WaveGlow's gated units, the signal that its flows pass on, log scales and their exponentials,
  weight norm and determinants, all sums over positions, mels and losses. Of these, cells take float16 and give float16 where a layer
  follows.

Parameters and their gradients are float32 at every level: the optimiser's weights are the master weights, and a checkpoint does
not depend on the level it was trained at. Only training is mixed; validation and inference are float32.

MindSpore's own means do not reach this: its lists go by the classes of `nn`; `auto` fails in cells that have a `bprop`; and
`Cell.to_float` casts cell states too, is in force in evaluation, and hands on gradients in float16. On CPU, float16 is slower and,
as its kernels for sums and products keep tables, needs more memory than float32.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import AmpLevel


def cast(x: Tensor, dtype: ms.Type) -> Tensor:
    """x as `dtype`; where it is that already, nothing is added to the graph."""
    return x if x.dtype == dtype else ops.Cast()(x, dtype)


def to_float32(x: Tensor) -> Tensor:
    """x as float32."""
    return cast(x, ms.float32)


class MixedPrecision(nn.Cell):
    """A cell that multiplies matrices, in the precision that `set_precision` gives it."""

    amp: AmpLevel = "O0"

    def cast_operand(self, x: Tensor) -> Tensor:
        """x as an operand of a matrix product."""
        return cast(x, ms.float16) if self.training and self.amp != "O0" else x

    def cast_output(self, y: Tensor) -> Tensor:
        """What came of a product, as it is handed on to the next layer."""
        return cast(y, ms.float16 if self.training and self.amp == "O2" else ms.float32)


def set_precision(net: nn.Cell, amp: AmpLevel) -> None:
    """Train `net` in this precision from now on. Graphs that were compiled before keep theirs."""
    for _, cell in net.cells_and_names():
        if isinstance(cell, MixedPrecision):
            cell.amp = amp

"""The training loss (Shen et al. 2018, sec. 2.2), over real frames only, with guided attention as an option."""

from collections.abc import Callable

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import Config
from src.models.constants import positions
from src.models.ops import broadcast_to, last_mask, length_mask


class Tacotron2Loss(nn.Cell):
    """MSE of the mel before and after the postnet, binary cross entropy of the gate, and weighted guided attention.

    Args:
        sum_over_ranks: operator that sums a tensor over the ranks. The loss then divides by the real frames of all
            ranks, so that the mean of the ranks' losses is the loss of their joint batch. By default a rank is alone.
        n_ranks: number of ranks that it sums over.
    """

    def __init__(self, config: Config, sum_over_ranks: Callable[[Tensor], Tensor] = ops.identity, n_ranks: int = 1):
        super().__init__()
        self.sum_over_ranks, self.n_ranks = sum_over_ranks, n_ranks
        self.reduction_factor = config.model.reduction_factor
        self.guided, self.sigma = config.train.guided_attention > 0, config.train.guided_attention_sigma

    def construct(self, outputs, mel_target, mel_lengths, text_lengths, guided_weight):  # noqa: ANN001, ANN201
        """Compute the losses as means over the real frames of the batch; padding does not count.

        Args:
            outputs: mel, mel after the postnet (B, n_mels, T), gate logits (B, T / r), alignments (B, T / r, L).
            mel_target: (B, n_mels, T).
            mel_lengths: int32 (B,), frames.
            text_lengths: int32 (B,), symbols.
            guided_weight: scalar.

        Returns:
            loss, mel loss (sum of both squared errors), gate loss, guided-attention loss before weighting; scalars.
        """
        mel, mel_postnet, gate, alignments = outputs
        n_mels, n_frames = mel.shape[1:]
        n_steps, n_symbols = alignments.shape[1:]
        mel_lengths = mel_lengths.astype(ms.int32)
        frame_mask = length_mask(mel_lengths, n_frames).expand_dims(1)  # (B, 1, T)
        n_values = ops.maximum(self.sum_over_ranks(frame_mask.sum()) / self.n_ranks * n_mels, Tensor(1.0, ms.float32))
        real = broadcast_to(frame_mask, mel.shape)
        before, after = (mel - mel_target) * real, (mel_postnet - mel_target) * real
        mel_loss = ((before * before).sum() + (after * after).sum()) / n_values

        steps = (mel_lengths + self.reduction_factor - 1) // self.reduction_factor  # (B,), up to the last real frame's
        step_mask = length_mask(steps, n_steps)  # (B, T / r)
        n_real_steps = ops.maximum(self.sum_over_ranks(step_mask.sum()) / self.n_ranks, Tensor(1.0, ms.float32))
        gate_target = last_mask(steps, n_steps)
        # log(1 + e^x) - x * target, in a form whose exponential cannot overflow.
        cross_entropy = ops.relu(gate) - gate * gate_target + ops.log1p(ops.exp(-ops.abs(gate)))
        gate_loss = (cross_entropy * step_mask).sum() / n_real_steps

        loss, guided_loss = mel_loss + gate_loss, Tensor(0.0, ms.float32)
        if self.guided:
            penalty = guided_attention_penalty(steps, text_lengths, n_steps, n_symbols, self.sigma)
            guided_loss = (alignments * penalty).sum() / n_real_steps
            loss = loss + guided_weight * guided_loss
        return loss, mel_loss, gate_loss, guided_loss


def guided_attention_penalty(steps: Tensor, text_lengths: Tensor, n_steps: int, n_symbols: int, sigma: float) -> Tensor:
    """Penalty on attention far from the diagonal (Tachibana et al. 2018, sec. 4.1).

    1 - exp(-(l/L - t/T)^2 / (2 sigma^2)) as (B, n_steps, n_symbols), 0 at padding.
    """
    steps, text_lengths = steps.astype(ms.float32).reshape(-1, 1, 1), text_lengths.astype(ms.float32).reshape(-1, 1, 1)
    t = positions(n_steps).astype(ms.float32).reshape(1, -1, 1)
    symbol = positions(n_symbols).astype(ms.float32).reshape(1, 1, -1)
    one = Tensor(1.0, ms.float32)
    distance = symbol / ops.maximum(text_lengths, one) - t / ops.maximum(steps, one)
    real = (t < steps).astype(ms.float32) * (symbol < text_lengths).astype(ms.float32)
    return (1 - ops.exp(-distance * distance / (2 * sigma * sigma))) * real

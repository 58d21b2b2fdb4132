"""One optimiser step as one graph: forward, backward, clip, update."""

from typing import NamedTuple

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import TrainConfig
from src.dataset import Batch


class StepResult(NamedTuple):
    """What a step measured, before its update."""

    loss: float
    mel_loss: float
    gate_loss: float
    guided_loss: float
    grad_norm: float  # global norm before clipping
    updated: bool  # False: loss or gradient was not finite, and weights, moments, counters and batch-norm statistics are as they were


class TrainStep:
    """Trains `net` by Adam with an L2 penalty (Kingma & Ba 2015; Shen et al. 2018, sec. 2.2). Compiles once per batch shape.

    Args:
        net: called as `net(text, text_lengths, mel, mel_lengths)`.
        loss: called as `loss(outputs, mel, mel_lengths, text_lengths, guided_weight)`; its first result is what is minimised.
    """

    def __init__(self, net: nn.Cell, loss: nn.Cell, config: TrainConfig):
        weights = net.trainable_params()
        self.net = net
        # All arguments are given because Adam's defaults are announced to change.
        self.optimizer = optimizer = nn.Adam(
            weights,
            learning_rate=config.lr,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            use_locking=False,
            use_nesterov=False,
            weight_decay=config.weight_decay,
            loss_scale=1.0,
            use_amsgrad=False,
        )
        assign, max_norm = ops.Assign(), config.grad_clip
        statistics = [parameter for parameter in net.get_parameters() if not parameter.requires_grad]

        def forward(text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor, guided_weight: Tensor):
            outputs = net(text, text_lengths, mel, mel_lengths)
            return loss(outputs, mel, mel_lengths, text_lengths, guided_weight)

        value_and_gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)

        @ms.jit
        def step(text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor, lr: Tensor, guided_weight: Tensor):
            before = ()
            for statistic in statistics:
                before += (statistic + 0,)  # a copy: the forward pass updates it in place
            losses, gradients = value_and_gradient(text, text_lengths, mel, mel_lengths, guided_weight)
            norm = global_norm(gradients)
            finite = ops.logical_and(ops.isfinite(losses[0]), ops.isfinite(norm))
            assign(optimizer.learning_rate, lr)
            if finite:
                optimizer(clip_by_norm(gradients, norm, max_norm))
            for statistic, value in zip(statistics, before):  # noqa: B905  graph mode knows no strict
                assign(statistic, ops.where(finite, statistic, value))
            return (*losses, norm, finite)

        self._step = step

    def __call__(self, batch: Batch, lr: float, guided_weight: float = 0.0) -> StepResult:
        """Train on one batch."""
        self.net.set_train(True)
        inputs = (Tensor(array) for array in (batch.text, batch.text_lengths, batch.mel, batch.mel_lengths))
        *values, updated = self._step(*inputs, Tensor(lr, ms.float32), Tensor(guided_weight, ms.float32))
        return StepResult(*(float(value.asnumpy()) for value in values), bool(updated.asnumpy()))


def global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    """Euclidean norm of all gradients as one vector; not finite if any of their values is not."""
    total = Tensor(0.0, ms.float32)
    for gradient in gradients:
        total = total + gradient.square().sum()
    return ops.sqrt(total)


def clip_by_norm(gradients: tuple[Tensor, ...], norm: Tensor, max_norm: float) -> tuple[Tensor, ...]:
    """All gradients scaled down by one factor if their global `norm` is above `max_norm` (Pascanu et al. 2013, algorithm 1)."""
    scale = max_norm / ops.maximum(norm, Tensor(max_norm, ms.float32))
    clipped = ()
    for gradient in gradients:
        clipped += (gradient * scale,)
    return clipped

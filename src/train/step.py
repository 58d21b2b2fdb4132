"""One optimiser step as one graph: forward, backward, clip, update."""

from collections.abc import Callable
from typing import NamedTuple

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import TrainConfig


class StepResult(NamedTuple):
    """What a step measured, before its update."""

    losses: tuple[float, ...]  # what `forward` returned
    grad_norm: float  # global norm before clipping
    updated: bool  # False: loss or gradient was not finite, and weights, moments, counters and batch-norm statistics are as they were

    @property
    def loss(self) -> float:
        """What is minimised."""
        return self.losses[0]


class TrainStep:
    """Trains `net` by Adam with an L2 penalty (Kingma & Ba 2015; Shen et al. 2018, sec. 2.2). Compiles once per batch shape.

    Args:
        net: whose parameters are trained.
        forward: runs `net` on the tensors of a batch and returns scalars, the first of which is minimised.
    """

    def __init__(self, net: nn.Cell, forward: Callable[..., tuple[Tensor, ...]], config: TrainConfig):
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

        value_and_gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)

        @ms.jit
        def step(lr: Tensor, *inputs: Tensor):
            before = ()
            for statistic in statistics:
                before += (statistic + 0,)  # a copy: the forward pass updates it in place
            losses, gradients = value_and_gradient(*inputs)
            norm = global_norm(gradients)
            finite = ops.logical_and(ops.isfinite(losses[0]), ops.isfinite(norm))
            assign(optimizer.learning_rate, lr)
            if finite:
                optimizer(clip_by_norm(gradients, norm, max_norm))
            for statistic, value in zip(statistics, before):  # noqa: B905  graph mode knows no strict
                assign(statistic, ops.where(finite, statistic, value))
            return (*losses, norm, finite)

        self._step = step

    def __call__(self, inputs: tuple[Tensor, ...], lr: float) -> StepResult:
        """Train on one batch, given as what `forward` takes."""
        self.net.set_train(True)
        *values, updated = self._step(Tensor(lr, ms.float32), *inputs)
        *losses, norm = (float(value.asnumpy()) for value in values)
        return StepResult(tuple(losses), norm, bool(updated.asnumpy()))


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

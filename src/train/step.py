"""An optimiser step as one graph: forward, backward, all-reduce, clip, update.

A step over several batches takes two graphs, one per batch and one at the end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src import runtime
from src.checkpoint import chosen, network_parameters
from src.config import TrainConfig
from src.errors import InputError
from src.models.precision import set_precision
from src.runtime.graph_cache import compile_aside

# A for loop over WaveGlow's hundreds of parameters would nest the graph as deep as MindSpore allows.
for_each, partial = ops.HyperMap(), ops.Partial()
assign = ops.Assign()
split_with_size = ops.auto_generate.SplitWithSize()  # `ops.split` would add a loop over the parts to the graph
# Gradient values that ranks reduce at once, 32 MB: much for the links, and several buckets, so that the first need not
# wait for the last gradient.
BUCKET = 2**23
# Gradients in a bucket: a split into some hundreds of parts, too, nests the graph deeper than MindSpore allows.
BUCKET_GRADIENTS = 64


class StepResult(NamedTuple):
    """Measurements of a step, before its update."""

    losses: tuple[float, ...]  # results of `forward`, as means over batches and ranks
    grad_norm: float  # global norm before clipping
    # False: loss or gradient was not finite. Weights, moments, counters and batch-norm statistics are as before then.
    updated: bool

    @property
    def loss(self) -> float:
        """The loss that is minimised."""
        return self.losses[0]


class Graph(nn.Cell):
    """A function as a graph of its own. A graph from a cache finds the function's `parameters` by their names."""

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], parameters: Sequence[Parameter]):
        super().__init__(auto_prefix=False)
        self.function = function
        # In a list, because as an attribute they would become this cell's own.
        self.parameters = [{parameter.name: parameter for parameter in parameters}]

    def parameters_dict(self, recurse: bool = True) -> dict[str, Parameter]:
        """The parameters given to the constructor, by name."""
        return self.parameters[0]

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call the function."""
        return self.function(*inputs)


class TrainStep:
    """Trains `net` by Adam with an L2 penalty (Kingma & Ba 2015; Shen et al. 2018, sec. 2.2).

    The precision is `config.amp`. It compiles once per batch shape. With several ranks, all of them take the same step
    at the same time, with the mean of their gradients.

    Args:
        net: the network to train.
        forward: runs `net` on the tensors of a batch and returns scalars; the first is minimised.
    """

    # One long function, because the graphs are closures over the same parameters.
    def __init__(self, net: nn.Cell, forward: Callable[..., tuple[Tensor, ...]], config: TrainConfig):
        statistics, moving = freeze(net, config.freeze)
        weights = net.trainable_params()
        self.net = net
        set_precision(net, config.amp)
        self.optimizer = optimizer = adam(weights, config)
        max_norm, sum_over_ranks = config.grad_clip, runtime.all_reduce()
        n_ranks = runtime.world_size()
        sum_gradients = (
            gradient_sum(sum_over_ranks, [weight.size for weight in weights]) if n_ranks > 1 else ops.identity
        )
        self._accumulates = config.accumulate > 1
        sums = ParameterTuple([_zeros_like(weight, "gradient") for weight in weights] if self._accumulates else [])
        saved = ParameterTuple(
            [_zeros_like(statistic, "saved") for statistic in statistics] if self._accumulates else []
        )

        def scaled(scale: Tensor, *inputs: Tensor):
            losses = forward(*inputs)
            return losses[0] * scale, losses

        value_and_gradient = ms.value_and_grad(scaled, None, optimizer.parameters, has_aux=True)

        def update(lr: Tensor, scale: Tensor, losses: tuple[Tensor, ...], gradients: tuple[Tensor, ...]):
            """Sum the ranks' gradients of losses times `scale`, and take the step if all is finite."""
            mean_losses, summed = losses, sum_gradients(gradients)
            if n_ranks > 1:
                mean_losses = ops.Unstack(0)(sum_over_ranks(ops.Stack(0)(losses)) / n_ranks)
            scale = scale * n_ranks
            norm = global_norm(summed) / scale
            finite = ops.logical_and(ops.isfinite(mean_losses[0]), ops.isfinite(norm))
            assign(optimizer.learning_rate, lr)
            if finite:
                optimizer(clip_by_norm(summed, norm, max_norm, scale))
            return mean_losses, norm, finite

        def step(lr: Tensor, scale: Tensor, *inputs: Tensor):
            before = ()
            for statistic in statistics:
                before += (statistic + 0,)  # a copy: the forward pass updates it in place
            (_, losses), gradients = value_and_gradient(scale, *inputs)
            losses, norm, finite = update(lr, scale, losses, gradients)
            # A function for both loops would be cut out of the graph, because it returns nothing.
            for statistic, value, moves in zip(statistics, before, moving):  # noqa: B905  graph mode knows no strict
                assign(statistic, ops.where(finite, statistic, value) if moves else value)
            return (*losses, norm, finite)

        def accumulate(share: Tensor, scale: Tensor, *inputs: Tensor):
            (_, losses), gradients = value_and_gradient(scale, *inputs)
            return (ops.depend(losses[0], for_each(partial(_add_share, share), sums, gradients)), *losses[1:])

        @runtime.jit
        def finish(lr: Tensor, scale: Tensor, *losses: Tensor):
            losses, norm, finite = update(lr, scale, losses, tuple(sums))
            for statistic, value, moves in zip(statistics, saved, moving):  # noqa: B905
                assign(statistic, ops.where(finite, statistic, value) if moves else value)
            return (*losses, norm, finite)

        @runtime.jit
        def begin():
            for statistic, value in zip(statistics, saved):  # noqa: B905
                assign(value, statistic)
            return ops.depend(Tensor(True), for_each(_empty, sums))  # a graph that returns nothing would call Python

        everything = [*net.get_parameters(), *optimizer.get_parameters(), *sums, *saved]
        self._step, self._accumulate = Graph(step, everything), Graph(accumulate, everything)
        self._begin, self._finish = begin, finish

    def compile(self, batches: Sequence[tuple[Tensor, ...]]) -> None:
        """Compile a graph for each batch shape, given an example of each; otherwise the first batch of a shape does."""
        self.net.set_train(True)
        graph, number = self._accumulate if self._accumulates else self._step, Tensor(1.0, ms.float32)

        def compile_graphs() -> None:
            for inputs in batches:
                graph.compile(number, number, *inputs)

        compile_aside(compile_graphs)

    def __call__(self, batches: Sequence[tuple[Tensor, ...]], lr: float, scale: float = 1.0) -> StepResult:
        """Take a step on the mean loss over `batches`.

        Args:
            batches: inputs of `forward` for each batch; one batch, unless `train.accumulate` is above 1.
            scale: loss scale; gradients are divided by it before they are used.
        """
        self.net.set_train(True)
        lr, scale = Tensor(lr, ms.float32), Tensor(scale, ms.float32)
        if self._accumulates:
            share = Tensor(1.0 / len(batches), ms.float32)
            self._begin()
            losses = [[float(loss.asnumpy()) for loss in self._accumulate(share, scale, *inputs)] for inputs in batches]
            results = self._finish(lr, scale, *(Tensor(mean, ms.float32) for mean in np.mean(losses, 0)))
        else:
            (inputs,) = batches
            results = self._step(lr, scale, *inputs)
        *values, updated = results
        *losses, norm = (float(value.asnumpy()) for value in values)
        return StepResult(tuple(losses), norm, bool(updated.asnumpy()))


def freeze(net: nn.Cell, patterns: Sequence[str]) -> tuple[ParameterTuple, tuple[bool, ...]]:
    """Make the parameters that `patterns` choose (see `src.checkpoint.chosen`) untrainable.

    Returns:
        The statistics of batch norms, which the forward pass updates; which of them are not frozen.

    Raises:
        InputError: a pattern that chooses nothing, or nothing left to train.
    """
    parameters = network_parameters(net)
    frozen = chosen(list(parameters), patterns, "train.freeze")
    statistics = {name: parameter for name, parameter in parameters.items() if not parameter.requires_grad}
    for name in frozen:
        parameters[name].requires_grad = False
    if not net.trainable_params():
        raise InputError(f"train.freeze: {', '.join(patterns)} leaves nothing to train")
    return ParameterTuple(list(statistics.values())), tuple(name not in frozen for name in statistics)


def adam(weights: Sequence[Parameter], config: TrainConfig) -> nn.Adam:
    """Adam with L2 penalty; all arguments are given because MindSpore's defaults are announced to change."""
    return nn.Adam(
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


def gradient_buckets(sizes: Sequence[int], most: int = BUCKET) -> list[tuple[int, int]]:
    """Cut a list of tensors, given their sizes, into runs of at most `most` values and BUCKET_GRADIENTS tensors.

    A tensor of more values is a run of its own. Returns the first and the end index of each run.
    """
    first, filled, runs = 0, 0, []
    for i, size in enumerate(sizes):
        if i > first and (filled + size > most or i - first == BUCKET_GRADIENTS):
            runs.append((first, i))
            first, filled = i, 0
        filled += size
    return [*runs, (first, len(sizes))]


def gradient_sum(
    sum_over_ranks: Callable[[Tensor], Tensor], sizes: Sequence[int], most: int = BUCKET
) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """A function for graphs that sums gradients of these sizes over the ranks, bucket by bucket."""
    buckets = [(first, end, tuple(sizes[first:end])) for first, end in gradient_buckets(sizes, most)]

    def sum_gradients(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        summed = ()
        for first, end, lengths in buckets:
            bucket = gradients[first:end]
            flat = sum_over_ranks(ops.Concat(0)(for_each(_flat, bucket)))
            summed += for_each(_as_shaped, split_with_size(flat, lengths, 0), bucket)
        return summed

    return sum_gradients


def _flat(gradient: Tensor) -> Tensor:
    return gradient.reshape(-1)


def _as_shaped(flat: Tensor, gradient: Tensor) -> Tensor:
    return flat.reshape(gradient.shape)


def global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    """Euclidean norm of all gradients as one vector; not finite if any of their values is not."""
    return ops.sqrt(ops.AddN()(for_each(_sum_of_squares, gradients)))


def clip_by_norm(gradients: tuple[Tensor, ...], norm: Tensor, max_norm: float, scale: Tensor) -> tuple[Tensor, ...]:
    """Divide gradients by `scale`, and clip their global norm (Pascanu et al. 2013, algorithm 1).

    They are scaled down together if their `norm` after the division is above `max_norm`.
    """
    factor = max_norm / ops.maximum(norm, Tensor(max_norm, ms.float32)) / scale
    return for_each(partial(_times, factor), gradients)


def _times(factor: Tensor, gradient: Tensor) -> Tensor:
    return gradient * factor


def _sum_of_squares(gradient: Tensor) -> Tensor:
    n_columns = gradient.shape[-1] if gradient.shape else 1
    # One axis after the other: on CPU, a sum over two axes at once takes several times as long.
    return gradient.reshape(-1, n_columns).square().sum(0).sum()


def _add_share(share: Tensor, total: Parameter, gradient: Tensor) -> Tensor:
    return assign(total, total + gradient * share)


def _empty(total: Parameter) -> Tensor:
    return assign(total, ops.zeros_like(total))


def _zeros_like(parameter: Parameter, purpose: str) -> Parameter:
    return Parameter(
        Tensor(np.zeros(parameter.shape, np.float32)), name=f"{purpose}.{parameter.name}", requires_grad=False
    )

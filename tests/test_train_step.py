import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from src import runtime
from src.config import TrainConfig
from src.train.step import TrainStep, clip_by_norm, global_norm, gradient_buckets, gradient_sum
from src.train.tacotron2 import teacher_forced

START = np.array([1.0, -2.0, 0.5], np.float32)


class Net(nn.Cell):
    """Its output is its weight plus the mean of the mel.

    It counts its steps in the forward pass, as batch norm gathers its statistics.
    """

    def __init__(self):
        super().__init__()
        self.weight = Parameter(Tensor(START), name="weight")
        self.counter = Parameter(Tensor(np.zeros(1, np.float32)), name="counter", requires_grad=False)

    def construct(self, text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor):
        if self.training:
            ops.Assign()(self.counter, self.counter + text_lengths.sum())
        return self.weight + mel.mean()


class Loss(nn.Cell):
    def construct(self, output, mel, mel_lengths, text_lengths, guided_weight):
        loss = (output * output).sum()
        return loss + guided_weight, loss, loss * 0, loss * 0


def make_inputs(value=0.0, guided_weight=0.0):
    ones = np.ones(2, np.int32)
    batch = (np.ones((2, 3), np.int32), ones, np.full((2, 4, 5), value, np.float32), ones)
    return (*map(Tensor, batch), Tensor(guided_weight, ms.float32))


@pytest.fixture
def make_step():
    runtime.setup(0)

    def make(**settings):
        net = Net()
        return TrainStep(net, teacher_forced(net, Loss()), TrainConfig(**settings))

    return make


def state(step):
    return {
        parameter.name: parameter.asnumpy().copy()
        for parameter in (*step.net.get_parameters(), *step.optimizer.get_parameters())
    }


def reference_adam(lrs, decay, max_norm):
    """Adam with an L2 penalty after clipping, in float64 (Kingma & Ba 2015, end of sec. 2)."""
    weight, m, v = START.astype(np.float64), 0.0, 0.0
    for t, lr in enumerate(lrs, 1):
        gradient = 2 * weight
        gradient = gradient * min(1.0, max_norm / np.linalg.norm(gradient)) + decay * weight
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        weight = weight - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
    return weight


@pytest.mark.parametrize(("decay", "max_norm"), [(0.0, 100.0), (0.1, 1.0)])
def test_steps_are_clipped_adam_with_the_learning_rate_of_the_host(make_step, decay, max_norm):
    step = make_step(weight_decay=decay, grad_clip=max_norm, lr=5.0)
    lrs = [0.1, 0.02, 0.3]
    results = [step([make_inputs(guided_weight=0.25)], lr) for lr in lrs]
    np.testing.assert_allclose(step.net.weight.asnumpy(), reference_adam(lrs, decay, max_norm), rtol=1e-4)
    assert all(result.updated for result in results)
    np.testing.assert_allclose(results[0].grad_norm, 2 * np.linalg.norm(START), rtol=1e-5)  # before clipping
    loss = (START**2).sum()
    np.testing.assert_allclose(results[0].losses, [loss + 0.25, loss, 0, 0], rtol=1e-5)
    assert results[0].loss == results[0].losses[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])  # 1e30: the loss overflows
def test_a_step_that_is_not_finite_changes_nothing(make_step, value):
    step = make_step()
    step([make_inputs()], 0.1)
    before = state(step)
    assert not step([make_inputs(value)], 0.1).updated
    for name, array in state(step).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert before["counter"] == 2
    assert step([make_inputs()], 0.1).updated
    assert step.net.counter.asnumpy() == 4
    np.testing.assert_allclose(step.net.weight.asnumpy(), reference_adam([0.1, 0.1], 1e-6, 1.0), rtol=1e-4)


def test_clipping():
    gradients = (Tensor(np.array([3.0], np.float32)), Tensor(np.array([[0.0, 4.0]], np.float32)))
    norm = global_norm(gradients)
    assert float(norm.asnumpy()) == 5.0
    clipped = clip_by_norm(gradients, norm, 1.0, Tensor(1.0, ms.float32))
    np.testing.assert_allclose(clipped[0].asnumpy(), [0.6], rtol=1e-6)
    np.testing.assert_allclose(clipped[1].asnumpy(), [[0.0, 0.8]], rtol=1e-6)
    np.testing.assert_array_equal(clip_by_norm(gradients, norm, 6.0, Tensor(1.0, ms.float32))[0].asnumpy(), [3.0])
    assert not np.isfinite(
        global_norm((Tensor(np.array([np.nan, 1.0], np.float32)), Tensor(1.0, ms.float32))).asnumpy()
    )


@pytest.mark.parametrize(
    "sizes, most, buckets",
    [
        ([3], 10, [(0, 1)]),
        ([3, 4, 3], 10, [(0, 3)]),
        ([3, 4, 4], 10, [(0, 2), (2, 3)]),
        ([20, 1, 1, 20, 1], 10, [(0, 1), (1, 3), (3, 4), (4, 5)]),
        ([1] * 130, 1000, [(0, 64), (64, 128), (128, 130)]),  # MindSpore's compiler cannot split into hundreds
    ],
)
def test_gradients_are_reduced_in_few_buckets(sizes, most, buckets):
    assert gradient_buckets(sizes, most) == buckets


def test_buckets_sum_each_gradient_over_the_ranks():
    runtime.setup(0)
    gradients = tuple(Tensor(np.asarray(np.random.rand(*shape), np.float32)) for shape in ((2, 3), (4,), (), (1, 5, 2)))
    summed = ms.jit(gradient_sum(ops.Square(), [gradient.size for gradient in gradients], 10))(gradients)
    assert len(summed) == len(gradients)
    for found, gradient in zip(summed, gradients, strict=True):  # the square stands in for the sum
        np.testing.assert_array_equal(found.asnumpy(), np.square(gradient.asnumpy()))


def test_the_loss_scale_is_taken_out_again(make_step):
    plain, scaled = make_step(grad_clip=1.0), make_step(grad_clip=1.0)
    results = plain([make_inputs(0.5)], 0.1), scaled([make_inputs(0.5)], 0.1, 1024.0)
    assert results[1].losses == results[0].losses
    assert results[1].grad_norm == pytest.approx(results[0].grad_norm, rel=1e-6)
    np.testing.assert_allclose(scaled.net.weight.asnumpy(), plain.net.weight.asnumpy(), rtol=1e-6)
    assert not scaled([make_inputs()], 0.1, 3e38).updated  # its gradient overflows


def test_batches_of_one_step_count_as_their_mean(make_step):
    one, several, weight = make_step(), make_step(accumulate=3), START
    for values in ([0.1, 0.5, 0.9], [0.2, 0.4]):  # the second is the rest of an epoch
        alone = one([make_inputs(np.mean(values))], 0.1)
        together = several([make_inputs(value) for value in values], 0.1)
        assert together.grad_norm == pytest.approx(alone.grad_norm, rel=1e-5)
        assert together.loss == pytest.approx(np.mean([((weight + value) ** 2).sum() for value in values]), rel=1e-5)
        weight = several.net.weight.asnumpy().copy()
        np.testing.assert_allclose(weight, one.net.weight.asnumpy(), rtol=1e-5)
    before = state(several)
    assert not several([make_inputs(0.1), make_inputs(np.nan), make_inputs(0.2)], 0.1).updated
    for name, array in state(several).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert before["counter"] == 10

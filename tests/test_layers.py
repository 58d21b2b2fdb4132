import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src import runtime
from src.models.layers import AddBias, BatchNorm, Conv1d, sync_batch_norm
from src.models.ops import length_mask


@pytest.fixture(autouse=True)
def graph_mode():
    runtime.setup(0)


def test_batch_norm_learns_from_real_positions_only():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((2, 5, 3)).astype(np.float32) * 2 + 1
    mask = (np.arange(5) < np.array([[5], [3]])).astype(np.float32)[:, :, None]
    real = x[mask[:, :, 0] == 1]  # (8, C)
    x[mask[:, :, 0] == 0] = 1e6
    norm = BatchNorm(3)
    norm.set_train()
    y = norm(Tensor(x), Tensor(mask)).asnumpy()
    wanted = (real - real.mean(0)) / np.sqrt(real.var(0) + 1e-5)
    np.testing.assert_allclose(y[mask[:, :, 0] == 1], wanted, rtol=1e-4, atol=1e-5)
    assert not y[mask[:, :, 0] == 0].any()
    mean, variance = 0.1 * real.mean(0), 0.9 + 0.1 * real.var(0, ddof=1)  # as PyTorch: momentum 0.1, unbiased
    np.testing.assert_allclose(norm.moving_mean.asnumpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.asnumpy(), variance, rtol=1e-5)


def test_synchronised_batch_norm_takes_the_statistics_of_all_ranks():
    def sum_over_ranks(x):
        return 2 * x  # another rank with the same batch

    x = np.random.default_rng(0).standard_normal((2, 2, 3)).astype(np.float32)
    norm = BatchNorm(3)
    sync_batch_norm(nn.CellList([norm]), sum_over_ranks)
    norm.set_train()
    y = norm(Tensor(x), Tensor(np.ones((2, 2, 1), np.float32))).asnumpy()
    rows = x.reshape(-1, 3)
    np.testing.assert_allclose(y.reshape(-1, 3), (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5), atol=1e-5)
    variance = 0.9 + 0.1 * np.concatenate((rows, rows)).var(0, ddof=1)
    np.testing.assert_allclose(norm.moving_variance.asnumpy(), variance, rtol=1e-5)


# MindSpore's Tanh on CPU is off by up to 1e-4, and the gradient is made from its result.
@pytest.mark.parametrize(
    ("activation", "dropout", "tolerance"),
    [("linear", 0.0, 1e-4), ("linear", 0.4, 1e-4), ("relu", 0.4, 1e-4), ("tanh", 0.4, 2e-3)],
)
def test_batch_norm_gradient(activation, dropout, tolerance):
    draw = np.random.default_rng(0)
    x, factors = draw.standard_normal((2, 5, 3)), draw.standard_normal((2, 5, 3))
    gamma, beta = draw.standard_normal(3), draw.standard_normal(3)
    mask = (np.arange(5) < np.array([[5], [3]]))[:, :, None]

    def total(x, gamma, beta):
        mean = (x * mask).sum((0, 1)) / mask.sum()
        variance = ((x - mean) ** 2 * mask).sum((0, 1)) / mask.sum()
        y = activate((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta)
        return (y * mask * kept / (1 - dropout) * factors).sum()

    activate = {"linear": lambda y: y, "relu": lambda y: np.maximum(y, 0), "tanh": np.tanh}[activation]
    norm = BatchNorm(3, activation, dropout)
    norm.set_train()
    norm.gamma.set_data(Tensor(gamma.astype(np.float32)))
    norm.beta.set_data(Tensor(beta.astype(np.float32)))

    def loss(x, mask, factors):
        y = norm(x, mask)
        return (y * factors).sum(), y

    gradient = ms.jit(ms.value_and_grad(loss, 0, norm.trainable_params(), has_aux=True))
    (value, y), (by_x, by_weights) = gradient(*(Tensor(np.asarray(value, np.float32)) for value in (x, mask, factors)))
    kept = y.asnumpy() != 0  # for relu also what it lets through
    assert 0 < kept.sum() < 3 * mask.sum() or not dropout
    np.testing.assert_allclose(float(value), total(x, gamma, beta), rtol=1e-3)
    arguments = {"x": x, "gamma": gamma, "beta": beta}
    for name, found in zip(arguments, (by_x, *by_weights), strict=True):
        for index in np.ndindex(arguments[name].shape):
            step = np.zeros_like(arguments[name])
            step[index] = 1e-5
            sides = [total(**{**arguments, name: arguments[name] + sign * step}) for sign in (1, -1)]
            wanted = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(
                found.asnumpy()[index], wanted, rtol=tolerance, atol=tolerance / 10, err_msg=name
            )


def test_convolution_gradient_and_length():
    draw = np.random.default_rng(0)
    conv = Conv1d(2, 3, 5)
    x, factors = draw.standard_normal((2, 4, 2)), draw.standard_normal((2, 4, 3))  # shorter than the kernel
    weights = [value.asnumpy().astype(np.float64) for value in (conv.weight, conv.bias)]

    def total(x, weight, bias):
        padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
        y = sum(padded[:, tap : tap + 4] @ weight[tap * 2 : tap * 2 + 2] for tap in range(5)) + bias
        return (y * factors).sum()

    def loss(x, factors):
        return (conv(x) * factors).sum()

    gradient = ms.jit(ms.value_and_grad(loss, 0, conv.trainable_params()))
    value, (by_x, by_weights) = gradient(Tensor(x.astype(np.float32)), Tensor(factors.astype(np.float32)))
    np.testing.assert_allclose(float(value), total(x, *weights), rtol=1e-5)
    arguments = {"x": x, "weight": weights[0], "bias": weights[1]}
    for name, found in zip(arguments, (by_x, *by_weights), strict=True):
        for index in np.ndindex(arguments[name].shape):
            step = np.zeros_like(arguments[name])
            step[index] = 1e-3  # `total` is linear in each of them
            difference = total(**{**arguments, name: arguments[name] + step}) - total(**arguments)
            np.testing.assert_allclose(found.asnumpy()[index], difference / 1e-3, rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(ValueError, match="even"):
        Conv1d(2, 3, 4)


def test_length_mask():
    np.testing.assert_array_equal(length_mask(Tensor(np.array([2, 0], np.int32)), 3).asnumpy(), [[1, 1, 0], [0, 0, 0]])


def test_the_gradient_of_a_bias_adds_up_what_float16_cannot_hold():
    add_bias = AddBias()
    x, bias = Tensor(np.zeros((3000, 2), np.float16)), Tensor(np.zeros(2, np.float32))

    def total(x, bias):
        return add_bias(x, bias).astype(ms.float32).sum() * 32

    by_x, by_bias = ms.jit(ms.grad(total, (0, 1)))(x, bias)
    assert (by_x.dtype, by_bias.dtype) == (ms.float16, ms.float32)
    np.testing.assert_array_equal(by_bias.asnumpy(), [96000.0, 96000.0])  # beyond 65504

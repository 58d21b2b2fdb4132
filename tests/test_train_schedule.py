import numpy as np
import pytest

from src.config import TrainConfig
from src.train.schedule import guided_attention_weight, learning_rate


def rates(steps, **settings):
    return [learning_rate(step, TrainConfig(lr=0.5, **settings)) for step in steps]


def test_constant_with_and_without_warm_up():
    assert rates([0, 7]) == [0.5, 0.5]
    np.testing.assert_allclose(rates([0, 4, 9, 10, 99], warmup_steps=10), [0.05, 0.25, 0.5, 0.5, 0.5])


def test_step_annealing():
    found = rates(
        [0, 99, 100, 249, 250, 400], schedule="step", anneal_steps=[100, 250, 400], anneal_factor=0.1, min_lr=1e-3
    )
    np.testing.assert_allclose(found, [0.5, 0.5, 0.05, 0.05, 0.005, 0.001])


def test_exponential_after_a_warm_up():
    found = rates(
        [9, 50, 150, 250, 99_999],
        schedule="exponential",
        warmup_steps=10,
        decay_start=50,
        decay_steps=100,
        decay_rate=0.1,
    )
    np.testing.assert_allclose(found, [0.5, 0.5, 0.05, 0.005, 1e-5])


def test_inverse_square_root():
    found = rates([0, 99, 399, 10**11], schedule="inverse_sqrt", warmup_steps=100, min_lr=1e-4)
    np.testing.assert_allclose(found, [0.005, 0.5, 0.25, 1e-4])


def test_guided_attention_fades():
    assert guided_attention_weight(1000, TrainConfig(guided_attention=2.0)) == 2.0
    decaying = TrainConfig(guided_attention=2.0, guided_attention_decay_steps=100)
    assert guided_attention_weight(0, decaying) == 2.0
    assert guided_attention_weight(100, decaying) == pytest.approx(2 / np.e)

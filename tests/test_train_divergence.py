"""Runs that blow up while their numbers are still finite."""

import math

import numpy as np
import pytest
from toy_training import read_log, toy_config

from src.train.divergence import Diverged
from src.train.loop import Training
from src.train.progress import Progress
from src.train.run_folder import latest


def watched(losses, norms=None):
    """The number of wild steps in a row after each of these steps."""
    progress, counts = Progress(), []
    for loss, norm in zip(losses, norms or [1.0] * len(losses), strict=True):
        progress.count_good()
        progress.watch(loss, norm)
        counts.append(progress.wild_steps)
    return counts


def test_a_loss_that_falls_wanders_or_spikes_once_is_no_blow_up():
    steps = np.arange(400)
    falling = 64 * np.exp(-steps / 30) + 0.5 + 0.2 * np.sin(steps)
    assert not any(watched(falling.tolist()))
    likelihood = 3 - 8 * (1 - np.exp(-steps / 50))  # through 0, as WaveGlow's
    assert not any(watched(likelihood.tolist()))
    spiked = falling.tolist()
    spiked[200] = 1e4
    assert watched(spiked)[199:202] == [0, 1, 0]


def test_a_loss_or_a_gradient_far_beyond_the_usual_is_counted_and_does_not_become_usual():
    assert watched([2.0] * 50 + [23.0] * 60)[49:] == list(range(61))
    assert watched([-5.0] * 50 + [46.0] * 60)[49:] == list(range(61))
    assert watched([-5.0] * 50 + [44.0])[-1] == 0
    assert watched([2.0] * 110, [3.0] * 50 + [301.0] * 60)[-1] == 60
    assert watched([2.0] * 51, [3.0] * 50 + [299.0])[-1] == 0


def test_it_goes_on_from_where_a_checkpoint_left_it():
    progress = Progress()
    for _ in range(3):
        progress.count_good()
        progress.watch(2.0, 4.0)
    assert (progress.usual_loss, progress.wild_steps) == (2.0, 0) and math.isclose(progress.usual_norm, 4.0)
    progress.forget_usual()
    progress.watch(1e6, 1e6)
    assert progress.wild_steps == 0


@pytest.mark.usefixtures("toy_network")
def test_a_huge_learning_rate_ends_the_run_and_names_the_last_good_checkpoint(toy_data, tmp_path, capsys):
    config = toy_config(data__n_buckets=1, train__lr=1000.0, train__max_steps=100, train__max_wild_steps=5)
    with pytest.raises(
        Diverged, match=r"\(usually .* for 5 steps in a row \(train\.max_wild_steps\).*tacotron2-0\.ckpt"
    ):
        Training(config, toy_data, tmp_path / "out").run()
    assert "far beyond the usual: loss" in capsys.readouterr().out
    rows = read_log(tmp_path / "out")
    assert rows[-1]["blown_up"] == 5 and all(math.isfinite(row["loss"]) for row in rows if "loss" in row)
    good = latest(tmp_path / "out")  # none was written meanwhile, although train.checkpoint_every is 4
    assert good.step == 0 and max(np.abs(value).max() for value in good.weights.values()) < 10


@pytest.mark.usefixtures("toy_network")
def test_it_can_be_turned_off(toy_data, tmp_path):
    config = toy_config(data__n_buckets=1, train__lr=1000.0, train__max_steps=10, train__max_wild_steps=0)
    assert Training(config, toy_data, tmp_path / "out").run().finished

"""A run whose reduction factor falls on the way."""

import numpy as np
import pytest
from mindspore import Tensor

from src.checkpoint import load_weights, network_parameters, snapshot
from src.config import load_config
from src.models import scan
from src.models.factory import create_model
from src.train import loop
from src.train.loop import Training
from src.train.reduction import reduced, with_reduction_factor
from src.train.run_folder import latest
from tests.toy_training import TINY, read_log, toy_config, without_times, write_corpus

N_MELS = 4


class NoOptimizer:
    """Has no state."""

    parameters = ()

    def get_parameters(self):
        return []


def test_the_factor_falls():
    config = load_config(overrides={"model.reduction_factor": 5, "train.reduction_steps": {200: 3, 600: 2}})
    factors = [reduced(config, step).model.reduction_factor for step in (0, 199, 200, 599, 600, 9999)]
    assert factors == [5, 5, 3, 3, 2, 2]
    assert reduced(config, 300) == load_config(
        overrides={"model.reduction_factor": 3, "train.reduction_steps": {600: 2}}
    )


def test_what_is_spoken_next_stays_the_same():
    """In the first step: the first frame of three becomes the only one, and the gate is the same."""
    large = create_model(config=toy_config(**TINY, model__reduction_factor=3))
    small = create_model(config=toy_config(**TINY, model__reduction_factor=1))
    checkpoint = snapshot(large, NoOptimizer(), large.config)
    load_weights(small, with_reduction_factor(checkpoint, small.config))
    weights = {name: value.asnumpy() for name, value in network_parameters(small).items()}
    np.testing.assert_array_equal(
        weights["decoder.prenet.first.weight"], checkpoint.weights["decoder.prenet.first.weight"][-N_MELS:]
    )
    text, lengths = Tensor(np.array([[5, 6, 7]], np.int32)), Tensor(np.array([3], np.int32))
    target = Tensor(np.zeros((1, N_MELS, 3), np.float32))
    before, after = (net(text, lengths, target, lengths) for net in (large, small))
    np.testing.assert_allclose(after[0].asnumpy()[:, :, 0], before[0].asnumpy()[:, :, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after[2].asnumpy()[:, 0], before[2].asnumpy()[:, 0], rtol=1e-4, atol=1e-6)
    assert with_reduction_factor(checkpoint, large.config) is checkpoint


@pytest.mark.slow
def test_a_run_goes_from_two_frames_a_step_to_one(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "create_model", create_model)
    monkeypatch.setattr(scan.Scan, "block", 2)  # short blocks compile in a fraction of the time
    data = write_corpus(tmp_path / "data")
    settings = TINY | {
        "data__n_buckets": 1,
        "train__max_steps": 5,
        "train__checkpoint_every": 3,
        "train__validate_every": 10,
    }
    config = toy_config(**settings, model__reduction_factor=2, train__reduction_steps={3: 1})
    Training(config, data, tmp_path / "out").run()
    rows = without_times(read_log(tmp_path / "out"))
    assert [row["reduction_factor"] for row in rows if "reduction_factor" in row] == [1]
    losses = {row["step"]: row["loss"] for row in rows if "loss" in row}
    assert losses[4] < losses[1]  # not anew
    end = latest(tmp_path / "out")
    assert end.config == reduced(config, 3) != config

    end.path.unlink()
    between = latest(tmp_path / "out")
    assert (between.step, between.config.model.reduction_factor) == (3, 2)  # saved just before
    Training(config, data, tmp_path / "out", resume=between).run()
    assert [row for row in without_times(read_log(tmp_path / "out")) if "loss" in row] == [
        row for row in rows if "loss" in row
    ]
    for name, value in latest(tmp_path / "out").weights.items():
        assert value == pytest.approx(end.weights[name], rel=1e-5, abs=1e-7), name

"""Two real ranks on CPU, started by msrun, against one."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from src import runtime
from src.config import load_config
from src.models.factory import create_model
from src.train import loop
from src.train.loop import Training
from src.train.run_folder import latest
from tests.ranks import run_ranks
from tests.toy_training import TINY, create_toy_network, read_log, toy_config, without_times, write_corpus
from tests.toy_waveglow import SETTINGS as WAVEGLOW
from tests.toy_waveglow import write_wav_corpus

STEPS = 20


def train_toy(data, output_dir, batch_size):
    """20 steps of the network with batch norm and masks, over two batch shapes."""
    loop.create_model = create_toy_network
    config = toy_config(
        train__batch_size=int(batch_size), train__max_steps=STEPS, train__validate_every=10, train__keep_checkpoints=9
    )
    Training(config, data, output_dir).run()


def train_tacotron2(data, output_dir, batch_size):
    """20 steps of Tacotron 2, all dropout off."""
    settings = TINY | {"model__reduction_factor": 2, "train__guided_attention": 1.0}
    settings |= {
        "data__n_buckets": 1,
        "train__batch_size": int(batch_size),
        "train__max_steps": STEPS,
        "train__validate_every": 10,
        "train__lr": 1e-3,
    }
    loop.create_model = create_model
    Training(toy_config(**settings), data, output_dir).run()


def train_waveglow(data, output_dir, batch_size):
    """20 steps over segments, the share of each rank cut out of the same clips at the same places."""
    loop.create_model = create_model
    settings = {
        "train.batch_size": int(batch_size),
        "train.max_steps": STEPS,
        "train.validate_every": 10,
        "train.lr": 1e-3,
    }
    Training(load_config(overrides=WAVEGLOW | settings), data, output_dir).run()


def probe(output_dir):
    """Write the results of `runtime` on this rank."""
    rank = runtime.rank()
    marker = Path(output_dir) / "marker"
    with runtime.first_rank_first():
        found = marker.exists()
        if rank == 0:
            marker.touch()
    runtime.assert_equal("0123456789abcdef", "texts")
    try:
        runtime.assert_equal(f"0{rank}", "ranks")
        complaint = ""
    except RuntimeError as error:
        complaint = str(error)
    facts = {
        "rank": rank,
        "world_size": runtime.world_size(),
        "total": runtime.total(1.0, rank),
        "gather": runtime.gather([rank, 10.0 + rank]),
        "found": found,
        "complaint": complaint,
        "dropped": _drawn(rank),
    }
    (Path(output_dir) / f"{rank}.json").write_text(json.dumps(facts))


def _drawn(rank):
    runtime.setup(7)
    runtime.seed_dropout(7)
    return ops.dropout(ms.Tensor(np.ones(64, np.float32)), 0.5, True).asnumpy().tolist()


def test_ranks_find_each_other(tmp_path):
    run_ranks("tests.test_data_parallel:probe", tmp_path, log_dir=tmp_path / "logs")
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert (first["rank"], second["rank"]) == (0, 1) and first["world_size"] == second["world_size"] == 2
    assert first["total"] == second["total"] == [2.0, 1.0]
    assert first["gather"] == second["gather"] == [0.0, 10.0, 1.0, 11.0]
    assert (first["found"], second["found"]) == (False, True)
    assert "rank 0: ranks differ" in first["complaint"] and "rank 1: ranks differ" in second["complaint"]
    assert first["dropped"] != second["dropped"]


@pytest.mark.parametrize(
    "train", [train_toy, *(pytest.param(train, marks=pytest.mark.slow) for train in (train_waveglow, train_tacotron2))]
)
def test_two_ranks_with_half_the_batch_do_what_one_does(train, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "create_model", loop.create_model)  # restored afterwards
    write = write_wav_corpus if train is train_waveglow else write_corpus
    data = write(tmp_path / "data", n_train=14)  # the last batch of an epoch is filled up
    train(data, tmp_path / "one", 4)
    log = run_ranks(
        f"tests.test_data_parallel:{train.__name__}", data, tmp_path / "two", 2, log_dir=tmp_path / "two" / "logs"
    )
    assert "CPU x 2" in log
    assert "step/s" not in (tmp_path / "two" / "logs" / "worker_1.log").read_text()

    one, two = (without_times(read_log(tmp_path / name)) for name in ("one", "two"))
    assert [row["step"] for row in two if "loss" in row] == list(range(1, STEPS + 1))
    assert sum("val_loss" in row for row in two) == 2
    for mine, theirs in zip(one, two, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            # The biases, see below, move the moving means.
            tolerance = 5e-3 if "val_loss" in mine and train is train_tacotron2 else 1e-5
            assert theirs[key] == pytest.approx(value, rel=tolerance, abs=1e-6), (mine["step"], key)
    ends = [latest(tmp_path / name).weights for name in ("one", "two")]
    for name, value in ends[0].items():
        if name.endswith(("conv.bias", "moving_mean")) and train is train_tacotron2:
            continue  # batch norm removes these biases: their gradient is rounding, which Adam amplifies
        distance = np.linalg.norm(ends[1][name] - value) / max(np.linalg.norm(value), 1e-3)
        assert distance <= 1e-5, (name, distance)

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import train
from src.checkpoint import load_checkpoint
from src.cli import run
from src.data.corpus import Corpus
from src.errors import InputError
from src.models.factory import create_model
from src.models.tacotron2.loss import Tacotron2Loss
from src.train import loop
from src.train.divergence import Diverged
from src.train.log import TrainingLog
from src.train.loop import Training
from src.train.progress import Speed
from src.train.run_folder import latest, numbered
from src.train.tacotron2 import Validator
from tests.toy_training import (
    TINY,
    SignallingStep,
    create_toy_network,
    flags,
    read_log,
    toy_config,
    without_times,
    write_corpus,
)

ROOT = Path(__file__).resolve().parents[1]


pytestmark = pytest.mark.usefixtures("toy_network")


def train_script(*arguments, **environment):
    """train.py on the toy network in a process of its own."""
    call = "import sys; sys.argv[0] = 'train.py'; from tests.toy_training import main; main()"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(
        [sys.executable, "-c", call, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )


def test_a_run_killed_and_resumed_logs_what_an_uninterrupted_one_does(toy_data, tmp_path):
    Training(toy_config(), toy_data, tmp_path / "whole").run()
    arguments = ("--data_path", toy_data, "--output_dir", tmp_path / "killed", *flags())
    assert train_script(*arguments, KILL_AT_STEP="7").returncode == -9
    assert read_log(tmp_path / "killed")[-1]["step"] == 6  # further than the checkpoint
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "lo')  # a line that was being written
    shutil.copy(tmp_path / "killed" / "tacotron2-4.ckpt", tmp_path / "killed" / "tacotron2-6.ckpt")
    os.truncate(tmp_path / "killed" / "tacotron2-6.ckpt", 5000)  # and a damaged checkpoint

    resumed = train_script(*arguments, "--resume", tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert "tacotron2-6.ckpt" in resumed.stderr and "from step 4" in resumed.stdout
    rows = read_log(tmp_path / "whole")
    assert without_times(read_log(tmp_path / "killed")) == without_times(rows)
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 11))
    assert [row["step"] for row in rows if "val_loss" in row] == [5, 10]

    for folder in ("whole", "killed"):
        assert latest(tmp_path / folder).step == 10
    ends = [load_checkpoint(tmp_path / folder / "tacotron2-10.ckpt") for folder in ("whole", "killed")]
    for name, value in ends[0].weights.items():
        np.testing.assert_array_equal(ends[1].weights[name], value, err_msg=name)


def test_a_finished_run_is_not_overwritten(toy_data, tmp_path, monkeypatch, capsys):
    config = toy_config(data__n_buckets=1, train__max_steps=1)
    Training(config, toy_data, tmp_path / "out").run()
    rows = read_log(tmp_path / "out")
    # Data and configuration are the run's own.
    monkeypatch.setattr(sys, "argv", ["train.py", "--resume", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="0"):
        run(train.main)
    assert "all 1 steps are done" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"out: is not empty; .*--resume"):
        Training(config, toy_data, tmp_path / "out")
    assert read_log(tmp_path / "out") == rows


@pytest.mark.parametrize("request_to_stop", ["TERMINATE", "INTERRUPT"])
def test_a_signal_saves_a_checkpoint_and_leaves(request_to_stop, toy_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, "TrainStep", SignallingStep)
    monkeypatch.setenv(f"{request_to_stop}_AT_STEP", "3")
    script = [
        "train.py",
        "--data_path",
        str(toy_data),
        "--output_dir",
        str(tmp_path / "out"),
        *flags(data__n_buckets=1),
    ]
    monkeypatch.setattr(sys, "argv", script)
    with pytest.raises(SystemExit) as exit_code:
        run(train.main)
    name = {143: "SIGTERM", 130: "SIGINT"}[exit_code.value.code]
    # MindSpore turns SIGINT into SIGTERM once a graph has run.
    assert name == "SIGTERM" or request_to_stop == "INTERRUPT"
    assert f"stopped by {name} at step 3" in capsys.readouterr().out
    assert [path.name for path in numbered(tmp_path / "out")] == ["tacotron2-0.ckpt", "tacotron2-3.ckpt"]


def test_what_a_run_leaves_behind(toy_data, tmp_path, capfd):
    config = toy_config(data__n_buckets=1, train__checkpoint_every=2, train__keep_checkpoints=2, train__log_every=4)
    outcome = Training(config, toy_data, tmp_path / "out").run()
    assert outcome.stopped_by is None and outcome.checkpoint == tmp_path / "out" / "tacotron2-10.ckpt"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    pictures = {"alignment-and-mel-5.png", "alignment-and-mel-10.png"}
    assert (
        names == {".lock", "config.yaml", "log.jsonl", "best.ckpt", "tacotron2-8.ckpt", "tacotron2-10.ckpt"} | pictures
    )
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text()) == config.to_dict()
    rows = read_log(tmp_path / "out")
    steps, validations = [row for row in rows if "loss" in row], [row for row in rows if "val_loss" in row]
    assert [row["step"] for row in steps] == [1, 4, 8, 10]
    wanted = {
        "step",
        "epoch",
        "loss",
        "mel_loss",
        "gate_loss",
        "lr",
        "grad_norm",
        "step_time_s",
        "data_wait_s",
        "frames_per_s",
    }
    assert all(wanted <= row.keys() for row in steps)
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert all(0 < row["alignment_score"] <= 1 for row in validations)
    best = load_checkpoint(tmp_path / "out" / "best.ckpt")
    assert best.extra["best_val_loss"] == min(row["val_loss"] for row in validations) and best.optimizer == {}
    assert load_checkpoint(outcome.checkpoint).config == config
    output = capfd.readouterr()
    assert output.out.startswith("tacotron2 ") and "M parameters; 8 clips in 1 batch shapes" in output.out
    assert "loss=" in output.err and "lr=" in output.err and "step_time=" in output.err


def test_validation_every_epoch(toy_data, tmp_path):
    Training(
        toy_config(data__n_buckets=1, train__validate_every=0, train__max_steps=7), toy_data, tmp_path / "out"
    ).run()
    # 8 clips in batches of 3 are three steps an epoch.
    assert [row["step"] for row in read_log(tmp_path / "out") if "val_loss" in row] == [3, 6, 7]


def test_bad_batches_are_skipped_counted_and_logged(tmp_path):
    toy_data = write_corpus(tmp_path / "data", n_train=9, spoiled=(4,))
    Training(toy_config(data__n_buckets=1, train__max_steps=6), toy_data, tmp_path / "out").run()
    rows = read_log(tmp_path / "out")
    skipped = [row for row in rows if "skipped_clips" in row]
    assert len(skipped) >= 2 and all("train-4" in row["skipped_clips"] for row in skipped)
    assert [row["epoch"] for row in skipped] == list(range(len(skipped)))
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert latest(tmp_path / "out").extra["skipped_steps"] == len(skipped)
    assert all(np.isfinite(value).all() for value in latest(tmp_path / "out").weights.values())


def test_only_bad_batches_stop_the_run(tmp_path, monkeypatch):
    toy_data = write_corpus(tmp_path / "data", n_train=3, spoiled=(0, 1, 2))
    settings = {"data__n_buckets": 1, "train__max_bad_steps": 4}
    with pytest.raises(Diverged, match=r"after step 0: .* 4 batches in a row .*lr"):
        Training(toy_config(**settings), toy_data, tmp_path / "out").run()
    script = ["train.py", "--data_path", str(toy_data), "--output_dir", str(tmp_path / "script"), *flags(**settings)]
    monkeypatch.setattr(sys, "argv", script)
    with pytest.raises(SystemExit, match="4 batches in a row"):  # a message as its code: printed, and exit code 1
        run(train.main)


def test_a_validation_loss_reached_ends_the_run(toy_data, tmp_path):
    outcome = Training(toy_config(data__n_buckets=1), toy_data, tmp_path / "out").run(target_val_loss=100.0)
    assert outcome.progress.step == 5 and outcome.stopped_by is None
    assert latest(tmp_path / "out").step == 5


def test_hours_are_limited(toy_data, tmp_path, monkeypatch, capsys):
    settings = flags(data__n_buckets=1, train__max_hours=1e-6)
    monkeypatch.setattr(
        sys, "argv", ["train.py", "--data_path", str(toy_data), "--output_dir", str(tmp_path / "out"), *settings]
    )
    with pytest.raises(SystemExit) as exit_code:
        run(train.main)
    assert exit_code.value.code == 0
    assert "stopped by train.max_hours at step 1; go on with --resume" in capsys.readouterr().out
    assert latest(tmp_path / "out").step == 1


def test_several_batches_make_a_step(toy_data, tmp_path):
    config = toy_config(data__n_buckets=1, train__accumulate=2, train__max_steps=5, train__validate_every=0)
    Training(config, toy_data, tmp_path / "out").run()
    rows = read_log(tmp_path / "out")
    steps = [(row["step"], row["epoch"]) for row in rows if "loss" in row]
    assert steps == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)]  # 3 batches an epoch: two, then the one that is left
    assert [row["step"] for row in rows if "val_loss" in row] == [2, 4, 5]
    assert latest(tmp_path / "out").extra["batch"] == 2


def test_the_loss_scale_falls_at_overflows(tmp_path):
    toy_data = write_corpus(tmp_path / "data", n_train=9, spoiled=(4,))
    settings = {
        "data__n_buckets": 1,
        "train__max_steps": 12,
        "train__amp": "O1",
        "train__loss_scale": 4.0,
        "train__max_bad_steps": 1,
    }
    # The third bad batch meets a scale of 1, which cannot be the cause.
    with pytest.raises(Diverged, match="1 batches in a row"):
        Training(toy_config(**settings), toy_data, tmp_path / "out").run()
    rows = read_log(tmp_path / "out")
    scales = [row["loss_scale"] for row in rows if "loss" in row]
    assert scales[0] in (4.0, 2.0) and scales[-1] == 1.0 and scales == sorted(scales, reverse=True)
    assert len([row for row in rows if "skipped_clips" in row]) == 3
    assert latest(tmp_path / "out").extra["loss_scale"] is not None


def test_validation_does_not_depend_on_batching(toy_data):
    config = toy_config()
    net, loss = create_toy_network(config), Tacotron2Loss(config)
    corpus = Corpus(toy_data, "val")
    results = [Validator(net, loss, corpus, batch_size, reduction_factor=1)() for batch_size in (1, 2, 5, 64)]
    for result in results[1:]:
        np.testing.assert_allclose(result[:4], results[0][:4], rtol=1e-5)
    example = results[0].example
    clip = corpus.ids.index(example.id)
    frames, symbols = corpus.mel_lengths[clip], corpus.text_lengths[clip]
    assert example.mel.shape == example.target_mel.shape == (4, frames) and example.alignment.shape == (frames, symbols)
    np.testing.assert_allclose(example.alignment.sum(1), 1, rtol=1e-5)
    assert results[0].loss == pytest.approx(results[0].mel_loss + results[0].gate_loss)


def test_log_keeps_what_lies_before_the_checkpoint(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.cut(0, 0)
    log.write(step=1, skipped_steps=0, loss=1.5)
    log.write(step=1, skipped_steps=1)
    log.write(step=2, skipped_steps=1, loss=float("nan"))
    assert log.rows()[-1] == {"step": 2, "skipped_steps": 1, "loss": None}
    log.cut(1, 1)
    assert [(row["step"], row["skipped_steps"]) for row in log.rows()] == [(1, 0), (1, 1)]
    log.cut(1, 0)
    assert len(log.rows()) == 1
    with pytest.raises(InputError, match=r"gone/log\.jsonl"):
        TrainingLog(tmp_path / "gone" / "log.jsonl").write(step=1)


@pytest.mark.slow
def test_the_real_network_resumes_exactly(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "create_model", create_model)
    overrides = TINY | {"model__reduction_factor": 2, "train__guided_attention": 1.0}
    overrides |= {"data__n_buckets": 1, "train__max_steps": 6, "train__keep_checkpoints": 5}
    Training(toy_config(**overrides), toy_data, tmp_path / "out").run()
    rows = without_times(read_log(tmp_path / "out"))
    assert rows[-2]["loss"] < rows[0]["loss"]
    (tmp_path / "out" / "tacotron2-6.ckpt").unlink()
    Training(toy_config(**overrides), toy_data, tmp_path / "out", resume=latest(tmp_path / "out")).run()
    assert without_times(read_log(tmp_path / "out")) == rows


def test_speed_tells_waiting_from_working(monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 10.0, 12.0, 15.0])
    monkeypatch.setattr("src.train.progress.time.perf_counter", lambda: next(clock))
    speed = Speed()
    speed.got_data()
    speed.count(30)
    speed.resume()
    speed.got_data()
    speed.count(10)
    assert (speed.step_time, speed.data_wait, speed.frames_per_second) == (4.5, 1.5, 40 / 9)
    speed.reset()
    assert (speed.seconds, speed.waited) == (0, 0)

"""Training runs that are killed, whose disk fills, whose data vanishes, whose folder another run wants."""

import os
import resource
import shutil
import sys
import time

import numpy as np
import pytest

import train
from src.checkpoint import load_checkpoint
from src.cli import run
from src.errors import InputError
from src.files import claim_folder
from src.train import loop
from src.train.loop import Training
from src.train.run_folder import latest, numbered
from tests.toy_training import (
    ROOT,
    SignallingStep,
    create_toy_network,
    flags,
    read_log,
    start,
    toy_config,
    without_times,
)

pytestmark = pytest.mark.usefixtures("toy_network")


@pytest.fixture(scope="module")
def whole(toy_data, tmp_path_factory):
    """The log of an undisturbed run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_model", create_toy_network)
        Training(toy_config(data__n_buckets=1), toy_data, tmp_path_factory.mktemp("whole") / "out").run()
    return without_times(read_log(tmp_path_factory.getbasetemp() / "whole0" / "out"))


def before_step(number, action, monkeypatch):
    """Calls `action` just before step `number` of the runs that follow."""

    class Step(SignallingStep):
        def __call__(self, *arguments):
            if self.calls + 1 == number:
                action()
            return super().__call__(*arguments)

    monkeypatch.setattr(loop, "TrainStep", Step)


def script(monkeypatch, capsys, *arguments):
    """Runs train.py. Returns exit code, the last line of stderr, and what else was printed."""
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_code:
        run(train.main)
    printed = capsys.readouterr()
    return exit_code.value.code, printed.err.splitlines()[-1], printed.out


@pytest.mark.slow
def test_a_run_killed_twenty_times_at_random_moments_ends_like_one_that_never_was(toy_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    begin = (
        "--data_path",
        toy_data,
        *flags(data__n_buckets=1, train__max_steps=60, train__checkpoint_every=2, train__validate_every=30),
    )
    whole, killed, output = tmp_path / "whole", tmp_path / "killed", tmp_path / "output"
    reference, _ = start(*begin, "--output_dir", whole, output=tmp_path / "output of whole")
    random, kills = np.random.default_rng(0), 0
    while True:
        if not numbered(killed):
            shutil.rmtree(killed, ignore_errors=True)
        how = ["--resume", killed] if killed.exists() else [*begin, "--output_dir", killed]
        process, files = start(*how, output=output, watched=killed)
        try:
            # A start touches a dozen files, a step one, a checkpoint about eight: most kills hit the writing of a file.
            for _ in range(random.integers(40) if kills < 20 else sys.maxsize):
                files.recv()
                files.send("go on")
            files.recv()
        except EOFError:  # the run has ended
            break
        if random.random() < 0.5:  # else exactly between two of them
            files.send("go on")
            time.sleep(random.uniform(0, 0.01))
        process.kill()
        process.join()
        kills += 1
        for path in [*numbered(killed), *killed.glob("best.ckpt")]:
            load_checkpoint(path)
    process.join()
    reference.join()
    assert (kills, process.exitcode, reference.exitcode) == (20, 0, 0), output.read_text()
    assert without_times(read_log(killed)) == without_times(read_log(whole))
    ends = [load_checkpoint(folder / "tacotron2-60.ckpt") for folder in (whole, killed)]
    for name, value in ends[0].weights.items():
        np.testing.assert_array_equal(ends[1].weights[name], value, err_msg=name)
    assert not list(killed.glob(".*.partial*"))


@pytest.mark.slow
def test_a_disk_that_fills_costs_nothing_before(toy_data, whole, tmp_path, monkeypatch, capsys):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 20_000  # bytes; less than a checkpoint, more than a log
    before_step(7, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard)), monkeypatch)
    settings = flags(data__n_buckets=1, train__keep_checkpoints=1)
    try:
        code, error, _ = script(
            monkeypatch, capsys, "--data_path", toy_data, "--output_dir", tmp_path / "out", *settings
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert code == 2
    assert (
        error.startswith("error: ")
        and "tacotron2-8.ckpt: the checkpoint could not be written" in error
        and "File too large" in error
    )
    assert f"--resume {tmp_path / 'out'} goes on from tacotron2-4.ckpt" in error
    assert [path.name for path in numbered(tmp_path / "out")] == ["tacotron2-4.ckpt"]
    assert not list((tmp_path / "out").glob(".*.partial*"))
    monkeypatch.setattr(loop, "TrainStep", SignallingStep)
    os.truncate(tmp_path / "out" / "best.ckpt", 1000)  # which does not keep a run from going on
    with pytest.warns(UserWarning, match=r"best\.ckpt: .*the next validation writes it anew"):
        code, _, _ = script(monkeypatch, capsys, "--resume", tmp_path / "out")
    assert code == 0
    assert without_times(read_log(tmp_path / "out")) == whole
    assert load_checkpoint(tmp_path / "out" / "best.ckpt").step == 10


def test_data_that_vanishes_and_comes_back_elsewhere_costs_nothing(toy_data, whole, tmp_path, monkeypatch, capsys):
    shutil.copytree(toy_data, tmp_path / "data")
    before_step(5, lambda: (tmp_path / "data").rename(tmp_path / "moved"), monkeypatch)
    code, error, _ = script(
        monkeypatch,
        capsys,
        "--data_path",
        tmp_path / "data",
        "--output_dir",
        tmp_path / "out",
        *flags(data__n_buckets=1),
    )
    assert code == 2
    assert error.startswith(
        f"error: {tmp_path / 'data'}: the val clips cannot be read: {tmp_path / 'data/val.mindrecord0'} is gone; "
    )
    assert f"--resume {tmp_path / 'out'} goes on from tacotron2-5.ckpt" in error
    code, error, _ = script(monkeypatch, capsys, "--resume", tmp_path / "out")
    assert code == 2 and f"{tmp_path / 'data'}: no such dataset folder" in error and "--data_path" in error
    monkeypatch.setattr(loop, "TrainStep", SignallingStep)
    code, _, _ = script(monkeypatch, capsys, "--resume", tmp_path / "out", "--data_path", tmp_path / "moved")
    assert code == 0
    rows = without_times(read_log(tmp_path / "out"))
    paths = [str(tmp_path / "data"), str(tmp_path / "moved")]
    assert [row["changed"] for row in rows if "changed" in row] == [{"data_path": [repr(path) for path in paths]}]
    assert [row for row in rows if "changed" not in row] == [
        row for row in whole if row["step"] != 5 or "val_loss" not in row
    ]


def test_a_folder_that_another_run_writes_into_is_refused_and_left_alone(toy_data, tmp_path, monkeypatch):
    config = toy_config()
    first = Training(config, toy_data, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(InputError, match=r"out: another process is training into it"):
        Training(config, toy_data, tmp_path / "out", latest(tmp_path / "out"))
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    first.claim.close()
    claim_folder(tmp_path / "out").close()

"""Resuming with other settings: each difference is said, what may change is taken, what may not is refused by name."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from toy_training import create_toy_network, read_log, toy_config

from src.checkpoint import Checkpoint, load_checkpoint, load_optimizer, snapshot
from src.config import load_config
from src.errors import InputError
from src.train import loop
from src.train.loop import Training
from src.train.progress import Progress
from src.train.reduction import reduced
from src.train.resume import accept_changes, match_optimizer
from src.train.run_folder import latest
from src.train.step import adam, freeze

DATA = Path("/data/a")


class Said:
    """A report that only keeps its lines."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def checkpoint_of(config, **extra):
    return Checkpoint(Path("x-4.ckpt"), config, config.text.symbols, {}, 4, 0, {}, {}, {"data_path": str(DATA)} | extra)


def changes(before, after, data_path=DATA):
    report = Said()
    return accept_changes(checkpoint_of(before), after, data_path, report), report.lines


def test_what_may_change_is_said_with_both_values():
    after = toy_config(train__lr=1e-4, train__batch_size=2, model__gate_threshold=0.4, data__workers=1)
    found, lines = changes(toy_config(), after, Path("/data/b"))
    assert found["train.lr"] == (0.01, 1e-4) and set(found) == {
        "train.lr",
        "train.batch_size",
        "model.gate_threshold",
        "data.workers",
        "data_path",
    }
    assert "train.lr: 0.01 in the checkpoint, 0.0001 from now on" in lines
    assert "data_path: '/data/a' in the checkpoint, '/data/b' from now on" in lines and len(lines) == 5
    assert changes(toy_config(), toy_config()) == ({}, [])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model__encoder_dim": 16}, r"model\.encoder_dim \(8 in the checkpoint, 16 now\)"),
        ({"audio__hop_length": 200, "audio__fmin": 50.0}, r"audio\.hop_length \(256 .*audio\.fmin \(0\.0"),
        ({"text__cleaner": "basic_cleaners"}, r"text\.cleaner \('english_cleaners' "),
        (
            {"text__symbols": [f"s{i}" for i in range(148)]},
            r"text\.symbols \(other 148 items in the checkpoint, 148 items now",
        ),
        ({"model__reduction_factor": 2}, r"model\.reduction_factor"),
        ({"model__n_speakers": 3}, r"model\.n_speakers"),
    ],
)
def test_what_weights_or_data_depend_on_is_refused_by_name(settings, named):
    with pytest.raises(
        InputError, match=rf"x-4\.ckpt: a run cannot be resumed with other values of {named}.*--warm_start"
    ):
        changes(toy_config(), toy_config(**settings))


def test_another_network_is_refused_and_a_vocoder_has_no_texts():
    waveglow = load_config({"model": {"name": "waveglow"}})
    with pytest.raises(InputError, match=r"model\.name \('tacotron2' in the checkpoint, 'waveglow' now"):
        changes(load_config(), waveglow)
    other_text = dataclasses.replace(waveglow, text=dataclasses.replace(waveglow.text, cleaner="basic_cleaners"))
    assert changes(waveglow, other_text)[0] == {}


def test_names_of_voices_come_from_the_dataset_and_stay():
    named = toy_config(model__n_speakers=2, data__speakers=["ann", "bob"])
    assert changes(named, toy_config(model__n_speakers=2))[0] == {}
    with pytest.raises(InputError, match=r"data\.speakers \(\['ann', 'bob'\] in the checkpoint"):
        changes(named, toy_config(model__n_speakers=2, data__speakers=["bob", "ann"]))


def test_a_reduction_factor_may_fall_but_not_rise():
    run = toy_config(model__reduction_factor=4, train__reduction_steps={2: 3, 6: 2})
    at_step_4 = reduced(run, 4)
    assert changes(at_step_4, reduced(run, 4))[0] == {}
    sooner = toy_config(model__reduction_factor=4, train__reduction_steps={2: 3, 3: 2})
    assert changes(at_step_4, reduced(sooner, 4))[0]["model.reduction_factor"] == (3, 2)
    with pytest.raises(InputError, match=r"reduction_factor \(3 in the checkpoint, 4 now"):
        changes(at_step_4, reduced(toy_config(model__reduction_factor=4), 4))


def test_a_new_loss_scale_is_taken():
    progress, settings = Progress(loss_scale=8.0), toy_config(train__amp="O1", train__loss_scale=64.0).train
    progress.scale_losses(settings)
    assert progress.loss_scale == 8.0
    progress.scale_losses(settings, afresh=True)
    assert progress.loss_scale == 64.0


def test_moments_follow_the_choice_of_frozen_parameters():
    config = toy_config()
    whole, part = create_toy_network(config), create_toy_network(config)
    freeze(part, ["embedding", "*.bias"])
    optimizers = [adam(net.trainable_params(), config.train) for net in (whole, part)]
    saved = snapshot(whole, optimizers[0], config)
    saved.optimizer["moment1.decoder.weight"] += 1
    with pytest.raises(InputError, match="another optimiser"):
        load_optimizer(optimizers[1], saved)
    frozen = match_optimizer(saved, optimizers[1])
    load_optimizer(optimizers[1], frozen)
    assert "moment1.embedding" not in frozen.optimizer and frozen.optimizer["moment1.decoder.weight"].min() == 1
    thawed = match_optimizer(frozen, optimizers[0])
    load_optimizer(optimizers[0], thawed)
    assert not thawed.optimizer["moment2.embedding"].any() and thawed.optimizer["moment1.decoder.weight"].min() == 1


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["encodr"], "no parameter is called 'encodr'; the names begin with embedding, encoder"),
        (["*"], "nothing to train"),
    ],
)
def test_patterns_that_freeze_nothing_or_everything_are_refused(patterns, message):
    with pytest.raises(InputError, match=message):
        freeze(create_toy_network(toy_config()), patterns)


def test_a_run_frozen_in_part_then_resumed_as_a_whole(toy_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "create_model", create_toy_network)
    frozen = toy_config(
        data__n_buckets=1, train__max_steps=2, train__freeze=["encoder", "norm"], train__checkpoint_every=1
    )
    Training(frozen, toy_data, tmp_path / "out").run()
    assert "M of them trained)" in capsys.readouterr().out
    first, last = (load_weights_of(tmp_path / "out", step) for step in (0, 2))
    for name, value in first.items():
        kept = name.startswith(("encoder.", "norm."))  # the statistics of the batch norm too
        assert np.array_equal(value, last[name]) == kept, name

    whole = toy_config(data__n_buckets=1, train__max_steps=4, train__lr=0.02)
    Training(whole, toy_data, tmp_path / "out", resume=latest(tmp_path / "out")).run()
    output = capsys.readouterr().out
    assert "train.lr: 0.01 in the checkpoint, 0.02 from now on" in output
    assert "train.freeze: ['encoder', 'norm'] in the checkpoint, [] from now on" in output
    assert not np.array_equal(load_weights_of(tmp_path / "out", 4)["encoder.weight"], last["encoder.weight"])
    (row,) = [row for row in read_log(tmp_path / "out") if "changed" in row]
    assert row["step"] == 2 and row["changed"]["train.max_steps"] == ["2", "4"]


def load_weights_of(output_dir, step):
    return load_checkpoint(output_dir / f"tacotron2-{step}.ckpt").weights

"""The start of a training run: warm start, resuming with other batches, input that is refused."""

import json
import sys

import numpy as np
import pytest

import train
from src.checkpoint import load_checkpoint, save_checkpoint
from src.cli import run
from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS
from src.train.loop import Training
from src.train.run_folder import latest
from src.train.warm_start import warm_start
from tests.toy_training import create_toy_network, read_log, toy_config, write_corpus

pytestmark = pytest.mark.usefixtures("toy_network")


def test_warm_start(toy_data, tmp_path, capsys):
    config = toy_config(data__n_buckets=1, train__max_steps=2)
    Training(config, toy_data, tmp_path / "first").run()
    source = tmp_path / "first" / "best.ckpt"
    trained = load_checkpoint(source).weights
    capsys.readouterr()
    training = Training(config, toy_data, tmp_path / "second", warm_start=source, ignore_layers=["embedding"])
    assert "freshly initialised: embedding" in capsys.readouterr().out
    np.testing.assert_array_equal(training.net.encoder.weight.asnumpy(), trained["encoder.weight"])
    assert not np.array_equal(training.net.embedding.asnumpy(), trained["embedding"])
    assert training.progress.step == 0
    with pytest.raises(InputError, match=r"encoder\.weight is \[4, 8\], expected \[4, 16\]"):
        Training(toy_config(model__encoder_dim=16), toy_data, tmp_path / "third", warm_start=source)
    assert not (tmp_path / "third").exists()


def test_warm_start_with_another_alphabet(toy_data, tmp_path, capsys):
    symbols = [*(symbol for symbol in SYMBOLS if symbol != "Q"), "é", "ß"]
    theirs = toy_config(text__symbols=symbols, model__n_symbols=149)
    net = create_toy_network(theirs)
    save_checkpoint(tmp_path / "other.ckpt", net, theirs)
    config = toy_config(data__n_buckets=1, train__max_steps=1)
    Training(config, toy_data, tmp_path / "out", warm_start=tmp_path / "other.ckpt")
    assert "symbol by symbol; freshly initialised: Q; not used: é ß" in capsys.readouterr().out
    first = read_log(tmp_path / "out")[0]
    assert (first["step"], first["fresh"], first["fresh_symbols"], first["unused_symbols"]) == (
        0,
        [],
        ["Q"],
        ["é", "ß"],
    )
    weights = load_checkpoint(tmp_path / "out" / "tacotron2-0.ckpt").weights["embedding"]
    np.testing.assert_array_equal(weights[-1], net.embedding.asnumpy()[symbols.index(SYMBOLS[-1])])


def test_resuming_with_other_batches_begins_an_epoch(toy_data, tmp_path, capsys):
    config = toy_config(data__n_buckets=1, train__max_steps=4)
    Training(config, toy_data, tmp_path / "out").run()
    checkpoint = latest(tmp_path / "out")
    assert (checkpoint.epoch, checkpoint.extra["batch"]) == (1, 1)
    other = toy_config(data__n_buckets=1, train__max_steps=6, train__batch_size=2)
    training = Training(other, toy_data, tmp_path / "out", resume=checkpoint)
    assert "fresh epoch" in capsys.readouterr().out
    assert (training.progress.step, training.progress.epoch, training.progress.batch) == (4, 2, 0)


def test_data_of_another_config_is_refused(toy_data, tmp_path):
    with pytest.raises(InputError, match="sample_rate is 22050 there, 16000 in the config"):
        Training(toy_config(audio__sample_rate=16000), toy_data, tmp_path / "out")
    with pytest.raises(InputError, match="no such dataset"):
        Training(toy_config(), tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "nowhere"], "nowhere: no such run"),
        ([], "--data_path and --output_dir are needed"),
        (["--ignore_layers", "embedding"], "--warm_start"),
        (["--train.batchsize", "3"], "did you mean 'train.batch_size'"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as exit_code:
        run(train.main)
    error = capsys.readouterr().err
    assert exit_code.value.code == 2 and message in error and error.count("\n") == 1


def test_a_dataset_without_clips_to_validate_on(tmp_path, capsys):
    data = write_corpus(tmp_path / "data")
    stats = json.loads((data / "stats.json").read_text())
    del stats["splits"]["val"]  # as preprocessing with data.val_fraction 0 leaves it
    (data / "stats.json").write_text(json.dumps(stats))
    training = Training(toy_config(data__n_buckets=1, train__max_steps=3), data, tmp_path / "out")
    output = capsys.readouterr().out
    assert "no clips to validate on" in output and "none to validate" in output
    with pytest.raises(InputError, match="target_val_loss is never reached"):
        training.run(target_val_loss=1.0)
    assert training.run().finished
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "tacotron2-3.ckpt" in names and "best.ckpt" not in names
    assert not [row for row in read_log(tmp_path / "out") if "val_loss" in row]


def test_a_warm_start_names_other_mels_and_what_does_not_fit(toy_data, tmp_path, capsys):
    theirs = toy_config(audio__sample_rate=24000, text__cleaner="basic_cleaners")
    save_checkpoint(tmp_path / "other.ckpt", create_toy_network(theirs), theirs, step=7)
    config = toy_config(data__n_buckets=1, train__max_steps=1)
    Training(config, toy_data, tmp_path / "out", warm_start=tmp_path / "other.ckpt", ignore_layers=["decoder"])
    output = capsys.readouterr().out
    assert "other.ckpt, step 7: 6 parameters taken (" in output
    assert "freshly initialised: decoder.weight, decoder.bias; not used: decoder.weight, decoder.bias" in output
    assert "sample_rate 24000 there, 22050 here, cleaner basic_cleaners there, english_cleaners here" in output
    first = read_log(tmp_path / "out")[0]
    assert first["taken"] == 6 and len(first["other_settings"]) == 2
    wide = toy_config(model__encoder_dim=16)
    with pytest.raises(InputError, match="--ignore_layers embedding,encoder,norm,decoder leaves these fresh"):
        Training(wide, toy_data, tmp_path / "wide", warm_start=tmp_path / "other.ckpt")
    waveglow = load_config({"model": {"name": "waveglow"}})
    with pytest.raises(InputError, match=r"other\.ckpt: is a tacotron2, which cannot start a waveglow"):
        warm_start(None, waveglow, tmp_path / "other.ckpt", [], None)

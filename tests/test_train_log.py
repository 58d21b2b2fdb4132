"""The log of a resumed toy training with skipped steps, in TensorBoard and in scripts/plot_log.py."""

import builtins
import runpy
import struct
import sys

import numpy as np
import pytest
import tensorboardX
from matplotlib.image import imread

import train
from src.cli import run
from src.errors import InputError
from src.plotting import save_curves
from src.train import loop
from src.train.loop import Training
from src.train.run_folder import latest
from tests.toy_training import ROOT, create_toy_network, flags, read_log, toy_config, write_corpus


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = write_corpus(folder / "data", n_train=9, spoiled=(4,))
    config = toy_config(data__n_buckets=1, train__max_steps=6, train__validate_every=2, train__tensorboard=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_model", create_toy_network)
        Training(config, data, folder / "out").run()
        (folder / "out" / "tacotron2-6.ckpt").unlink()
        Training(config, data, folder / "out", latest(folder / "out")).run()
    return folder / "out"


def records(path):
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield tensorboardX.proto.event_pb2.Event.FromString(content[12 : 12 + length])
        content = content[12 + length + 4 :]


def events(output_dir):
    """(step, tag, value or PNG) of all files, without what a later start purged, and how much that was."""
    left, purged = [], 0
    for path in sorted((output_dir / "tensorboard").iterdir()):
        for event in records(path):
            if event.HasField("session_log"):
                purged += sum(step >= event.step for step, *_ in left)
                left = [found for found in left if found[0] < event.step]
            for value in event.summary.value:
                left.append((event.step, value.tag, value.image if value.HasField("image") else value.simple_value))
    return left, purged


def test_tensorboard_has_every_number_of_the_log_once(output_dir):
    found, purged = events(output_dir)
    assert purged > 0 and len(list((output_dir / "tensorboard").iterdir())) == 2
    scalars = {(step, tag): value for step, tag, value in found if isinstance(value, float)}
    assert len(scalars) == sum(isinstance(value, float) for _, _, value in found)  # none twice
    steps = [row for row in read_log(output_dir) if "loss" in row]
    validations = [row for row in read_log(output_dir) if "val_loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6] and [row["step"] for row in validations] == [2, 4, 6]
    wanted = {
        (row["step"], tag): value
        for row in validations
        for tag, value in row.items()
        if tag not in ("epoch", "skipped_steps")
    }
    wanted |= {(row["step"], tag): value for row in steps for tag, value in row.items()}
    wanted = {key: value for key, value in wanted.items() if key[1] != "step"}
    assert scalars == {key: pytest.approx(value, rel=1e-6) for key, value in wanted.items()}


def test_tensorboard_has_the_pictures(output_dir):
    pictures = {(step, tag): image for step, tag, image in events(output_dir)[0] if not isinstance(image, float)}
    assert pictures.keys() == {(step, "alignment-and-mel") for step in (2, 4, 6)}
    for (step, tag), image in pictures.items():
        path = output_dir / f"{tag}-{step}.png"
        assert image.encoded_image_string == path.read_bytes()
        assert (image.height, image.width) == imread(path).shape[:2]


def test_tensorboard_without_the_package_is_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    def import_without(name, *arguments, **more):
        if name.startswith("tensorboardX"):
            raise ModuleNotFoundError("No module named 'tensorboardX'")
        return real_import(name, *arguments, **more)

    real_import = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", import_without)
    script = [
        "train.py",
        "--data_path",
        "data",
        "--output_dir",
        str(tmp_path / "out"),
        *flags(train__tensorboard="true"),
    ]
    monkeypatch.setattr(sys, "argv", script)
    with pytest.raises(SystemExit) as exit_code:
        run(train.main)
    error = capsys.readouterr().err
    assert exit_code.value.code == 2 and "pip install tensorboardX" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def plot(monkeypatch, capsys, *arguments):
    """Runs scripts/plot_log.py. Returns exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["plot_log.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_code:
        runpy.run_path(str(ROOT / "scripts/plot_log.py"), run_name="__main__")
    return exit_code.value.code, *capsys.readouterr()


def test_the_log_of_a_run_that_goes_on_is_drawn(output_dir, tmp_path, monkeypatch, capsys):
    assert plot(monkeypatch, capsys, output_dir) == (0, f"{output_dir / 'log.png'}\n", "")
    lines = (output_dir / "log.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text("".join(lines[:-1]) + lines[-1][:30])
    assert plot(monkeypatch, capsys, tmp_path, output_dir, "--output", tmp_path / "both.png") == (
        0,
        f"{tmp_path / 'both.png'}\n",
        "",
    )
    one, both = imread(output_dir / "log.png"), imread(tmp_path / "both.png")
    assert one.shape == both.shape and np.abs(one - both).max() > 0.5


def test_logs_that_cannot_be_drawn_are_one_line(tmp_path, monkeypatch, capsys):
    def complaint(*arguments):
        code, _, error = plot(monkeypatch, capsys, *arguments)
        assert code == 2 and error.count("\n") == 1
        return error

    assert "nowhere: no log.jsonl in it" in complaint(tmp_path / "nowhere")
    (tmp_path / "log.jsonl").write_text(
        '{"step": 0, "epoch": 0, "skipped_steps": 0, "warm_start": "x.ckpt"}\n{"step": 1, "lo'
    )
    assert "the log has no step yet" in complaint(tmp_path)
    assert "its name must end with .png" in complaint(tmp_path, "--output", tmp_path / "log.pdf")
    assert not (tmp_path / "log.png").exists()


def drawn(rows, monkeypatch):
    """The panels of a run's picture by title."""
    figures = []
    monkeypatch.setattr("src.plotting._save", lambda figure, path: figures.append(figure))
    save_curves("log.png", {"run": rows})
    return {axes.get_title(): axes for axes in figures[0].axes}


def test_curves_show_what_the_log_says(monkeypatch):
    rows = [
        {"step": step, "epoch": 0, "skipped_steps": 0, "loss": loss, "lr": 1e-3}
        for step, loss in ((1, 50.0), (2, None), (3, 1.5))
    ]
    rows += [{"step": 3, "epoch": 0, "skipped_steps": 1, "val_loss": 2.5, "alignment_score": 0.5}]
    rows += [
        {"step": 3, "epoch": 0, "skipped_steps": 1, "skipped_clips": ["a"]},
        {"step": 3, "compiled": [[1, 2]], "compile_s": 3.0},
    ]
    panels = drawn(rows, monkeypatch)
    assert list(panels) == ["loss", "lr", "alignment_score"]
    skipped, training, validation = panels["loss"].get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[1, 50], [2, np.nan], [3, 1.5]])
    np.testing.assert_array_equal(validation.get_xydata(), [[3, 2.5]])
    assert list(skipped.get_xdata()) == [3]
    assert (panels["loss"].get_yscale(), panels["lr"].get_yscale()) == ("log", "linear")
    with pytest.raises(InputError, match="no step yet"):
        save_curves("log.png", {"run": rows[-2:]})

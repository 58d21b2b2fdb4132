"""What export.py and scripts/onnx_infer.py refuse, in one line."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest
from toy_export import export, fresh_checkpoints

from src.errors import InputError
from src.export import writing

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fresh_checkpoints(tmp_path_factory.mktemp("export"))


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--checkpoint", "tacotron2.ckpt", "--file_format", "AIR"],
            "error: AIR, deprecated by MindSpore (take MINDIR), can only be written on Ascend, but this is ",
        ),
        (
            ["--checkpoint", "none.ckpt", "--file_format", "MINDIR"],
            "error: none.ckpt: cannot be read (No such file or directory)",
        ),
        (
            ["--checkpoint", "waveglow.ckpt", "--file_format", "ONNX", "--max_symbols", "9"],
            "error: --max_symbols is for MINDIR",
        ),
        (
            ["--checkpoint", "tacotron2.ckpt", "--file_format", "ONNX", "--audio.n_mels", "9"],
            "error: tacotron2.ckpt: its mel spectrograms",
        ),
        (
            ["--checkpoint", "tacotron2.ckpt", "--file_format", "TORCH"],
            "export.py: argument --file_format: invalid choice",
        ),
    ],
)
def test_bad_input_is_one_line(folder, monkeypatch, capsys, flags, complaint):
    monkeypatch.chdir(folder)
    code, output, complaints = export(monkeypatch, capsys, *flags, "--output_dir", "nothing")
    assert (code, output, complaints.count("\n")) == (2, "", 1)
    assert complaints.startswith(complaint)
    assert not (folder / "nothing").exists()


def forget(monkeypatch, ours, package):
    """Makes modules of ours, by a prefix of their names, be imported anew, and the import of a package fail."""
    for name in sorted((name for name in sys.modules if name.startswith(ours)), reverse=True):  # a package last
        monkeypatch.delitem(sys.modules, name)
        parent, _, attribute = name.rpartition(".")
        monkeypatch.delattr(sys.modules[parent], attribute, raising=False)
    monkeypatch.setitem(sys.modules, package, None)


def test_a_missing_onnxruntime_is_one_line(monkeypatch, capsys, tmp_path):
    forget(monkeypatch, "src.export.onnx.inference", "onnxruntime")
    monkeypatch.setattr(
        sys, "argv", ["onnx_infer.py", "--onnx_dir", str(tmp_path), "--text", "Hello.", "--output_dir", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / "onnx_infer.py"), run_name="__main__")
    assert (end.value.code, capsys.readouterr().err) == (
        2,
        "error: speaking with ONNX files takes onnxruntime: pip install onnxruntime\n",
    )


def test_a_missing_package_is_one_line(folder, monkeypatch, capsys, tmp_path):
    forget(monkeypatch, "src.export.onnx", "onnx")
    code, _, complaints = export(
        monkeypatch, capsys, "--checkpoint", folder / "waveglow.ckpt", "--file_format", "ONNX", "--output_dir", tmp_path
    )
    assert code == 2
    assert (
        complaints
        == "error: ONNX export needs packages that are missing (onnx): pip install -r requirements-onnx.txt\n"
    )


def test_a_checkpoint_that_changes_while_it_is_exported_is_refused(folder, tmp_path, monkeypatch):
    path = Path(shutil.copy(folder / "waveglow.ckpt", tmp_path))
    monkeypatch.setattr(writing, "make_artifacts", lambda *_: shutil.copy(folder / "tacotron2.ckpt", path) and [])
    with pytest.raises(InputError, match=r"waveglow.ckpt: has changed while it was exported"):
        writing.export(path, "MINDIR", tmp_path / "out")
    assert not (tmp_path / "out").exists()

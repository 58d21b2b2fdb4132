"""The conversion script: its flags, the files they name, and one line for each mistake."""

import json
from pathlib import Path

import pytest

from src.checkpoint import load_checkpoint
from src.convert.conversion import convert
from src.errors import InputError
from src.text.symbols import read_symbols
from tests.toy_tacotron2 import E, M, R, nvidia_tensors


def test_the_script(torch_files, tmp_path, convert_script):
    source, destination = torch_files("x.pt", nvidia_tensors()), tmp_path / "x.ckpt"
    code, out, _ = convert_script(source, destination, "--source", "nvidia", "--audio.sample_rate", 16000)
    assert code == 0 and out.startswith(f"{destination}: tacotron2, {M} mel bands, reduction factor {R}")
    assert load_checkpoint(destination).config.audio.sample_rate == 16000
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(destination.read_bytes()[:5000])
    destination.unlink()
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "one.json").write_text(json.dumps(["_"]))
    (tmp_path / "key.yaml").write_text("audio: {sample_rte: 1}")
    (tmp_path / "type.yaml").write_text("text: {symbols: 5}")
    for arguments, message in (
        ((source,), "required: DEST"),
        ((source, destination, "--source", "other"), "invalid choice: 'other'"),
        ((source, destination, "--source", "zoo"), "not named like zoo; but like nvidia"),
        ((source, destination, "--audio.sample_rte", 1), "did you mean 'audio.sample_rate'?"),
        ((source, destination, "--model.encoder_dim", 512), f"model.encoder_dim is {E} by the tensors, not 512"),
        (
            (source, destination, "--symbols", tmp_path / "one.json"),
            "its embedding is of 148 symbols, text.symbols lists 1",
        ),
        (
            (source, destination, "--symbols", tmp_path / "gone.json"),
            f"error: {tmp_path / 'gone.json'}: cannot be read (No such file",
        ),
        (
            (source, destination, "--config", tmp_path / "key.yaml"),
            f"error: {tmp_path / 'key.yaml'}: unknown key 'audio.sample_rte'",
        ),
        ((source, destination, "--config", tmp_path / "type.yaml"), f"error: {tmp_path / 'type.yaml'}: "),
        ((source, tmp_path / "x.pth"), "ends in .ckpt"),
        ((tmp_path / "gone.pt", destination), "gone.pt: no such file"),
        ((cut, destination), "cut.ckpt: the checkpoint is damaged, cut off"),
        ((tmp_path / "empty.ckpt", destination), "empty.ckpt: the checkpoint is empty"),
        (
            (tmp_path / "text.ckpt", destination),
            "text.ckpt: the checkpoint is damaged, cut off or not a MindSpore checkpoint",
        ),
        ((source, tmp_path / "x.pt"), "x.pt: would take the place of the file that is converted"),
        ((source, destination, "--to", "torch"), "x.ckpt: the file for PyTorch needs a name that ends in .pt or .safe"),
    ):
        code, _, errors = convert_script(*arguments)
        assert code == 2 and message in errors and len(errors.splitlines()) == 1 and not destination.exists(), errors


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.pt").write_bytes(b"PK")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"x\.pt: cannot be read \(Permission denied\)"):
        convert(tmp_path / "x.pt", tmp_path / "x.ckpt")


def test_symbol_files(tmp_path):
    path = tmp_path / "symbols"
    for content in ('["_", " ", "é"]', "_\n \né\n", "_\n \né"):
        path.write_text(content, encoding="utf-8")
        assert read_symbols(path) == ["_", " ", "é"]
    for content in ("", "a\n\nb", '["a", 1]', '{"a": 1}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="one symbol to a line"):
            read_symbols(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_symbols(path)
    assert len(read_symbols(Path(__file__).parents[1] / "config" / "symbols_torchaudio_phonemes.json")) == 96

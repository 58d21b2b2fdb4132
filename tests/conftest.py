"""What the tests of several files begin with."""

import os
import runpy
import sys
from pathlib import Path

import pytest

os.environ["GRAPH_CACHE"] = "off"  # a test shows what the code does today, and leaves nothing in the user's folders


@pytest.fixture
def torch_files(tmp_path, monkeypatch):
    """`put(name, tensors, **beside)` makes a file that conversion reads as these, without PyTorch. Returns its path."""
    from src.convert.torch_file import TorchFile  # noqa: PLC0415

    contents = {}

    def put(name, tensors, **beside):
        (tmp_path / name).write_bytes(b"PK")
        contents[name] = TorchFile(tensors, beside)
        return tmp_path / name

    monkeypatch.setattr("src.convert.conversion.read_torch", lambda path: contents[path.name])
    return put


@pytest.fixture
def convert_script(monkeypatch, capsys):
    """`run(*arguments)` runs scripts/convert_checkpoint.py. Returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["convert_checkpoint.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(Path(__file__).parents[1] / "scripts/convert_checkpoint.py"), run_name="__main__")
        return exit.value.code, *capsys.readouterr()

    return run

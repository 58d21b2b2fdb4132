"""Settings and fixtures that several files of tests share."""

import os
import runpy
import sys
from pathlib import Path

import pytest

os.environ["GRAPH_CACHE"] = "off"  # a test shows what the code does today, and leaves nothing in the user's folders


@pytest.fixture
def torch_files(tmp_path):
    """`put(name, tensors, **beside)` writes a PyTorch file and returns its path.

    `tensors` are under `state_dict` if anything lies beside them, otherwise at the top.
    """
    from src.convert.torch_writer import write_torch  # noqa: PLC0415

    def put(name, tensors, **beside):
        write_torch(tmp_path / name, {**beside, "state_dict": tensors} if beside else tensors)
        return tmp_path / name

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


@pytest.fixture(scope="module")
def toy_data(tmp_path_factory):
    """The folder of a corpus of a few clips, for the toy network."""
    from tests.toy_training import write_corpus  # noqa: PLC0415

    return write_corpus(tmp_path_factory.mktemp("corpus") / "data")


@pytest.fixture
def toy_network(monkeypatch):
    """Let `Training` build the toy network, which compiles in a second."""
    from src.train import loop  # noqa: PLC0415
    from tests.toy_training import create_toy_network  # noqa: PLC0415

    monkeypatch.setattr(loop, "create_model", create_toy_network)

"""scripts/serve.py on the command line: each mistake is one line, and at once."""

import importlib.util
import pickle
import runpy
import socket
import sys
from types import SimpleNamespace

import pytest
from live_server import ROOT

from src.serving import packages, server
from src.serving.settings import Settings
from src.serving.voice import open_voice


@pytest.fixture
def script(monkeypatch, capsys):
    """`script(*flags)` runs scripts/serve.py in this process."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["serve.py", "--port", "0", *map(str, flags)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "scripts/serve.py"), run_name="__main__")
        said = capsys.readouterr()
        return SimpleNamespace(returncode=end.value.code, stdout=said.out, stderr=said.err)

    return run


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--checkpoint", "gone.ckpt"], "gone.ckpt: no such checkpoint"),
        (["--vocoder_checkpoint", "gone.ckpt"], "gone.ckpt: no such checkpoint"),
        (["--port", "70000"], "port 70000"),
        (["--port", "many"], "--port"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--workers", "0"], "--workers"),
        (["--vocoder", "radio"], "--vocoder"),
        (["--vocoder_processes", "-1"], "--vocoder_processes"),
        (["--api_key", ""], "the key must be"),
        (["--api_key", "two words"], "the key must be"),
        (["--timeout", "nan"], "--timeout"),
        (["--timeout", "0"], "more than 0"),
        (["--worker_timeout", "1"], "at least 10"),
        (["--max_waiting", "-1"], "--max_waiting"),
        (["--model.n_mels", "3"], "unknown key 'model.n_mels'"),
    ],
)
def test_bad_flags_end_in_one_line(flags, words, script):
    done = script(*flags)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_an_address_that_is_taken(script):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = script("--port", port)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"cannot listen at 127.0.0.1, port {port} (Address already in use)" in done.stderr


def test_missing_packages_end_in_one_line(script, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    done = script()
    assert done.returncode == 2
    assert done.stderr == "error: the server needs uvicorn: pip install -r requirements-serve.txt\n"


def test_flags_reach_the_server(script, monkeypatch):
    given = []
    monkeypatch.setattr(server, "serve", lambda *arguments: given.append(arguments))
    monkeypatch.setenv("SERVE_API_KEY", "s3cret")
    flags = ["--host", "0.0.0.0", "--workers", 3, "--max_waiting", 5, "--timeout", 9, "--allowed_hosts", "a", "b"]
    assert script(*flags, "--vocoder", "griffinlim", "--vocoder_processes", 2).returncode == 0
    ((settings, make_voice),) = given
    assert settings == Settings("0.0.0.0", 0, 3, "s3cret", ("a", "b"), max_waiting=5, timeout=9)
    assert make_voice.args[0] == {
        "checkpoint": None,
        "vocoder_checkpoint": None,
        "vocoder": "griffinlim",
        "batch_size": 4,
        "processes": 2,
    }
    assert pickle.loads(pickle.dumps(make_voice)).func is open_voice  # each worker gets it

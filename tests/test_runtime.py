import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from src import runtime
from src.errors import InputError
from src.runtime import child, device, ranks

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def asked_for(monkeypatch):
    """The devices that MindSpore was asked for."""
    devices = []
    monkeypatch.setattr(device.ms, "set_device", lambda *device: devices.append(device))
    return devices


def test_the_device_is_that_of_the_environment(asked_for, monkeypatch):
    monkeypatch.delenv("DEVICE_ID", raising=False)
    monkeypatch.setenv("DEVICE_TARGET", "CPU")
    runtime.setup()
    monkeypatch.setenv("DEVICE_ID", "3")
    runtime.setup()
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")  # MindSpore assigns the devices
    runtime.setup()
    assert asked_for == [("CPU", 0), ("CPU", 3), ("CPU", None)]


def test_a_device_that_is_not_there_is_one_line(monkeypatch):
    def refuse(*device):
        raise RuntimeError(
            "Unsupported device target Ascend. This process only supports one of the ['CPU']. Please check ...\n\nmore"
        )

    monkeypatch.setattr(device.ms, "set_device", refuse)
    monkeypatch.setenv("DEVICE_TARGET", "Ascend")
    with pytest.raises(
        InputError,
        match=r"DEVICE_TARGET Ascend, DEVICE_ID 0: .* one of the \['CPU'\]\. Source set_env\.sh of CANN first, or",
    ):
        runtime.setup()


def test_a_rank_waits_until_the_scheduler_listens(monkeypatch):
    with socket.socket() as scheduler:
        scheduler.bind(("127.0.0.1", 0))  # refuses connections until it listens
        monkeypatch.setenv("MS_SCHED_HOST", "127.0.0.1")
        monkeypatch.setenv("MS_SCHED_PORT", str(scheduler.getsockname()[1]))
        rank = threading.Thread(target=ranks._wait_for_scheduler)
        rank.start()
        rank.join(0.5)
        assert rank.is_alive()
        scheduler.listen()
        rank.join(30)
        assert not rank.is_alive()
        monkeypatch.setattr(ranks, "SCHEDULER_SECONDS", 0)
        ranks._wait_for_scheduler()  # MindSpore takes over


IN_CHILD = """
import os
import sys
import numpy as np
from src import runtime
from src.audio import griffin_lim, silent_mel
from src.config import AudioConfig

audio = AudioConfig()


def work(mel, audio, seed=0):
    if mel.shape[1] == 1:
        raise ValueError("too short")
    if mel.shape[1] == 2:
        os._exit(7)
    return os.getpid(), griffin_lim(mel, audio, seed)


def failure(*args):
    try:
        work_aside(*args)
    except Exception as error:
        return error, "in work" in str(error.__cause__)


runtime.setup(0)
work_aside = runtime.in_child(work, silent_mel(1, audio), audio)
mel = np.random.default_rng(0).standard_normal((audio.n_mels, 20), np.float32)
pid, wav = work_aside(mel, audio=audio, seed=3)
print(pid != os.getpid(), "librosa.core.spectrum" in sys.modules, np.array_equal(wav, griffin_lim(mel, audio, 3)))
print(failure(mel[:, :1], audio))
print(work_aside(mel, audio)[0] == pid)
print(failure(mel[:, :2], audio))
print(failure(mel, audio))
"""


AT_THE_END = """
import time
from src import runtime

runtime.setup(0)
runtime.in_child(time.sleep, 600)
print(runtime.can_fork())
"""


def run_alone(script, text):
    """Return what the program `text` prints in a new process, in which MindSpore has no threads yet."""
    script.write_text(text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    assert not done.stderr
    return done.stdout.splitlines()


def test_a_child_computes_what_is_computed_here(tmp_path):
    ended = "(ChildProcessError('the process that computes work ended with exit code 7'), False)"
    printed = run_alone(tmp_path / "in_child.py", IN_CHILD)
    assert printed == ["True False True", "(ValueError('too short'), True)", "True", ended, ended]


def test_nobody_waits_for_a_child_at_the_end(tmp_path):
    assert run_alone(tmp_path / "at_the_end.py", AT_THE_END) == ["True"]


def test_what_cannot_be_copied_computes_here(monkeypatch):
    monkeypatch.setattr(child, "can_fork", lambda: False)
    assert runtime.in_child(len, "") is len

import socket
import threading

import pytest

from src import runtime
from src.errors import InputError


@pytest.fixture
def asked_for(monkeypatch):
    """The devices that MindSpore was asked for."""
    devices = []
    monkeypatch.setattr(runtime.ms, "set_device", lambda *device: devices.append(device))
    return devices


def test_the_device_is_that_of_the_environment(asked_for, monkeypatch):
    monkeypatch.delenv("DEVICE_ID", raising=False)
    monkeypatch.setenv("DEVICE_TARGET", "CPU")
    runtime.setup()
    monkeypatch.setenv("DEVICE_ID", "3")
    runtime.setup()
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")  # MindSpore deals the devices out
    runtime.setup()
    assert asked_for == [("CPU", 0), ("CPU", 3), ("CPU", None)]


def test_a_device_that_is_not_there_is_one_line(monkeypatch):
    def refuse(*device):
        raise RuntimeError("Unsupported device target Ascend. This process only supports one of the ['CPU']. Please check ...\n\nmore")

    monkeypatch.setattr(runtime.ms, "set_device", refuse)
    monkeypatch.setenv("DEVICE_TARGET", "Ascend")
    with pytest.raises(InputError, match=r"DEVICE_TARGET Ascend, DEVICE_ID 0: .* one of the \['CPU'\]\. Choose another one"):
        runtime.setup()


def test_a_rank_waits_until_the_scheduler_listens(monkeypatch):
    with socket.socket() as scheduler:
        scheduler.bind(("127.0.0.1", 0))  # refuses connections until it listens
        monkeypatch.setenv("MS_SCHED_HOST", "127.0.0.1")
        monkeypatch.setenv("MS_SCHED_PORT", str(scheduler.getsockname()[1]))
        rank = threading.Thread(target=runtime._wait_for_scheduler)
        rank.start()
        rank.join(0.5)
        assert rank.is_alive()
        scheduler.listen()
        rank.join(30)
        assert not rank.is_alive()
        monkeypatch.setattr(runtime, "SCHEDULER_SECONDS", 0)
        runtime._wait_for_scheduler()  # MindSpore takes over

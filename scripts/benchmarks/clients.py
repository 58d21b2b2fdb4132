"""Clients of a speech server, for scripts/benchmark_serve.py: requests, times, and the memory of the server."""

import hashlib
import http.client
import json
import re
import statistics
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from src.errors import InputError

PATH = "/v1/audio/speech"
STARTING = 900  # seconds that a server may take until it is ready


@dataclass
class Answer:
    """A sound that a client got. Times are in seconds."""

    text: str
    seed: int
    first_sound: float
    whole: float
    audio: float  # seconds of sound
    digest: str  # sha256 of the samples


@dataclass
class Load:
    """Answers to `clients` clients in `seconds` seconds."""

    clients: int
    seconds: float
    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MiB of the server, each second

    def measures(self) -> dict[str, Any]:
        """The numbers of this load."""
        if not self.answers:
            return {"answers": 0, "errors": len(self.errors), "first_error": self.errors[:1]}
        first = np.array([answer.first_sound for answer in self.answers])
        factors = np.array([answer.whole / answer.audio for answer in self.answers])
        return {
            "answers": len(self.answers),
            "errors": len(self.errors),
            "first_error": self.errors[:1],
            "first_sound_s": dict(zip(("p50", "p95", "p99"), np.percentile(first, (50, 95, 99)).tolist(), strict=True)),
            "real_time_factor": dict(
                zip(("p50", "p95", "p99"), np.percentile(factors, (50, 95, 99)).tolist(), strict=True)
            ),
            "throughput": sum(answer.audio for answer in self.answers) / self.seconds,
            "memory_mib": {"first": self.memory[0], "last": self.memory[-1], "most": max(self.memory)}
            if self.memory
            else None,
        }


class ServerUnderTest:
    """A server: started by `command`, which prints its address on its first line, or running at `url`."""

    def __init__(self, name: str, command: list[str] | None = None, url: str = ""):
        self.name, self.url, self._process = name, url, None
        began = time.monotonic()
        if command:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            line = self._process.stdout.readline()
            if not (found := re.search(r"http://\S+", line)):
                raise InputError(f"{name} does not start; its own words are above")
            self.url = found[0]
            threading.Thread(target=self._process.stdout.read, daemon=True).start()
        self._wait()
        self.sample_rate = self._facts().get("sample_rate", 22050)
        self.seconds_to_ready = time.monotonic() - began

    def _wait(self) -> None:
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self._process and self._process.poll() is not None:
                raise InputError(f"{self.name} ended with exit code {self._process.returncode}")
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.2)
        raise InputError(f"{self.name} was not ready after {STARTING} s")

    def _facts(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request("GET", "/facts")
        content = connection.getresponse().read()
        return json.loads(content) if content else {}

    def memory(self) -> float | None:
        """MiB that its processes hold; None if it was not started here."""
        if self._process is None:
            return None
        total = 0
        with suppress(psutil.Error):
            parent = psutil.Process(self._process.pid)
            total = sum(each.memory_info().rss for each in (parent, *parent.children(recursive=True)))
        return total / 2**20

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(60)
            self._process.kill()
            self._process.wait()


def ask(connection: http.client.HTTPConnection, text: str, seed: int, sample_rate: int) -> Answer:
    """Have a text spoken.

    Raises:
        OSError, http.client.HTTPException: the server did not answer, or not with a sound.
    """
    fields = {"input": text, "response_format": "pcm", "sample_rate": sample_rate, "seed": seed}
    began = time.perf_counter()
    connection.request("POST", PATH, json.dumps(fields), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise OSError(f"{response.status} {response.read(300).decode(errors='replace')}")
    content, first = response.read1(1 << 20), time.perf_counter() - began
    digest, size = hashlib.sha256(content), len(content)
    while content := response.read1(1 << 20):
        digest.update(content)
        size += len(content)
    rate = int(response.headers["X-Sample-Rate"])
    return Answer(text, seed, first, time.perf_counter() - began, size / 2 / rate, digest.hexdigest())


def load(
    server: ServerUnderTest, texts: list[str], clients: int, seconds: float, seeds: int = 1000, pause: float = 0.0
) -> Load:
    """Let `clients` clients ask one text after the other for `seconds` seconds; what is begun then is finished.

    Args:
        seeds: number of seeds that are asked for in turn.
        pause: seconds that a client waits behind each sound.
    """
    done, number, lock = Load(clients, seconds), iter(range(10**9)), threading.Lock()
    began = time.monotonic()

    def work() -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=120)
        while time.monotonic() - began < seconds:
            with lock:
                turn = next(number)
            try:
                answer = ask(connection, texts[turn % len(texts)], turn // len(texts) % seeds, server.sample_rate)
                with lock:
                    done.answers.append(answer)
                    done.seconds = time.monotonic() - began
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    done.errors.append(f"{type(error).__name__}: {error}")
                connection.close()
                time.sleep(0.1)
            time.sleep(pause)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (memory := server.memory()) is not None:
            done.memory.append(memory)
        time.sleep(min(1.0, seconds / 5))
    return done


def median_of(loads: list[Load], *keys: str) -> float | None:
    """The median over rounds of a measure, such as ("first_sound_s", "p50")."""
    values = []
    for each in loads:
        value: Any = each.measures()
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            values.append(value)
    return statistics.median(values) if values else None

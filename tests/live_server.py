"""The server of `src.serving` with a stand-in voice: in a thread of this process, or in a process of its own."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import uvicorn
from standin_voice import StandInVoice

from src.serving.app import create_app
from src.serving.server import listen, uvicorn_config
from src.serving.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SPEECH = "/v1/audio/speech"
PATIENCE = 300  # seconds until a test gives up


def until(condition, message="this never became true"):
    """Wait until `condition()` is true, and return what it gave."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, message
        time.sleep(0.02)
    return result


@contextlib.contextmanager
def live(voice=None, make_voice=None, **settings):
    """A server in a thread; gives its `port`, `url`, `client` (httpx), `voice` and `service`."""
    settings, voice = Settings(port=0, **settings), voice or StandInVoice()
    listener = listen(settings)
    gate = create_app(settings, make_voice or (lambda report: voice))
    server = uvicorn.Server(uvicorn_config(gate, settings))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    thread.start()
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        try:
            until(lambda: server.started and (make_voice or gate.service.voice))
            yield SimpleNamespace(port=port, url=url, client=client, voice=voice, service=gate.service, server=server)
        finally:
            server.should_exit = True
            voice.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert gate.service.waiting == gate.service.streams == 0 == voice.active


@contextlib.contextmanager
def process(settings=None, voice=None):
    """A server in a process; gives its `port`, `url` and the process, whose output is in `output` when it has ended."""
    settings = {"port": 0, **(settings or {})}
    command = [sys.executable, "tests/serve_standin.py", json.dumps(settings), json.dumps(voice or {})]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    server = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(server.stdout.readline, "")), daemon=True)
    try:
        reader.start()
        found = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+) ", "".join(lines)) or server.poll() is not None)
        assert found is not True, "".join(lines)
        port = int(found[1])

        def end():
            code = server.wait(PATIENCE)
            reader.join(PATIENCE)
            return code, "".join(lines)

        yield SimpleNamespace(process=server, port=port, url=f"http://127.0.0.1:{port}", end=end, lines=lines)
    finally:
        if server.poll() is None:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
        server.kill()
        server.wait()


def healthy(url):
    """Return whether the server speaks."""
    try:
        return httpx.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def send(port, body, *headers, path=SPEECH, method="POST"):
    """Send a request by hand and return the connection."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    if not any(line.lower().startswith("content-length") for line in lines):
        lines.append(f"Content-Length: {len(content)}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
    return connection

"""The server as processes: signals, workers that are killed, what is logged, flags that cannot be used."""

import contextlib
import os
import re
import signal
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest
from live_server import PATIENCE, ROOT, SPEECH, healthy, process, send, until
from standin_voice import WORD


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_being_spoken_is_finished(workers, number):
    with process({"workers": workers}, {"delay": 0.05}) as server:
        until(lambda: healthy(server.url))
        words = 20
        with httpx.stream("POST", server.url + SPEECH, timeout=PATIENCE, json={
            "input": "word " * words, "response_format": "wav"
        }) as response:  # fmt: skip
            pieces = response.iter_raw()
            content = next(pieces)
            server.process.send_signal(number)
            content += b"".join(pieces)
        assert len(content) == 44 + 2 * WORD * words
        code, output = server.end()
        assert code == 0 and output.endswith("ended\n")
        assert "complete: 99 characters" in output and "Traceback" not in output
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")


def test_speech_that_takes_too_long_is_cut_off():
    with process({"drain_seconds": 1}, {"delay": 0.05}) as server:
        until(lambda: healthy(server.url))
        with send(server.port, {"input": "word hang", "response_format": "pcm"}) as client:
            client.recv(100)
            server.process.terminate()
            code, output = server.end()
            assert code == 0 and output.endswith("ended\n")


def test_a_second_signal_ends_at_once():
    with process({"drain_seconds": 600}, {"delay": 0.05}) as server:
        until(lambda: healthy(server.url))
        with send(server.port, {"input": "word hang", "response_format": "pcm"}) as client:
            client.recv(100)
            server.process.terminate()
            until(lambda: not healthy(server.url))
            time.sleep(1.5)  # signals that follow at once count as one
            assert server.process.poll() is None
            server.process.terminate()
            assert server.end()[0] == 0


def test_a_balancer_hears_of_the_end_before():
    with process({"drain_notice": 5.0}) as server:
        until(lambda: healthy(server.url))
        server.process.terminate()
        until(lambda: not healthy(server.url))
        assert httpx.get(f"{server.url}/healthz", timeout=PATIENCE).status_code == 503  # still there, but no new work
        assert server.end()[0] == 0


def test_signals_while_the_voice_is_loaded():
    for workers in (1, 2):
        with process({"workers": workers}, {"loading": 600}) as server:
            until(lambda server=server: "warming up" in "".join(server.lines))
            assert not healthy(server.url)
            server.process.terminate()
            code, output = server.end()
            assert (code, output.endswith("ended\n")) == (0, True)


def test_a_killed_worker_comes_back_and_others_go_on():
    with process({"workers": 2}, {"delay": 0.01}) as server:
        until(lambda: "".join(server.lines).count("ready after") == 2)
        answers, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    answers.append(
                        httpx.post(server.url + SPEECH, json={"input": "Hello."}, timeout=PATIENCE).status_code
                    )
                except httpx.TransportError:
                    answers.append(0)

        asking = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for thread in asking:
            thread.start()
        until(lambda: len(answers) > 5)
        pids = [int(pid) for pid in re.findall(r"worker (\d+): ready", "".join(server.lines))]
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: "".join(server.lines).count("ready after") == 3)
        count = len(answers)
        until(lambda: len(answers) > count + 5)
        stop.set()
        for thread in asking:
            thread.join()
        assert answers.count(0) <= 2 and set(answers) <= {0, 200}  # only what the killed one was speaking is lost
        assert f"Child process [{pids[0]}] died" in "".join(server.lines)
        numbers = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
        assert "tts_workers_ready 2.0" in numbers and "tts_requests_in_progress 0.0" in numbers

        def counted():  # of all workers, the dead one too
            numbers = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
            return int(re.search(r'tts_requests_total\{ended="complete".*\} (\d+)', numbers)[1])

        until(lambda: counted() == answers.count(200))
        server.process.terminate()
        code, output = server.end()
        assert code == 0 and "Traceback" not in output


@pytest.mark.parametrize("stuck", [False, True])
def test_a_worker_that_hangs_is_replaced(stuck):
    with process({"workers": 2, "worker_timeout": 6.0}, {"delay": 0.01}) as server:
        until(lambda: "".join(server.lines).count("ready after") == 2)
        pids = [int(pid) for pid in re.findall(r"worker (\d+): ready", "".join(server.lines))]
        if stuck:  # the voice alone, while the event loop goes on
            with contextlib.suppress(httpx.TransportError):
                httpx.post(server.url + SPEECH, json={"input": "word stuck"}, timeout=PATIENCE)
        else:
            os.kill(pids[0], signal.SIGSTOP)
        until(lambda: "".join(server.lines).count("ready after") == 3)
        output = "".join(server.lines)
        assert "hangs; it is replaced" in output and len(set(re.findall(r"worker (\d+): ready", output))) == 3
        until(lambda: httpx.post(server.url + SPEECH, json={"input": "Hello."}, timeout=PATIENCE).status_code == 200)
        server.process.terminate()
        code, output = server.end()
        assert code == 0 and output.count("hangs") == 1


def test_workers_end_with_their_supervisor():
    with process({"workers": 2}) as server:
        until(lambda: "".join(server.lines).count("ready after") == 2)
        pids = [int(pid) for pid in re.findall(r"worker (\d+): ready", "".join(server.lines))]
        server.process.kill()
        until(lambda: not any(map(psutil.pid_exists, pids)))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_voice_that_cannot_be_loaded(workers):
    with process({"workers": workers}, {"error": "x.ckpt: is no voice"}) as server:
        code, output = server.end()
        assert code == 2 and output.count("error: x.ckpt: is no voice\n") == 1 and "Traceback" not in output
        assert "ready" not in output
    with process({"workers": workers}, {"loading": "soon"}) as server:  # a mistake of the program
        code, output = server.end()
        assert code == 1 and output.count("error: the voice cannot be loaded (TypeError)\n") == 1


def test_nothing_of_a_text_is_logged():
    with process(voice={"delay": 0.01}) as server:
        until(lambda: healthy(server.url))
        for text in (
            "Confidential.",
            "word fail confidential",
            "unspeakable confidential",
            "x" * 5000 + "confidential",
        ):
            for path in (SPEECH, "/speak", "/nowhere"):
                try:
                    httpx.post(
                        f"{server.url}{path}?confidential", json={"input": text, "voice": "alloy"}, timeout=PATIENCE
                    )
                except httpx.RemoteProtocolError:
                    assert "fail" in text
                except httpx.ReadError:
                    assert "fail" in text
        with send(server.port, b'{"input": "confidential"'):
            pass
        server.process.terminate()
        code, output = server.end()
        assert code == 0 and "onfidential" not in output
        assert "RuntimeError (its message may quote a text and is left out)" in output and "standin_voice.py" in output


def test_nothing_is_written_but_metrics_of_several_workers_in_memory(tmp_path):
    with process(voice={}) as server:
        until(lambda: healthy(server.url))
        assert httpx.post(server.url + SPEECH, json={"input": "Hello."}, timeout=PATIENCE).status_code == 200
        files = [file.path for file in psutil.Process(server.process.pid).open_files() if "w" in (file.mode or "")]
        assert [path for path in files if Path(path).is_relative_to(ROOT)] == []

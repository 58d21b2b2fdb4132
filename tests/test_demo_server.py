"""scripts/demo_server.py with an untrained network: its answers, and its page in a browser.

The test in a browser is `slow`. It needs `pip install playwright` and a Chromium: $CHROMIUM, one on the PATH, or that
of `playwright install chromium`. $DEMO_CHECKPOINT names the voice to use, and $DEMO_SCREENSHOT a file for a picture,
such as docs/demo_server.png.
"""

import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import demo_server as script
import numpy as np
import pytest
import soundfile

from src.checkpoint import save_checkpoint
from src.cli import run
from src.config import load_config
from src.models.factory import create_model
from src.synthesis.speech_queue import FINISHED

ROOT = Path(__file__).parents[1]
WIDTHS = {
    f"model.{name}_dim": 8 for name in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
}
LIMITS = {"model.max_decoder_steps": 30, "model.gate_threshold": 1.0}  # so that it never stops
LIMITS |= {"text.max_sentence_length": 50, "audio.griffinlim_iterations": 5}
JSON = {"Content-Type": "application/json"}
HOSTILE = "Hello <img src=x onerror=alert(1)><script>alert(2)</script> \"' world."


@contextmanager
def served(*flags):
    """Runs the server in a process of its own and gives its port. Ctrl-C ends it, after which stderr must be empty."""
    process = subprocess.Popen(
        [sys.executable, "scripts/demo_server.py", "--port", "0", *map(str, flags)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        port = re.fullmatch(r"http://127\.0\.0\.1:(\d+) is ready; Ctrl-C ends it\n", line)
        assert port, line + process.stderr.read()
        yield int(port[1])
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=60)
        assert (process.returncode, output) == (
            0,
            "ended\n",
        ) and complaints.strip() == "stopping after this step; once more stops at once"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    np.random.seed(1)
    config = load_config(overrides={**WIDTHS, **LIMITS})
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt"
    save_checkpoint(path, create_model(config=config), config)
    return path


@pytest.fixture(scope="module")
def port(checkpoint):
    with served("--checkpoint", checkpoint) as port:
        yield port


@pytest.fixture
def ask(port):
    """Sends one request; returns status, headers and content, parsed if it is JSON."""

    def ask(method, path, body=None, headers=JSON):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            plain = response.headers.get_content_type() != "application/json" or method == "HEAD"
            return response.status, response.headers, content if plain else json.loads(content)
        finally:
            connection.close()

    return ask


@pytest.fixture
def speak(ask):
    """Has a text spoken; returns what the server says in the end, and the id."""

    def speak(text, seed=0):
        status, _, content = ask("POST", "/api/speech", json.dumps({"text": text, "seed": seed}))
        assert status == 202, content
        end = time.monotonic() + 300
        while (state := ask("GET", f"/api/speech/{content['id']}")[2])["stage"] not in FINISHED:
            assert time.monotonic() < end, state
            time.sleep(0.1)
        return state, content["id"]

    return speak


def refused(answer, status, words):
    assert answer[0] == status and words in answer[2]["error"], answer
    assert answer[1]["X-Content-Type-Options"] == "nosniff" and "Traceback" not in answer[2]["error"]
    return True


def test_the_page_is_whole_by_itself(ask):
    status, headers, page = ask("GET", "/")
    assert status == 200 and headers.get_content_type() == "text/html" and page.decode() == script.PAGE
    assert not re.search(r"https?:|@import|url\((?!.api)|\b(src|href)=(?!.data:)", script.PAGE)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    status, headers, nothing = ask("HEAD", "/")
    assert status == 200 and nothing == b"" and int(headers["Content-Length"]) == len(page)


def test_what_comes_of_a_text(ask, speak):
    sounds = {}
    for name, seed in {"first": 3, "again": 3, "other": 2**32 - 1}.items():
        state, task = speak("Hello world. How are you?", seed)
        assert state["stage"] == "done" and state["error"] == ""
        assert [each["text"] for each in state["result"]["sentences"]] == ["Hello world.", "How are you?"]
        assert {each["stop_reason"] for each in state["result"]["sentences"]} == {"max_decoder_steps"}
        assert state["result"]["real_time_factor"] > 0 and state["result"]["seed"] == seed
        status, headers, sound = ask("GET", f"/api/speech/{task}.wav")
        assert status == 200 and headers["Content-Type"] == "audio/wav"
        sounds[name], rate = soundfile.read(io.BytesIO(sound))
        assert len(sounds[name]) / rate == pytest.approx(state["result"]["seconds"]) and np.abs(sounds[name]).max() > 0
        status, headers, picture = ask("GET", f"/api/speech/{task}.png")
        assert status == 200 and headers["Content-Type"] == "image/png" and picture.startswith(b"\x89PNG")
    np.testing.assert_array_equal(sounds["first"], sounds["again"])
    assert np.abs(sounds["first"] - sounds["other"]).max() > 1e-3
    status, _, voice = ask("GET", "/api/voice")
    assert (voice["checkpoint"], voice["vocoder"], voice["longest_text"]) == ("tiny.ckpt", "griffinlim", 1000)


def test_markup_and_foreign_letters_are_text(speak):
    text = f"{HOSTILE}\r\n\u202e\N{GRINNING FACE} na\u00efve"
    result = speak(text)[0]["result"]
    assert result["text"] == text and "\N{GRINNING FACE}" in result["notes"][0]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"text": ""}, "there is no text"),
        ({"text": " \n\t "}, "there is no text"),
        ({"text": None}, "there is no text"),
        ({"text": ["Hello."]}, "there is no text"),
        ({"seed": 1}, "there is no text"),
        ({"text": "???"}, "nothing of '???' can be spoken"),
        ({"text": "\N{GRINNING FACE}" * 3}, "can be spoken"),
        ({"text": "a" * 1001}, "has 1001 characters, at most 1000"),
        ({"text": "bell\a and \x00"}, "control characters: U+0007, U+0000"),
        ({"text": "half a \ud83d character"}, "control characters: U+D83D"),
        ({"text": "{QQ9}"}, "QQ9"),
        ({"text": "Hello \u65e5\u672c"}, "text.foreign_script"),
        ({"text": "a", "seed": -1}, "seed"),
        ({"text": "a", "seed": 2**32}, "seed"),
        ({"text": "a", "seed": "1"}, "seed"),
        ({"text": "a", "seed": True}, "seed"),
    ],
)
def test_texts_that_cannot_be_spoken(ask, wish, words):
    assert refused(ask("POST", "/api/speech", json.dumps(wish)), 422, words)


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"text"', "[" * 9000, '{"seed": ' + "1" * 9000 + "}", b'{"text": "\xff"}']
)
def test_what_is_no_json_object(ask, body):
    assert refused(ask("POST", "/api/speech", body), 400, "must be JSON")


def test_bodies_that_are_not_read(ask):
    for size in (16_001, 5_000_000):
        assert refused(ask("POST", "/api/speech", b" " * size), 413, f"{size} bytes is too large")
    assert refused(ask("POST", "/api/speech", b"", JSON | {"Content-Length": "1" * 18}), 413, "too large")
    for length in ("-1", "many", "\u00b2", "1" * 5000):
        assert refused(ask("POST", "/api/speech", b"", JSON | {"Content-Length": length}), 411, "length")
    assert refused(ask("POST", "/api/speech", iter([b"{}"])), 411, "length")  # in chunks
    for kind in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert refused(ask("POST", "/api/speech", '{"text": "a"}', kind), 415, "application/json")


def test_methods_and_addresses(ask):
    for method, path, allowed in (
        ("POST", "/", "GET"),
        ("GET", "/api/speech", "POST"),
        ("PUT", "/api/speech/x", "GET, DELETE"),
    ):
        answer = ask(method, path)
        assert refused(answer, 405, f"takes {allowed}, not {method}") and answer[1]["Allow"] == allowed
    assert refused(ask("BREW", "/"), 501, "BREW")
    paths = [
        "/favicon.ico",
        "/../demo_server.py",
        "/%2e%2e/etc/passwd",
        "/api/speech/../voice",
        "/api/speech/..%2f..%2fREADME.md",
    ]
    paths += [
        "/api/speech/nobody",
        "/api/speech/nobody.wav",
        "/api/speech/nobody.npy",
        "/api/speech/a%C3%A4",
        "/<script>",
        "http://127.0.0.1/",
    ]
    for path in paths:
        assert refused(ask("GET", path), 404, " "), path
    assert refused(ask("DELETE", "/api/speech/nobody"), 404, "not known")


def test_other_sites(ask, port):
    own = f"127.0.0.1:{port}"
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost.evil.example",
        "192.168.0.1",
        "127.0.0.1.evil.example",
        "[::1",
        "",
        "a@b c",
    ):
        for path in ("/", "/api/voice"):
            assert refused(ask("GET", path, headers={"Host": host}), 403, "does not go by the name"), host
    for host in (own, f"localhost:{port}", "[::1]"):
        assert ask("GET", "/", headers={"Host": host})[0] == 200
    for origin in ("http://evil.example", "null", f"http://localhost:{port}", "http://127.0.0.1:1", "http://[", "evil"):
        answer = ask("POST", "/api/speech", '{"text": "Hello."}', JSON | {"Host": own, "Origin": origin})
        assert refused(answer, 403, "does not take requests from pages of"), origin
    assert refused(
        ask("POST", "/api/speech", "{}", JSON | {"Host": own, "Origin": f"http://{own}"}), 422, "no text"
    )  # the page itself


def test_what_is_hardly_http(ask, port):
    for request, status in (
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b""),
        (b"GET / HTTP/9.9\r\n\r\n", b"HTTP version"),
        (b"GET\r\n\r\n", b"error"),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(request)
            assert status in connection.makefile("rb").read()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        headers = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
        connection.sendall(b"POST /api/speech HTTP/1.1\r\n" + headers + b"\r\n{")
        assert ask("GET", "/")[0] == 200  # nobody waits for it
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
    assert ask("GET", "/")[0] == 200


def test_many_at_once(ask):
    def post():
        answers.append(ask("POST", "/api/speech", json.dumps({"text": "One. Two. Three. Four. Five."})))

    answers = []
    threads = [threading.Thread(target=post) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in answers} == {202, 503} and len(answers) == 30
    accepted = [content["id"] for status, _, content in answers if status == 202]
    assert ask("DELETE", f"/api/speech/{accepted[-1]}")[0] == 202
    end = time.monotonic() + 300
    while (stages := {ask("GET", f"/api/speech/{name}")[2]["stage"] for name in accepted}) - set(FINISHED):
        assert time.monotonic() < end, stages
        time.sleep(0.2)
    assert "done" in stages and "failed" not in stages


def test_bad_input_is_one_line(checkpoint, tmp_path, monkeypatch, capsys):
    waveglow = tmp_path / "waveglow.ckpt"
    config = load_config(ROOT / "config/waveglow_small.yaml")
    save_checkpoint(waveglow, create_model(config=config), config)

    def complaint(*flags):
        monkeypatch.setattr(sys, "argv", ["demo_server.py", "--port", "0", *map(str, flags)])
        with pytest.raises(SystemExit) as end:
            run(script.main)
        errors = capsys.readouterr().err
        assert end.value.code == 2 and errors.count("\n") == 1, errors
        return errors

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen at 127.0.0.1, port {port} (Address already in use); choose another" in complaint(
            "--port", port
        )
    assert "port 70000" in complaint("--port", 70000) and "no.such.host.invalid" in complaint(
        "--host", "no.such.host.invalid"
    )
    assert "gone.ckpt: no such checkpoint" in complaint("--checkpoint", "gone.ckpt")
    assert "which speaks no text" in complaint("--checkpoint", waveglow)
    assert "--vocoder waveglow needs" in complaint("--checkpoint", checkpoint, "--vocoder", "waveglow")
    assert "is a tacotron2, no vocoder" in complaint("--checkpoint", checkpoint, "--waveglow_checkpoint", checkpoint)


@pytest.mark.slow
def test_in_a_browser(checkpoint, tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with (
        served("--checkpoint", os.environ.get("DEMO_CHECKPOINT", checkpoint)) as port,
        api.sync_playwright() as playwright,
    ):
        if not browser and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(
                "no Chromium: name one by the environment variable CHROMIUM, or run `playwright install chromium`"
            )
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )  # it may run as root, and sees our page only
        page = chromium.new_page(viewport={"width": 820, "height": 1000}, device_scale_factor=1.5)
        page.set_default_timeout(300_000)
        api.expect.set_options(timeout=300_000)
        complaints = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(f"http://127.0.0.1:{port}/")
        _use(page, api.expect, tmp_path)
        assert complaints == []
        page.get_by_label("What should it say?").fill(
            "?!"
        )  # which the server refuses, and the browser's console tells of that
        page.get_by_role("button", name="Speak").click()
        api.expect(page.get_by_role("alert")).to_have_text("Nothing of '?!' can be spoken; type some words.")
        if picture := os.environ.get("DEMO_SCREENSHOT"):
            _photograph(page, api.expect, picture)
        chromium.close()


def _use(page, expect, tmp_path):
    text, speak, articles = (
        page.get_by_label("What should it say?"),
        page.get_by_role("button", name="Speak"),
        page.get_by_role("article"),
    )
    expect(text).to_be_focused()
    speak.click()
    expect(page.get_by_role("alert")).to_have_text("There is no text; type what should be said.")
    text.fill("The first sentence is short. The second one is a little longer.")
    expect(page.locator("#count")).to_have_text("63 of 1000 characters")
    speak.click()
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    expect(page.get_by_role("status")).to_have_text("Done.")
    expect(articles).to_have_count(1)
    expect(articles.get_by_role("heading")).to_have_text(
        "The first sentence is short. The second one is a little longer."
    )
    expect(page.get_by_role("alert")).to_be_empty()
    page.wait_for_function(
        "document.querySelector('audio').duration > 0 && document.querySelector('img').naturalWidth > 0"
    )
    expect(articles.get_by_role("row")).to_have_count(3)
    with page.expect_download() as download:
        articles.get_by_role("link", name="Download the wav").click()
    assert download.value.suggested_filename == "the-first-sentence-is-short-the-second-o-seed-0.wav"
    download.value.save_as(tmp_path / "download.wav")
    seconds = soundfile.info(tmp_path / "download.wav").duration
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(seconds, abs=0.01)
    expect(articles.locator(".facts")).to_contain_text(f"{seconds:.2f} s of speech")

    text.fill(HOSTILE)
    page.get_by_label("Seed").fill("7")
    text.press("Control+Enter")
    expect(articles).to_have_count(2)
    expect(articles.first.get_by_role("heading")).to_have_text(HOSTILE)  # the latest comes first
    expect(articles.first.locator(".facts")).to_contain_text("seed 7")
    assert page.locator("img").count() == 2 and page.locator("script").count() == 1

    text.fill(" ".join(["This is one of very many sentences."] * 28))
    expect(page.locator("#count")).to_have_text("1007 of 1000 characters")
    text.fill(" ".join(["This is one of very many sentences."] * 27))
    speak.click()
    expect(page.get_by_role("status")).to_contain_text("of 27")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Stopped.")
    expect(articles).to_have_count(2)

    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def _photograph(page, expect, picture):
    page.set_viewport_size({"width": 820, "height": 1000})
    page.reload()
    expect(page.locator("#voice")).not_to_contain_text("until then")
    page.get_by_label("What should it say?").fill("The quick brown fox jumps over the lazy dog.")
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("status")).to_have_text("Done.")
    page.wait_for_function(
        "document.querySelector('audio').duration > 0 && document.querySelector('img').naturalWidth > 0"
    )
    page.screenshot(path=picture, full_page=True)

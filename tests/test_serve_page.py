"""The page of the server, and the stream that it draws. The voice is a stand-in.

The test in a browser is `slow`. It needs `pip install playwright` and a Chromium: $CHROMIUM, one on the PATH, or that
of `playwright install chromium`. $SERVE_URL names a running server to use in place of the stand-in, and
$SERVE_SCREENSHOT a file for a picture, such as docs/serve.png.
"""

import base64
import contextlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_server import live, until
from standin_voice import HOP, N_MELS, RATE, WORD, Part, StandInVoice

from src.audio import to_pcm16
from src.serving.page import PAGE

HOSTILE = "Hello <img src=x onerror=alert(1)><script>alert(2)</script> \"' world."


@pytest.fixture(scope="module")
def server():
    with live(StandInVoice(["anna", "bert"])) as server:
        yield server


def lines(server, **fields):
    response = server.client.post("/speak", json=fields)
    assert response.status_code == 200 and response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_the_page_is_whole_by_itself(server):
    response = server.client.get("/")
    assert response.status_code == 200 and response.text == PAGE
    assert response.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?:|@import|url\(|\b(src|href)=(?!.data:)|innerHTML|insertAdjacent", PAGE)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert server.client.head("/").content == b""


def test_the_facts(server):
    facts = server.client.get("/facts").json()
    assert facts["ready"] and not facts["needs_key"] and facts["voices"] == ["anna", "bert"]
    assert (facts["sample_rate"], facts["hop_length"], facts["n_mels"]) == (RATE, HOP, N_MELS)
    assert facts["reduction_factor"] == 2 and facts["longest_text"] == 4096


def test_the_stream_has_sound_mel_and_alignment(server):
    parts = lines(server, input="Hello there. You.", voice="bert", seed=3)
    assert parts[-1] == {"done": True}
    pcm = b"".join(base64.b64decode(part.get("pcm", "")) for part in parts)
    assert pcm == to_pcm16(server.voice.speak("Hello there. You.", 3, "bert")[0]).tobytes()
    mel = b"".join(base64.b64decode(part.get("mel", "")) for part in parts)
    assert len(mel) == N_MELS * 3 * WORD // HOP and set(mel) == {round((100 - 2 * 20 / np.log(10)) * 2.2)}
    spoken = parts[:-2]
    assert [part["symbols"] for part in spoken if "symbols" in part] == [list("Hello there"), list("You")]
    assert [part["sentence"] for part in spoken] == [0, 0, 0, 0, 1, 1]
    assert [part["stop_reason"] for part in spoken] == [None, None, None, "gate", None, "gate"]
    rows = np.frombuffer(base64.b64decode(spoken[2]["alignment"]), np.uint8).reshape(-1, len("Hello there"))
    assert rows.shape == (4, 11) and (rows.argmax(1) == 5).all() and rows.max() == 255


class PausingVoice(StandInVoice):
    """Begins each sentence but the first by a pause, which has no symbols, as the real voice does."""

    def stream_parts(self, *arguments, **options):
        last = 0
        for part in super().stream_parts(*arguments, **options):
            if part.sentence != last:
                last, n_symbols = part.sentence, len(part.symbols)
                pause = np.zeros(4 * HOP, np.float32), np.full((N_MELS, 4), -11.5, np.float32)
                yield Part(*pause, np.zeros((0, n_symbols), np.float32), last, [], None)
            yield part


def test_a_pause_does_not_take_the_place_of_the_symbols_behind_it():
    with live(PausingVoice()) as server:
        parts = lines(server, input="Hello there. You.")[:-2]
    assert [part["sentence"] for part in parts] == [0, 0, 0, 0, 1, 1, 1]
    assert [part.get("symbols") for part in parts[3:]] == [None, None, list("You"), None]
    assert parts[4]["alignment"] == "" and parts[4]["mel"]


def test_the_stream_at_another_speed(server):
    pcm = b"".join(base64.b64decode(part.get("pcm", "")) for part in lines(server, input="Hello there.", speed=2))
    assert len(pcm) == 2 * WORD


def test_what_cannot_be_spoken(server):
    for text, words in (("", "there is no text"), ("unspeakable", "can be spoken")):
        response = server.client.post("/speak", json={"input": text})
        assert response.status_code == 400 and words in response.json()["error"]["message"]


@contextlib.contextmanager
def page_of(url):
    """The page in Chromium, and what the browser complains of."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with api.sync_playwright() as playwright:
        if not browser and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium: name one by CHROMIUM, or run `playwright install chromium`")
        # It may run as root, and sees our page only.
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = playwright.chromium.launch(executable_path=browser, args=arguments)
        page = chromium.new_page(viewport={"width": 900, "height": 960}, device_scale_factor=1.5)
        page.set_default_timeout(120_000)
        api.expect.set_options(timeout=120_000)
        complaints = []
        kinds = ("error", "warning")
        page.on("console", lambda message: complaints.append(message.text) if message.type in kinds else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(url)
        yield page, api.expect, complaints
        chromium.close()


@pytest.mark.slow
def test_in_a_browser(tmp_path):
    with live(StandInVoice(["anna", "bert"], delay=0.1)) as server, page_of(server.url) as (page, expect, complaints):
        text, speak = page.get_by_label("What should it say?"), page.get_by_role("button", name="Speak")
        status, articles = page.get_by_role("status"), page.get_by_role("article")
        expect(page.locator("#voice")).to_contain_text("tacotron2 at 22050 Hz")
        expect(text).to_be_focused()
        speak.click()
        expect(page.get_by_role("alert")).to_have_text("There is no text; type what should be said.")

        text.fill("The first sentence is short. The second one is longer.")
        expect(page.locator("#count")).to_have_text("54 of 4096 characters")
        page.get_by_label("Voice").select_option("bert")
        speak.click()
        expect(status).to_have_text(re.compile("Speaking|Playing"))
        until(lambda: page.evaluate("current?.samples > 0 && current.begins < context.currentTime"))
        assert server.voice.active == 1  # it plays while it is spoken
        expect(page.locator("mark")).to_have_count(1)
        expect(status).to_have_text("Done.")
        expect(articles.get_by_role("heading").first).to_have_text(
            "The first sentence is short. The second one is longer."
        )
        column = "canvas => [...canvas.getContext('2d').getImageData(9, 0, 1, canvas.height).data]"
        mel, alignment = (np.reshape(canvas.evaluate(column), (-1, 4)) for canvas in page.locator("canvas").all())
        assert (mel[:, 3] == 255).all() and len(mel) == N_MELS and len(np.unique(alignment, axis=0)) == 2
        with page.expect_download() as download:
            articles.get_by_role("link", name="Download the wav").click()
        assert download.value.suggested_filename == "the-first-sentence-is-short-the-second-o-seed-0.wav"
        download.value.save_as(tmp_path / "download.wav")
        wav, rate = soundfile.read(tmp_path / "download.wav", dtype="float32")
        whole = server.voice.speak("The first sentence is short. The second one is longer.", 0, "bert")[0]
        np.testing.assert_array_equal(to_pcm16(wav), to_pcm16(whole))
        assert rate == RATE and len(wav) == 10 * WORD

        text.fill(HOSTILE)
        page.get_by_label("Seed").fill("7")
        page.get_by_label("Speed").fill("2")
        text.press("Control+Enter")
        expect(articles).to_have_count(2)
        expect(articles.first.get_by_role("heading").first).to_have_text(HOSTILE)  # the latest comes first
        expect(articles.first.locator(".facts")).to_contain_text("seed 7")
        assert page.locator("img").count() == 0 and page.locator("script").count() == 1
        expect(status).to_have_text("Done.")

        text.fill("word " * 500)
        speak.click()
        until(lambda: page.evaluate("current?.samples > 0"))
        page.get_by_role("button", name="Stop").click()
        expect(status).to_have_text("Stopped.")
        until(lambda: server.voice.active == 0)
        assert server.voice.chunks < 800
        assert complaints == []
        text.fill("unspeakable")  # which the server refuses, and the browser's console tells of that
        speak.click()
        expect(page.get_by_role("alert")).to_have_text("Nothing of 'unspeakable' can be spoken; type some words.")


@pytest.mark.slow
@pytest.mark.skipif("SERVE_URL" not in os.environ, reason="needs a running server, named by SERVE_URL")
def test_a_picture_of_a_running_server():
    with page_of(os.environ["SERVE_URL"]) as (page, expect, complaints):
        expect(page.locator("#voice")).to_contain_text("Hz")
        page.get_by_label("What should it say?").fill(
            "The sound begins while the rest is still being computed. Listen."
        )
        page.get_by_role("button", name="Speak").click()
        expect(page.get_by_role("status")).to_have_text("Done.")
        page.evaluate("document.querySelector('.pictures').scrollLeft = 0")
        page.get_by_role("heading", level=1).click()
        if picture := os.environ.get("SERVE_SCREENSHOT"):
            page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": 900, "height": 960})
        assert complaints == []

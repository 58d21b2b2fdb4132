"""The parts of the server that need no server: time stretching, encoding, the hand-over between threads."""

import asyncio
import io
import sys
import threading

import numpy as np
import pytest
import soundfile

from src.errors import InputError
from src.serving.delivery import Delivery
from src.serving.packages import check_packages
from src.serving.relay import Piece, Relay
from src.serving.service import Service
from src.serving.settings import Settings
from src.streaming.encoding import at_speed, encoder
from src.streaming.stretching import Stretcher

RATE = 22050


def tone(pitch, seconds=1.0):
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def chunks(wav, size):
    return [wav[at : at + size] for at in range(0, len(wav), size)]


def stretched(wav, speed, size=1000):
    stretcher = Stretcher(speed, RATE)
    return np.concatenate([*map(stretcher.push, chunks(wav, size)), stretcher.flush()])


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0])
@pytest.mark.parametrize("pitch", [90, 220])
def test_stretching_keeps_pitch_and_level(speed, pitch):
    wav = stretched(tone(pitch), speed)
    assert len(wav) == round(RATE / speed) and wav.dtype == np.float32
    middle = wav[len(wav) // 8 : -len(wav) // 8]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * RATE))
    assert np.argmax(spectrum) / 8 == pytest.approx(pitch, rel=0.02)
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.abs(np.diff(wav)).max() < 1.5 * np.abs(np.diff(tone(pitch))).max()  # no clicks


@pytest.mark.parametrize("speed", [0.3, 1.7])
def test_stretching_does_not_depend_on_the_chunks(speed):
    noise = np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    whole = stretched(noise, speed, len(noise))
    for size in (1, 777, 5000):
        np.testing.assert_array_equal(stretched(noise, speed, size), whole)


@pytest.mark.parametrize("samples", [0, 1, 100, 441, 2000])
def test_short_sounds_are_stretched_too(samples):
    for speed in (0.25, 1.3, 4):
        assert len(stretched(np.ones(samples, np.float32), speed)) == round(samples / speed)


def test_speed_one_changes_nothing():
    wav = tone(200)
    np.testing.assert_array_equal(np.concatenate(list(at_speed(chunks(wav, 999), 1, RATE, RATE))), wav)


def test_resampling_does_not_depend_on_the_chunks():
    wav = tone(200)
    one, other = (np.concatenate(list(at_speed(chunks(wav, size), 1, RATE, 16000))) for size in (len(wav), 500))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert abs(len(one) - 16000) < 2


@pytest.mark.parametrize(("name", "delay"), [("mp3", 0.2), ("opus", 0.2), ("wav", 0), ("pcm", 0)])
def test_sound_is_encoded_while_it_comes(name, delay):
    encode, rate = encoder(name, 24000), 24000
    sent = [len(encode.encode(tone(200)[at : at + 2400])) for at in range(0, RATE - 2400, 2400)]
    assert sum(sent[: 1 + round(delay * rate / 2400)]) > 0 and all(sent[3:])
    assert encode.finish() is not None


def test_flac_comes_whole():
    encode = encoder("flac", RATE)
    assert encode.encode(tone(200)) == b""
    wav, _ = soundfile.read(io.BytesIO(encode.finish()), dtype="float32")
    np.testing.assert_allclose(wav, tone(200), atol=1 / 32768)


def test_no_sound_is_an_empty_wav():
    assert len(soundfile.read(io.BytesIO(encoder("wav", RATE).finish()))[0]) == 0


def counted(total, made, closed):
    try:
        for number in range(total):
            made.append(number)
            yield Piece(b"%d" % number, 1.0)
    finally:
        closed.set()


def test_a_full_buffer_makes_its_thread_wait():
    made, closed, ended = [], threading.Event(), []

    async def take():
        relay = Relay(lambda cancel: counted(100, made, closed), 5.0, lambda: ended.append(True))
        first = await relay.next()
        for _ in range(20):
            await asyncio.sleep(0.01)
        waiting = len(made)
        rest = []
        while (piece := await relay.next()) is not None:
            rest.append(piece)
        return first, waiting, rest

    first, waiting, rest = asyncio.run(take())
    assert first.content == b"0" and waiting <= 7
    assert [piece.content for piece in rest] == [b"%d" % number for number in range(1, 100)]
    assert closed.is_set() and ended == [True]


def test_a_closed_relay_ends_its_thread():
    made, closed, ended = [], threading.Event(), []

    async def leave():
        relay = Relay(lambda cancel: counted(10**9, made, closed), 2.0, lambda: ended.append(True))
        await relay.next()
        relay.close()
        assert await asyncio.to_thread(closed.wait, 60)
        while not ended:
            await asyncio.sleep(0.01)
        never = Relay(lambda cancel: counted(1, made, closed), 2.0, lambda: ended.append(True))
        never.close()

    asyncio.run(leave())
    assert ended == [True, True] and len(made) < 10


def test_an_error_comes_behind_the_pieces_before_it():
    def broken(cancel):
        yield Piece(b"a", 1.0)
        raise KeyError("x")

    async def take():
        relay = Relay(broken, 9.0, bool)
        assert (await relay.next()).content == b"a"
        with pytest.raises(KeyError):
            await relay.next()

    asyncio.run(take())


def test_the_place_is_given_back_before_anybody_hears_of_the_end():
    """Else a client that asks again at once finds its own place still taken."""
    made, closed, ended = [], threading.Event(), []

    async def take():
        relay = Relay(lambda cancel: counted(1, made, closed), 9.0, lambda: ended.append(True))
        await relay.next()
        speaking = [thread for thread in threading.enumerate() if thread.name == "speech"]
        for thread in speaking:  # the event loop is busy until the thread has ended
            thread.join(10)
        assert await relay.next() is None
        assert ended == [True]

    asyncio.run(take())


def test_a_voice_that_is_said_to_be_ready_is(monkeypatch):
    service, seen = Service(Settings(), lambda report: "a voice"), []
    monkeypatch.setattr(service, "_report", lambda stage: seen.append((stage.split()[0], service.voice)))
    service.load()
    assert seen == [("ready", "a voice")]


def test_a_relay_ends_whatever_fails(monkeypatch):
    def fail():
        raise KeyError("x")

    async def take():
        relay = Relay(lambda cancel: counted(1, [], threading.Event()), 9.0, fail)
        asyncio.get_running_loop().set_exception_handler(lambda *_: failures.append("at the end"))
        await relay.next()
        assert await asyncio.wait_for(relay.next(), 10) is None

        monkeypatch.setattr(threading.Thread, "start", lambda thread: fail())
        relay = Relay(lambda cancel: counted(1, [], threading.Event()), 9.0, lambda: ended.append(True))
        with pytest.raises(KeyError):
            await relay.next()
        relay.close()
        assert ended == [True] and await asyncio.wait_for(relay.next(), 10) is None

    ended, failures = [], []
    asyncio.run(take())
    assert failures == ["at the end"]


def test_a_request_is_counted_before_its_client_can_ask():
    """Nothing else runs in the event loop between the last byte and the count."""

    def numbers():
        value = service.metrics.requests.labels("/speech", "200", "complete")._value.get()
        return value, service.streams, service.waiting

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        if message["type"] == "http.response.body" and not message["more_body"]:
            asyncio.get_running_loop().call_soon(lambda: seen.append(numbers()))

    async def answer():
        made, closed = [], threading.Event()
        delivery = Delivery(service, lambda cancel: counted(3, made, closed), "audio/pcm", "note")
        await delivery({"type": "http", "path": "/speech"}, receive, send)
        await asyncio.sleep(0)

    service, seen = Service(Settings(), lambda report: None), []
    asyncio.run(answer())
    assert seen == [(1.0, 0, 0)]


def test_missing_packages_are_one_line(monkeypatch):
    check_packages()
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in [name for name in sys.modules if name.split(".")[0] in ("starlette", "uvicorn")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"needs .*starlette, uvicorn: pip install -r requirements-serve.txt"):
        check_packages()

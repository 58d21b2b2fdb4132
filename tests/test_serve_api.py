"""The API of the server as its users see it: the openai client, formats, events, lists. The voice is a stand-in."""

import base64
import io
import json

import numpy as np
import openai
import pytest
import soundfile
from live_server import SPEECH, live
from standin_voice import RATE, WORD, StandInVoice

from src.audio import from_pcm16, to_pcm16

TEXT = "Hello there. How are you"
WORDS = 5


@pytest.fixture(scope="module")
def server():
    with live(StandInVoice(speakers=["anna", "bert"])) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def whole(server, **options):
    return server.voice.speak(TEXT, **{"speaker": "anna", **options})[0]


def ask(server, **fields):
    return server.client.post(SPEECH, json={"input": TEXT, "model": "tts-1", "voice": "alloy", **fields})


@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "wav", "pcm"])
def test_the_openai_client_gets_each_format(client, server, name):
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format=name, extra_body={"seed": 7}
    ) as response:
        content = b"".join(response.iter_bytes())
        rate, kind = int(response.headers["x-sample-rate"]), response.headers["content-type"]
        assert "content-length" not in response.headers
    expected = whole(server, seed=7)
    if name == "pcm":
        assert rate == 24000 and kind == "audio/pcm; rate=24000; channels=1"
        wav = from_pcm16(np.frombuffer(content, "<i2"))
    else:
        wav, found = soundfile.read(io.BytesIO(content), dtype="float32")
        assert found == rate == (24000 if name == "opus" else RATE)
    samples = WORDS * WORD * rate / RATE
    # mp3 has silence around the sound, by which its encoder looks ahead; a resampler rounds.
    assert -2 <= len(wav) - samples <= (0.12 * rate if name == "mp3" else 2)
    if name in ("wav", "flac"):
        np.testing.assert_array_equal(to_pcm16(wav), to_pcm16(expected))
    elif name != "mp3":
        assert abs(np.square(wav).mean() / np.square(expected).mean() - 1) < 0.1


def test_the_default_is_mp3_as_with_openai(client):
    response = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert response.response.headers["content-type"] == "audio/mpeg"
    assert soundfile.info(io.BytesIO(response.read())).format == "MP3"


def test_a_wav_of_unknown_length(server):
    content = ask(server, response_format="wav").content
    assert content[4:8] == content[40:44] == b"\xff" * 4 and len(content) == 44 + 2 * WORDS * WORD


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_other_sampling_rates(server, rate):
    response = ask(server, response_format="wav", sample_rate=rate)
    wav, found = soundfile.read(io.BytesIO(response.content))
    assert found == rate and len(wav) == pytest.approx(WORDS * WORD * rate / RATE, abs=2)


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.5, 4])
def test_speed_changes_the_duration(server, speed):
    wav, _ = soundfile.read(io.BytesIO(ask(server, response_format="wav", speed=speed).content))
    assert len(wav) == round(WORDS * WORD / speed)


def test_events(server, client):
    response = ask(server, response_format="pcm", sample_rate=RATE, stream_format="sse")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"} and len(events) > WORDS
    assert events[-1]["type"] == "speech.audio.done" and events[-1]["usage"]["input_tokens"] == len(TEXT)
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert sound == to_pcm16(whole(server)).tobytes()
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=TEXT, stream_format="sse", instructions="Whisper."
    ) as answer:
        assert json.loads(list(answer.iter_lines())[-2].removeprefix("data: "))["type"] == "speech.audio.done"


def test_seeds_and_voices_differ(server):
    def said(**fields):
        return ask(server, response_format="pcm", sample_rate=RATE, **fields).content

    assert said(seed=1, voice="bert") == to_pcm16(whole(server, seed=1, speaker="bert")).tobytes()
    assert len({said(seed=1), said(seed=2), said(seed=1, voice="bert")}) == 3
    assert said(voice={"id": "bert"}) == said(voice="bert") and said(voice="anna") == said(voice="nova") == said()


def test_lists(server, client):
    assert [model.id for model in client.models.list()] == ["tacotron2"]
    assert server.client.get("/v1/audio/voices").json()["voices"] == ["anna", "bert"]
    assert server.client.get("/healthz").json() == {"status": "ready"}
    with live() as alone:
        assert alone.client.get("/v1/audio/voices").json()["voices"] == ["default"]
        assert ask(alone, voice="default").status_code == 200


def test_the_description_names_every_field_and_address(server):
    document = server.client.get("/openapi.json").json()
    fields = document["components"]["schemas"]["Speech"]["properties"]
    assert ask(server, **{name: None for name in fields if name != "input"}).status_code == 200
    assert document["openapi"].startswith("3.") and fields["response_format"]["enum"] == [
        "mp3",
        "opus",
        "flac",
        "wav",
        "pcm",
    ]
    for path, methods in document["paths"].items():
        assert server.client.request(next(iter(methods)), path).status_code in (200, 415), path


def test_metrics_count(server):
    def numbers():
        lines = server.client.get("/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    done = f'tts_requests_total{{ended="complete",path="{SPEECH}",status="200"}}'
    ask(server)
    for name in ("wav", "flac"):  # flac is sent when its thread has ended
        before = numbers()
        ask(server, response_format=name)
        after = numbers()
        assert after[done] == before[done] + 1
        spoken = after["tts_audio_seconds_total"] - before["tts_audio_seconds_total"]
        assert spoken == pytest.approx(WORDS * WORD / RATE)
        assert after["tts_first_sound_seconds_count"] == before["tts_first_sound_seconds_count"] + 1
        assert after["tts_requests_waiting"] == 0 == after["tts_requests_in_progress"]


@pytest.mark.parametrize(
    ("fields", "status", "param", "words"),
    [
        ({"input": ""}, 400, "input", "there is no text"),
        ({"input": " \n\t "}, 400, "input", "there is no text"),
        ({"input": None}, 400, "input", "there is no text"),
        ({"input": ["Hello."]}, 400, "input", "there is no text"),
        ({"input": "a" * 4097}, 400, "input", "4097 characters, at most 4096"),
        ({"input": "bell\a and \x00"}, 400, "input", "control characters: U+0007, U+0000"),
        ({"input": "half a \ud83d character"}, 400, "input", "control characters: U+D83D"),
        ({"input": "unspeakable"}, 400, "input", "nothing of 'unspeakable' can be spoken"),
        ({"model": "gpt-9"}, 404, "model", "there is no model 'gpt-9'"),
        ({"model": 1}, 400, "model", "must be a text"),
        ({"voice": "carla"}, 400, "voice", "there are anna, bert"),
        ({"voice": {"id": 3}}, 400, "voice", "name of a voice"),
        ({"response_format": "aac"}, 400, "response_format", "mp3, opus, flac, wav, pcm"),
        ({"response_format": ["wav"]}, 400, "response_format", "must be one of"),
        ({"stream_format": "json"}, 400, "stream_format", "audio, sse"),
        ({"speed": 0.2}, 400, "speed", "from 0.25 to 4"),
        ({"speed": float("nan")}, 400, "speed", "from 0.25 to 4"),
        ({"speed": True}, 400, "speed", "from 0.25 to 4"),
        ({"speed": "1"}, 400, "speed", "from 0.25 to 4"),
        ({"seed": -1}, 400, "seed", "whole number"),
        ({"seed": 2**32}, 400, "seed", "whole number"),
        ({"seed": 1.0}, 400, "seed", "whole number"),
        ({"sample_rate": 22049}, 400, "sample_rate", "8000"),
        ({"response_format": "opus", "sample_rate": 22050}, 400, "sample_rate", "8000, 16000, 24000, 48000"),
        ({"instructions": 5}, 400, "instructions", "a text"),
        ({"sped": 2}, 400, None, "unknown fields: 'sped'"),
    ],
)
def test_fields_that_cannot_be_used(server, fields, status, param, words):
    body = json.dumps({"input": TEXT, **fields})
    response = server.client.post(SPEECH, content=body, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert words in error["message"] and error["code"] and set(error) == {"message", "type", "param", "code"}


def test_the_openai_client_raises_its_own_errors(client):
    with pytest.raises(openai.BadRequestError, match=r"from 0\.25 to 4"):
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, speed=9)
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.audio.speech.create(model="tts-9", voice="alloy", input=TEXT)

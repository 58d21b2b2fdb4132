"""What a server survives: bad requests, clients that leave or do not read, too much at once, a voice that fails."""

import contextlib
import json
import re
import socket
import struct
import threading
import time

import pytest
from live_server import PATIENCE, SPEECH, live, send, until
from standin_voice import RATE, StandInVoice

from src.serving import connection as connections
from src.serving import delivery, request

JSON = {"Content-Type": "application/json"}
LONG = {"input": "word " * 800, "response_format": "pcm"}


@pytest.fixture(scope="module")
def server():
    with live() as server:
        yield server


def refused(response, status, words):
    error = response.json()["error"]
    assert (response.status_code, set(error)) == (status, {"message", "type", "param", "code"}), response.text
    assert words in error["message"] and "Traceback" not in error["message"]
    assert response.headers["x-content-type-options"] == "nosniff"
    return error


def works(server):
    response = server.client.post(SPEECH, json={"input": "Hello.", "response_format": "wav"})
    return response.status_code == 200 and len(response.content) > 44


def idle(server):
    """Wait until nothing is spoken or waits any more."""
    until(lambda: server.service.streams == server.service.waiting == server.voice.active == 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"text"', b"[" * 60000, b'{"seed": ' + b"1" * 9000 + b"}", b'{"input": "\xff\xfe"}'],
)
def test_what_is_no_json_object(server, body):
    assert refused(server.client.post(SPEECH, content=body, headers=JSON), 400, "JSON object in UTF-8")


def test_other_content_types(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        response = server.client.post(SPEECH, content=b'{"input": "a"}', headers={"Content-Type": kind})
        refused(response, 415, "application/json")


def test_ten_megabytes_are_refused_unread(server):
    large = b" " * 10_000_000
    refused(server.client.post(SPEECH, content=large, headers=JSON), 413, "too large")
    read = []

    def pieces():
        for _ in range(1000):
            read.append(1)
            yield large[:10_000]

    refused(server.client.post(SPEECH, content=pieces(), headers=JSON), 413, "too large")  # chunked: no length is known
    for length in ("9" * 30, "99999999999999999999"):
        with send(server.port, b"", f"Content-Length: {length}") as client:
            assert re.search(rb" 4(00|13) ", client.makefile("rb").readline())
    assert works(server)


def test_addresses_and_methods(server):
    for path in ("/favicon.ico", "/v1", "/v1/audio/speech/", "/../x", "/%2e%2e/etc/passwd", "/<script>"):
        refused(server.client.get(path), 404, "nothing at this address")
    error = refused(server.client.get(SPEECH), 405, "takes POST, not GET")
    assert error["code"] == "method_not_allowed" and server.client.get(SPEECH).headers["allow"] == "POST"
    refused(server.client.delete("/healthz"), 405, "not DELETE")
    refused(server.client.request("OPTIONS", SPEECH), 405, "not OPTIONS")  # no other site's page may ask


def test_what_is_hardly_http(server):
    for content, answer in (
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b""),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
            client.sendall(content)
            assert answer in client.makefile("rb").readline()
    assert works(server)


def test_half_open_connections_are_closed(monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_WITHIN", 2.0)
    monkeypatch.setattr(request, "BODY_WITHIN", 2.0)
    with live() as server:
        halves = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(20)]
        for half, content in zip(halves, 10 * [b"", b"GET / HTTP/1.1\r\nHost:"], strict=True):
            half.sendall(content)
        with send(server.port, b'{"input":', "Content-Length: 99") as late:
            assert works(server)  # nobody waits for them
            assert b"408" in late.makefile("rb").readline()
        for half in halves:
            with contextlib.suppress(ConnectionResetError):
                assert half.recv(100) == b""
            half.close()
        assert works(server)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", ["headers", "half a body", "the request", "some sound", "much sound"])
def test_clients_that_leave_at_every_stage(after, reset):
    with live(StandInVoice(delay=0.01)) as server:
        body = json.dumps(LONG).encode()
        part = {"headers": body[:0], "half a body": body[:100]}.get(after, body)
        client = send(server.port, part, f"Content-Length: {len(body)}")
        sound = {"some sound": 100, "much sound": 100_000}.get(after, 0)
        while sound > 0:
            sound -= len(client.recv(4096))
        if after == "the request":
            until(lambda: server.voice.active)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        idle(server)
        chunks = server.voice.chunks
        time.sleep(0.1)
        assert server.voice.chunks == chunks < 1600  # nobody speaks on for it
        assert works(server)


def test_one_who_leaves_while_the_voice_gives_nothing():
    with live(StandInVoice()) as server:
        client = send(server.port, {"input": "hang"})
        until(lambda: server.voice.active)
        client.close()
        until(lambda: "client left" in server.client.get("/metrics").text)
        assert works(server)


def test_a_full_queue_says_when_to_come_again():
    with live(StandInVoice(), max_waiting=2) as server:
        waiting = [send(server.port, {"input": "hang"}) for _ in range(2)]
        until(lambda: server.service.waiting == 2)
        response = server.client.post(SPEECH, json={"input": "Hello."})
        assert refused(response, 429, "too many requests")["code"] == "rate_limit_exceeded"
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert server.client.get("/healthz").status_code == 200
        assert f'{SPEECH}",status="429"}} 1.0' in server.client.get("/metrics").text
        for client in waiting:
            client.close()
        server.voice.close()
        idle(server)
        assert works(server)


def test_streams_that_are_being_sent_are_counted_too():
    with live(StandInVoice(), max_streams=1) as server:
        with send(server.port, {"input": "word hang", "response_format": "pcm"}) as client:
            client.recv(100)
            until(lambda: server.service.waiting == 0 and server.service.streams == 1)
            refused(server.client.post(SPEECH, json={"input": "Hello."}), 429, "too many requests")
            server.voice.close()
        idle(server)


def test_a_voice_that_gives_nothing_in_time():
    with live(StandInVoice(), timeout=2.0) as server:
        error = refused(server.client.post(SPEECH, json={"input": "hang"}), 504, "gave no sound for 2 s")
        assert error["type"] == "server_error"
        with send(server.port, {"input": "word hang", "response_format": "pcm"}) as client:  # too late for a status
            content = client.makefile("rb")
            assert b"200" in content.readline()
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := content.read1(65536):
                    received += piece
            assert not received.endswith(b"0\r\n\r\n")  # nobody takes it for the whole
        assert works(server)


def test_a_voice_that_fails(server, capfd):
    error = refused(server.client.post(SPEECH, json={"input": "fail secret", "response_format": "flac"}), 500, "log")
    assert error["code"] == "internal_error" and "secret" not in error["message"]
    with send(server.port, {"input": "word fail secret", "response_format": "pcm"}) as client:
        content = client.makefile("rb")
        assert b"200" in content.readline()
        with pytest.raises(ConnectionResetError):
            while content.read1(65536):
                pass
            raise ConnectionResetError  # or closed
    assert works(server)


def test_slow_readers_hold_nobody_up_and_are_dropped(monkeypatch):
    monkeypatch.setattr(delivery, "BUFFER", 2.0)
    with live(StandInVoice(), slow_reader_timeout=3.0) as server:
        text = {"input": "word " * 4000, "response_format": "wav", "sample_rate": 48000}
        text["input"] = text["input"][:4096]
        slow = []
        for _ in range(3):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            body = json.dumps(text).encode()
            head = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            slow.append(client)
        until(lambda: server.voice.active == 3)
        assert works(server)
        idle(server)
        assert server.voice.chunks < 3 * 1600 and "slow reader" in server.client.get("/metrics").text
        for client in slow:
            client.close()


def test_many_at_once_get_what_one_gets():
    with live(StandInVoice(delay=0.005)) as server:
        fields = {"input": "One two three. Four five.", "response_format": "pcm", "sample_rate": RATE}
        alone = [server.client.post(SPEECH, json={**fields, "seed": seed}).content for seed in range(16)]
        together = {}

        def ask(seed):
            together[seed] = server.client.post(SPEECH, json={**fields, "seed": seed}).content

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [together[seed] for seed in range(16)] == alone and len(set(alone)) == 16


def test_a_key():
    with live(api_key="s3cret") as server:
        text = {"json": {"input": "Hello.", "response_format": "wav"}}
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "é"},
        ):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            response = server.client.post(SPEECH, headers=encoded, **text)
            assert refused(response, 401, "key")["code"] == "invalid_api_key"
            assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/metrics", "/v1/models", "/v1/audio/voices"):
            refused(server.client.get(path), 401, "key")
        refused(server.client.post("/speak", **text), 401, "key")
        for path in ("/", "/healthz", "/facts", "/openapi.json"):
            assert server.client.get(path).status_code == 200
        assert server.client.post(SPEECH, headers={"Authorization": "Bearer s3cret"}, **text).status_code == 200


def test_small_pieces_are_sent_at_once(server):
    with send(server.port, b"", method="GET", path="/healthz") as client:
        client.recv(100)
        (accepted,) = [
            each for each in server.server.server_state.connections if each.client[1] == client.getsockname()[1]
        ]
        assert accepted.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_foreign_names_are_refused(server):
    foreign = ["evil.example", "localhost.evil.example", "192.168.0.1", "127.0.0.1.evil.example", "[::1", "a@b"]
    foreign += ["evil@127.0.0.1", "localhost@evil.example", "a:b@localhost:8000", "@127.0.0.1", "localhost:x"]
    for host in foreign:
        refused(server.client.get("/healthz", headers={"Host": host}), 403, "--allowed_hosts")
    for host in (f"127.0.0.1:{server.port}", "localhost", "LOCALHOST:1", "[::1]:8000"):
        assert server.client.get("/healthz", headers={"Host": host}).status_code == 200
    with live(allowed_hosts=("tts.example",)) as named:
        assert named.client.get("/healthz", headers={"Host": "tts.example"}).status_code == 200
        assert named.client.get("/healthz", headers={"Host": "tts.evil"}).status_code == 403


def test_warming_and_draining_are_503():
    ready, voice = threading.Event(), StandInVoice()

    def make_voice(report):
        report("compiling")
        ready.wait(60)
        return voice

    with live(voice, make_voice=make_voice) as server:
        until(lambda: server.client.get("/facts").json()["stage"] == "compiling")
        response = server.client.get("/healthz")
        assert refused(response, 503, "not ready yet (compiling)") and response.headers["retry-after"]
        refused(server.client.post(SPEECH, json={"input": "Hello."}), 503, "not ready yet")
        refused(server.client.get("/v1/models"), 503, "not ready yet")
        assert "tts_workers_ready 0.0" in server.client.get("/metrics").text
        ready.set()
        until(lambda: server.client.get("/healthz").status_code == 200)
        server.service.draining = True
        refused(server.client.get("/healthz"), 503, "about to end")

"""A page to try a voice: type a text, hear it, see its mel spectrogram and alignment, download the wav.

python scripts/demo_server.py --checkpoint x.ckpt
python scripts/demo_server.py --checkpoint x.ckpt --waveglow_checkpoint w.ckpt --port 8080

Threads answer requests. Only the main thread computes, one text after another, as MindSpore requires.
"""

import base64
import hashlib
import ipaddress
import json
import re
import socket
import sys
import threading
import traceback
import unicodedata
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src import runtime
from src.cli import CommandLine, run
from src.config import TextConfig, network_of
from src.errors import InputError, quote, some_of
from src.hub.card import choose_shipped
from src.models.factory import create_model
from src.runtime.interruption import Interruption
from src.synthesis.speech_queue import UNEXPECTED, Job, SpeechQueue
from src.synthesis.vocoder_flags import add_vocoder_flags, check_vocoder_flags, vocoder_for
from src.text import speakable_sentences

PAGE = Path(__file__).with_name("demo_page.html").read_text(encoding="utf-8")
LONGEST_TEXT = 1000  # characters
LARGEST_BODY = 16 * LONGEST_TEXT  # bytes; JSON takes at most 12 for a character
TYPES = {".png": "image/png", ".wav": "audio/wav"}
HASHES = {
    tag: hashlib.sha256(re.search(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)[1].encode()).digest()
    for tag in ("style", "script")
}
POLICY = [f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" for tag, digest in HASHES.items()]
POLICY += ["default-src 'none'", "connect-src 'self'", "img-src blob: data:", "media-src blob:"]
POLICY += ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
HEADERS = {
    "Content-Type": "application/json",
    "Content-Security-Policy": "; ".join(POLICY),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """The answer to a request that cannot be met: status, explanation, headers."""

    def __init__(self, status: HTTPStatus, explanation: str, **headers: str):
        super().__init__(status, explanation, headers)


class Server(ThreadingHTTPServer):
    """Listens from the start and answers from `serve_forever` on; `queue` and `facts` must be set before that."""

    daemon_threads, request_queue_size = True, 64
    queue: SpeechQueue
    facts: dict[str, str]  # of the voice

    def __init__(self, host: str, port: int):
        self.host, self.address_family = host, socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"cannot listen at {host}, port {port} ({reason}); choose another --port or --host"
            ) from error
        self.private = ipaddress.ip_address(self.server_address[0]).is_loopback

    def answers_to(self, host: str) -> bool:
        """Return whether a request may name `host`.

        Other names are refused: a foreign page could let its own name point to this server (DNS rebinding).
        """
        name = ""
        if "@" in host:  # what stands before it would be a user's name
            return False
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            return ipaddress.ip_address(name).is_loopback or not self.private
        return name in ("localhost", self.host, socket.gethostname())


class Handler(BaseHTTPRequestHandler):
    """One request, after which the connection is closed."""

    timeout = 30  # seconds without a byte
    server_version, sys_version = "demo_server", ""
    server: Server

    def _handle(self) -> None:
        try:
            self._check_source()
            self._route()
        except Refused as refused:
            status, explanation, headers = refused.args
            self._answer({"error": explanation}, status, headers)
        except OSError:
            return  # the client is gone, or too slow
        except Exception:
            traceback.print_exc()
            self._answer({"error": UNEXPECTED}, HTTPStatus.INTERNAL_SERVER_ERROR)
        self._drain()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _handle

    def _check_source(self) -> None:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if not self.server.answers_to(host):
            advice = "open it by the address that it printed"
            raise Refused(HTTPStatus.FORBIDDEN, f"this server does not go by the name {quote(host)}; {advice}")
        if origin is not None and origin.partition("//")[2] != host:
            raise Refused(HTTPStatus.FORBIDDEN, f"this server does not take requests from pages of {quote(origin)}")

    def _route(self) -> None:
        routes = {
            "/": {"GET": self._page},
            "/api/voice": {"GET": self._voice},
            "/api/speech": {"POST": self._add},
            r"/api/speech/([\w-]+)": {"GET": self._progress, "DELETE": self._stop},
            r"/api/speech/([\w-]+)(\.wav|\.png)": {"GET": self._file},
        }
        for pattern, methods in routes.items():
            if match := re.fullmatch(pattern, self.path.split("?")[0], re.ASCII):
                method = "GET" if self.command == "HEAD" else self.command
                if method not in methods:
                    allowed = ", ".join(methods)
                    explanation = f"this address takes {allowed}, not {self.command}"
                    raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, explanation, Allow=allowed)
                methods[method](*match.groups())
                return
        raise Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address; the page is at /")

    def _page(self) -> None:
        self._answer(PAGE.encode(), headers={"Content-Type": "text/html; charset=utf-8"})

    def _voice(self) -> None:
        self._answer(self.server.facts | {"longest_text": LONGEST_TEXT, "preparing": self.server.queue.preparing})

    def _add(self) -> None:
        wish = self._json()
        seed = wish.get("seed", 0)
        if type(seed) is not int or not 0 <= seed < 2**32:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "the seed must be a whole number from 0 to 4294967295")
        job = self.server.queue.add(speakable(wish.get("text"), self.server.queue.config.text), seed)
        if job is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many texts are waiting already; try again in a while")
        self._answer({"id": job.id}, HTTPStatus.ACCEPTED)

    def _job(self, name: str) -> Job:
        if job := self.server.queue.get(name):
            return job
        raise Refused(HTTPStatus.NOT_FOUND, "this text is not known here, or not any more")

    def _progress(self, name: str) -> None:
        job, queue = self._job(name), self.server.queue
        state = {key: getattr(job, key) for key in ("stage", "done", "total", "error", "result")}
        self._answer(state | {"ahead": queue.ahead(job), "preparing": queue.preparing})

    def _stop(self, name: str) -> None:
        self.server.queue.stop(self._job(name))
        self._answer({}, HTTPStatus.ACCEPTED)

    def _file(self, name: str, suffix: str) -> None:
        if content := self._job(name).files.get(suffix):
            self._answer(content, headers={"Content-Type": TYPES[suffix]})
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "this text is not spoken yet")

    def _json(self) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the request must state its length")
        if int(length) > LARGEST_BODY:
            explanation = f"a request of {length} bytes is too large, {LARGEST_BODY} are allowed"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, explanation)
        try:
            wish = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            wish = None
        del self.headers["Content-Length"]  # nothing is left to read
        if not isinstance(wish, dict):
            example = '{"text": "Hello world.", "seed": 0}'
            raise Refused(HTTPStatus.BAD_REQUEST, f"the request must be JSON such as {example}")
        return wish

    def _answer(
        self, content: dict[str, Any] | bytes, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in (HEADERS | {"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drain(self) -> None:
        """Read the rest of the request: if the connection closed before, the client would miss the answer."""
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            for _ in range(1000):  # of at most 64 kB
                if not self.rfile.read1(65536):
                    break

    def handle(self) -> None:
        """Answer, and end quietly if the client closes the connection."""
        with suppress(OSError):
            super().handle()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer requests that http.server itself refuses, such as malformed ones."""
        self._answer({"error": message or explain or HTTPStatus(code).phrase}, code)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: the terminal shows errors only."""


def speakable(text: object, config: TextConfig) -> str:
    """Return the text of a request without white space around it.

    Raises:
        Refused: it cannot be spoken; says why.
    """
    if not isinstance(text, str) or not text.strip():
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "there is no text; type what should be said")
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        explanation = f"the text has {len(text)} characters, at most {LONGEST_TEXT} are spoken at once"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, explanation)
    if control := [
        f"U+{ord(each):04X}"
        for each in dict.fromkeys(text)
        if unicodedata.category(each) in ("Cc", "Cs") and each not in "\t\r\n"
    ]:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"the text has control characters: {some_of(control)}")
    try:
        if speakable_sentences(text, config):
            return text
        raise InputError(f"nothing of {quote(text)} can be spoken; type some words")
    except InputError as error:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def main() -> None:
    """Parse the command line, load the voice, serve until Ctrl-C."""
    command = CommandLine(__doc__)
    command.add_argument("--checkpoint", type=Path, help="the network (default: the voice that hub_meta.md names)")
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 lets other machines in (default: 127.0.0.1)"
    )
    command.add_argument("--port", type=int, default=8000, help="port to listen at; 0 takes a free one (default: 8000)")
    add_vocoder_flags(command)
    arguments, overrides = command.parse()
    choose_shipped(arguments)
    check_vocoder_flags(arguments)
    server = Server(arguments.host, arguments.port)
    runtime.setup()
    net = create_model(checkpoint=arguments.checkpoint, overrides=overrides)
    if network_of(net.config).kind != "acoustic":
        raise InputError(f"{arguments.checkpoint}: is a {net.config.model.name}, which speaks no text")
    vocoder, names = vocoder_for(net, arguments)
    server.queue = SpeechQueue(net, vocoder)
    server.facts = {"checkpoint": arguments.checkpoint.name, "vocoder": names["vocoder"]}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = socket.gethostname() if arguments.host in ("0.0.0.0", "::") else arguments.host
    host = f"[{name}]" if ":" in name else name
    print(f"http://{host}:{server.server_port} is ready; Ctrl-C ends it", flush=True)
    if not server.private:
        print("warning: everyone who reaches this machine can use it; there is no password", file=sys.stderr)
    with Interruption() as interruption:
        server.queue.work(until=lambda: interruption.signal)
    server.shutdown()
    print("ended")


if __name__ == "__main__":
    run(main)

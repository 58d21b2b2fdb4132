"""Piper behind a small HTTP server, for scripts/benchmark_serve.py, which runs it in the Python that has Piper.

POST any path with {"input": text}: raw 16-bit samples, a chunk for each sentence as soon as Piper has made it, which is
as early as Piper gives it. `GET` answers 200 once the voice is loaded. Piper is under the GPL: it is measured here, and
no part of this project imports it.
"""

import importlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from piper import PiperVoice


class Handler(BaseHTTPRequestHandler):
    """A request; ONNX Runtime uses all cores for one sentence, so one is spoken at a time."""

    protocol_version = "HTTP/1.1"
    voice: PiperVoice
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Say that the server is ready."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Speak a text, sentence by sentence."""
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        self.send_response(200)
        self.send_header("X-Sample-Rate", str(self.voice.config.sample_rate))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sentences = iter(self.voice.synthesize(text))
        while True:
            with self.lock:
                chunk = next(sentences, None)
            if chunk is None:
                break
            content = chunk.audio_int16_bytes
            self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


def main() -> None:
    """Load the voice of the package that is named, print the port, serve."""
    package = importlib.import_module(sys.argv[1])
    Handler.voice = PiperVoice.load(str(next((Path(package.__file__).parent / "data").glob("*.onnx"))))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port} listens", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

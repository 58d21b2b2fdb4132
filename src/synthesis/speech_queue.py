"""A queue of texts: many threads add texts and ask how far they are; one thread speaks, as MindSpore requires."""

import math
import secrets
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import InputError
from src.models.tacotron2.model import Tacotron2
from src.synthesis.output import save
from src.synthesis.synthesis import Line, compile_generate, padded_length, synthesise
from src.synthesis.vocoder import Vocoder
from src.text import speakable_sentences

MOST_WAITING = 8  # texts
KEPT = 16  # finished texts
PATIENCE = 120  # seconds without a question until a text is given up; browsers let hidden pages ask once a minute
FINISHED = ("done", "failed", "stopped")
UNEXPECTED = "something went wrong; the server's terminal shows the error"
FIRST_TEXT = "This is the first sentence, which nobody will hear."


class Stopped(Exception):
    """The end of a job that nobody waits for any more."""


@dataclass
class Job:
    """A text to be spoken, its progress and its result."""

    text: str
    seed: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    stage: str = "waiting"  # then compiling, speaking, vocoder, drawing; at the end one of FINISHED
    done: int = 0  # sentences of this stage
    total: int = 0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)  # ".wav": the sound; ".png": mel and alignment
    asked: float = field(default_factory=time.monotonic)  # when its progress was last asked for
    stop: bool = False

    @property
    def unwanted(self) -> bool:
        """Return whether it was stopped, or nobody has asked for it for `PATIENCE` seconds."""
        return self.stop or time.monotonic() - self.asked > PATIENCE

    def report(self, stage: str, done: int, total: int) -> None:
        """Note the progress.

        Raises:
            Stopped: the job is unwanted.
        """
        if self.unwanted:
            raise Stopped
        self.stage, self.done, self.total = stage, done, total


class SpeechQueue:
    """The jobs: those that wait, the one being spoken, and the last finished ones.

    Args:
        net: used only by the thread that calls `work`.
        vocoder: makes the vocoder for a seed.
    """

    def __init__(self, net: Tacotron2, vocoder: Callable[[int], Vocoder]):
        self.config = net.config
        self.preparing = "speaks its first sentence"  # why texts wait, apart from other texts; empty if they do not
        self._net, self._vocoder = net, lru_cache(1)(vocoder)  # making a denoiser takes a while
        self._jobs: dict[str, Job] = {}  # oldest first
        self._changed, self._until = threading.Condition(), bool

    def add(self, text: str, seed: int) -> Job | None:
        """Add a text; returns None if too many are waiting. The oldest finished jobs are forgotten."""
        with self._changed:
            if len(self._waiting()) >= MOST_WAITING:
                return None
            finished = [job.id for job in self._jobs.values() if job.stage in FINISHED]
            for name in finished[: max(0, len(finished) - KEPT + 1)]:
                del self._jobs[name]
            job = Job(text, seed)
            self._jobs[job.id] = job
            self._changed.notify()
            return job

    def get(self, name: str) -> Job | None:
        """Return the job with this id, if it is known, and note that somebody asks for it."""
        with self._changed:
            if job := self._jobs.get(name):
                job.asked = time.monotonic()
            return job

    def ahead(self, job: Job) -> int:
        """Number of texts to be spoken before a job."""
        with self._changed:
            before = list(self._jobs.values())
            return sum(each.stage not in FINISHED for each in before[: before.index(job)]) if job in before else 0

    def stop(self, job: Job) -> None:
        """Stop a job: at once if it waits, otherwise after the current sentence."""
        with self._changed:
            job.stop = True
            self._waiting()

    def work(self, until: Callable[[], object]) -> None:
        """Speak a first sentence, so that everything is compiled once; then speak what is added.

        While no text waits, compile for sentences of other lengths.

        Args:
            until: called before each sentence, and every second while nothing is computed; a true result ends the work.

        Raises:
            InputError: the network's output cannot be used.
        """
        self._until = until
        if speakable_sentences(FIRST_TEXT, self.config.text):  # not in every alphabet
            with suppress(Stopped):
                self._speak(Job(FIRST_TEXT, 0, asked=math.inf))
        lengths = sorted({padded_length(n) for n in range(1, self.config.text.max_sentence_length + 1)})
        while not until():
            self.preparing = ""
            if job := self._next(0 if lengths else 1):
                self._attempt(job)
            elif lengths:
                self.preparing = f"compiles for sentences of up to {lengths[0]} symbols"
                compile_generate(self._net, 1, lengths.pop(0))

    def _next(self, seconds: float) -> Job | None:
        """Return the job that has waited longest; None if there is none within `seconds`."""
        with self._changed:
            if seconds and not self._waiting():
                self._changed.wait(seconds)
            for job in self._waiting()[:1]:
                job.stage = "compiling"
                return job
            return None

    def _waiting(self) -> list[Job]:
        waiting = [job for job in self._jobs.values() if job.stage == "waiting"]
        for job in waiting:
            if job.unwanted:
                job.stage = "stopped"
        return [job for job in waiting if job.stage == "waiting"]

    def _attempt(self, job: Job) -> None:
        try:
            self._speak(job)
            job.stage = "done"
        except Stopped:
            job.stage = "stopped"
        except InputError as error:
            job.error, job.stage = str(error), "failed"
        except Exception:  # the next text may work
            traceback.print_exc()
            job.error, job.stage = UNEXPECTED, "failed"

    def _speak(self, job: Job) -> None:
        """Speak one sentence at a time, which takes few graphs and shows the progress sentence by sentence."""
        vocoder, calls = self._vocoder(job.seed), count(-1)

        def report(stage: str, done: int, total: int) -> None:
            if self._until():
                raise Stopped
            job.report(stage, done, total)

        def reporting(mel: np.ndarray) -> np.ndarray:
            if (done := next(calls)) >= 0:  # the first call only warms the vocoder up
                report("vocoder", done, job.total)
            return vocoder(mel)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            (utterance,) = synthesise(self._net, [Line(1, job.text)], reporting, job.seed, batch_size=1, report=report)
        report("drawing", job.total, job.total)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # characters that the picture's font lacks
            row = save(utterance, Path(folder), "speech", self.config)
            job.files = {suffix: Path(folder, f"speech{suffix}").read_bytes() for suffix in (".wav", ".png")}
        ours = Path(__file__).parents[1]  # src; warnings of other packages are not for users
        notes = dict.fromkeys(str(each.message) for each in caught if Path(each.filename).is_relative_to(ours))
        settings = {"seed": job.seed, "max_decoder_steps": self.config.model.max_decoder_steps, "notes": list(notes)}
        job.result = {name: row[name] for name in ("text", "seconds", "real_time_factor", "sentences")} | settings

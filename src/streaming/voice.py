"""A voice that many threads may speak with: whole texts, or chunks of sound while the text is still being spoken.

One thread of the voice runs the acoustic network for all texts at once, sentence by sentence. The vocoder follows, in
threads of its own where the runtime allows several.
"""

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np

from src.audio import limit_peaks, silent_mel
from src.errors import InputError, diverged, quote
from src.export.inference import Tacotron2Files
from src.models.sampling import item_seed
from src.streaming.batch import Sentence, SpeechBatch, Steps
from src.streaming.refining import MelRefiner
from src.streaming.request import Part, Request, VocoderStream, speaker_number
from src.text import speakable_sentences

BLOCK = 10  # decoder steps between which sentences join and leave
LONGEST_BLOCK = 10.0  # seconds, many times more than one takes


class Voice:
    """An acoustic network and a vocoder. Use it from any thread, and `close` it at the end, or use `with`.

    Args:
        net: the acoustic network in parts.
        vocoder: begins the vocoder for a sentence, from the seed of the text.
        n_places: sentences that are spoken at once; further texts wait.
        vocoder_threads: threads of the vocoder; 0 runs it in the thread of the network.
        speakers: number of each voice by its name, of several.
        close: ends what the vocoder has started.
    """

    def __init__(
        self,
        net: Tacotron2Files,
        vocoder: Callable[[int], VocoderStream],
        n_places: int = 4,
        vocoder_threads: int = 0,
        speakers: list[str] | None = None,
        close: Callable[[], None] | None = None,
    ):
        self.config, self.vocoder, self._close_vocoder = net.config, vocoder, close
        self.sample_rate = net.config.audio.sample_rate
        self.speakers = speakers or []
        self._net, self._batch = net, SpeechBatch(net, n_places, BLOCK)
        self._pool = ThreadPoolExecutor(vocoder_threads, "vocoder") if vocoder_threads else None
        self._requests: list[Request] = []
        self._changed = threading.Condition()
        self._closed = self._closing = False
        self._began: float | None = None  # when the thread of the voice began the block that it is at
        self._thread = threading.Thread(target=self._work, name="voice", daemon=True)
        self._thread.start()
        # A thread that Python ends in the middle of a runtime's work would abort the process.
        atexit.register(_stop_at_exit, weakref.ref(self))

    def speak(self, text: str, seed: int = 0, speaker: str | int | None = None) -> tuple[np.ndarray, int]:
        """Speak a text.

        Args:
            text: any number of sentences.
            seed: of the prenet's dropout and of the vocoder; the same seed gives the same sound.
            speaker: name or number of the voice, of several.

        Returns:
            The waveform, float32 [samples] within [-1, 1], and its sample rate in Hz.

        Raises:
            InputError: nothing of the text can be spoken, there is no such speaker, or the network's output is not
                finite.
        """
        return np.concatenate(list(self.stream(text, seed, speaker))), self.sample_rate

    def stream(
        self, text: str, seed: int = 0, speaker: str | int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[np.ndarray]:
        """Speak a text in chunks, float32 [samples], which joined are what `speak` returns; arguments as there.

        Closing the iterator ends the work on the text. So does `cancel`, which any thread may set, also while the
        iterator waits.
        """
        for part in self.stream_parts(text, seed, speaker, cancel):
            if len(part.wav):
                yield part.wav

    def stream_parts(
        self, text: str, seed: int = 0, speaker: str | int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Part]:
        """Speak a text as `stream` does, in chunks with their mel and alignment."""
        pieces = speakable_sentences(text, self.config.text)
        if not pieces:
            raise InputError(f"nothing of {quote(text)} can be spoken")
        request = Request(pieces, seed, speaker_number(speaker, self.config, self.speakers), self.config)
        with self._changed:
            if self._closed:
                raise RuntimeError("the voice is closed")
            self._requests.append(request)
            self._changed.notify()
        try:
            while (part := request.take(cancel)) is not None:
                if isinstance(part, BaseException):
                    raise part
                with request.lock:
                    request.ahead -= len(part.wav)
                if request.next < len(request.texts):
                    with self._changed:
                        self._changed.notify()
                yield part
        finally:
            request.cancelled = True
            with self._changed:
                self._changed.notify()

    @property
    def failed(self) -> bool:
        """Return whether the runtime has failed, so that nothing can be spoken any more."""
        return self._closed and not self._closing

    @property
    def seconds_stuck(self) -> float:
        """Return for how long the thread of the voice has been at one block; more than a few: it hangs."""
        began = self._began
        return time.monotonic() - began if began is not None else 0.0

    def close(self) -> None:
        """End the threads; texts that are being spoken end with an error."""
        self._stop()
        if self._pool:
            self._pool.shutdown()
        if self._close_vocoder:
            self._close_vocoder()

    def __enter__(self) -> "Voice":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _stop(self, timeout: float | None = None) -> None:
        """End the thread of the voice, after the block that it is at."""
        with self._changed:
            self._closed = self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    # What follows runs in the thread of the voice.

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    self._began = None
                    self._changed.wait_for(self._has_work)
                    self._began = time.monotonic()
                    if self._closed:
                        break
                    requests = list(self._requests)
                for request in requests:
                    self._forget_if_done(request)
                waiting = [request for request in self._requests if request.waits]
                for request in waiting[: self._batch.n_free]:
                    self._guard(request, self._begin, request)
                if self._batch.n_free < self._batch.n_places:
                    self._advance()
            error: BaseException = RuntimeError("the voice was closed")
        except BaseException as failure:  # not of one text: the runtime itself
            error = failure
        with self._changed:
            self._closed = True
            for request in self._requests:
                request.parts.put(error)

    def _has_work(self) -> bool:
        return (
            self._closed
            or self._batch.n_free < self._batch.n_places
            or any(request.waits or request.cancelled for request in self._requests)
        )

    def _forget_if_done(self, request: Request) -> None:
        if request.cancelled and request.sentence:
            self._batch.leave(request.sentence)
            request.sentence = None
        if request.cancelled or (request.next == len(request.texts) and request.sentence is None):
            with self._changed:
                self._requests.remove(request)

    def _guard(self, request: Request, function: Callable[..., None], *arguments: object) -> None:
        """Call a function; an error ends the request."""
        try:
            function(*arguments)
        except Exception as error:
            request.cancelled = True
            request.parts.put(error)

    def _begin(self, request: Request) -> None:
        number = request.next
        request.next += 1
        if number:
            self._pause(request, number)
        ids = request.ids[number, : request.lengths[number]]
        request.refiner, request.vocoder = MelRefiner(self._net), self.vocoder(request.seed)
        sentence = Sentence(ids, item_seed(request.seed, number), request.speaker)
        self._batch.join(sentence)
        request.sentence = sentence
        with self._changed:  # behind those that wait, so that all take turns
            self._requests.remove(request)
            self._requests.append(request)

    def _pause(self, request: Request, number: int) -> None:
        audio = self.config.audio
        n_frames = round(self.config.text.sentence_pause * audio.sample_rate / audio.hop_length)
        silence, mel = np.zeros(n_frames * audio.hop_length, np.float32), silent_mel(n_frames, audio)
        part = Part(silence, mel, np.zeros((0, request.lengths[number]), np.float32), number, [], None)
        self._vocode(request, lambda: self._put(request, part))

    def _advance(self) -> None:
        """Run a block for all sentences, and hand on what they got."""
        owners = {request.sentence: request for request in self._requests if request.sentence}
        for sentence, steps in self._batch.run().items():
            request = owners[sentence]
            if steps.stop_reason:
                request.sentence = None
            self._guard(request, self._hand_on, request, request.next - 1, steps)

    def _hand_on(self, request: Request, number: int, steps: Steps) -> None:
        if not np.isfinite(steps.mel).all():
            raise diverged(f"the network's output for {quote(request.texts[number])} is not finite")
        mel = request.refiner.push(steps.mel, bool(steps.stop_reason))
        vocoder, symbols = request.vocoder, request.symbols(number)

        def vocode() -> None:
            wav = vocoder.push(mel)
            if steps.stop_reason:
                wav = np.concatenate((wav, vocoder.finish()))
            if not np.isfinite(wav).all():
                raise diverged("the vocoder's output is not finite")
            part = Part(limit_peaks(wav), mel, steps.alignment, number, symbols, steps.stop_reason)
            self._put(request, part)
            if steps.stop_reason and number == len(request.texts) - 1:
                request.parts.put(None)

        self._vocode(request, vocode)

    def _put(self, request: Request, part: Part) -> None:
        with request.lock:
            request.ahead += len(part.wav)
        request.parts.put(part)

    def _vocode(self, request: Request, job: Callable[[], None]) -> None:
        """Run a job of the vocoder after the earlier ones of its request, at once or in the pool."""
        if not self._pool:
            job()
            return
        with request.lock:
            request.jobs.append(job)
            is_first = len(request.jobs) == 1
        if is_first and not self._submit(request):
            self._run_jobs(request)

    def _submit(self, request: Request) -> bool:
        try:
            self._pool.submit(self._run_jobs, request)
        except RuntimeError:  # Python ends, or the pool was closed
            return False
        return True

    def _run_jobs(self, request: Request) -> None:
        """Run the next job of a request in the pool, and come back for the one after it, so that all take turns."""
        while True:
            if not request.cancelled:
                self._guard(request, request.jobs[0])
            with request.lock:
                request.jobs.pop(0)
                more = bool(request.jobs)
            if not more or self._submit(request):
                return


def _stop_at_exit(reference: "weakref.ref[Voice]") -> None:
    """End the thread of a voice that is still there when Python ends; one that hangs is left alone."""
    if voice := reference():
        voice._stop(LONGEST_BLOCK)

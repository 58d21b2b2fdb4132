"""A text on its way through a voice: its sentences, its parts that wait to be taken, and the vocoder's work on it."""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from src.config import Config
from src.errors import InputError, quote
from src.streaming.batch import Sentence
from src.streaming.refining import MelRefiner
from src.text import encode_texts

PATIENCE = 0.05  # seconds between two looks at the event that cancels
MOST_AHEAD = 30.0  # seconds of sound that nobody has taken yet; then a text waits


class Part(NamedTuple):
    """A piece of speech."""

    wav: np.ndarray  # float32 [samples], possibly none
    mel: np.ndarray  # float32 [n_mels, frames], new since the last part
    alignment: np.ndarray  # float32 [steps, symbols], likewise
    sentence: int  # of the text, from 0
    symbols: list[str]  # that the network reads
    stop_reason: str | None  # when the sentence has ended: "gate", "attention" or "max_decoder_steps"


class VocoderStream(Protocol):
    """A vocoder at work on one sentence."""

    def push(self, mel: np.ndarray) -> np.ndarray:
        """Take the next frames [n_mels, n]. Returns the samples that are ready, float32."""

    def finish(self) -> np.ndarray:
        """End the sentence. Returns the samples that are left."""


class WholeMel:
    """The `VocoderStream` of a vocoder that needs the whole mel of a sentence."""

    def __init__(self, vocoder: Callable[[np.ndarray], np.ndarray]):
        self.vocoder, self.pieces = vocoder, []

    def push(self, mel: np.ndarray) -> np.ndarray:
        """Keep the frames."""
        self.pieces.append(mel)
        return np.zeros(0, np.float32)

    def finish(self) -> np.ndarray:
        """Speak all frames."""
        return self.vocoder(np.concatenate(self.pieces, 1))


class Request:
    """A text on its way."""

    def __init__(self, texts: list[str], seed: int, speaker: int | None, config: Config):
        self.texts, self.seed, self.speaker, self.config = texts, seed, speaker, config
        self.ids, self.lengths = encode_texts(texts, config)
        self.parts: queue.SimpleQueue[Part | BaseException | None] = queue.SimpleQueue()
        self.next = 0  # sentence
        self.cancelled = False
        self.lock = threading.Lock()
        self.ahead = 0  # samples that nobody has taken yet
        self.jobs: list[Callable[[], None]] = []  # of the vocoder, in order; the first one runs
        self.sentence: Sentence | None = None  # in the batch
        self.refiner: MelRefiner | None = None
        self.vocoder: VocoderStream | None = None

    def take(self, cancel: threading.Event | None) -> Part | BaseException | None:
        """Wait for the next part, an error, or None: no more will come, or `cancel` is set."""
        while cancel is not None:
            try:
                return self.parts.get(timeout=PATIENCE)
            except queue.Empty:
                if cancel.is_set():
                    return None
        return self.parts.get()

    @property
    def waits(self) -> bool:
        """Return whether a sentence may join the batch."""
        is_ahead = self.ahead > MOST_AHEAD * self.config.audio.sample_rate
        return self.sentence is None and self.next < len(self.texts) and not is_ahead

    def symbols(self, sentence: int) -> list[str]:
        """Return the symbols of a sentence, as the network reads them."""
        table = self.config.text.symbols
        return [table[symbol] for symbol in self.ids[sentence, : self.lengths[sentence]]]


def speaker_number(speaker: str | int | None, config: Config, names: list[str]) -> int | None:
    """Return the number of a speaker, who is given by name or number; None: the first.

    Raises:
        InputError: the network has one voice only, or no such voice.
    """
    if speaker is None:
        return None
    n_speakers = config.model.n_speakers
    if n_speakers == 1:
        raise InputError(f"speaker {quote(str(speaker))}: this network has one voice only")
    if speaker in names:
        return names.index(speaker)
    if str(speaker).isdecimal() and int(speaker) < n_speakers:
        return int(speaker)
    raise InputError(f"speaker {quote(str(speaker))}: this network has no such voice")

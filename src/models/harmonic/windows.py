"""Speech in windows of a fixed number of frames, of a mel that is there as a whole or still being made.

All windows have one shape, so one graph speaks mels of any length, and the sound does not depend on how the mel was cut
into pieces. It needs no MindSpore.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

WINDOW = 64  # frames that are computed at once
CONTEXT = 12  # of them on each side, that the network and the correction look at: their reach is up to 12
FIRST = 20  # frames that the first window speaks, fewer than the others, so that speech begins early
REACH = 4  # frames beside the sound that a window gives, over which it is corrected to the mel too
CROSSFADE = 2  # frames before and behind the border of two windows, in which one fades into the other


class Window(NamedTuple):
    """The inputs of a window."""

    mel: np.ndarray  # float32 (1, n_mels, WINDOW)
    noise: np.ndarray  # float32 (1, WINDOW * hop_length)
    start: np.ndarray  # float32 (1, 1): phase of the pulses in cycles, at frame `anchor`
    anchor: np.ndarray  # int32 (1,): a frame of the window


# Speaks a window and corrects some of its frames: float32 (1, WINDOW * hop_length), and the phase of the pulses at each
# frame (1, WINDOW).
SpeakWindow = Callable[[Window, slice], tuple[np.ndarray, np.ndarray]]


class HarmonicStream:
    """The sound of one mel by the harmonic vocoder, window by window. `push` takes frames, `finish` ends the mel.

    The pulses of a window go on in the phase of the window before. Frames before the first one and behind the last one
    repeat it, so that the ends sound as if speech went on.

    Args:
        speak: computes a window.
        draw: takes a number of samples, and returns as many of the noise, float32; each call goes on behind the last.
        start: phase of the pulses at the first frame, in cycles.
        sigma: standard deviation of the noise; by default 1.
    """

    def __init__(
        self,
        speak: SpeakWindow,
        draw: Callable[[int], np.ndarray],
        start: float,
        hop_length: int,
        sigma: float | None = None,
    ):
        self.speak, self.draw, self.hop_length = speak, draw, hop_length
        self.sigma = np.float32(1.0 if sigma is None else sigma)
        self.mel: np.ndarray | None = None  # (n_mels, frames), from frame FIRST + CONTEXT - WINDOW on
        self.noise = np.zeros(0, np.float32)  # of the same frames
        self.first = FIRST + CONTEXT - WINDOW  # frame of the beginning of both
        self.end = 0  # frame up to which windows have spoken
        self.length = 0  # frames that have been pushed
        self.phase = np.float32(start)  # at `end`
        self.tail: np.ndarray | None = None  # samples around `end`, which fade out
        rising = (np.arange(2 * CROSSFADE * hop_length, dtype=np.float32) + 0.5) / (2 * CROSSFADE * hop_length)
        self.rising = rising.astype(np.float32)

    def push(self, mel: np.ndarray) -> np.ndarray:
        """Take the next frames [n_mels, n]. Returns the samples that are ready, float32."""
        if mel.shape[1] == 0:
            return np.zeros(0, np.float32)
        if self.mel is None:
            self.mel = np.repeat(mel[:, :1], -self.first, 1)
        self.mel = np.concatenate((self.mel, mel), 1).astype(np.float32)
        self.length += mel.shape[1]
        ready = []
        while self._next_end() + CONTEXT <= self.length:
            ready.append(self._window(self._next_end(), last=False))
        return np.concatenate(ready) if ready else np.zeros(0, np.float32)

    def finish(self) -> np.ndarray:
        """End the mel. Returns the samples that are left, so that all calls have given length * hop_length."""
        if self.mel is None:
            return np.zeros(0, np.float32)
        self.mel = np.concatenate((self.mel, np.repeat(self.mel[:, -1:], WINDOW, 1)), 1)
        left, ready = self.length - self.end, []
        if left > WINDOW - 2 * CONTEXT:
            ready.append(self._window(self.end + left // 2, last=False))
        ready.append(self._window(self.length, last=True))
        return np.concatenate(ready)

    def _next_end(self) -> int:
        return self.end + WINDOW - 2 * CONTEXT if self.end else FIRST

    def _window(self, end: int, last: bool) -> np.ndarray:
        """Speak up to frame `end`, and return what no later window changes."""
        hop, begin = self.hop_length, self.end
        low = max(end + CONTEXT - WINDOW, self.first)
        lacking = (low + WINDOW - self.first) * hop - len(self.noise)
        self.noise = np.concatenate((self.noise, self.sigma * self.draw(lacking)))
        keep = low - self.first
        self.mel, self.noise, self.first = self.mel[:, keep:], self.noise[keep * hop :], low
        window = Window(
            np.ascontiguousarray(self.mel[None, :, :WINDOW]),
            self.noise[None, : WINDOW * hop],
            self.phase.reshape(1, 1),
            np.array([begin - low], np.int32),
        )
        first = begin - low - (CROSSFADE if self.tail is not None else 0)
        behind = end - low + (0 if last else CROSSFADE)
        audio, phase = self.speak(window, slice(max(0, first - REACH), min(WINDOW, behind + REACH)))
        wav = audio[0, first * hop : behind * hop].copy()
        if self.tail is not None:
            fading = len(self.rising)
            wav[:fading] = wav[:fading] * self.rising + self.tail
        self.end, self.phase = end, phase[0, end - low]
        if last:
            return wav
        fading = len(self.rising)
        self.tail = wav[-fading:] * (1 - self.rising)
        return wav[:-fading]


def speak_whole(stream: HarmonicStream, mel: np.ndarray) -> np.ndarray:
    """Speak a whole mel [n_mels, frames]: float32 [frames * hop_length]."""
    return np.concatenate((stream.push(mel), stream.finish()))


def given_noise(noise: np.ndarray, hop_length: int) -> Callable[[int], np.ndarray]:
    """`draw` of a `HarmonicStream` for the noise of a whole mel [frames * hop_length], mirrored beyond its ends."""
    before = (WINDOW - FIRST - CONTEXT) * hop_length
    padded = np.pad(noise, (before, WINDOW * hop_length), mode="reflect").astype(np.float32)
    position = 0

    def draw(n_samples: int) -> np.ndarray:
        nonlocal position
        position += n_samples
        return padded[position - n_samples : position]

    return draw

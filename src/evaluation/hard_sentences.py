"""Sentences that are hard to speak: how each one ended, and whether it ran on or was left unread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from src.models.tacotron2.stopping import STOP_REASONS, severity
from src.synthesis.lines import find_runaways
from src.synthesis.synthesis import Line
from src.text import speakable_sentences, spoken_text

if TYPE_CHECKING:
    from src.streaming.voice import Voice

UNREAD = 3  # symbols at the end that attention need not have reached: marks, and the last sound


class Spoken(NamedTuple):
    """A sentence of a line as it was spoken."""

    line: int  # number in the file, from 1
    text: str
    spoken: str  # the text in words, with letters apart, as the network's cleaner gives it
    stop_reason: str  # "gate", "attention" or "max_decoder_steps"
    seconds: float  # of sound
    alignment_score: float  # mean over decoder steps of the largest attention weight
    unread: int  # symbols behind the last one that any decoder step attended to most


def speak_lines(voice: Voice, lines: Sequence[Line], seed: int = 0, at_once: int = 4) -> Iterator[list[Spoken]]:
    """Speak lines, `at_once` at a time, and yield the sentences of each in order; none if nothing can be spoken.

    Each line has the same `seed`, so its speech is that of `Voice.speak`, whatever is spoken beside it.

    Raises:
        InputError: the network's output is not finite.
    """
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda line: _speak(voice, line, seed), lines)


def report(sentences: Sequence[Spoken]) -> dict[str, Any]:
    """Count the ends of sentences.

    Returns:
        sentences, lines, seconds: amount of speech.
        stop_reasons: number of sentences by reason.
        stopped_by_attention, cut_off: the sentences that did not end by their gate; `cut_off` by max_decoder_steps.
        runaways: sentences of more than three times the median seconds per character as spoken, see `find_runaways`.
        unfinished: sentences that ended with more than three symbols unread.
        alignment_score: mean over sentences.

    Raises:
        ValueError: there are no sentences.
    """
    if not sentences:
        raise ValueError("nothing was spoken")
    reasons = Counter(each.stop_reason for each in sentences)
    slow = find_runaways([each.spoken for each in sentences], [each.seconds for each in sentences])
    return {
        "lines": len({each.line for each in sentences}),
        "sentences": len(sentences),
        "seconds": sum(each.seconds for each in sentences),
        "stop_reasons": {reason: reasons[reason] for reason in sorted(STOP_REASONS, key=severity)},
        "stopped_by_attention": [_row(each) for each in sentences if each.stop_reason == "attention"],
        "cut_off": [_row(each) for each in sentences if each.stop_reason == "max_decoder_steps"],
        "runaways": [_row(sentences[i]) for i in slow],
        "unfinished": [_row(each) for each in sentences if each.unread > UNREAD],
        "alignment_score": float(np.mean([each.alignment_score for each in sentences])),
    }


def _speak(voice: Voice, line: Line, seed: int) -> list[Spoken]:
    texts = speakable_sentences(line.text, voice.config.text)
    parts = list(voice.stream_parts(line.text, seed)) if texts else []
    spoken = []
    for number, text in enumerate(texts):
        own = [part for part in parts if part.sentence == number and part.symbols]  # a pause has no symbols
        alignment = np.concatenate([part.alignment for part in own])  # (steps, symbols)
        spoken.append(
            Spoken(
                line.number,
                text,
                spoken_text(text, voice.config),
                next(part.stop_reason for part in own if part.stop_reason),
                sum(len(part.wav) for part in own) / voice.sample_rate,
                float(alignment.max(1).mean()),
                alignment.shape[1] - 1 - int(alignment.argmax(1).max()),
            )
        )
    return spoken


def _row(spoken: Spoken) -> dict[str, Any]:
    return spoken._asdict()

"""The lines of eval.py: which can be spoken, their files, and what is unusual about them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.config import Config
from src.errors import some_of
from src.files import write_json
from src.synthesis.output import remove_results, save
from src.synthesis.synthesis import Line, Utterance, synthesise
from src.synthesis.vocoder import Vocoder
from src.text import speakable_sentences, unknown_words
from src.text.cleaners import english_cleaners

if TYPE_CHECKING:
    from src.export.inference import Tacotron2Files
    from src.models.tacotron2.model import Tacotron2

LONGEST_PACE = 3.0  # times the median
SHORTEST_TEXT = 5  # characters; a shorter text counts as this long, since the name of a letter takes as long as a word


def find_runaways(texts: Sequence[str], seconds: Sequence[float]) -> list[int]:
    """Indices of texts that take more than three times the median seconds per character, probably babble.

    Characters are counted in the text as spoken (numbers in words), at least 5.
    """
    paces = np.array(seconds) / [max(SHORTEST_TEXT, len(english_cleaners(text).strip())) for text in texts]
    return np.flatnonzero(paces > LONGEST_PACE * np.median(paces)).tolist()


def with_sound(lines: list[Line], config: Config, text_file: Path) -> list[Line]:
    """The lines in which something can be spoken; as they are if there is none, for an error to name the first."""
    silent = [line.number for line in lines if not speakable_sentences(line.text, config.text)]
    if 0 < len(silent) < len(lines):
        print(
            f"{text_file}: nothing can be spoken of these lines, they are left out: {some_of(silent, 5)}",
            file=sys.stderr,
        )
        return [line for line in lines if line.number not in silent]
    return lines


def speak_lines(
    net: Tacotron2 | Tacotron2Files, lines: list[Line], vocoder: Vocoder, output_dir: Path, facts: dict[str, Any]
) -> None:
    """Speak lines into a folder, one wav each, with `summary.json`, and say what is unusual about them.

    Args:
        facts: entries of the summary about the run.

    Raises:
        InputError: as `synthesise`, or the folder cannot be written.
    """
    audio = net.config.audio
    width = max(4, len(str(lines[-1].number)))
    rows, seconds, cut, began = [], 0.0, [], time.perf_counter()
    for utterance in synthesise(net, lines, vocoder, facts["seed"], progress=True):
        if not rows:
            remove_results(output_dir)
        rows.append(save(utterance, output_dir, f"{utterance.line.number:0{width}}", net.config))
        seconds += utterance.seconds
        cut += _cut_off(utterance)
    spoken = sum(row["seconds"] for row in rows)
    whole = {"seconds": spoken, "real_time_factor": seconds / spoken, "elapsed_seconds": time.perf_counter() - began}
    letters = list(dict.fromkeys(word for line in lines for word in unknown_words(line.text, net.config)))
    whole |= {"words_spoken_as_letters": letters}
    write_json(output_dir / "summary.json", {**facts, "sample_rate": audio.sample_rate, **whole, "lines": rows})
    if letters:
        print(f"note: not in the dictionary, spoken as letters are read: {some_of(letters, 10)}", file=sys.stderr)
    if loud := [f"line {row['line']}" for row in rows if row["peak"] > 1]:
        print(f"note: louder than full scale, peaks were limited: {some_of(loud, 5)}", file=sys.stderr)
    slow = [
        f"line {rows[i]['line']}"
        for i in find_runaways([row["text"] for row in rows], [row["seconds"] for row in rows])
    ]
    if slow:
        print(
            f"warning: took more than 3 times the median seconds per character, it may babble: {some_of(slow, 5)}",
            file=sys.stderr,
        )
    if cut:
        limit = net.config.model.max_decoder_steps
        print(f"warning: did not end before model.max_decoder_steps ({limit}): {some_of(cut, 5)}", file=sys.stderr)
    speed = f"{spoken:.1f} s of speech at {whole['real_time_factor']:.2f} x real time"
    print(f"{output_dir}: {len(rows)} wav, {speed}, see summary.json")


def _cut_off(utterance: Utterance) -> list[str]:
    """Return the line's name for a warning if sentences of it were cut off by max_decoder_steps."""
    n_sentences, n_cut = (
        len(utterance.sentences),
        sum(each.stop_reason == "max_decoder_steps" for each in utterance.sentences),
    )
    if n_cut == 0:
        return []
    return [f"line {utterance.line.number}" + (f" ({n_cut} of {n_sentences} sentences)" if n_sentences > 1 else "")]

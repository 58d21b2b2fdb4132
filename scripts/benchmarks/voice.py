"""Measurements of scripts/benchmark_voice.py: two programs that speak the same sentences in turn."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks.process import Worker
from benchmarks.report import Row
from src.audio import load_wav
from src.evaluation.metrics import analyse, compare, difference_numbers, pesq_wideband
from src.evaluation.recognition import Recogniser, error_rate_interval, word_errors, words

OURS, PIPER = "ours", "Piper"
Commands = dict[str, list[str]]


class Speech(NamedTuple):
    """Times of one text, in seconds."""

    seconds: float  # of computing
    first: float  # until the first sound
    sound: float  # of sound


def ask(worker: Worker, task: str, **arguments: str) -> dict[str, Any]:
    """Let a worker do a task."""
    worker.ask("prepare", task=task, arguments=arguments)
    return worker.ask("run")


def speak(worker: Worker, text: str, path: Path) -> Speech:
    """Let a worker speak a text into a wav file."""
    answer = ask(worker, "speak", text=text, path=str(path))
    return Speech(*(answer[name] for name in Speech._fields))


def speed(commands: Commands, texts: Sequence[str], repeats: int) -> Iterator[Row]:
    """Speak all texts by both sides in turn, after a round that does not count; then look at memory and models."""
    times: dict[str, list[list[Speech]]] = {side: [] for side in commands}
    with tempfile.TemporaryDirectory() as folder:
        workers = {side: Worker(command) for side, command in commands.items()}
        try:
            for number in tqdm(range(repeats + 1), desc="speaking", leave=False, disable=None):
                for side, worker in workers.items():
                    spoken = [speak(worker, text, Path(folder, f"{side}.wav")) for text in texts]
                    if number:
                        times[side].append(spoken)
            peaks = {side: [1024 * worker.ask("peak_memory")["gib"]] for side, worker in workers.items()}
            sizes = {side: [ask(worker, "model")["bytes"] / 1e6] for side, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.__exit__()

    def samples(of: str, per_sound: bool) -> dict[str, list[float]]:
        """One number for each round of all texts."""
        return {
            side: [
                sum(getattr(each, of) for each in spoken)
                / (sum(each.sound for each in spoken) if per_sound else len(spoken))
                for spoken in rounds
            ]
            for side, rounds in times.items()
        }

    yield Row("real_time_factor", "a second of sound", "s", samples("seconds", True))
    yield Row("first_sound", "time to first sound", "s", samples("first", False))
    yield Row("peak_memory", "peak memory", "MiB", peaks)
    yield Row("model_size", "model", "MB", sizes)


def start_up(commands: Commands, repeats: int) -> Row:
    """Start new processes in turn, until the voice is loaded; a first round, which fills caches, does not count."""
    samples: dict[str, list[float]] = {side: [] for side in commands}
    for number in tqdm(range(repeats + 1), desc="starting", leave=False, disable=None):
        for side, command in commands.items():
            began = time.perf_counter()
            with Worker(command) as worker:
                worker.ask("versions")
                if number:
                    samples[side].append(time.perf_counter() - began)
    return Row("start_up", "start to loaded voice", "s", samples)


def quality(commands: Commands, texts: Sequence[str], recogniser: Recogniser) -> dict[str, Any]:
    """Let both sides speak the texts, and Piper once more as the reference.

    Returns:
        words, and for each side: wer with its interval; pesq_other_rendition and mcd_dtw_db, both against the
        reference, another rendition by Piper, which is not in step. pesq_copy: our vocoder's copy of the reference.
    """
    counts: dict[str, list[tuple[int, int]]] = {side: [] for side in commands}
    scores: dict[str, list[float | None]] = {side: [] for side in (*commands, "copy")}
    differences: dict[str, list] = {side: [] for side in commands}
    with tempfile.TemporaryDirectory() as name, Worker(commands[OURS]) as ours, Worker(commands[PIPER]) as piper:
        folder, workers = Path(name), {OURS: ours, PIPER: piper}
        for text in tqdm(texts, desc="listening", leave=False, disable=None):
            speak(piper, text, folder / "reference.wav")
            for side, worker in workers.items():
                speak(worker, text, folder / f"{side}.wav")
            ask(ours, "copy", source=str(folder / "reference.wav"), path=str(folder / "copy.wav"))
            rate = 16000  # of the metrics
            wavs = {each: load_wav(folder / f"{each}.wav", rate) for each in ("reference", *workers, "copy")}
            reference = analyse(wavs["reference"], rate)
            for side, own in scores.items():
                own.append(pesq_wideband(wavs[side], wavs["reference"], rate))
            for side in workers:
                counts[side].append(word_errors(words(text), recogniser(wavs[side], rate)))
                differences[side].append(compare(analyse(wavs[side], rate), reference))
    sides = {}
    for side in commands:
        wrong, total = np.sum(counts[side], 0).tolist()
        sides[side] = {
            "wer": wrong / total if total else None,
            "wer_interval": error_rate_interval(counts[side]),
            "pesq_other_rendition": _mean(scores[side]),
            "mcd_dtw_db": difference_numbers(differences[side])["mcd_dtw_db"],
        }
    return {"sentences": len(texts), "words": total, **sides, "pesq_copy": _mean(scores["copy"])}


def table(found: dict[str, Any]) -> str:
    """Format the result of `quality` with what its numbers mean."""

    def score(value: float | None) -> str:
        return "none" if value is None else f"{value:.2f}"

    lines = [f"{found['sentences']} sentences, {found['words']} words"]
    for side in (OURS, PIPER):
        row = found[side]
        low, high = (100 * bound for bound in row["wer_interval"])
        wer = "none" if row["wer"] is None else f"{100 * row['wer']:.1f} % ({low:.1f} to {high:.1f})"
        pesq, distortion = score(row["pesq_other_rendition"]), score(row["mcd_dtw_db"])
        lines.append(f"{side:<6} word errors {wer}; beside Piper's other rendition: PESQ {pesq}, MCD {distortion} dB")
    lines += [
        f"PESQ of our vocoder's copy of Piper's sound: {score(found['pesq_copy'])}",
        "Piper is the teacher: ours learnt from its sound and cannot be expected to exceed it. PESQ supposes that both",
        "sounds are in step, as only the vocoder's copy is; Piper's own row shows what two renditions by one voice",
        "get.",
    ]
    return "\n".join(lines)


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if known else None

"""Preparation of clips, in parallel and restartable: encode the text, check the recording, compute its mel."""

import collections
import functools
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from src.audio import load_wav, mel_signature, mel_spectrogram, read_audio, to_mono
from src.config import Config
from src.data.audio_checks import Facts, is_too_long, measure
from src.data.file_list import BadRow, Row, Source
from src.errors import InputError
from src.text import alphabet_of, text_to_sequence
from src.text.aligned import Aligned
from src.text.mismatch import rewritten_signs
from src.text.registry import cleaner_of

SILENCE = 1e-3  # half the range of the samples; a recording below it (-60 dB) is silent
ROWS_PER_WORKER = 200  # for fewer rows, starting a process does not pay
MANY = 0.05  # share of the texts that a cleaner rewrites, from which on it may be the wrong one


class Clip(NamedTuple):
    """A usable row.

    Attributes:
        text: symbol ids.
        mel_path: file of its mel float32 [frames, n_mels], as `load_mel` reads it.
        facts: measurements of the recording.
        warnings: of the text front end.
        aligned: the text with the readings that the list carries.
        rewritten: what the cleaner makes of the spelling of another language, see `src.text.mismatch`.
    """

    row: Row
    text: list[int]
    mel_path: Path
    frames: int
    facts: Facts
    warnings: list[str]
    rewritten: dict[str, str]
    aligned: Aligned | None = None


class Prepared(NamedTuple):
    """All rows, prepared: usable clips, clips that are longer than data.max_seconds, rows that cannot be used."""

    clips: list[Clip]
    long: list[Clip]
    bad: list[BadRow]


def prepare_clip(row: Row, folder: Path, config: Config, cache: Path) -> Clip | BadRow:
    """Encode a row's text and compute its mel.

    The mel is kept in `cache` under a hash of the audio settings and the file's path, size and time of change.

    Returns:
        The clip, or a `BadRow` that names everything wrong with the row.

    Raises:
        OSError: the cache cannot be written.
    """
    problems, text, alphabet, aligned = [], [], alphabet_of(config.text), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            cleaner = cleaner_of(config.text)
            aligned = cleaner.align(row.text, row.pinyin) if row.pinyin and cleaner.align else None
            # A cleaner that cannot lay pinyin on characters is given the pinyin itself, for symbols such as hao3.
            written = aligned.text if aligned else row.pinyin or row.text
            text = text_to_sequence(written, cleaner, alphabet, config.text.foreign_script)
        except InputError as error:
            problems.append(str(error))
    if not problems and not row.text:
        problems.append("has no text")
    elif not problems and alphabet.letters.isdisjoint(text):
        problems.append(f"nothing that can be spoken is left of its text {row.text!r}")
    try:
        path, facts, frames = _cached_mel(folder / row.wav, config, cache)
    except InputError as error:
        problems.append(str(error))
    if not problems and not is_too_long(facts, config):
        seconds = frames * config.audio.hop_length / config.audio.sample_rate
        pace = seconds / len(text)
        low, high = config.data.min_seconds_per_character, config.data.max_seconds_per_character
        if not low <= pace <= high:
            problems.append(
                f"{seconds:.2f} s for {len(text)} characters is {pace:.3f} s each, outside {low} to {high} "
                "(data.min_seconds_per_character, data.max_seconds_per_character)"
            )
    if problems:
        return BadRow(row.line, row.id, "; ".join(problems), row.list)
    messages = [str(warning.message) for warning in caught]
    return Clip(row, text, path, frames, facts, messages, rewritten_signs(written, config.text.cleaner), aligned)


def load_waveform(path: Path, config: Config) -> np.ndarray:
    """Read a recording as a dataset holds it, trimmed as `data.trim_db` says: float32 [samples]."""
    if not config.data.trim_db:
        return load_wav(path, config.audio.sample_rate)
    samples, rate = read_audio(path)
    return measure(samples, rate, to_mono(samples, rate, config.audio.sample_rate), config)[1]


def load_mel(clip: Clip) -> np.ndarray:
    """Read the mel of a clip, float32 [frames, n_mels]."""
    with clip.mel_path.open("rb") as file:
        np.load(file)  # the measurements come first
        return np.load(file)


def _cached_mel(wav_path: Path, config: Config, cache: Path) -> tuple[Path, Facts, int]:
    """Return the file of a mel, which is made if it is not there, the recording's measurements, and its frames."""
    try:
        status = wav_path.stat()
    except OSError as error:
        raise InputError(f"{wav_path}: cannot be opened ({error.strerror})") from error
    identity = [mel_signature(config.audio), config.data.trim_db, str(wav_path.resolve())]
    identity += [status.st_size, status.st_mtime_ns]
    path = cache / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]}.npy"
    if path.exists():
        with path.open("rb") as file:
            facts, n_frames = json.loads(np.load(file).tobytes())
        return path, Facts(*facts), n_frames
    samples, rate = read_audio(wav_path)
    wav = to_mono(samples, rate, config.audio.sample_rate)
    if np.ptp(wav) / 2 < SILENCE:
        raise InputError(f"{wav_path}: silent")
    facts, wav = measure(samples, rate, wav, config)
    if len(wav) < config.audio.n_fft:
        raise InputError(f"{wav_path}: shorter than one window of {config.audio.n_fft} samples")
    mel = mel_spectrogram(wav, config.audio).T.astype(np.float32, order="C")  # (frames, n_mels)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.save(file, np.frombuffer(json.dumps([facts, len(mel)]).encode(), np.uint8))
            np.save(file, mel)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path, facts, len(mel)


def _prepare_all(rows: list[Row], source: Source, config: Config, cache: Path, workers: int) -> Iterator[Clip | BadRow]:
    prepare = functools.partial(prepare_clip, folder=source.folder, config=config, cache=cache)
    workers = min(workers, len(rows) // ROWS_PER_WORKER)
    if workers <= 1:
        yield from map(prepare, rows)
        return
    # spawn: this process may have threads (MindSpore's, BLAS's), and a fork would copy their locks in whatever state
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        yield from pool.map(prepare, rows, chunksize=4)


def end_with_parent() -> None:
    """Make this worker process end when its parent does: that of a killed parent would wait for work for ever."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def prepare_rows(rows: list[Row], source: Source, config: Config, cache: Path, workers: int) -> Prepared:
    """Prepare all rows under one progress bar; clips are in the given order, bad rows of the list by line.

    Raises:
        OSError: the cache cannot be written.
    """
    results = list(
        tqdm(_prepare_all(rows, source, config, cache, workers), total=len(rows), desc="mel spectrograms", unit="clip")
    )
    clips = [result for result in results if isinstance(result, Clip)]
    lines = collections.defaultdict(list)
    for clip in clips:
        for message in clip.warnings:
            lines[message].append(clip.row.line)
    for message, where in lines.items():
        print(f"{source.list_file}:{min(where)}: {message} ({len(where)} rows)", file=sys.stderr)
    _warn_of_the_cleaner(clips, source, config)
    bad = source.bad + [result for result in results if isinstance(result, BadRow)]
    long = [clip for clip in clips if is_too_long(clip.facts, config)]
    usable = [clip for clip in clips if not is_too_long(clip.facts, config)]
    return Prepared(usable, long, sorted(bad, key=lambda row: (row.list, row.line)))


def _warn_of_the_cleaner(clips: list[Clip], source: Source, config: Config) -> None:
    """Warn when the cleaner rewrites many of the texts, as one made for another language does."""
    name = config.text.cleaner
    for kind in ("letters outside ASCII", "tone digits", "decimal commas"):
        examples = [clip.rewritten[kind] for clip in clips if kind in clip.rewritten]
        if len(examples) > MANY * len(clips):
            print(
                f"{source.list_file}: warning: {len(examples)} of {len(clips)} texts have {kind}, which the cleaner "
                f"{name} rewrites: {examples[0]}; it is made for English, other languages take "
                "--text.cleaner basic_cleaners and their letters in text.symbols (docs/text.md)",
                file=sys.stderr,
            )

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

from src.audio import load_wav, mel_signature, mel_spectrogram
from src.config import Config
from src.data.file_list import BadRow, Row, Source
from src.errors import InputError
from src.text import alphabet_of, text_to_sequence

SILENCE = 1e-3  # half the range of the samples; a recording below it (-60 dB) is silent
ROWS_PER_WORKER = 200  # for fewer rows, starting a process does not pay


class Clip(NamedTuple):
    """A usable row: its symbol ids, the file of its mel [frames, n_mels], and the warnings of the text front end."""

    row: Row
    text: list[int]
    mel_path: Path
    frames: int
    warnings: list[str]


def prepare_clip(row: Row, folder: Path, config: Config, cache: Path) -> Clip | BadRow:
    """Encode a row's text and compute its mel.

    The mel is kept in `cache` under a hash of the audio settings and the file's path, size and time of change.

    Returns:
        The clip, or a `BadRow` that names everything wrong with the row.

    Raises:
        OSError: the cache cannot be written.
    """
    problems, text, alphabet = [], [], alphabet_of(config.text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            text = text_to_sequence(row.text, config.text.cleaner, alphabet, config.text.foreign_script)
        except InputError as error:
            problems.append(str(error))
    if not problems and not row.text:
        problems.append("has no text")
    elif not problems and alphabet.letters.isdisjoint(text):
        problems.append(f"nothing that can be spoken is left of its text {row.text!r}")
    try:
        path = _cached_mel(folder / row.wav, config, cache)
        frames = len(np.load(path, mmap_mode="r"))
    except InputError as error:
        problems.append(str(error))
    if not problems:
        seconds = frames * config.audio.hop_length / config.audio.sample_rate
        pace = seconds / len(text)
        low, high = config.data.min_seconds_per_character, config.data.max_seconds_per_character
        if not low <= pace <= high:
            problems.append(
                f"{seconds:.2f} s for {len(text)} characters is {pace:.3f} s each, outside {low} to {high} "
                "(data.min_seconds_per_character, data.max_seconds_per_character)"
            )
    if problems:
        return BadRow(row.line, row.id, "; ".join(problems))
    return Clip(row, text, path, frames, [str(warning.message) for warning in caught])


def _cached_mel(wav_path: Path, config: Config, cache: Path) -> Path:
    try:
        status = wav_path.stat()
    except OSError as error:
        raise InputError(f"{wav_path}: cannot be opened ({error.strerror})") from error
    identity = [mel_signature(config.audio), str(wav_path.resolve()), status.st_size, status.st_mtime_ns]
    path = cache / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]}.npy"
    if not path.exists():
        wav = load_wav(wav_path, config.audio.sample_rate)
        if np.ptp(wav) / 2 < SILENCE:
            raise InputError(f"{wav_path}: silent")
        if len(wav) < config.audio.n_fft:
            raise InputError(f"{wav_path}: shorter than one window of {config.audio.n_fft} samples")
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                np.save(file, mel_spectrogram(wav, config.audio).T.astype(np.float32, order="C"))  # (frames, n_mels)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


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


def prepare_rows(
    rows: list[Row], source: Source, config: Config, cache: Path, workers: int
) -> tuple[list[Clip], list[BadRow]]:
    """Prepare all rows under one progress bar.

    Returns:
        The usable clips in the given order, and all bad rows of the list by line.

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
    return clips, sorted(source.bad + [result for result in results if isinstance(result, BadRow)])

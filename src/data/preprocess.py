"""Preprocessing: from recordings to a finished dataset folder, which appears complete or not at all."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.audio import mel_spectrogram
from src.config import Config, network_of
from src.data import audio_checks, list_readings
from src.data.clips import Clip, load_mel, load_waveform, prepare_rows
from src.data.file_list import (
    BadRow,
    BadRowsError,
    Row,
    Source,
    read_ids,
    read_source,
    speaker_order,
    split_ids,
    with_validation_list,
)
from src.data.settings import dataset_settings, finished_dataset
from src.errors import InputError


def preprocess(
    output_dir: Path,
    config: Config,
    data_path: Path | None = None,
    file_list: Path | None = None,
    val_ids: Path | None = None,
    train_ids: Path | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    overwrite: bool = False,
    columns: str | None = None,
    val_file_list: Path | None = None,
) -> tuple[dict[str, Any], bool]:
    """Turn recordings into a dataset folder that `src.data.corpus.Corpus` opens.

    The work is done in `{output_dir}.work`, and the complete folder is renamed into place at the very end. Finished
    mels of an interrupted run wait there for the next one.

    Args:
        output_dir: dataset folder to make.
        data_path: folder in the layout of LJSpeech, or the folder that the paths of `file_list` are relative to.
        file_list: list of recordings and texts; without `data_path`, paths are relative to the list's own folder.
        val_ids, train_ids: files with one id per line; without them `data.val_fraction` decides. In a file list the id
            is the path without its suffix.
        workers: processes that prepare clips.
        skip_bad: leave bad rows out and name them in `skipped.csv`, instead of refusing the whole list.
        overwrite: replace a dataset of other recordings or with other settings.
        columns: roles of the list's columns, see `src.data.columns`; by default they are recognised.
        val_file_list: a second list, whose clips are the validation split.

    Returns:
        The content of `stats.json`; whether a dataset of the same recordings and settings was there already.

    Raises:
        BadRowsError: rows that cannot be used, all of them together.
        InputError: missing input, contradicting arguments, something else at `output_dir`, no room or no permission to
            write.
    """
    if workers < 1 or config.data.n_shards < 1:
        raise InputError(f"--workers ({workers}) and data.n_shards ({config.data.n_shards}) must be at least 1")
    mel_spectrogram(np.zeros(config.audio.n_fft), config.audio)  # report impossible settings once, not for every row
    output_dir = output_dir.resolve()
    if val_file_list and (file_list is None or val_ids or train_ids):
        raise InputError("--val_file_list goes with --file_list and without --val_ids and --train_ids")
    source, val, train = read_source(data_path, file_list, columns), None, None
    if val_file_list:
        source, val = with_validation_list(source, read_source(source.folder, val_file_list, columns))
    print(*source.description, sep="\n")
    _check_folder(source)
    ids = [row.id for row in (*source.rows, *source.bad)]
    if not val_file_list:
        val, train = (read_ids(path, ids) if path else None for path in (val_ids, train_ids))
    splits = split_ids(ids, config, val, train)  # wrong lists are reported before the work
    rows = [row for row in source.rows if row.id in splits["train"] | splits["val"]]
    settings = dataset_settings(config, source, rows, val, train)
    if (finished := finished_dataset(output_dir, settings, overwrite)) is not None:
        return finished, True
    settings |= {"columns_flag": columns, "val_list_file": str(val_file_list.resolve()) if val_file_list else None}
    return _build(output_dir, config, source, rows, (val, train), settings, workers, skip_bad), False


def _check_folder(source: Source) -> None:
    """Make sure that recordings are there at all; a few that are missing are bad rows."""
    if source.rows and not any((source.folder / row.wav).is_file() for row in source.rows):
        raise InputError(
            f"{source.list_file}: none of its {len(source.rows)} recordings is there, such as {source.rows[0].wav}; "
            f"paths start from {source.folder}, --data_path names another folder"
        )


def _build(
    output_dir: Path,
    config: Config,
    source: Source,
    rows: list[Row],
    id_lists: tuple[set[str] | None, set[str] | None],
    settings: dict[str, Any],
    workers: int,
    skip_bad: bool,
) -> dict[str, Any]:
    """Prepare `rows`, write the dataset beside `output_dir`, rename it into place.

    Returns the content of `stats.json`.

    Args:
        id_lists: ids for validation and for training, None where there is no list.
        settings: from `dataset_settings`.
    """
    work = output_dir.with_name(f"{output_dir.name}.work")
    stage = work / f"dataset-{os.getpid()}"
    try:
        (work / "mels").mkdir(parents=True, exist_ok=True)
        prepared = prepare_rows(rows, source, config, work / "mels", workers)
        facts = {clip.row.id: clip.facts for clip in sorted(prepared.clips + prepared.long, key=_position)}
        found = audio_checks.find_all(facts, config)
        print(*audio_checks.table(facts, found, config), sep="\n")
        aligned = [(clip.row, clip.aligned) for clip in prepared.clips if clip.aligned]
        print(*list_readings.describe(aligned, output_dir / list_readings.NAME), sep="\n", end="\n" if aligned else "")
        if prepared.bad and not skip_bad:
            raise BadRowsError(source, prepared.bad)
        clips = prepared.clips
        splits = split_ids([clip.row.id for clip in clips], config, *id_lists)  # the fraction is of the usable clips
        stats = {**settings, "config": config.to_yaml(), "list_file": str(source.list_file.resolve())}
        stats |= {"left_out": len(source.rows) - len(rows), "skipped": len(prepared.bad)}
        stats["too_long"] = [clip.row.id for clip in prepared.long]
        if speakers := sorted({clip.row.speaker for clip in clips} - {""}, key=speaker_order):
            stats["speakers"] = speakers
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        stats["splits"] = _write_splits(stage, splits, clips, source.folder, config, speakers)
        characters = {clip.row.id: len(clip.text) for clip in prepared.clips + prepared.long}
        audio_checks.write_csv(stage / "audio.csv", facts, found, characters)
        if aligned:
            list_readings.write_csv(stage / list_readings.NAME, aligned)
        if skip_bad:
            _write_skipped(stage / "skipped.csv", prepared.bad)
        (stage / "stats.json").write_text(json.dumps(stats, indent=1), encoding="utf-8")
        if output_dir.exists():
            os.replace(output_dir, work / f"replaced-{os.getpid()}")
        os.replace(stage, output_dir)
    except OSError as error:
        raise InputError(
            f"{work}: cannot be written ({error.strerror or error}); once it can be, another run goes on from there"
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)  # after a failure; the mels stay for the next run
    shutil.rmtree(work, ignore_errors=True)
    return stats


def _write_splits(
    stage: Path, splits: dict[str, set[str]], clips: list[Clip], folder: Path, config: Config, speakers: list[str]
) -> dict[str, dict[str, Any]]:
    """Write every split that has clips. Returns its description by name."""
    return {
        split: _write(stage, split, [clip for clip in clips if clip.row.id in ids], folder, config, speakers)
        for split, ids in splits.items()
        if ids
    }


def _write(
    stage: Path, split: str, clips: list[Clip], folder: Path, config: Config, speakers: list[str]
) -> dict[str, Any]:
    """Write one split. Returns its description for `stats.json`."""
    from src.data.corpus import write_split  # noqa: PLC0415

    with tqdm(total=len(clips), desc=f"writing {split}", unit="clip") as bar:

        def load(clip: Clip) -> np.ndarray:
            bar.update()
            return load_mel(clip)

        waveforms = (load_waveform(folder / clip.row.wav, config) for clip in clips)
        try:
            files, index = write_split(
                stage,
                split,
                ids=[clip.row.id for clip in clips],
                wavs=[clip.row.wav for clip in clips],
                texts=[clip.text for clip in clips],
                mels=map(load, clips),
                n_shards=config.data.n_shards,
                waveforms=waveforms if network_of(config).kind == "vocoder" else None,
                speakers=[speakers.index(clip.row.speaker) for clip in clips] if speakers else None,
            )
        except RuntimeError as error:  # MindRecord's message is a page long
            raise InputError(
                f"{stage}: the records of the {split} split cannot be written; is the disk full?"
            ) from error
    seconds = index["mel_lengths"] * config.audio.hop_length / config.audio.sample_rate
    return {
        "clips": len(clips),
        "hours": round(float(seconds.sum()) / 3600, 4),
        "frames": int(index["mel_lengths"].sum()),
        "symbols": int(index["text_lengths"].sum()),
        "text_length": _distribution(index["text_lengths"]),
        "mel_length": _distribution(index["mel_lengths"]),
        "seconds": _distribution(seconds),
        "files": files,
    }


def _position(clip: Clip) -> tuple[str, int]:
    """Return where a clip stands: those of the main list first."""
    return clip.row.list, clip.row.line


def _distribution(values: np.ndarray) -> dict[str, float]:
    points = dict(zip(("min", "p5", "median", "p95", "max"), np.percentile(values, [0, 5, 50, 95, 100]), strict=True))
    return {name: round(float(value), 3) for name, value in {**points, "mean": values.mean()}.items()}


def _write_skipped(path: Path, bad: list[BadRow]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([BadRow._fields, *bad])

"""The settings that decide the content of a dataset, and the comparison with one that is there already."""

import hashlib
import json
from pathlib import Path
from typing import Any

from src.audio import mel_signature
from src.config import Config, network_of
from src.data.file_list import Row, Source
from src.errors import InputError
from src.files import read_json
from src.text import SYMBOLS


def dataset_settings(
    config: Config, source: Source, rows: list[Row], val_ids: set[str] | None, train_ids: set[str] | None
) -> dict[str, Any]:
    """Return the settings that decide the content of a dataset: two runs with equal ones make the same dataset."""
    from src.data.corpus import FORMAT  # noqa: PLC0415  (worker processes import this module and need no MindSpore)

    by_fraction = {"val_fraction": config.data.val_fraction, "seed": config.train.seed}
    settings = {
        "format": FORMAT,
        "mel_signature": mel_signature(config.audio),
        "cleaner": config.text.cleaner,
        "n_symbols": len(config.text.symbols),
        "symbols": config.text.symbols,
        "end_symbol": config.text.end_symbol,
        "foreign_script": config.text.foreign_script,
        "traditional": config.text.traditional,
        "readings": config.text.readings,
        "seconds_per_character": [config.data.min_seconds_per_character, config.data.max_seconds_per_character],
        "trim_db": config.data.trim_db,
        "max_seconds": config.data.max_seconds,
        "columns": source.roles,
        "n_shards": config.data.n_shards,
        "data_path": str(source.folder.resolve()),
        "list_sha256": source.sha256,
        "recordings_sha256": _fingerprint(source.folder, rows),
        "split": by_fraction
        if val_ids is None
        else {"val_ids": sorted(val_ids), "train_ids": train_ids and sorted(train_ids)},
    }
    if network_of(config).kind == "vocoder":
        settings["waveforms"] = True  # no key otherwise: acoustic models can use either kind of dataset
    return json.loads(json.dumps(settings))  # lists for tuples, as in a stats.json that was read


def _fingerprint(folder: Path, rows: list[Row]) -> str:
    """Hash the recordings' paths, sizes and times of change; reading all of them would take long."""
    digest = hashlib.sha256()
    for row in rows:
        try:
            status = (folder / row.wav).stat()
            digest.update(f"{row.wav}|{status.st_size}|{status.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{row.wav}|missing\n".encode())
    return digest.hexdigest()


def finished_dataset(output_dir: Path, settings: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """Return the `stats.json` of a dataset that is there already; None if there is none, or it is to be replaced.

    Raises:
        InputError: something else is there, or a dataset of other recordings or settings.
    """
    if not output_dir.exists() or (output_dir.is_dir() and not any(output_dir.iterdir())):
        return None
    try:
        stats = read_json(output_dir / "stats.json")
        # Older datasets do not name these: there was one table of symbols, and foreign scripts were refused.
        before = {"symbols": SYMBOLS, "end_symbol": "", "foreign_script": "refuse", "trim_db": 0.0}
        # Nor these: columns had one form, and there was no limit of length.
        before["columns"] = settings["columns"]
        before |= {"traditional": settings["traditional"], "readings": []}
        longest = max((split["seconds"]["max"] for split in stats["splits"].values()), default=0)
        if not 0 < settings["max_seconds"] < longest:
            before["max_seconds"] = settings["max_seconds"]
        different = [key for key in settings if {**before, **stats}.get(key) != settings[key]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{output_dir}: exists and is not a dataset made by this script; choose another --output_dir"
        ) from error
    if different and not overwrite:
        raise InputError(
            f"{output_dir}: holds a finished dataset of other recordings or with other settings "
            f"({', '.join(different)}); pass --overwrite to replace it, or choose another --output_dir"
        )
    return None if overwrite else stats

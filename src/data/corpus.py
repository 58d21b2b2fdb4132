"""The corpus on disk: MindRecord shards beside a small index."""

import functools
import json
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mindspore.dataset
import numpy as np
from mindspore.mindrecord import FileWriter

from src.audio import mel_signature, to_pcm16
from src.config import Config, Tacotron2Config
from src.errors import InputError
from src.text import SYMBOLS

FORMAT = 1
RECORDS_PER_WRITE = 64  # bounds memory: a few hundred kB each


class DataLost(InputError):
    """The records of a dataset cannot be read, though it looked complete when it was opened."""


def write_split(
    folder: Path,
    split: str,
    ids: Sequence[str],
    wavs: Sequence[str],
    texts: Sequence[list[int]],
    mels: Iterable[np.ndarray],
    n_shards: int,
    waveforms: Iterable[np.ndarray] | None = None,
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Write one split as `{split}.mindrecord{k}` (fields id, text int32 [-1], mel float32 [-1, n_mels]) and its index `{split}_index.npz`.

    Args:
        wavs: where each recording lies, kept in the index.
        mels: one [frames, n_mels] per clip, read lazily so that a corpus need not fit into memory.
        waveforms: one float [samples] in [-1, 1] per clip, read lazily too; written as a further field `wav`, the bytes of int16 samples.

    Returns:
        Names of the record files; the index: ids, wavs, text_lengths, mel_lengths, in the order of the records.
    """
    mels, mel_lengths, files = iter(mels), [], []
    waveforms = iter(waveforms) if waveforms is not None else None
    # One writer per shard rather than FileWriter(shard_num=n), which deals each write out over all shards: record i of the
    # concatenated files has to be clip i.
    for shard, members in enumerate(np.array_split(np.arange(len(ids)), min(n_shards, len(ids)))):
        files.append(f"{split}.mindrecord{shard}")
        writer = FileWriter(str(folder / files[-1]))
        for start in range(0, len(members), RECORDS_PER_WRITE):
            records = [
                {
                    "id": ids[i],
                    "text": np.array(texts[i], np.int32),
                    "mel": np.ascontiguousarray(next(mels), np.float32),
                }
                for i in members[start : start + RECORDS_PER_WRITE]
            ]
            if waveforms:
                for record in records:
                    record["wav"] = to_pcm16(next(waveforms)).tobytes()
            if start == 0:
                n_mels = records[0]["mel"].shape[1]
                fields = {"text": {"type": "int32", "shape": [-1]}, "mel": {"type": "float32", "shape": [-1, n_mels]}}
                writer.add_schema(
                    {"id": {"type": "string"}, **fields, **({"wav": {"type": "bytes"}} if waveforms else {})}
                )
            writer.write_raw_data(records)
            mel_lengths += [len(record["mel"]) for record in records]
        writer.commit()
    text_lengths = np.array([len(text) for text in texts], np.int32)
    index = {
        "ids": np.array(ids),
        "wavs": np.array(wavs),
        "text_lengths": text_lengths,
        "mel_lengths": np.array(mel_lengths, np.int32),
    }
    np.savez(folder / f"{split}_index.npz", **index)
    return files, index


def read_stats(folder: Path) -> dict[str, Any]:
    """Read `stats.json`, which `scripts/preprocess.py` writes last of all.

    Raises:
        InputError: no such folder, or not a finished dataset.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such dataset folder; make one with scripts/preprocess.py, or say by --data_path where it is now"
        )
    try:
        stats = json.loads((folder / "stats.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: not a preprocessed dataset (no readable stats.json); make one with scripts/preprocess.py"
        ) from error
    if not isinstance(stats, dict) or stats.get("format") != FORMAT:
        raise InputError(
            f"{folder}: preprocessed by another version of this program; run scripts/preprocess.py --overwrite"
        )
    return stats


class Corpus:
    """One split of a preprocessed folder: ids and lengths at once, texts and mels when they are read.

    Args:
        data_path: output folder of `scripts/preprocess.py`
        split: "train" or "val"

    Raises:
        InputError: missing folder, split or file.
    """

    def __init__(self, data_path: str | Path, split: str = "train"):
        self.folder, self.split = Path(data_path), split
        self.stats = read_stats(self.folder)
        if split not in self.stats["splits"]:
            raise InputError(
                f"{self.folder}: has no split '{split}', only {', '.join(self.stats['splits'])}; see data.val_fraction, --val_ids"
            )
        self.files = [str(self.folder / name) for name in self.stats["splits"][split]["files"]]
        index = self.folder / f"{split}_index.npz"
        for path in [str(index), *self._needed()]:
            if not os.path.exists(path):
                raise InputError(f"{path}: is missing from the dataset; run scripts/preprocess.py --overwrite")
        with np.load(index) as arrays:
            self.ids: list[str] = arrays["ids"].tolist()
            self.wavs: list[str] = arrays["wavs"].tolist()
            self.text_lengths, self.mel_lengths = arrays["text_lengths"], arrays["mel_lengths"]
        self.n_mels: int = self.stats["mel_signature"]["n_mels"]

    def __len__(self) -> int:
        return len(self.ids)

    def check(self, config: Config) -> None:
        """Make sure that this data is what `config` describes.

        Raises:
            InputError: names each audio or text setting in which they differ; no waveforms in it, but the network is a vocoder.
        """
        wanted, found, different = mel_signature(config.audio), self.stats["mel_signature"], []
        if isinstance(config.model, Tacotron2Config):
            wanted, found = {**wanted, "cleaner": config.text.cleaner}, {**found, "cleaner": self.stats["cleaner"]}
            # Datasets of the time when there was one alphabet do not name it.
            symbols, end = self.stats.get("symbols", SYMBOLS), self.stats.get("end_symbol", "")
            if symbols != config.text.symbols:
                different.append(
                    f"its texts are spelled in {len(symbols)} other symbols than the {len(config.text.symbols)} of text.symbols"
                )
            if end != config.text.end_symbol:
                different.append(f"end_symbol is {end!r} there, {config.text.end_symbol!r} in the config")
        elif not self.stats.get("waveforms"):
            different.append(f"it holds no waveforms, which model.name {config.model.name} trains on")
        different += [
            f"{key} is {found.get(key)} there, {wanted[key]} in the config"
            for key in wanted
            if found.get(key) != wanted[key]
        ]
        if different:
            raise InputError(
                f"{self.folder}: was preprocessed with other settings: {'; '.join(different)}; preprocess again or change the config"
            )

    def read(
        self, indices: Sequence[int], workers: int = 1, columns: Sequence[str] = ("id", "text", "mel")
    ) -> mindspore.dataset.Dataset:
        """A pipeline over the clips `indices` in that order, repeats allowed.

        Args:
            columns: id, text int32 [L], mel float32 [T, n_mels]; in the corpus of a vocoder also wav uint8 [bytes], of int16 samples.
        """
        workers = min(workers, os.cpu_count() or 1)  # MindSpore refuses more
        # A sampler takes at most as many indices as the corpus has clips, so repeats beyond that come out of a second reader.
        pieces = [
            mindspore.dataset.MindDataset(
                self.files,
                columns_list=list(columns),
                sampler=mindspore.dataset.SubsetSampler([int(i) for i in indices[start : start + len(self)]]),
                num_parallel_workers=workers,
            )
            for start in range(0, len(indices), len(self))
        ]
        return functools.reduce(operator.add, pieces)

    def stream(
        self, indices: Sequence[int], workers: int, columns: Sequence[str], **batch: Any
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """What `read` finds, clip by clip as arrays, or batch by batch if there are arguments for `mindspore.dataset.Dataset.batch`.

        Raises:
            DataLost: the files are gone, were changed, or cannot be read.
        """
        try:
            rows = self.read(indices, workers, columns)
            if batch:
                rows = rows.batch(
                    **batch, input_columns=list(columns), num_parallel_workers=min(workers, os.cpu_count() or 1)
                )
            yield from rows.create_tuple_iterator(num_epochs=1, output_numpy=True)
        except (OSError, RuntimeError, ValueError) as error:
            if "Python Call Stack" in str(error):  # a function of ours failed
                raise
            gone = [path for path in self._needed() if not os.path.exists(path)]
            reason = (
                f"{gone[0]} is gone"
                if gone
                else " ".join(str(error).rpartition("[ERROR]")[2].partition("\n--")[0].split())
            )
            raise DataLost(f"{self.folder}: the {self.split} clips cannot be read: {reason}") from error

    def _needed(self) -> list[str]:
        return [*self.files, *(f"{path}.db" for path in self.files)]

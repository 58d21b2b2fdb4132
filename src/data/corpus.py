"""The preprocessed corpus on disk: MindRecord shards, an index of each split, and `stats.json`."""

import functools
import operator
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mindspore.dataset
import numpy as np
from mindspore.mindrecord import FileWriter

from src.audio import mel_signature, to_pcm16
from src.config import Config, network_of
from src.errors import InputError, one_line
from src.files import read_json
from src.text import SYMBOLS

FORMAT = 1
LONGEST = 1_000_000  # frames or symbols of a clip: hours; more is no length but damage
# All that numpy raises at an index that was cut off, or that claims what it does not hold.
DAMAGE = (OSError, ValueError, KeyError, EOFError, MemoryError, OverflowError, zipfile.BadZipFile, zlib.error)
RECORDS_PER_WRITE = 64  # bounds memory: a few hundred kB each


class DataLost(InputError):
    """Records of a dataset can no longer be read, although it was complete when it was opened."""


def write_split(
    folder: Path,
    split: str,
    ids: Sequence[str],
    wavs: Sequence[str],
    texts: Sequence[list[int]],
    mels: Iterable[np.ndarray],
    n_shards: int,
    waveforms: Iterable[np.ndarray] | None = None,
    speakers: Sequence[int] | None = None,
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Write one split as `{split}.mindrecord{k}` with its index `{split}_index.npz`.

    The fields of a record are id, text int32 [L], mel float32 [T, n_mels] and, for a vocoder, wav: 16-bit PCM as bytes.

    Args:
        ids: name of each clip.
        wavs: path of each recording, kept in the index.
        texts: symbol ids of each clip.
        mels: one [frames, n_mels] per clip, read lazily so that a corpus need not fit into memory; so are
            `waveforms`, float [samples] in [-1, 1].
        n_shards: number of record files; at most one per clip is written.
        speakers: number of each clip's speaker among the names in `stats.json`; None for one speaker without a name.

    Returns:
        Names of the record files; the index, in the order of the records: ids, wavs, text_lengths, mel_lengths, and
            speakers if given.
    """
    mels, mel_lengths, files = iter(mels), [], []
    waveforms = iter(waveforms) if waveforms is not None else None

    def record(clip: int) -> dict[str, Any]:
        text, mel = np.array(texts[clip], np.int32), np.ascontiguousarray(next(mels), np.float32)
        fields = {"id": ids[clip], "text": text, "mel": mel}
        return fields if waveforms is None else {**fields, "wav": to_pcm16(next(waveforms)).tobytes()}

    # One writer per shard, because FileWriter(shard_num=n) spreads each write over all shards, and record i of the
    # concatenated files has to be clip i.
    for shard, members in enumerate(np.array_split(np.arange(len(ids)), min(n_shards, len(ids)))):
        files.append(f"{split}.mindrecord{shard}")
        writer = FileWriter(str(folder / files[-1]))
        for start in range(0, len(members), RECORDS_PER_WRITE):
            records = [record(clip) for clip in members[start : start + RECORDS_PER_WRITE]]
            if start == 0:
                writer.add_schema(_schema(records[0]))
            writer.write_raw_data(records)
            mel_lengths += [len(each["mel"]) for each in records]
        writer.commit()
    index = {
        "ids": np.array(ids),
        "wavs": np.array(wavs),
        "text_lengths": np.array([len(text) for text in texts], np.int32),
        "mel_lengths": np.array(mel_lengths, np.int32),
    }
    if speakers is not None:
        index["speakers"] = np.array(speakers, np.int32)
    np.savez(folder / f"{split}_index.npz", **index)
    return files, index


def _schema(record: dict[str, Any]) -> dict[str, Any]:
    """MindRecord's description of the fields of `record`."""
    n_mels = record["mel"].shape[1]
    schema = {
        "id": {"type": "string"},
        "text": {"type": "int32", "shape": [-1]},
        "mel": {"type": "float32", "shape": [-1, n_mels]},
    }
    return {**schema, "wav": {"type": "bytes"}} if "wav" in record else schema


def read_stats(folder: Path) -> dict[str, Any]:
    """Read `stats.json`, which `scripts/preprocess.py` writes last.

    Raises:
        InputError: no such folder, or not a finished dataset.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such dataset folder; make one with scripts/preprocess.py, "
            "or say by --data_path where it is now"
        )
    try:
        stats = read_json(folder / "stats.json")
    except InputError as error:
        raise InputError(
            f"{folder}: not a preprocessed dataset ({error}); make one with scripts/preprocess.py"
        ) from error
    if not isinstance(stats, dict) or stats.get("format") != FORMAT:
        raise InputError(
            f"{folder}: preprocessed by another version of this program; run scripts/preprocess.py --overwrite"
        )
    if not _is_complete(stats):
        raise InputError(f"{folder / 'stats.json'}: is damaged; run scripts/preprocess.py --overwrite")
    return stats


def _is_complete(stats: dict[str, Any]) -> bool:
    """Return whether `stats` says of each split and of the mel spectrogram what reading takes."""
    splits, signature = stats.get("splits"), stats.get("mel_signature")
    if not isinstance(splits, dict) or not isinstance(signature, dict) or type(signature.get("n_mels")) is not int:
        return False
    if not isinstance(stats.get("symbols", SYMBOLS), list):  # older datasets name none
        return False
    files = [split.get("files") if isinstance(split, dict) else None for split in splits.values()]
    return all(isinstance(names, list) and names and all(isinstance(name, str) for name in names) for names in files)


def _read_index(path: Path) -> dict[str, np.ndarray]:
    """Read the index of a split: names, recordings, lengths and speakers of its clips.

    Raises:
        InputError: it is damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            index = {name: arrays[name] for name in arrays.files}
        if strange := [name for name, array in index.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strange[0]} is no array")
        index = {"speakers": np.zeros(len(index["ids"]), np.int32)} | index
        lengths = [index[name] for name in ("text_lengths", "mel_lengths")]
        whole = {name: index[name].shape for name in ("ids", "wavs", "text_lengths", "mel_lengths", "speakers")}
        if len(set(whole.values())) > 1 or index["ids"].ndim != 1 or not len(index["ids"]):
            raise ValueError(f"its arrays have shapes {whole}")
        if not all(each.dtype.kind == "i" and each.min() > 0 and each.max() <= LONGEST for each in lengths):
            raise ValueError(f"its lengths are not whole numbers from 1 to {LONGEST}")
    except DAMAGE as error:
        raise InputError(
            f"{path}: is damaged ({one_line(error)[:200]}); run scripts/preprocess.py --overwrite"
        ) from error
    return index


class Corpus:
    """One split of a preprocessed folder. Ids and lengths are in memory; texts and mels are read from disk on demand.

    Args:
        data_path: output folder of `scripts/preprocess.py`.
        split: "train" or "val".

    Attributes:
        ids, wavs: name and recording of each clip.
        text_lengths, mel_lengths: symbols and frames of each clip, int32 [N].
        speakers: number of each clip's speaker in `speaker_names`, int32 [N]; 0 if the list named none.
        speaker_names: names of the speakers of the whole dataset, sorted; empty if the list had no column of them.

    Raises:
        InputError: missing folder, split or file.
    """

    def __init__(self, data_path: str | Path, split: str = "train"):
        self.folder, self.split = Path(data_path), split
        self.stats = read_stats(self.folder)
        if split not in self.stats["splits"]:
            raise InputError(
                f"{self.folder}: has no split '{split}', only {', '.join(self.stats['splits'])}; "
                "see data.val_fraction, --val_ids"
            )
        self.files = [str(self.folder / name) for name in self.stats["splits"][split]["files"]]
        index = self.folder / f"{split}_index.npz"
        for path in [str(index), *self._needed()]:
            if not os.path.exists(path):
                raise InputError(f"{path}: is missing from the dataset; run scripts/preprocess.py --overwrite")
        arrays = _read_index(index)
        self.ids: list[str] = arrays["ids"].tolist()
        self.wavs: list[str] = arrays["wavs"].tolist()
        self.text_lengths, self.mel_lengths = arrays["text_lengths"], arrays["mel_lengths"]
        self.speakers = arrays["speakers"]
        self.speaker_names: list[str] = self.stats.get("speakers", [])
        self.n_mels: int = self.stats["mel_signature"]["n_mels"]

    def __len__(self) -> int:
        return len(self.ids)

    def check(self, config: Config) -> None:
        """Check that this data was made with the settings of `config`.

        Raises:
            InputError: settings of audio or text that differ, each by name; data without waveforms for a vocoder.
        """
        wanted, found, different = mel_signature(config.audio), self.stats["mel_signature"], []
        if network_of(config).kind == "acoustic":
            wanted, found = {**wanted, "cleaner": config.text.cleaner}, {**found, "cleaner": self.stats["cleaner"]}
            # Older datasets do not name their symbols: there was one table.
            symbols, end = self.stats.get("symbols", SYMBOLS), self.stats.get("end_symbol", "")
            if symbols != config.text.symbols:
                different.append(
                    f"its texts are spelled in {len(symbols)} other symbols "
                    f"than the {len(config.text.symbols)} of text.symbols"
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
                f"{self.folder}: was preprocessed with other settings: {'; '.join(different)}; "
                "preprocess again or change the config"
            )

    def read(
        self, indices: Sequence[int], workers: int = 1, columns: Sequence[str] = ("id", "text", "mel")
    ) -> mindspore.dataset.Dataset:
        """Build a pipeline that reads the clips `indices` in that order; repeats are allowed.

        Args:
            indices: positions in the corpus.
            workers: threads that read.
            columns: id, text int32 [L], mel float32 [T, n_mels]; in the corpus of a vocoder also wav, 16-bit PCM as
                uint8 [bytes].
        """
        workers = min(workers, os.cpu_count() or 1)  # MindSpore refuses more
        # A sampler takes at most as many indices as the corpus has clips; further readers serve the rest.
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
        """Yield the columns of the clips `indices` as arrays, clip by clip.

        Args:
            indices, workers, columns: as for `read`.
            batch: arguments of `mindspore.dataset.Dataset.batch`; with any of them, batches are yielded instead.

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
            if "Python Call Stack" in str(error):  # a function of ours failed in the pipeline
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

"""Mel spectrograms from files: their layout and scale, checked against what a network reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.audio import mel_signature, silent_mel
from src.config import AudioConfig, Config
from src.errors import InputError, some_of
from src.files import read_json

if TYPE_CHECKING:
    from src.data.corpus import Corpus  # takes MindSpore

TO_LN = {"ln": 1.0, "log10": float(np.log(10)), "dB": float(np.log(10)) / 20}  # factor from each scale to ln
MANIFEST = "align.json"  # of a folder of mels; `scripts/align.py` writes it last
TOLERATED_FRAMES = 2  # other programs count the frames at the end otherwise
_ALIKE = 3.0  # mean distance in ln; teacher-forced mels are at 0.3 or so from those of the recording
_SAMPLE = 8  # clips whose mels are compared with their recordings


def read_mel(
    path: Path, audio: AudioConfig, scale: str | None = None, check: bool = True
) -> tuple[np.ndarray, list[str]]:
    """Read a log mel spectrogram, bring it into the layout of the networks, and check its scale.

    Args:
        path: .npy, or .npz with an array `mel`: [n_mels, frames] or [frames, n_mels], a batch of one allowed.
        audio: settings of the network that is to read it.
        scale: one of `TO_LN`, which is converted; None if it is already the network's, which is then checked.
        check: guess the scale, and complain if it is another.

    Returns:
        float32 [n_mels, frames]; notes on what was changed or looks wrong.

    Raises:
        InputError: no such file, no array of numbers, other mel bands, NaN or infinity, a scale that is surely another.
    """
    mel, notes = _load(path), []
    if mel.ndim == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.ndim != 2 or audio.n_mels not in mel.shape or not mel.size or mel.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: holds {mel.dtype} {list(mel.shape)}; expected numbers [{audio.n_mels}, frames], "
            f"as audio.n_mels of the vocoder is {audio.n_mels}"
        )
    if mel.shape[0] != audio.n_mels:
        notes.append(f"{path}: is [frames, {audio.n_mels}], read as transposed")
        mel = mel.T
    mel = np.ascontiguousarray(mel, np.float32)
    if not np.isfinite(mel).all():
        raise InputError(f"{path}: has values that are NaN or infinite")
    wanted = "ln" if audio.compression == "ln" else "0 to 1"
    if scale is not None:
        if wanted != "ln":
            raise InputError(f"{path}: the vocoder's audio.compression is unit; a mel in {scale} cannot be converted")
        return (mel * TO_LN[scale]).astype(np.float32), notes
    if not check:
        return mel, notes
    found, is_sure = guess_scale(mel)
    if found != wanted:
        message = (
            f"{path}: its values, {mel.min():.3g} to {mel.max():.3g}, look like {NAMES[found]}, "
            f"but the vocoder reads {NAMES[wanted]}"
        )
        if is_sure:
            hint = f"; --mel_scale {found} converts it" if found in TO_LN else ""
            raise InputError(message + hint)
        notes.append(f"warning: {message}")
    return mel, notes


NAMES = {
    "ln": "natural logarithms",
    "log10": "logarithms to base 10",
    "dB": "decibels",
    "magnitudes": "magnitudes without a logarithm",
    "0 to 1": "a scale of 0 to 1",
    "-1 to 1": "a scale of -1 to 1",
    "-4 to 4": "a scale of -4 to 4",
}


def guess_scale(mel: np.ndarray) -> tuple[str, bool]:
    """Guess the scale of a mel spectrogram's values.

    With the usual floor of 1e-5, natural logarithms of speech lie between -11.5 and 2, those to base 10 between -5 and
    1; only the floor itself tells them apart for sure.

    Args:
        mel: finite, any shape.

    Returns:
        A key of `NAMES`; whether no other scale is possible.
    """
    low, high, median = float(mel.min()), float(mel.max()), float(np.median(mel))
    has_floor = float((mel < low + 1e-3).mean()) > 1e-3
    rules = (  # the first that holds; whether it is sure
        ("dB", low < -20 or high > 12, True),
        ("0 to 1", low >= 0 and high <= 1.001, has_floor or high > 0.99),
        ("magnitudes", low >= 0, median < 0.1 * high),
        ("ln", low < -5.1, True),
        ("log10", abs(low + 5) < 0.02 and has_floor, True),
        ("-1 to 1", low >= -1.01 and high <= 1.01, False),
        ("-4 to 4", low >= -4.01 and 1.2 < high <= 4.01, abs(low + 4) < 0.01 and has_floor),
        ("log10", high < 1.2, False),
        ("ln", True, False),
    )
    return next((name, is_sure) for name, holds, is_sure in rules if holds)


class MelFolder:
    """The mel spectrograms of a corpus's clips, in a folder with a file for each.

    The file of a clip is `{id}.npz` or `{id}.npy`. `scripts/align.py` makes such a folder, with a manifest that says by
    which settings; mels of other programs are compared with a few of the recordings.

    Args:
        folder: `data.mels`.
        corpus: with waveforms.
        audio: settings of the network that is to read them.
        share: of the segments in training that take these mels; the others take those of the recordings.

    Raises:
        InputError: no such folder, clips without a file or with another number of frames, other settings or scale.
    """

    def __init__(self, folder: Path, corpus: Corpus, audio: AudioConfig, share: float = 1.0):
        self.folder, self.corpus, self.audio, self.share = folder, corpus, audio, share
        if not folder.is_dir():
            raise InputError(f"data.mels: {folder} is no folder; scripts/align.py makes one")
        self.paths = [self._path(id) for id in corpus.ids]
        if missing := [id for id, path in zip(corpus.ids, self.paths, strict=True) if path is None]:
            raise InputError(
                f"data.mels: {folder} has no mel of {len(missing)} of {len(corpus)} {corpus.split} clips, such as "
                f"{missing[0]}; scripts/align.py --data_path {corpus.folder} writes them"
            )
        if (folder / MANIFEST).exists():
            self._check_manifest()
        else:
            self._check_recordings()

    def read(self, clip: int) -> np.ndarray:
        """Read the mel of a clip by its position in the corpus: float32 [n_mels, frames], frames as the recording's.

        Raises:
            InputError: it cannot be read, or is of another length than the recording.
        """
        mel, _ = read_mel(self.paths[clip], self.audio, check=False)
        wanted = int(self.corpus.mel_lengths[clip])
        self._check_length(clip, mel.shape[1])
        return np.concatenate([mel, silent_mel(TOLERATED_FRAMES, self.audio)], 1)[:, :wanted]

    def _path(self, id: str) -> Path | None:
        paths = (clip_path(self.folder, id, suffix) for suffix in (".npz", ".npy"))
        return next((path for path in paths if path.exists()), None)

    def _check_length(self, clip: int, n_frames: int) -> None:
        wanted = int(self.corpus.mel_lengths[clip])
        if abs(n_frames - wanted) > TOLERATED_FRAMES:
            raise InputError(
                f"data.mels: {self.paths[clip]} has {n_frames} frames, its recording in {self.corpus.folder} {wanted}; "
                "was it made of another dataset, such as with other data.trim_db?"
            )

    def _check_manifest(self) -> None:
        manifest = read_manifest(self.folder)
        found, wanted = manifest["mel_signature"], mel_signature(self.audio)
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            different = [f"{key} is {found.get(key)} there, {wanted[key]} here" for key in different]
            raise InputError(f"data.mels: {self.folder} was made with other settings: {'; '.join(different)}")
        for clip, id in enumerate(self.corpus.ids):
            if id in manifest["frames"]:
                self._check_length(clip, manifest["frames"][id])

    def _check_recordings(self) -> None:
        """Compare mels of another program with those of the recordings, which the corpus holds."""
        clips = np.unique(np.linspace(0, len(self.corpus) - 1, _SAMPLE).astype(int))
        distances, notes = [], []
        for clip, (mel,) in zip(clips, self.corpus.stream(clips.tolist(), 1, ["mel"]), strict=True):
            found, said = read_mel(self.paths[clip], self.audio)
            self._check_length(clip, found.shape[1])
            notes += said
            distances.append(float(np.abs(self.read(clip) - mel.T).mean()))
        if (distance := float(np.median(distances))) > _ALIKE:
            raise InputError(
                f"data.mels: those in {self.folder} are not of these recordings, or on another scale: their mean "
                f"distance is {distance:.1f}, that of teacher-forced mels is below 1"
                + (f" ({some_of(notes, 1)})" if notes else "")
            )


def open_mels(config: Config, corpus: Corpus) -> MelFolder | None:
    """Return the mels of `data.mels` for the clips of a corpus; None without that setting.

    Raises:
        InputError: there is a share of such mels, but no folder.
    """
    data = config.data
    if data.mels_share < 1 and not data.mels:
        raise InputError(f"data.mels_share ({data.mels_share:g}) needs data.mels, the folder of scripts/align.py")
    return MelFolder(Path(data.mels), corpus, config.audio, data.mels_share) if data.mels else None


def clip_path(folder: Path, id: str, suffix: str) -> Path:
    """Return the file of a clip in a folder of mels; an id may hold folders, but none outside."""
    parts = [part if part != ".." else "__" for part in id.split("/") if part not in ("", ".")]
    return folder.joinpath(*parts[:-1], f"{parts[-1] if parts else '_'}{suffix}")


def read_manifest(folder: Path) -> dict:
    """Read what `scripts/align.py` says of a folder of mels: mel_signature, frames by id, and the rest.

    Raises:
        InputError: it is none, or the run that writes the folder has not ended.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        if not (isinstance(manifest["mel_signature"], dict) and isinstance(manifest["frames"], dict)):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST}: cannot be read; make the folder with scripts/align.py") from error
    if not manifest.get("complete"):
        raise InputError(f"{folder}: is not complete; run scripts/align.py again, which goes on where it stopped")
    return manifest


def _load(path: Path) -> np.ndarray:
    if path.suffix.lower() in (".pt", ".pth"):
        raise InputError(f"{path}: is a PyTorch file; save it by numpy.save('x.npy', tensor.cpu().numpy())")
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            names = content.files
            if "mel" not in names and len(names) != 1:
                raise InputError(f"{path}: has arrays {', '.join(names) or 'none'}, but none is named mel")
            return content["mel" if "mel" in names else names[0]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise InputError(f"{path}: cannot be read as a numpy file (.npy, or .npz without pickled objects)") from error

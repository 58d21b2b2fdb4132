"""The recordings of a list on disk: found by id or path, with any suffix, under a folder that has moved."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au")  # in this order where there are several
_UNREADABLE = (".m4a", ".aac", ".mp4", ".wma", ".webm", ".amr")  # found, so that the message is about their format
_MELS = (".pt", ".npy", ".npz")  # lists of mels, as of NVIDIA's DeepLearningExamples, name these
_SAMPLE = 200  # rows of a list that are looked for under each folder
_DEEPEST = 8  # leading folders that a list may have and the disk has not


def without_suffix(name: str) -> str:
    """Return a path or id without the suffix of a recording or mel; other dots belong to the name."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES + _UNREADABLE + _MELS else name


class Recordings:
    """Finds the recordings that a list names.

    A list is often made elsewhere: `DUMMY/LJ001-0001.wav` in NVIDIA's lists, `LJSpeech-1.1/wavs/LJ001-0001.wav` in
    others, an absolute path of another machine. `settle` decides once for the whole list how many leading folders to
    drop and whether `wavs/` comes before the rest.

    Args:
        folder: the folder that paths start from.
        by_id: the list holds ids, whose recordings are in `wavs/`.
    """

    def __init__(self, folder: Path, by_id: bool):
        self.folder, self.by_id = folder, by_id
        self._listed: dict[str, dict[str, list[str]]] = {}
        self._place: Callable[[str], str] = _in_wavs if by_id else _as_written
        self.note = ""  # how paths are read, if not as they are written

    def settle(self, names: Sequence[str]) -> None:
        """Choose the place where most of the named recordings are."""
        sample = names[:: -(-len(names) // _SAMPLE)] if names else []
        places: list[tuple[str, Callable[[str], str]]] = [("", _as_written), ("from wavs/", _in_wavs)]
        if self.by_id:
            places = [("", _in_wavs), ("from the folder itself", _as_written)]
        deepest = max((len(PurePosixPath(_slashes(name)).parts) for name in sample), default=1)
        for n_dropped in range(min(deepest, _DEEPEST)):
            for under in ("", "wavs/"):
                start = "/".join(PurePosixPath(_slashes(sample[0])).parts[:n_dropped]).replace("//", "/")
                notes = [f"without {start}/"] if start else []
                notes += ["with wavs/ for mels/"] if _names_mels(sample[0]) else []
                notes += ["from wavs/"] if under else []
                places.append((", ".join(notes), _dropping(n_dropped, under)))
        most = 0
        for note, place in places:
            found = sum(self._at(place(_slashes(name))) is not None for name in sample)
            if found > most:
                most, self.note, self._place = found, note, place

    def find(self, name: str) -> str | None:
        """Return the path of a recording, relative to the folder, or None if it is not there.

        Args:
            name: id or path, with or without the suffix; that of the file may be another one.
        """
        return self._at(self._place(_slashes(name)))

    def expected(self, name: str) -> str:
        """Return the path where a recording that is not there was looked for."""
        path = self._place(_slashes(name))
        return path if path != without_suffix(path) else f"{path}.wav"

    def _at(self, path: str) -> str | None:
        if not path:
            return None
        parent, base = os.path.split(path)
        here = self._names(parent)
        stem = unicodedata.normalize("NFC", without_suffix(base))
        candidates = here.get(stem, [])
        written = unicodedata.normalize("NFC", base)
        exact = next((each for each in candidates if unicodedata.normalize("NFC", each) == written), None)
        found = exact or next(iter(candidates), None)
        return found and os.path.join(parent, found)

    def _names(self, parent: str) -> dict[str, list[str]]:
        """List the recordings of a folder by their names without suffix."""
        if parent not in self._listed:
            found: dict[str, list[str]] = {}
            try:
                names = os.listdir(self.folder / parent)
            except (OSError, ValueError):  # ValueError: a NUL
                names = []
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in SUFFIXES + _UNREADABLE:
                    found.setdefault(unicodedata.normalize("NFC", stem), []).append(name)
            for each in found.values():
                each.sort(key=lambda name: ((SUFFIXES + _UNREADABLE).index(os.path.splitext(name)[1].lower()), name))
            self._listed[parent] = found
        return self._listed[parent]


def _slashes(name: str) -> str:
    return name.replace("\\", "/")  # a list made on Windows


def _names_mels(name: str) -> bool:
    return PurePosixPath(_slashes(name)).parts[-2:-1] == ("mels",)


def _as_written(name: str) -> str:
    return name


def _in_wavs(name: str) -> str:
    return f"wavs/{name}" if name else ""


def _dropping(n_leading: int, under: str) -> Callable[[str], str]:
    def place(name: str) -> str:
        parts = PurePosixPath(name).parts[n_leading:]
        if len(parts) > 1 and parts[-2] == "mels":
            parts = (*parts[:-2], "wavs", parts[-1])
        return f"{under}{'/'.join(parts)}" if parts else ""

    return place

"""The pitch of recordings, by probabilistic YIN, measured once and kept beside the dataset; segments that carry it."""

import collections
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
from tqdm import tqdm

from src.config import AudioConfig
from src.data.clips import end_with_parent
from src.data.corpus import Corpus
from src.data.segments import Segments, decode
from src.errors import InputError

CLIPS_PER_WORKER = 8  # for fewer, starting a process does not pay


class PitchRange(NamedTuple):
    """The lowest and the highest pitch that is looked for, in Hz."""

    low: float
    high: float


def pitch_of(wav: np.ndarray, audio: AudioConfig, within: PitchRange) -> np.ndarray:
    """Measure the pitch by probabilistic YIN (Mauch & Dixon 2014, `librosa.pyin`).

    Args:
        wav: float [samples].

    Returns:
        Hz at each frame of the mel spectrogram, float32 [1 + samples // hop_length]; 0 where there is no voice.
    """
    frame_length = 2 ** int(np.ceil(np.log2(4 * audio.sample_rate / within.low)))
    lengths = {"frame_length": frame_length, "hop_length": audio.hop_length}
    f0, _, _ = librosa.pyin(wav, fmin=within.low, fmax=within.high, sr=audio.sample_rate, **lengths)
    return np.nan_to_num(f0).astype(np.float32)


def pitches(corpus: Corpus, audio: AudioConfig, within: PitchRange, workers: int) -> list[np.ndarray]:
    """Return the pitch of every clip, as `pitch_of` measures it; see `keep_pitches`."""
    return [np.load(path) for path in keep_pitches(corpus, audio, within, workers)]


def keep_pitches(corpus: Corpus, audio: AudioConfig, within: PitchRange, workers: int) -> list[Path]:
    """Measure the pitch of the clips where that is not done yet, and return the file of each.

    They are kept in the folder `pitch` of the dataset, so an interrupted measurement goes on where it was.

    Raises:
        InputError: the folder cannot be written.
    """
    settings = audio.sample_rate, audio.hop_length, within
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    folder = corpus.folder / "pitch" / f"{corpus.split}-{key}"
    paths = [folder / f"{clip:06}.npy" for clip in range(len(corpus))]
    missing = [clip for clip, path in enumerate(paths) if not path.exists()]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _measure(corpus, missing, [paths[clip] for clip in missing], audio, within, workers)
        except OSError as error:
            raise InputError(f"{folder}: the pitch of the clips cannot be kept there ({error.strerror})") from error
    return paths


def _measure(
    corpus: Corpus, clips: list[int], paths: list[Path], audio: AudioConfig, within: PitchRange, workers: int
) -> None:
    work = partial(_keep_pitch, audio=audio, within=within)
    wavs = (wav.copy() for (wav,) in corpus.stream(clips, 1, ["wav"]))
    with tqdm(total=len(clips), desc=f"pitch of the {corpus.split} clips", unit="clip", dynamic_ncols=True) as bar:
        workers = min(workers, len(clips) // CLIPS_PER_WORKER)
        if workers <= 1:
            for _ in map(work, wavs, paths):
                bar.update()
            return
        # spawn: this process has MindSpore's threads, and a fork would copy their locks in whatever state
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
            running = collections.deque()
            for wav, path in zip(wavs, paths, strict=True):
                running.append(pool.submit(work, wav, path))
                if len(running) > 2 * workers:  # no more waveforms in memory than are worked on
                    running.popleft().result()
                    bar.update()
            for future in running:
                future.result()
                bar.update()


def _keep_pitch(wav: np.ndarray, path: Path, audio: AudioConfig, within: PitchRange) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        np.save(file, pitch_of(decode(wav), audio, within))
    os.replace(unfinished, path)


class PitchBatch(NamedTuple):
    """A batch of segments with their pitch.

    Attributes:
        mel: float32 [B, n_mels, T].
        audio: float32 [B, T * hop_length] in [-1, 1].
        pitch: natural logarithm of Hz, float32 [B, T], interpolated where there is no voice.
        voiced: 1 at frames with a voice, else 0, float32 [B, T].
        indices: positions in the corpus, int32 [B].
    """

    mel: np.ndarray
    audio: np.ndarray
    pitch: np.ndarray
    voiced: np.ndarray
    indices: np.ndarray

    @property
    def frames(self) -> int:
        """Mel frames of the whole batch."""
        return self.mel.shape[0] * self.mel.shape[2]


class PitchSegments(Segments):
    """Segments that begin at a frame of their clip and carry its pitch; otherwise as `Segments`.

    Args:
        within: range of the pitch.
        others: as `Segments` takes them; `length` must be a multiple of the hop.
    """

    def __init__(self, corpus: Corpus, *others: object, within: PitchRange, **more: object):
        super().__init__(corpus, *others, **more)
        tracks = pitches(corpus, self.audio, within, self.workers)
        self.tracks = [continuous(track, within) for track in tracks]

    def examples(self) -> list[PitchBatch]:
        """Return a batch of zeros in the one shape."""
        (batch,) = super().examples()
        zeros = np.zeros((batch.mel.shape[0], batch.mel.shape[2]), np.float32)
        return [PitchBatch(batch.mel, batch.audio, zeros, zeros, batch.indices)]

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[PitchBatch]:
        """Yield this rank's batches of an epoch from position `first_batch` on, as in an epoch read from its start."""
        places = self.plan(epoch)[1][first_batch:, self.rank :: self.world_size]
        for row, batch in zip(places, super().epoch(epoch, first_batch), strict=True):
            pieces = [self.cut_pitch(clip, place) for clip, place in zip(batch.indices, row, strict=True)]
            pitch, voiced = (np.stack(arrays) for arrays in zip(*pieces, strict=True))
            yield PitchBatch(batch.mel, batch.audio, pitch, voiced, batch.indices)

    def start(self, n_samples: int, place: float) -> int:
        """First sample of a segment at `place` (0 to 1) of a clip of `n_samples`: that of a frame."""
        hop = self.audio.hop_length
        return int(place * ((n_samples - self.length) // hop + 1)) * hop

    def cut_pitch(self, clip: int, place: float) -> tuple[np.ndarray, np.ndarray]:
        """Cut pitch and voicing of a segment, each float32 [T]; see `PitchBatch`."""
        hop, n_frames = self.audio.hop_length, self.length // self.audio.hop_length
        pitch, voiced = self.tracks[clip]
        lacking = max(0, n_frames + 1 - len(pitch))  # silence follows a clip that is shorter than a segment
        pitch, voiced = np.pad(pitch, (0, lacking), mode="edge"), np.pad(voiced, (0, lacking))
        first = self.start((len(pitch) - 1) * hop, place) // hop
        return pitch[first : first + n_frames], voiced[first : first + n_frames]


def continuous(track: np.ndarray, within: PitchRange) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of a pitch in Hz [T], interpolated where it is 0, and voicing, 0 or 1; both float32 [T].

    Where nothing at all is voiced, the pitch is the middle of the range.
    """
    where = np.flatnonzero(track)
    voiced = (track > 0).astype(np.float32)
    if not len(where):
        return np.full(len(track), np.log(within).mean(), np.float32), voiced
    return np.interp(np.arange(len(track)), where, np.log(track[where])).astype(np.float32), voiced

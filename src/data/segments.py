"""Random segments of waveforms with their mel spectrograms: the training batches of a vocoder."""

import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from src.audio import from_pcm16, mel_spectrogram, preemphasize, silent_mel
from src.config import AudioConfig
from src.data.corpus import Corpus
from src.data.mel_file import MelFolder
from src.errors import InputError, some_of


class SegmentBatch(NamedTuple):
    """A batch of segments.

    Attributes:
        mel: float32 [B, n_mels, T].
        audio: float32 [B, samples] in [-1, 1].
        indices: positions in the corpus, int32 [B].
    """

    mel: np.ndarray
    audio: np.ndarray
    indices: np.ndarray

    @property
    def frames(self) -> int:
        """Mel frames of the whole batch."""
        return self.mel.shape[0] * self.mel.shape[2]


class Segments:
    """The batches of an epoch: one segment of every clip, at a random place in it.

    Clips shorter than a segment are left out, and named on stderr: the silence that would fill them up is far likelier
    than sound, so it would govern the likelihood.

    Order and places depend on seed and epoch alone. The last batch is filled with further segments, so all batches have
    one shape.

    Args:
        corpus: a dataset with waveforms.
        batch_size: segments per batch and rank.
        audio: settings of the mel spectrograms.
        length: samples of a segment.
        seed: decides order and places, together with the number of the epoch.
        rank, world_size: this process among those that share the epoch.
        workers: threads that read waveforms and compute mel spectrograms.
        mels: mel spectrograms in place of those of the waveforms, in the share of the segments that `mels.share` says;
            these start where a frame does.

    Attributes:
        clips: positions in the corpus of the clips that are long enough.

    Raises:
        InputError: there are none.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int,
        audio: AudioConfig,
        length: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 2,
        mels: MelFolder | None = None,
    ):
        self.mels = mels
        self.corpus, self.batch_size, self.audio, self.length, self.seed = corpus, batch_size, audio, length, seed
        self.rank, self.world_size, self.workers = rank, world_size, workers
        longest = corpus.mel_lengths * audio.hop_length  # a clip has less than this, by at most a hop
        self.clips = np.flatnonzero(longest - audio.hop_length >= length)
        self._name_short_clips()

    def _name_short_clips(self) -> None:
        short = [self.corpus.ids[clip] for clip in np.setdiff1d(np.arange(len(self.corpus)), self.clips)]
        segment = (
            f"a segment (train.segment_length, {self.length} samples: {self.length / self.audio.sample_rate:.2f} s)"
        )
        where = f"{self.corpus.folder}: {len(short)} of {len(self.corpus)} {self.corpus.split} clips"
        if not len(self.clips):
            raise InputError(f"{where} are shorter than {segment}, so that none is left; lower train.segment_length")
        if short and self.rank == 0:
            print(f"{where} are shorter than {segment} and left out: {some_of(short, 10)}", file=sys.stderr)

    def __str__(self) -> str:
        return f"{len(self.clips)} clips in segments of {self.length} samples"

    @property
    def order(self) -> list:
        """Settings that decide the order of batches; a position in an epoch is valid only while they are the same."""
        return [self.seed, self.batch_size * self.world_size, len(self.clips), self.length]

    def __len__(self) -> int:
        """Batches of one rank in an epoch, the same number in every epoch."""
        return math.ceil(len(self.clips) / (self.batch_size * self.world_size))

    def examples(self) -> list[SegmentBatch]:
        """Return a batch of zeros in the one shape."""
        n_frames = math.ceil(self.length / self.audio.hop_length)
        mel, audio = np.zeros((self.batch_size, self.audio.n_mels, n_frames)), np.zeros((self.batch_size, self.length))
        return [SegmentBatch(mel.astype(np.float32), audio.astype(np.float32), np.zeros(self.batch_size, np.int32))]

    def plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Plan an epoch: clips and places in them (0 to 1), both [steps, batch_size * world_size]."""
        random = np.random.default_rng((self.seed, epoch))
        steps, places = len(self), self.batch_size * self.world_size
        rounds = [random.permutation(len(self.clips)) for _ in range(math.ceil(steps * places / len(self.clips)))]
        clips = self.clips[np.concatenate(rounds)[: steps * places].reshape(steps, places)]
        return clips, random.random((steps, places))

    def given(self, epoch: int) -> np.ndarray:
        """Return whether each segment of an epoch takes its mel from `mels`, bool [steps, batch_size * world_size]."""
        shape = len(self), self.batch_size * self.world_size
        if self.mels is None:
            return np.zeros(shape, bool)
        return np.random.default_rng((self.seed, epoch, 1)).random(shape) < self.mels.share

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[SegmentBatch]:
        """Yield this rank's batches of an epoch from position `first_batch` on, as in an epoch read from its start.

        Raises:
            InputError: a given mel cannot be read.
        """
        clips, places = (values[first_batch:, self.rank :: self.world_size] for values in self.plan(epoch))
        if not len(clips):
            return
        given = self.given(epoch)[first_batch:, self.rank :: self.world_size]
        failures: list[InputError] = []

        def cut_batch(wavs: list[np.ndarray], info: Any) -> tuple[np.ndarray, np.ndarray]:
            step = info.get_batch_num()
            try:
                segments = [
                    self.cut_given(decode(wav), place, clip) if takes_given else self.cut(decode(wav), place)
                    for wav, place, clip, takes_given in zip(wavs, places[step], clips[step], given[step], strict=True)
                ]
            except InputError as error:
                failures.append(error)
                raise
            return tuple(np.stack(parts) for parts in zip(*segments, strict=True))

        pairs = self.corpus.stream(
            clips.ravel(),
            self.workers,
            ["wav"],
            batch_size=self.batch_size,
            per_batch_map=cut_batch,
            output_columns=["mel", "audio"],
        )
        try:
            for indices, (mel, audio) in zip(clips, pairs, strict=True):
                yield SegmentBatch(mel, audio, indices.astype(np.int32))
        except RuntimeError:  # MindSpore's, a page long
            if failures:
                raise failures[0] from None
            raise

    def start(self, n_samples: int, place: float) -> int:
        """First sample of a segment at `place` (0 to 1) of a clip of `n_samples`, at least as long as a segment."""
        return int(place * (n_samples - self.length + 1))

    def cut(self, wav: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
        """Cut a segment out of a clip and compute its mel. Silence follows a clip that is shorter than a segment.

        The frames start where the segment starts. Those at its edges see the samples of the clip beyond them, because
        when speaking every frame but the first and the last has neighbours too.

        Args:
            wav: float [samples].
            place: position of the segment, from 0 (start of the clip) to 1 (end).

        Returns:
            mel float32 [n_mels, T], audio float32 [length]; T frames of hop_length cover the segment.
        """
        wav = np.pad(wav, (0, max(0, self.length - len(wav))))
        start = self.start(len(wav), place)
        margin = self.audio.n_fft // 2
        piece = np.pad(preemphasize(wav, self.audio), margin, mode="reflect")[start : start + self.length + 2 * margin]
        mel = mel_spectrogram(piece, self.audio, piece=True)[:, : math.ceil(self.length / self.audio.hop_length)]
        return mel, wav[start : start + self.length]

    def cut_given(self, wav: np.ndarray, place: float, clip: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut a segment out of a clip, at the start of a frame, and the frames of its given mel.

        Arguments and results are those of `cut`; `clip` is the position in the corpus.
        """
        hop, n_frames = self.audio.hop_length, math.ceil(self.length / self.audio.hop_length)
        first = int(place * (max(0, len(wav) - self.length) // hop + 1))
        mel = np.concatenate([self.mels.read(int(clip)), silent_mel(n_frames, self.audio)], 1)
        audio = wav[first * hop : first * hop + self.length]
        return mel[:, first : first + n_frames], np.pad(audio, (0, self.length - len(audio)))


def decode(wav: np.ndarray) -> np.ndarray:
    """Decode a waveform of a dataset, 16-bit PCM as uint8 [bytes], to float32 [samples] in [-1, 1)."""
    return from_pcm16(wav.view("<i2"))

"""Random segments of waveform with their mel spectrograms, which a vocoder trains on."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from src.audio import from_pcm16, mel_spectrogram, preemphasize
from src.config import AudioConfig
from src.data.corpus import Corpus


class SegmentBatch(NamedTuple):
    """`mel` float32 [B, n_mels, T], `audio` float32 [B, samples] in [-1, 1], `indices` int32 [B] into the corpus."""

    mel: np.ndarray
    audio: np.ndarray
    indices: np.ndarray

    @property
    def frames(self) -> int:
        """Mel frames."""
        return self.mel.shape[0] * self.mel.shape[2]


class Segments:
    """The batches of an epoch: one segment of every clip, at a random place in it.

    Order and places depend on seed and epoch alone. The last batch is filled with further segments, so all batches have one shape.

    Args:
        corpus: a dataset with waveforms
        batch_size: segments per batch and rank
        audio: how mel spectrograms are made
        length: samples of a segment
        seed: with the epoch number it decides order and places
        rank, world_size: this process among those that share the epoch
        workers: threads that read and make mel spectrograms
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
    ):
        self.corpus, self.batch_size, self.audio, self.length, self.seed = corpus, batch_size, audio, length, seed
        self.rank, self.world_size, self.workers = rank, world_size, workers

    def __str__(self) -> str:
        return f"{len(self.corpus)} clips in segments of {self.length} samples"

    @property
    def order(self) -> list:
        """What the order of the batches depends on; a position in an epoch means something only while it stays the same."""
        return [self.seed, self.batch_size * self.world_size, len(self.corpus), self.length]

    def __len__(self) -> int:
        """Batches of each rank in an epoch, the same in every epoch."""
        return math.ceil(len(self.corpus) / (self.batch_size * self.world_size))

    def examples(self) -> list[SegmentBatch]:
        """A batch of zeros of the one shape."""
        n_frames = math.ceil(self.length / self.audio.hop_length)
        mel, audio = np.zeros((self.batch_size, self.audio.n_mels, n_frames)), np.zeros((self.batch_size, self.length))
        return [SegmentBatch(mel.astype(np.float32), audio.astype(np.float32), np.zeros(self.batch_size, np.int32))]

    def plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """What each step of an epoch reads, both [steps, batch_size * world_size]: the clips, and where in them, from 0 to 1."""
        random = np.random.default_rng((self.seed, epoch))
        steps, places = len(self), self.batch_size * self.world_size
        rounds = [random.permutation(len(self.corpus)) for _ in range(math.ceil(steps * places / len(self.corpus)))]
        clips = np.concatenate(rounds)[: steps * places].reshape(steps, places)
        return clips, random.random((steps, places))

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[SegmentBatch]:
        """This rank's batches of an epoch, from position `first_batch` on exactly as in an epoch read from its start."""
        clips, places = (values[first_batch:, self.rank :: self.world_size] for values in self.plan(epoch))
        if not len(clips):
            return

        def cut_batch(wavs: list[np.ndarray], info: Any) -> tuple[np.ndarray, np.ndarray]:
            step = info.get_batch_num()
            segments = [self.cut(decode(wav), place) for wav, place in zip(wavs, places[step], strict=True)]
            return tuple(np.stack(parts) for parts in zip(*segments, strict=True))

        pairs = self.corpus.stream(
            clips.ravel(),
            self.workers,
            ["wav"],
            batch_size=self.batch_size,
            per_batch_map=cut_batch,
            output_columns=["mel", "audio"],
        )
        for indices, (mel, audio) in zip(clips, pairs, strict=True):
            yield SegmentBatch(mel, audio, indices.astype(np.int32))

    def cut(self, wav: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
        """The segment of `wav` [samples] at `place` (0 is its beginning, 1 its end), and its mel; a short clip is followed by silence.

        The mel is that of the whole clip, were its frames to begin where the segment does: frames at the edges see beyond them, as all
        but the first and the last frame do when speaking.

        Returns:
            mel float32 [n_mels, T], audio float32 [length]; T frames of hop_length cover the segment.
        """
        wav = np.pad(wav, (0, max(0, self.length - len(wav))))
        start = int(place * (len(wav) - self.length + 1))
        margin = self.audio.n_fft // 2
        piece = np.pad(preemphasize(wav, self.audio), margin, mode="reflect")[start : start + self.length + 2 * margin]
        mel = mel_spectrogram(piece, self.audio, piece=True)[:, : math.ceil(self.length / self.audio.hop_length)]
        return mel, wav[start : start + self.length]


def decode(wav: np.ndarray) -> np.ndarray:
    """A waveform as it stands in a dataset, uint8 [bytes], as float32 [samples] in [-1, 1]."""
    return from_pcm16(wav.view("<i2"))

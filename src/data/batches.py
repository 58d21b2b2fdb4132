"""Batches of Tacotron 2: static shapes (buckets), and the order of an epoch."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from src.data.corpus import Corpus
from src.errors import InputError


class Batch(NamedTuple):
    """A batch of clips, padded with 0.

    Empty items, which fill the last batch of a validation, have lengths 0 and index -1.

    Attributes:
        text: symbol ids, int32 [B, L].
        text_lengths: int32 [B].
        mel: float32 [B, n_mels, T].
        mel_lengths: int32 [B].
        indices: positions in the corpus, int32 [B].
        speakers: numbers of the speakers, int32 [B].
    """

    text: np.ndarray
    text_lengths: np.ndarray
    mel: np.ndarray
    mel_lengths: np.ndarray
    indices: np.ndarray
    speakers: np.ndarray

    @property
    def frames(self) -> int:
        """Mel frames without padding."""
        return int(self.mel_lengths.sum())


def plan_buckets(
    text_lengths: np.ndarray, mel_lengths: np.ndarray, n_buckets: int, reduction_factor: int
) -> list[tuple[int, int]]:
    """Choose at most `n_buckets` batch shapes with the fewest frames of padding: dynamic programming over upper edges.

    Args:
        text_lengths: symbols of each clip of a split [N].
        mel_lengths: frames of each clip [N].

    Returns:
        Shapes (L, T), ascending in both; T is a multiple of 20 * reduction_factor, L of 16. The last one fits every
        clip.

    Raises:
        InputError: n_buckets below 1.
    """
    if n_buckets < 1:
        raise InputError(f"data.n_buckets is {n_buckets}; at least one batch shape is needed")
    text_lengths, unit = np.asarray(text_lengths), 20 * reduction_factor
    frames = -(-np.asarray(mel_lengths) // unit) * unit  # (N,), rounded up
    edges, counts = np.unique(frames, return_counts=True)
    below = np.cumsum(counts)  # clips that fit under each edge
    # cost[j]: frames with padding of all clips under edge j, in the buckets so far, the last of which ends at j
    cost, previous = edges * below, []
    for _ in range(1, min(n_buckets, len(edges))):
        split = cost[:, None] + edges[None, :] * (below[None, :] - below[:, None])  # (edge before, edge)
        split[np.tril_indices(len(edges))] = np.iinfo(np.int64).max
        best = split.argmin(0)
        previous.append(np.where(split.min(0) < cost, best, -1))
        cost = np.minimum(cost, split.min(0))
    chosen = [len(edges) - 1]
    for before in reversed(previous):
        if before[chosen[-1]] >= 0:
            chosen.append(int(before[chosen[-1]]))
    return [(int(-(-text_lengths[frames <= edges[j]].max() // 16) * 16), int(edges[j])) for j in reversed(chosen)]


class Batches:
    """The batches of an epoch, planned on the host and read by MindSpore's data pipeline.

    Each clip belongs to the first bucket that it fits. A batch has the shape of one bucket and is full: clips left over
    in a bucket move to the next one, so only the last batch needs filling, with repeats when shuffling and with empty
    items when not. All ranks have the same shape at the same step.

    Args:
        corpus: clips to read.
        batch_size: clips per batch and rank.
        buckets: shapes (L, T), ascending, from `plan_buckets`.
        seed: decides the order, together with the number of the epoch.
        shuffle: draw a new order each epoch (training), or read the clips once in a fixed order (validation).
        rank, world_size: this process among those that share the epoch.
        workers: threads that read and pad.

    Raises:
        InputError: a clip fits no bucket.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int,
        buckets: Sequence[tuple[int, int]],
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 2,
    ):
        self.corpus, self.batch_size, self.buckets, self.workers = corpus, batch_size, list(buckets), workers
        self.seed, self.shuffle, self.rank, self.world_size = seed, shuffle, rank, world_size
        shapes = np.array(self.buckets)  # (buckets, 2)
        fits = corpus.text_lengths[:, None] <= shapes[:, 0]  # (N, buckets)
        fits &= corpus.mel_lengths[:, None] <= shapes[:, 1]
        if not fits.any(1).all():
            i = int(np.argmin(fits.any(1)))
            size = f"{corpus.text_lengths[i]} symbols, {corpus.mel_lengths[i]} frames"
            raise InputError(
                f"{corpus.folder}: {corpus.split} clip {corpus.ids[i]} ({size}) "
                f"is larger than every batch shape {self.buckets}"
            )
        self.bucket_of = fits.argmax(1)  # (N,)

    def __str__(self) -> str:
        return f"{len(self.corpus)} clips in {len(self.buckets)} batch shapes"

    @property
    def order(self) -> list:
        """Settings that decide the order of batches; a position in an epoch is valid only while they are the same."""
        return [self.seed, self.batch_size * self.world_size, len(self.corpus), [list(shape) for shape in self.buckets]]

    def __len__(self) -> int:
        """Batches of one rank in an epoch, the same number in every epoch."""
        return math.ceil(len(self.corpus) / (self.batch_size * self.world_size))

    def examples(self) -> list[Batch]:
        """Return a batch of zeros in each shape."""
        lengths = np.zeros(self.batch_size, np.int32)
        padded = [self._pad([], [], shape) for shape in self.buckets]
        return [Batch(text, lengths, mel, lengths, lengths, lengths) for text, mel in padded]

    def plan(self, epoch: int) -> list[tuple[tuple[int, int], np.ndarray]]:
        """Plan an epoch.

        Returns:
            For each step its shape, and the clips of all ranks [batch_size * world_size], -1 for empty items.
        """
        random = np.random.default_rng((self.seed, epoch))
        size = self.batch_size * self.world_size
        steps, left = [], np.array([], np.int64)
        for bucket in range(len(self.buckets)):
            clips = np.concatenate([left, np.flatnonzero(self.bucket_of == bucket)])
            if self.shuffle:
                clips = random.permutation(clips)
            full = len(clips) // size * size
            steps += [(self.buckets[bucket], step) for step in clips[:full].reshape(-1, size)]
            left = clips[full:]
        if len(left):
            bucket = self.bucket_of[left].max()
            filling = np.full(size - len(left), -1)
            if self.shuffle:
                others = np.setdiff1d(np.flatnonzero(self.bucket_of <= bucket), left)
                filling = np.resize(random.permutation(others if len(others) else left), len(filling))
            steps.append((self.buckets[bucket], np.concatenate([left, filling])))
        if self.shuffle:
            steps = [steps[i] for i in random.permutation(len(steps))]
        return steps

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """Yield this rank's batches of an epoch from position `first_batch` on, as in an epoch read from its start."""
        # Every world_size-th clip, so that the ranks share the real items of a partly empty batch evenly.
        steps = [(shape, clips[self.rank :: self.world_size]) for shape, clips in self.plan(epoch)[first_batch:]]
        shapes = [shape for shape, _ in steps]
        real = [clips[clips >= 0] for _, clips in steps]
        padded = self._read(np.concatenate(real), shapes) if steps else iter(())
        for (shape, clips), present in zip(steps, real, strict=True):
            # The last batch of a validation may be empty on this rank; the pipeline then has no batch for it.
            text, mel = next(padded) if len(present) else self._pad([], [], shape)
            exists = clips >= 0
            text_lengths = np.where(exists, self.corpus.text_lengths[clips], 0).astype(np.int32)
            mel_lengths = np.where(exists, self.corpus.mel_lengths[clips], 0).astype(np.int32)
            speakers = np.where(exists, self.corpus.speakers[clips], 0).astype(np.int32)
            yield Batch(text, text_lengths, mel, mel_lengths, clips.astype(np.int32), speakers)

    def _read(self, clips: np.ndarray, shapes: list[tuple[int, int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if not len(clips):
            return iter(())

        def pad(texts: list[np.ndarray], mels: list[np.ndarray], info: Any) -> tuple[np.ndarray, np.ndarray]:
            return self._pad(texts, mels, shapes[info.get_batch_num()])

        return self.corpus.stream(clips, self.workers, ["text", "mel"], batch_size=self.batch_size, per_batch_map=pad)

    def _pad(
        self, texts: list[np.ndarray], mels: list[np.ndarray], shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        length, frames = shape
        text = np.zeros((self.batch_size, length), np.int32)
        mel = np.zeros((self.batch_size, self.corpus.n_mels, frames), np.float32)
        for i, (symbols, spectrogram) in enumerate(zip(texts, mels, strict=True)):
            text[i, : len(symbols)] = symbols
            mel[i, :, : len(spectrogram)] = spectrogram.T
        return text, mel

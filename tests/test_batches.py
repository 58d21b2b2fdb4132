"""Buckets, and the batches of an epoch: every clip once, in an order that seed and epoch decide."""

import itertools

import numpy as np
import pytest
from toy_corpus import N_MELS, make_corpus, mel_of, random_lengths, text_of

from src.data.batches import Batches, plan_buckets
from src.errors import InputError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data") / "corpus", *random_lengths(47))


def plan(corpus, n_buckets=3):
    return plan_buckets(corpus.text_lengths, corpus.mel_lengths, n_buckets, 1)


def check_content(corpus, batch):
    """Every item of a batch is its clip, followed by zeros."""
    for row, clip in enumerate(batch.indices):
        length, frames = (corpus.text_lengths[clip], corpus.mel_lengths[clip]) if clip >= 0 else (0, 0)
        assert (batch.text_lengths[row], batch.mel_lengths[row]) == (length, frames)
        assert batch.text[row, :length].tolist() == (text_of(clip, length) if clip >= 0 else [])
        assert not batch.text[row, length:].any() and not batch.mel[row, :, frames:].any()
        if clip >= 0:
            np.testing.assert_array_equal(batch.mel[row, :, :frames], mel_of(clip, frames).T)


@pytest.mark.parametrize(("n_buckets", "reduction_factor"), [(1, 1), (3, 1), (6, 3), (100, 2)])
def test_buckets_hold_every_clip(n_buckets, reduction_factor):
    text_lengths, mel_lengths = random_lengths(500)
    buckets = plan_buckets(text_lengths, mel_lengths, n_buckets, reduction_factor)
    assert 1 <= len(buckets) <= n_buckets
    assert buckets == sorted(buckets) and [bucket[0] for bucket in buckets] == sorted(bucket[0] for bucket in buckets)
    assert len({frames for _, frames in buckets}) == len(buckets)
    assert all(length % 16 == 0 and frames % (20 * reduction_factor) == 0 for length, frames in buckets)
    assert buckets[-1][0] >= text_lengths.max() and buckets[-1][1] >= mel_lengths.max()


def test_buckets_have_the_least_padding():
    mel_lengths = np.array([11, 20, 35, 60, 61, 64, 90, 130, 133, 139, 240])
    edges = sorted({-(-frames // 20) * 20 for frames in mel_lengths.tolist()})

    def padded(chosen):
        return sum(min(edge for edge in chosen if edge >= frames) for frames in mel_lengths)

    for n_buckets in (1, 2, 3, 4):
        best = min(padded((*chosen, 240)) for chosen in itertools.combinations(edges[:-1], n_buckets - 1))
        assert padded([frames for _, frames in plan_buckets(mel_lengths // 4, mel_lengths, n_buckets, 1)]) == best


def test_a_training_epoch_uses_every_clip_and_fills_only_the_last_batch(corpus):
    buckets = plan(corpus)
    batches = Batches(corpus, 8, buckets, seed=1, shuffle=True)
    epoch = list(batches.epoch(0))
    assert len(epoch) == len(batches) == 6
    for batch in epoch:
        assert (batch.text.shape[1], batch.mel.shape[2]) in buckets
        assert batch.mel.shape[:2] == (8, N_MELS) and batch.mel.flags.c_contiguous
        assert (batch.text.dtype, batch.mel.dtype, batch.mel_lengths.dtype) == (np.int32, np.float32, np.int32)
        check_content(corpus, batch)
    assert set(np.concatenate([batch.indices for batch in epoch]).tolist()) == set(range(47))  # 48 places: one repeat
    assert len({batch.mel.shape for batch in epoch}) > 1  # small clips do have small batches


def test_order_depends_on_seed_and_epoch_alone(corpus):
    def order(seed, epoch):
        return [batch.indices.tolist() for batch in Batches(corpus, 8, plan(corpus), seed, shuffle=True).epoch(epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_continues_from_any_position(corpus, shuffle):
    batches = Batches(corpus, 8, plan(corpus), seed=1, shuffle=shuffle)
    whole = list(batches.epoch(3))
    for first in (1, 5, 6):
        rest = list(batches.epoch(3, first_batch=first))
        assert len(rest) == 6 - first
        for expected, got in zip(whole[first:], rest, strict=True):
            for name in expected._fields:
                np.testing.assert_array_equal(getattr(expected, name), getattr(got, name))


def test_ranks_share_an_epoch(corpus):
    ranks = [Batches(corpus, 4, plan(corpus), seed=1, shuffle=True, rank=rank, world_size=3) for rank in range(3)]
    epochs = [list(rank.epoch(0)) for rank in ranks]
    assert [len(epoch) for epoch in epochs] == [4, 4, 4] == [len(rank) for rank in ranks]
    for step in zip(*epochs, strict=True):
        assert len({batch.mel.shape for batch in step}) == len({batch.text.shape for batch in step}) == 1
    places = np.concatenate([batch.indices for epoch in epochs for batch in epoch])
    assert len(places) == 48 and set(places.tolist()) == set(range(47))  # disjoint but for the one repeat


@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_validation_reads_every_clip_once(corpus, world_size):
    buckets, places = plan(corpus), []
    for rank in range(world_size):
        batches = Batches(corpus, 8, buckets, seed=1, shuffle=False, rank=rank, world_size=world_size)
        epoch = list(batches.epoch(0))
        assert len(epoch) == len(batches)
        for batch in epoch:
            assert len(batch.indices) == 8 and (batch.text.shape[1], batch.mel.shape[2]) in buckets
            check_content(corpus, batch)
            places += batch.indices[batch.indices >= 0].tolist()
        assert all((batch.indices >= 0).all() for batch in epoch[:-1])
    assert sorted(places) == list(range(47))


def test_corpus_smaller_than_a_batch(tmp_path):
    corpus = make_corpus(tmp_path, [3, 9], [30, 90])
    buckets = plan_buckets(corpus.text_lengths, corpus.mel_lengths, 6, 1)
    assert buckets == [(16, 40), (16, 100)]
    (batch,) = Batches(corpus, 7, buckets, seed=1, shuffle=True).epoch(0)
    assert set(batch.indices.tolist()) == {0, 1} and batch.mel.shape == (7, N_MELS, 100)
    check_content(corpus, batch)
    for rank, expected in enumerate([[0, -1], [1, -1], [-1, -1]]):  # the last rank has nothing to read
        (batch,) = Batches(corpus, 2, buckets, seed=1, shuffle=False, rank=rank, world_size=3).epoch(0)
        assert batch.indices.tolist() == expected and batch.mel.shape == (2, N_MELS, 100)
        check_content(corpus, batch)


def test_a_clip_that_fits_no_bucket_is_named(corpus):
    with pytest.raises(
        InputError, match=r"train clip it's \d+ \(\d+ symbols, \d+ frames\) is larger than every batch shape"
    ):
        Batches(corpus, 8, [(16, 100)], seed=1, shuffle=True)


def test_no_bucket_is_an_error(corpus):
    with pytest.raises(InputError, match=r"data\.n_buckets is 0"):
        plan(corpus, n_buckets=0)

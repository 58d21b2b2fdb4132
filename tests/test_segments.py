"""Segments of waveforms: their mel is that of the clip, their order that of seed and epoch."""

import dataclasses

import numpy as np
import pytest
from toy_waveglow import SETTINGS, write_recordings, write_wav_corpus

from src.audio import load_wav, mel_spectrogram
from src.config import load_config
from src.data.corpus import Corpus
from src.data.preprocess import preprocess
from src.data.segments import Segments, decode
from src.errors import InputError

CONFIG = load_config(overrides=SETTINGS)
AUDIO, LENGTH = CONFIG.audio, 500  # between 15 and 16 hops


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(write_wav_corpus(tmp_path_factory.mktemp("corpus"), n_train=7))


def recording(corpus, clip):
    return load_wav(corpus.folder.parent / "recordings" / corpus.wavs[clip], AUDIO.sample_rate)


def segments(corpus, batch_size=3, seed=1, **ranks):
    return Segments(corpus, batch_size, AUDIO, LENGTH, seed, **ranks)


def test_preprocessing_keeps_the_samples(corpus):
    rows = corpus.read(range(len(corpus)), columns=["wav"]).create_tuple_iterator(num_epochs=1, output_numpy=True)
    for clip, (wav,) in enumerate(rows):
        np.testing.assert_array_equal(decode(wav), recording(corpus, clip))


def test_a_dataset_with_waveforms_serves_both_networks_and_one_without_only_tacotron2(tmp_path):
    write_recordings(tmp_path / "recordings", 4)
    acoustic = load_config(overrides={key: value for key, value in SETTINGS.items() if key.startswith("audio.")})

    def done_already(name, config):
        return preprocess(tmp_path / name, config, tmp_path / "recordings")[1]

    assert not done_already("with", CONFIG) and done_already("with", acoustic)
    Corpus(tmp_path / "with").check(acoustic)
    assert not done_already("without", acoustic)
    with pytest.raises(InputError, match=r"other settings \(waveforms\); pass --overwrite"):
        done_already("without", CONFIG)
    with pytest.raises(InputError, match=r"no waveforms, which model\.name waveglow trains on; preprocess again"):
        Corpus(tmp_path / "without").check(CONFIG)


def test_segments_are_pieces_of_their_clips(corpus):
    starts = []
    for batch in segments(corpus).epoch(0):
        assert batch.mel.shape == (3, AUDIO.n_mels, 16) and batch.audio.shape == (3, LENGTH) and batch.frames == 48
        assert batch.mel.dtype == batch.audio.dtype == np.float32
        for clip, audio in zip(batch.indices, batch.audio, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(recording(corpus, clip), LENGTH)
            found = np.flatnonzero((windows == audio).all(1))
            assert len(found) == 1
            starts.append(found[0] / len(windows))
    assert min(starts) < 0.3 and max(starts) > 0.7


@pytest.mark.parametrize("preemphasis", [0.0, 0.85])
def test_the_mel_of_a_segment_is_that_of_its_clip(corpus, preemphasis):
    audio_config = dataclasses.replace(AUDIO, preemphasis=preemphasis)
    wav = recording(corpus, 0)
    whole, hops = mel_spectrogram(wav, audio_config), 5
    last = len(wav) - LENGTH
    for start, expected in (
        (0, whole),
        (hops * AUDIO.hop_length, whole[:, hops:]),
        (last, mel_spectrogram(wav[last % AUDIO.hop_length :], audio_config)[:, last // AUDIO.hop_length :]),
    ):
        mel, audio = Segments(corpus, 3, audio_config, LENGTH, seed=1).cut(wav, (start + 0.5) / (last + 1))
        np.testing.assert_array_equal(audio, wav[start : start + LENGTH])
        np.testing.assert_allclose(mel, expected[:, :16], atol=1e-4)


def test_a_short_clip_is_followed_by_silence(corpus):
    wav = recording(corpus, 0)[:300]
    mel, audio = segments(corpus).cut(wav, 0.99)
    np.testing.assert_array_equal(audio, np.pad(wav, (0, 200)))
    np.testing.assert_allclose(mel, mel_spectrogram(audio, AUDIO), atol=1e-4)
    np.testing.assert_allclose(mel[:, -4:], np.log(AUDIO.mel_floor), rtol=1e-6)  # far from the last sample


def test_an_epoch_continues_from_any_position(corpus):
    whole = list(segments(corpus).epoch(4))
    assert len(whole) == len(segments(corpus)) == 3
    for first in (1, 2, 3):
        rest = list(segments(corpus).epoch(4, first))
        assert len(rest) == 3 - first
        for expected, got in zip(whole[first:], rest, strict=True):
            for name in expected._fields:
                np.testing.assert_array_equal(getattr(expected, name), getattr(got, name))


def test_epochs_and_seeds_differ_and_every_clip_is_in_each(corpus):
    epochs = [list(segments(corpus, seed=seed).epoch(epoch)) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for epoch in epochs:
        assert set(np.concatenate([batch.indices for batch in epoch]).tolist()) == set(range(7))
    assert len({epoch[0].audio.tobytes() for epoch in epochs}) == 3


def test_ranks_share_an_epoch(corpus):
    whole = list(segments(corpus, batch_size=4).epoch(0))
    ranks = [list(segments(corpus, batch_size=2, rank=rank, world_size=2).epoch(0)) for rank in range(2)]
    for step, batch in enumerate(whole):
        for rank in range(2):
            np.testing.assert_array_equal(ranks[rank][step].audio, batch.audio[rank::2])


def test_a_corpus_smaller_than_a_batch(tmp_path):
    small = Corpus(write_wav_corpus(tmp_path, n_train=2), "train")
    (batch,) = segments(small, batch_size=5).epoch(0)
    assert sorted(set(batch.indices.tolist())) == [0, 1] and len({audio.tobytes() for audio in batch.audio}) == 5


def test_data_of_another_config_is_refused(corpus):
    corpus.check(CONFIG)
    corpus.check(load_config(overrides=SETTINGS | {"text.cleaner": "basic_cleaners"}))  # of no matter to it
    with pytest.raises(InputError, match=r"fmax is 4000\.0 there, 3000\.0 in the config"):
        corpus.check(dataclasses.replace(CONFIG, audio=dataclasses.replace(AUDIO, fmax=3000.0)))


def test_clips_shorter_than_a_segment_are_left_out_and_named(corpus, capsys):
    lengths = (corpus.mel_lengths - 1) * AUDIO.hop_length  # a clip has as many samples, or some more
    length = int(np.sort(lengths)[3])
    batches = Segments(corpus, 3, AUDIO, length, seed=1)
    left_out = [id for id, samples in zip(corpus.ids, lengths, strict=True) if samples < length]
    assert len(left_out) == 3 and len(batches) == 2 and str(batches).startswith("4 clips in segments of")
    message = capsys.readouterr().err
    assert f"3 of 7 train clips are shorter than a segment (train.segment_length, {length} samples" in message
    assert message.endswith(f"left out: {', '.join(left_out)}\n")
    whole = list(batches.epoch(0))
    assert {corpus.ids[clip] for batch in whole for clip in batch.indices} == set(corpus.ids) - set(left_out)
    assert all(abs(batch.audio).max(1).min() > 0.01 and not (batch.audio[:, -5:] == 0).all() for batch in whole)
    with pytest.raises(InputError, match=r"7 of 7 train clips are shorter .* lower train\.segment_length"):
        Segments(corpus, 3, AUDIO, 100_000, seed=1)
    Segments(corpus, 3, AUDIO, LENGTH, seed=1)
    assert capsys.readouterr().err == ""

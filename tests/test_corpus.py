"""The corpus on disk: what was written is read back, and what is missing, lost or of another configuration is named."""

import os

import numpy as np
import pytest
from toy_corpus import N_MELS, make_corpus, mel_of, random_lengths, text_of

from src.config import Config, load_config
from src.data.batches import Batches
from src.data.corpus import Corpus, DataLost
from src.errors import InputError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data") / "corpus", *random_lengths(47))


@pytest.mark.parametrize("n_shards", [1, 3, 50])
def test_clips_are_read_in_the_order_asked_for(tmp_path, n_shards):
    written = make_corpus(tmp_path / "first", [3, 5, 2, 4, 6], [7, 5, 9, 6, 8], n_shards)
    (tmp_path / "first").rename(tmp_path / "moved elsewhere")
    corpus = Corpus(tmp_path / "moved elsewhere")
    assert corpus.ids == written.ids == [f"it's {i}" for i in range(5)]
    assert corpus.wavs[4] == "wavs/4.wav"
    assert corpus.mel_lengths.tolist() == [7, 5, 9, 6, 8]
    order = [3, 3, 0, 4, 1, 2, 2, 2, 2, 0, 1, 4]  # more than the corpus has
    for clip, (id, text, mel) in zip(
        order, corpus.read(order).create_tuple_iterator(num_epochs=1, output_numpy=True), strict=True
    ):
        assert str(id) == f"it's {clip}"
        assert text.tolist() == text_of(clip, corpus.text_lengths[clip])
        np.testing.assert_array_equal(mel, mel_of(clip, corpus.mel_lengths[clip]))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: path.unlink(), r"train\.mindrecord1 is gone"),
        (lambda path: path.with_name(f"{path.name}.db").unlink(), r"train\.mindrecord1\.db is gone"),
        (lambda path: path.write_bytes(b"no records"), r"[Ii]nvalid file"),
        (lambda path: os.truncate(path, 3000), r"Failed to read file"),
    ],
)
def test_records_lost_since_the_corpus_was_opened_are_named(tmp_path, spoil, complaint):
    corpus = make_corpus(tmp_path / "lost", [3, 5, 2, 4, 6], [7, 5, 9, 6, 8])
    spoil(tmp_path / "lost" / "train.mindrecord1")
    with pytest.raises(DataLost, match=rf"lost: the train clips cannot be read: .*{complaint}") as error:
        list(Batches(corpus, 2, [(400, 400)], seed=0, shuffle=True).epoch(0))
    assert "\n" not in str(error.value)


def test_an_error_of_our_own_is_not_taken_for_lost_records(corpus, monkeypatch):
    monkeypatch.setattr(Batches, "_pad", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        next(Batches(corpus, 2, [(400, 400)], seed=0, shuffle=True).epoch(0))


def test_unusable_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such dataset folder.*preprocess\.py"):
        Corpus(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a preprocessed dataset"):
        Corpus(tmp_path)
    make_corpus(tmp_path / "data", [3, 4], [5, 6])
    with pytest.raises(InputError, match="no split 'val', only train"):
        Corpus(tmp_path / "data", "val")
    (tmp_path / "data" / "train.mindrecord1").unlink()
    with pytest.raises(InputError, match="mindrecord1: is missing"):
        Corpus(tmp_path / "data")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"audio.hop_length": 200}, "hop_length is 256 there, 200 in the config"),
        ({"audio.n_mels": 80}, "n_mels is 4 there, 80 in the config"),
        ({"text.cleaner": "basic_cleaners"}, "cleaner is english_cleaners there"),
        ({"model.n_symbols": 1, "text.symbols": ["a"]}, "in 148 other symbols than the 1 of text.symbols"),
        ({"text.end_symbol": "-"}, "end_symbol is '' there, '-' in the config"),
    ],
)
def test_data_of_another_config_is_refused(corpus, override, message):
    matching = {"audio.n_mels": N_MELS}
    corpus.check(load_config(overrides=matching))
    with pytest.raises(InputError, match=message):
        corpus.check(load_config(overrides={**matching, **override}))


def test_default_config_is_not_what_the_corpus_was_made_with(corpus):
    with pytest.raises(InputError, match="preprocess again"):
        corpus.check(Config())

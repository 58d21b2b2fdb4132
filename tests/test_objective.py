"""Held-out clips of a real dataset; metrics of a network and a recogniser whose results are prescribed."""

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.audio import load_wav, mel_spectrogram
from src.config import load_config
from src.data.corpus import Corpus
from src.data.preprocess import preprocess
from src.errors import InputError
from src.evaluation import objective
from src.evaluation.objective import held_out_clips, measure
from src.evaluation.recognition import words
from src.evaluation.tables import table
from src.models.tacotron2.model import Speech
from src.synthesis.vocoder import griffin_lim_vocoder
from src.text import encode_texts

ROOT = Path(__file__).parents[1]
CONFIG = load_config(ROOT / "config/tacotron2_small.yaml", {"audio.griffinlim_iterations": 5, "data.val_fraction": 0.1})
AUDIO = CONFIG.audio


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A copy of the first clips of demo_corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = (ROOT / "demo_corpus/metadata.csv").read_text().splitlines()[:10]
    (folder / "metadata.csv").write_text("\n".join(lines))
    (folder / "wavs").mkdir()
    for line in lines:
        name = f"wavs/{line.split('|')[0]}.wav"
        (folder / name).write_bytes((ROOT / "demo_corpus" / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def ids(corpus):
    return [line.split("|")[0] for line in (corpus / "metadata.csv").read_text().splitlines()]


def prepare(corpus, folder, ids):
    """A dataset with the first three clips for validation and the rest but the last for training."""
    (folder / "val.txt").write_text("\n".join(ids[:3]))
    (folder / "train.txt").write_text("\n".join(ids[3:-1]))
    preprocess(folder / "data", CONFIG, corpus, val_ids=folder / "val.txt", train_ids=folder / "train.txt")
    return folder / "data"


@pytest.fixture(scope="module")
def data(corpus, ids, tmp_path_factory):
    return prepare(corpus, tmp_path_factory.mktemp("dataset"), ids)


def chosen(clips):
    return [clip.row.id for clip in clips]


def test_the_validation_split_is_held_out(data, corpus, ids, capsys):
    clips = held_out_clips(data)
    assert chosen(clips) == ids[:3] and not any(clip.trained_on for clip in clips)
    assert clips[0].row.text == "Italy is contentedly stagnant." and clips[0].wav == corpus / f"wavs/{ids[0]}.wav"
    assert chosen(held_out_clips(data, limit=2)) == [ids[0], ids[2]]
    assert capsys.readouterr().err == ""


def test_a_list_of_ids_may_name_what_the_dataset_left_out(data, ids, tmp_path, capsys):
    (tmp_path / "ids.txt").write_text("\n".join([ids[-1], ids[4], ids[0]]))
    clips = held_out_clips(data, tmp_path / "ids.txt")
    assert chosen(clips) == [ids[0], ids[4], ids[-1]] and [clip.trained_on for clip in clips] == [False, True, False]
    assert capsys.readouterr().err == f"warning: 1 of 3 clips are in the training split: {ids[4]}\n"


def test_wrong_lists_and_lost_recordings_are_named(corpus, ids, tmp_path):
    data = prepare(corpus, tmp_path, ids)
    (tmp_path / "ids.txt").write_text("nobody\n")
    with pytest.raises(InputError, match=r"ids\.txt: none of its ids"):
        held_out_clips(data, tmp_path / "ids.txt")
    with pytest.raises(InputError, match="no such dataset folder"):
        held_out_clips(tmp_path / "gone")
    wav = corpus / f"wavs/{ids[1]}.wav"
    wav.rename(tmp_path / "kept.wav")
    try:
        with pytest.raises(InputError, match=rf"{ids[1]}\.wav: no such recording \(1 of 3"):
            held_out_clips(data)
    finally:
        (tmp_path / "kept.wav").rename(wav)
    stats = data / "stats.json"
    stats.write_text(stats.read_text().replace(str(corpus), "/moved"))
    with pytest.raises(InputError, match="made of are not at /moved; preprocess them anew"):
        held_out_clips(data)


class Parrot:
    """Speaks the recordings of a dataset with each frame twice. The last one becomes silence that does not stop."""

    config = CONFIG

    def __init__(self, clips):
        self.mels = [mel_spectrogram(load_wav(clip.wav, AUDIO.sample_rate), AUDIO) for clip in clips]
        self.mels = [np.repeat(mel[:, : mel.shape[1] // 3 * 3], 2, 1) for mel in self.mels]
        self.mels[-1][:] = np.log(1e-5)
        self.texts = encode_texts([clip.row.text for clip in clips], CONFIG)[1].tolist()

    def generate_key(self, n_batch, length):
        return f"{n_batch} {length}"

    def compile_generate(self, n_batch, length):
        pass

    def generate(self, text, lengths, seeds):
        which = [self.texts.index(length) for length in np.asarray(lengths)]
        frames = np.array([self.mels[i].shape[1] for i in which], np.int32)
        mel = np.stack([np.pad(self.mels[i], ((0, 0), (0, frames.max() - self.mels[i].shape[1]))) for i in which])
        alignments = np.full((len(which), frames.max() // 3, text.shape[1]), 0.25, np.float32)
        reasons = ["max_decoder_steps" if i == len(self.mels) - 1 else "gate" for i in which]
        return Speech(Tensor(mel.astype(np.float32)), Tensor(frames), Tensor(alignments), reasons)


def test_what_is_measured(data, tmp_path, monkeypatch):
    pytest.importorskip("jiwer")
    scores = iter([3.0, None, 2.0])
    monkeypatch.setattr(objective, "pesq_wideband", lambda *arguments: next(scores))
    opinions = iter([2.0, 3.0, 4.0, 3.0, None, 4.5, None, 3.5, 5.0])
    monkeypatch.setattr(objective, "predicted_opinion", lambda *arguments: next(opinions))
    clips = held_out_clips(data)
    texts = iter([clip.row.text for clip in clips])
    recognised_text = []

    def recogniser(wav, sample_rate):
        """All of a recording, all but the first word of copy synthesis, nothing of speech."""
        assert sample_rate == 16000 and np.abs(wav).max() <= 1
        kind = len(recognised_text) % 3
        recognised_text.append(kind)
        text = words(next(texts)) if kind == 0 else recogniser.text
        recogniser.text = text
        return ["", " ".join(text.split()[1:]), text][kind]

    (tmp_path / "held_out").mkdir()
    (tmp_path / "held_out/old.wav").write_bytes(b"")
    metrics = measure(Parrot(clips), clips, griffin_lim_vocoder(AUDIO), recogniser, tmp_path)
    total = sum(len(words(clip.row.text).split()) for clip in clips)
    assert (metrics["wer"], metrics["wer_copy_synthesis"], metrics["wer_recording"]) == (1, 3 / total, 0)
    assert metrics["wer_interval"] == (1, 1) and metrics["wer_interval_recording"] == (0, 0)
    assert metrics["pesq_copy_synthesis"] == 2.5
    opinion = [metrics[f"opinion{suffix}"] for suffix in ("", "_copy_synthesis", "_recording")]
    assert opinion == [2.5, 3.25, 4.5]
    assert (metrics["words"], metrics["sentences_measured"], metrics["sentences_trained_on"]) == (total, 3, 0)
    assert metrics["max_step_hits"] == 1
    assert metrics["stop_reasons"] == {"gate": 2, "attention": 0, "max_decoder_steps": 1}
    assert metrics["alignment_score_free_running"] == pytest.approx(0.25) and metrics["rtf"] > 0
    assert metrics["seconds_of_speech"] == pytest.approx(2 * metrics["seconds_of_recordings"], rel=0.05)
    assert metrics["duration_ratio"] == pytest.approx(2, rel=0.05)
    assert metrics["duration_spread_ratio"] == pytest.approx(2, rel=0.1) and metrics["duration_deviation"] < 0.05
    assert 1 < metrics["f0_spread_semitones_recording"] < 6  # of flite
    assert 0.3 < metrics["voiced_share"] < metrics["voiced_share_recording"] < 1  # one of three is silent
    assert metrics["f0_spread_ratio"] == pytest.approx(1, abs=0.2)  # each frame twice has the same pitches
    assert metrics["f0_spread_ratio_copy_synthesis"] == pytest.approx(1, abs=0.2)
    rows = metrics["sentences"]
    assert [row["id"] for row in rows] == chosen(clips)
    assert [row["word_errors"]["copy_synthesis"] for row in rows] == [1, 1, 1]
    for row in rows[:2]:  # twice as slow is the same but for the vocoder
        assert row["mcd_dtw_db"] < 4 and row["f0_rmse_cents"] < 100
    assert rows[2]["mcd_dtw_db"] > 6 and rows[2]["f0_rmse_cents"] is None and rows[2]["voicing_error"] > 0.3
    assert metrics["mcd_dtw_db_copy_synthesis"] < min(row["mcd_dtw_db"] for row in rows)
    names = {f"{name}{suffix}.wav" for name in chosen(clips) for suffix in ("", "_copy_synthesis")}
    assert {path.name for path in (tmp_path / "held_out").iterdir()} == names
    shown = table({**metrics, "val_loss": 0.51234, "alignment_score": 0.75})
    first_row = [cell.strip() for cell in shown.splitlines()[2].split("|")]
    assert first_row[2:5] == ["100.0", f"{100 * 3 / total:.1f}", "0.0"] and "100.0 to 100.0" in shown
    assert "gate 2, attention 0, max_decoder_steps 1" in shown and "0.5123" in shown
    assert f"{metrics['f0_spread_ratio']:.2f}" in shown and f"{metrics['duration_spread_ratio']:.2f}" in shown
    assert len({len(line) for line in shown.split("\n\n")[0].splitlines()}) == 1


def test_a_dataset_holds_what_the_corpus_has(data, ids):
    assert Corpus(data, "val").ids == ids[:3]

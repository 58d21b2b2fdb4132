"""The training loop of tests/test_train_loop.py on the harmonic vocoder: its pitch, its losses, its resumption, its files."""

import json

import librosa
import numpy as np
import pytest
from toy_harmonic import SETTINGS
from toy_training import read_log, without_times
from toy_waveglow import write_wav_corpus

import eval as eval_script
from src.audio import load_wav
from src.checkpoint import load_checkpoint
from src.config import load_config
from src.data import pitch
from src.data.corpus import Corpus
from src.data.pitch import PitchRange, PitchSegments, continuous, pitch_of, pitches
from src.data.segments import decode
from src.train.loop import Training
from src.train.run_folder import latest

CONFIG = load_config(overrides=SETTINGS)
WITHIN = PitchRange(CONFIG.model.pitch_min, CONFIG.model.pitch_max)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_wav_corpus(tmp_path_factory.mktemp("corpus"), n_train=4)


def test_pitch_is_that_of_a_tone_and_silence_has_none():
    time = np.arange(8000) / 8000
    wav = (0.3 * np.sin(2 * np.pi * 440 * time) * (time < 0.5)).astype(np.float32)
    track = pitch_of(wav, CONFIG.audio, WITHIN)
    assert len(track) == 1 + 8000 // 32 and track.dtype == np.float32
    cents = 1200 * np.log2(track[20:100] / 440)
    assert np.abs(cents).max() < 20 and not track[150:].any()


def test_pitch_is_measured_once_and_an_interrupted_measurement_goes_on(data, monkeypatch):
    corpus, measured = Corpus(data), []
    monkeypatch.setattr(pitch, "pitch_of", lambda wav, *_: measured.append(len(wav)) or np.zeros(3, np.float32))
    settings = CONFIG.audio, PitchRange(110.0, 900.0), 1
    assert [track.tolist() for track in pitches(corpus, *settings)] == [[0, 0, 0]] * 4 and len(measured) == 4
    kept = sorted((data / "pitch").glob("train-*/*.npy"))
    assert len(kept) == 4
    kept[2].unlink()
    pitches(corpus, *settings)
    assert len(measured) == 5 and measured[4] == measured[2]


def test_the_logarithm_of_pitch_goes_on_where_there_is_no_voice():
    log_f0, voiced = continuous(np.float32([0, 100, 0, 400, 0]), WITHIN)
    np.testing.assert_allclose(np.exp(log_f0), [100, 100, 200, 400, 400], rtol=1e-5)
    assert voiced.tolist() == [0, 1, 0, 1, 0]
    log_f0, voiced = continuous(np.zeros(3, np.float32), WITHIN)
    np.testing.assert_allclose(np.exp(log_f0), 300, rtol=1e-5)
    assert not voiced.any()


def test_segments_carry_the_pitch_of_their_own_frames(data, monkeypatch):
    # frame t of each clip has a pitch of 100 + t, so that a segment's pitch says where it begins
    monkeypatch.setattr(
        pitch, "pitches", lambda corpus, *_: [100 + np.arange(n, dtype=np.float32) for n in corpus.mel_lengths]
    )
    corpus = Corpus(data)
    wavs = [decode(wav) for (wav,) in corpus.stream(range(4), 1, ["wav"])]
    segments = PitchSegments(corpus, 2, CONFIG.audio, 1024, 1, within=WITHIN, workers=1)
    firsts = set()
    for batch in [*segments.epoch(0), *segments.epoch(1)]:
        assert batch.mel.shape == (2, 8, 32) and batch.frames == 64 and batch.voiced.all()
        for clip, audio, log_f0 in zip(batch.indices, batch.audio, batch.pitch, strict=True):
            first = round(float(np.exp(log_f0[0]))) - 100
            np.testing.assert_array_equal(audio, wavs[clip][32 * first :][:1024])
            np.testing.assert_allclose(np.exp(log_f0), 100 + first + np.arange(32), rtol=1e-5)
            firsts.add((int(clip), first))
    assert len(firsts) > 4
    again = [batch.pitch for batch in segments.epoch(1, 1)]
    np.testing.assert_array_equal(again, [batch.pitch for batch in segments.epoch(1)][1:])


def test_a_run_learns_resumes_exactly_and_its_checkpoint_is_a_vocoder(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert Training(CONFIG, data, out).run().progress.step == 6
    assert "4 clips in segments of 1024 samples, 2 to validate" in capsys.readouterr().out
    rows = without_times(read_log(out))
    steps, validations = [row for row in rows if "loss" in row], [row for row in rows if "val_loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 7)) and [row["step"] for row in validations] == [3, 6]
    for row in steps:
        parts = row["spectral_loss"] + 0.3 * (row["pitch_loss"] + row["voicing_loss"])
        assert row["loss"] == pytest.approx(parts, rel=1e-5)
    assert validations[1]["val_spectral_loss"] < validations[0]["val_spectral_loss"]
    assert all(np.isfinite(row["val_mel_rmse"]) for row in validations)
    weights = load_checkpoint(out / "best.ckpt").weights
    heard = [continuous(track, WITHIN) for track in pitches(Corpus(data), CONFIG.audio, WITHIN, 1)]
    voiced = np.concatenate([log_f0[voiced > 0] for log_f0, voiced in heard])
    assert weights["pitch_mean"][0] == pytest.approx(voiced.mean() if len(voiced) else np.log(WITHIN).mean(), rel=1e-4)

    end = latest(out)
    end.path.unlink()
    Training(CONFIG, data, out, resume=latest(out)).run()
    assert without_times(read_log(out)) == rows
    for name, value in latest(out).weights.items():
        np.testing.assert_array_equal(value, end.weights[name], err_msg=name)

    recording = next((data.parent / "recordings" / "wavs").glob("*.wav"))
    copy = ["--copy_synthesis", str(recording), "--vocoder_checkpoint", str(out / "best.ckpt")]
    assert run_eval(monkeypatch, *copy, "--output_dir", str(tmp_path / "copy")) == 0
    summary = json.loads((tmp_path / "copy" / "summary.json").read_text())
    assert summary["vocoder"] == "harmonic" and "sigma" not in summary
    wav = load_wav(tmp_path / "copy" / "copy_synthesis.wav", 8000)
    assert len(wav) == len(librosa.load(recording, sr=None)[0]) and wav.std() > 0
    capsys.readouterr()
    assert run_eval(monkeypatch, *copy, "--sigma", "0.5", "--output_dir", str(tmp_path / "no")) == 2
    assert "--sigma and --denoiser_strength are WaveGlow's" in capsys.readouterr().err
    assert run_eval(monkeypatch, *copy, "--vocoder", "waveglow", "--output_dir", str(tmp_path / "no")) == 2
    assert "is a harmonic; --vocoder says waveglow" in capsys.readouterr().err


def run_eval(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["eval.py", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        eval_script.run(eval_script.main)
    return exit_info.value.code

"""The training loop of tests/test_train_loop.py on WaveGlow: its own losses, batches, pictures and sounds."""

import numpy as np
import pytest
from toy_training import read_log, without_times
from toy_waveglow import SETTINGS, write_wav_corpus

from src.audio import load_wav
from src.checkpoint import load_checkpoint
from src.config import load_config
from src.data.corpus import Corpus
from src.data.segments import Segments, decode
from src.models.waveglow.initialisation import whitening
from src.train.loop import Training
from src.train.run_folder import latest
from src.train.waveglow import WaveGlowTask

BAD = 0.85  # segments beyond this place of their clip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_wav_corpus(tmp_path_factory.mktemp("corpus"))


def toy_config(**overrides):
    return load_config(overrides=SETTINGS | {key.replace("__", "."): value for key, value in overrides.items()})


def test_a_run_learns_and_resumes_exactly(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert Training(toy_config(), data, out).run().progress.step == 10
    assert "8 clips in segments of 256 samples, 2 to validate" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert {f"{name}-{step}" for name in ("mel", "sample") for step in (5, 10)} == {
        path.stem for path in out.iterdir() if path.suffix in (".png", ".wav")
    }
    assert names >= {"config.yaml", "log.jsonl", "best.ckpt", "waveglow-8.ckpt", "waveglow-10.ckpt"}
    assert 1600 <= len(load_wav(out / "sample-10.wav", 8000)) < 3200 + 32

    rows = without_times(read_log(out))
    steps, validations = [row for row in rows if "loss" in row], [row for row in rows if "val_loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 11)) and [row["step"] for row in validations] == [5, 10]
    for row in steps:
        assert row["loss"] == pytest.approx(row["z_loss"] - row["log_s"] - row["log_det"], abs=1e-5)
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.1
    assert validations[1]["val_loss"] < validations[0]["val_loss"]
    assert load_checkpoint(out / "best.ckpt").extra["best_val_loss"] == validations[1]["val_loss"]

    end = latest(out)
    end.path.unlink()
    Training(toy_config(), data, out, resume=latest(out)).run()
    assert without_times(read_log(out)) == rows
    for name, value in latest(out).weights.items():
        np.testing.assert_array_equal(value, end.weights[name], err_msg=name)


def test_a_fresh_network_starts_with_the_scales_of_its_data_and_a_warm_start_with_its_own(data, tmp_path):
    first = Training(toy_config(train__max_steps=1), data, tmp_path / "first").newest
    (wavs,) = zip(*Corpus(data).stream(range(8), 1, ["wav"]), strict=True)
    groups = np.concatenate([decode(wav) for wav in wavs])
    expected = whitening(groups[: len(groups) // 8 * 8].reshape(-1, 8))[1]
    weights = load_checkpoint(first).weights
    np.testing.assert_allclose(weights["flows.0.convinv.weight"], expected, rtol=1e-5)
    second = Training(toy_config(train__seed=5), data, tmp_path / "second", warm_start=first).newest
    for name, value in load_checkpoint(second).weights.items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)


def test_training_goes_on_while_the_network_cannot_be_inverted(data, tmp_path, monkeypatch):
    invert = np.linalg.inv
    monkeypatch.setattr(np.linalg, "inv", lambda weight: invert(0 * weight))
    config = toy_config(train__max_steps=2, train__validate_every=1)
    assert Training(config, data, tmp_path / "out").run().progress.step == 2
    assert not load_wav(tmp_path / "out" / "sample-2.wav", 8000).any()


def test_bad_batches_are_skipped(data, tmp_path, monkeypatch):
    corpus, cut = Corpus(data), Segments.cut

    def spoil(self, wav, place):
        mel, audio = cut(self, wav, place)
        return mel, audio * np.float32("nan") if place > BAD else audio

    monkeypatch.setattr(Segments, "cut", spoil)
    config = toy_config(train__max_steps=3, train__validate_every=100)
    plan = WaveGlowTask(config).batches(corpus).plan
    batches = [
        (clips.tolist(), places.max() > BAD) for epoch in range(5) for clips, places in zip(*plan(epoch), strict=True)
    ]
    Training(config, data, tmp_path / "out").run()
    rows = read_log(tmp_path / "out")
    n_used = next(n for n in range(len(batches) + 1) if sum(not bad for _, bad in batches[:n]) == 3)
    expected = [sorted(corpus.ids[clip] for clip in clips) for clips, bad in batches[:n_used] if bad]
    assert expected and [sorted(row["skipped_clips"]) for row in rows if "skipped_clips" in row] == expected
    assert all(np.isfinite(value).all() for value in latest(tmp_path / "out").weights.values())

"""Checks of recordings: silence at the ends, and what is reported of a recording and of all."""

import numpy as np
import pytest
import soundfile
from toy_recordings import config, sound

from src.audio import find_speech, load_wav, to_mono
from src.data import audio_checks
from src.data.audio_checks import Facts, find_all, findings, measure
from src.data.clips import load_waveform
from src.errors import InputError
from src.plotting import save_overview

RATE = 8000


def facts_of(samples, rate=RATE, **settings):
    samples = np.asarray(samples, np.float32)
    samples = samples if samples.ndim == 2 else samples[:, None]
    return measure(samples, rate, to_mono(samples, rate, RATE), config(**settings))[0]


def kinds(samples, rate=RATE, **settings):
    return [finding.kind.split(",")[0] for finding in findings(facts_of(samples, rate, **settings), config(**settings))]


def with_silence(before, after, seconds=0.5, noise=1e-5):
    parts = [noise * sound(before, seed=1), sound(seconds), noise * sound(after, seed=2)]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize(("before", "after"), [(0.3, 0.7), (0.0, 0.4), (0.4, 0.0), (0.0, 0.0)])
def test_silence_ends_where_the_speech_begins(before, after, offset):
    wav = with_silence(before, after) + offset
    start, end = find_speech(wav, RATE, 40)
    assert start == pytest.approx(max(0, before - 0.05) * RATE, abs=0.04 * RATE) and start <= before * RATE
    assert end == pytest.approx(min(len(wav), (before + 0.55) * RATE), abs=0.04 * RATE) and end >= (before + 0.5) * RATE


def test_silence_of_a_recording_that_is_silent_or_short():
    assert find_speech(np.zeros(100, np.float32), RATE, 40) == (0, 100)
    assert find_speech(np.zeros(9000, np.float32), RATE, 40) == (0, 9000)


def test_a_dataset_holds_the_trimmed_recording(tmp_path):
    wav = with_silence(0.3, 0.7)
    soundfile.write(tmp_path / "a.wav", wav, RATE, subtype="PCM_16")
    whole, trimmed = (load_waveform(tmp_path / "a.wav", config(data__trim_db=trim_db)) for trim_db in (0.0, 40.0))
    assert len(whole) == len(wav) and 0.5 * RATE < len(trimmed) < 0.72 * RATE
    assert trimmed.tobytes() in whole.tobytes()
    before, after = facts_of(wav), facts_of(wav, data__trim_db=40.0)
    assert before.seconds == before.file_seconds == after.file_seconds == 1.5
    assert after.seconds == pytest.approx(1.5 - after.silence) and before.silence == after.silence > 0.8


def test_channels_of_opposite_phase_do_not_cancel(tmp_path):
    wav = sound(0.5).astype(np.float32)
    stereo = np.stack([wav, -0.98 * wav], 1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(load_wav(tmp_path / "a.wav", RATE), wav)
    assert kinds(stereo) == ["channels of opposite phase"] and kinds(np.stack([wav, wav], 1)) == []
    other = np.stack([wav, sound(0.5, seed=1)], 1)
    np.testing.assert_allclose(to_mono(other, RATE, RATE), other.mean(1))


def sine(seconds=1.0, hertz=120, peak=0.9):
    return peak * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


@pytest.mark.parametrize(
    ("samples", "rate", "expected"),
    [
        (sound(1), RATE, []),
        (sine(), RATE, []),
        (np.rint(32768 * sine(peak=0.002)) / 32768, RATE, ["nearly silent"]),
        (np.clip(2 * sine(), -0.95, 0.95), RATE, ["clipped"]),
        (np.clip(20 * sound(1), -1, 1), RATE, ["clipped"]),
        (0.01 * sound(1), RATE, ["nearly silent"]),
        (sound(1) + 0.05, RATE, ["DC offset"]),
        (sound(1, 4000), 4000, ["sampling rate below 8000 Hz"]),
        (with_silence(0.9, 0.4), RATE, ["more than 1 s of silence at the ends"]),
        (sound(31), RATE, ["longer than data.max_seconds (30)"]),
    ],
    ids=lambda value: "-".join(value)[:20] if isinstance(value, list) else "",
)
def test_what_is_worth_a_look(samples, rate, expected):
    assert kinds(samples, rate) == expected


def test_length_is_that_of_the_trimmed_recording():
    long = with_silence(25, 6, 3)
    assert len(kinds(long)) == 2 and len(kinds(long, data__trim_db=40.0)) == 1
    assert len(kinds(long, data__max_seconds=0.0)) == 1


def test_the_table_names_clips_and_copies():
    facts = {f"clip-{i}": facts_of(sound(1, seed=i % 3)) for i in range(9)} | {"quiet": facts_of(0.01 * sound(1))}
    found = find_all(facts, config())
    lines = audio_checks.table(facts, found, config())
    assert lines[0] == "audio checks of 10 clips, 0.00 hours"
    assert lines[1].split() == ["nearly", "silent", "1", "quiet", "(-60", "dB)"]
    assert lines[2].startswith("  the same samples as another clip      6  clip-3 (= clip-0), clip-4 (= clip-1)")
    assert lines[2].endswith("and 2 more") and lines[3] == "  silence at the ends: 0.0 % of all, kept"
    silent = {"a": facts_of(with_silence(0.3, 0.4))}
    assert "--data.trim_db 40 would cut it off" in audio_checks.table(silent, find_all(silent, config()), config())[-1]
    assert audio_checks.table({}, {}, config()) == []


def test_the_overview_has_every_number_and_the_worst_clips(tmp_path):
    facts = {f"clip-{i}": facts_of(sound(0.5 + 0.01 * i, seed=i)) for i in range(30)} | {
        "a$b_{": facts_of(0.01 * sound(1))
    }
    found = find_all(facts, config())
    audio_checks.write_csv(tmp_path / "audio.csv", facts, found, {id: 10 + len(id) for id in facts})
    rows = audio_checks.read_csv(tmp_path / "audio.csv")
    assert [row["id"] for row in rows] == list(facts) and rows[3]["seconds"] == facts["clip-3"].seconds
    assert rows[-1]["findings"].startswith("nearly silent: -60 dB")
    assert set(rows[0]) == {"id", "characters", "findings", *Facts._fields}
    save_overview(tmp_path / "report.png", rows, "data")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no recordings to draw"):
        save_overview(tmp_path / "report.png", [], "data")

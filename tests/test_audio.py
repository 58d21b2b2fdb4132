"""Audio: mel spectrograms equal to the public ones, files of every kind, Griffin-Lim."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from src.audio import (
    decompress,
    from_pcm16,
    griffin_lim,
    limit_peaks,
    load_wav,
    mel_signature,
    mel_spectrogram,
    save_wav,
    silent_mel,
    to_pcm16,
)
from src.config import AudioConfig, load_config
from src.errors import InputError

DATA = Path(__file__).parent / "data"
CLIP = DATA / "LJ001-0008_start.flac"  # the first 15360 samples of an LJSpeech clip
AUDIO = AudioConfig()


def tone(rate, seconds=0.5, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def test_mel_is_that_of_the_public_implementation():
    expected = np.load(DATA / "LJ001-0008_start_mel.npy")  # the whole clip's frames before the cut
    mel = mel_spectrogram(load_wav(CLIP, 22050), AUDIO)
    assert (mel.shape, mel.dtype) == ((80, 61), np.float32)
    mel = mel[:, : expected.shape[1]]
    assert np.linalg.norm(mel - expected) / np.linalg.norm(expected) < 1e-5


def zoo_mel(wav, flavour):
    """Mel spectrogram of one flavour of the MindSpore model zoo, step by step, and its magnitudes."""
    rate, n_fft, hop, win, low, high = (
        (22050, 1024, 256, 1024, 125, 7600) if flavour == "research" else (16000, 2048, 200, 800, 0, 8000)
    )
    if flavour == "official":
        wav = np.append(wav[0], wav[1:] - 0.85 * wav[:-1])
    spectrum = np.abs(librosa.stft(wav, n_fft=n_fft, hop_length=hop, win_length=win, pad_mode="reflect"))
    magnitudes = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=80, fmin=low, fmax=high) @ spectrum
    decibels = 20 * np.log10(np.maximum(1e-5, magnitudes)) - 20
    if flavour == "research":
        return np.clip((decibels + 100) / 100, 0, 1), magnitudes
    return (np.clip(8 * ((decibels + 100) / 100) - 4, -4, 4) + 4) / 8, magnitudes


@pytest.mark.parametrize("flavour", ["research", "official"])
def test_the_mel_of_the_model_zoo_there_and_back(flavour):
    audio = load_config(DATA.parents[1] / "config" / f"tacotron2_zoo_{flavour}.yaml").audio
    wav = load_wav(CLIP, audio.sample_rate)
    mel = mel_spectrogram(wav, audio)
    expected, magnitudes = zoo_mel(wav, flavour)
    assert (mel.shape, mel.dtype, mel.min() >= 0, mel.max() <= 1) == (expected.shape, np.float32, True, True)
    np.testing.assert_allclose(mel, expected, atol=1e-5)
    np.testing.assert_allclose(decompress(mel, audio), np.clip(magnitudes, 1e-4, 10), rtol=1e-4)
    spoken = griffin_lim(mel, audio)
    assert (spoken.shape, spoken.dtype) == ((mel.shape[1] * audio.hop_length,), np.float32)
    inner = slice(5, -5)  # the cut end of the clip is no speech
    wanted, found = (
        decompress(mel, audio)[:, inner],
        decompress(mel_spectrogram(spoken, audio), audio)[:, :-1][:, inner],
    )
    assert np.linalg.norm(found[:, : wanted.shape[1]] - wanted) / np.linalg.norm(wanted) < 0.15
    assert 0.8 < np.std(spoken) / np.std(wav) < 1.25  # pre-emphasis is undone
    assert np.isfinite(griffin_lim(np.full((80, 20), 1e4), audio)).all()


def test_wav_survives_writing_and_reading(tmp_path):
    wav = load_wav(CLIP, 22050)
    save_wav(tmp_path / "a.wav", wav, 22050)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
    assert wav.dtype == np.float32
    np.testing.assert_array_equal(load_wav(tmp_path / "a.wav", 22050), wav)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_stereo_is_mixed_and_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(44100), np.zeros(22050)], 1), 44100)
    wav = load_wav(tmp_path / "a.wav", 16000)
    assert (wav.shape, wav.dtype) == ((8000,), np.float32)
    np.testing.assert_allclose(wav[500:-500], tone(16000)[500:-500] / 2, atol=1e-3)


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    save_wav(tmp_path / "a.wav", np.array([1.5, 1.0, -1.0, -1.5]), 22050)
    np.testing.assert_array_equal(
        load_wav(tmp_path / "a.wav", 22050), np.array([32767, 32767, -32768, -32768]) / np.float32(32768)
    )
    soundfile.write(tmp_path / "b.wav", np.array([1.2, 0.5]), 22050, subtype="FLOAT")
    assert load_wav(tmp_path / "b.wav", 22050).tolist() == [1.0, 0.5]


def test_every_16_bit_sample_survives_floating_point():
    samples = np.arange(-32768, 32768).astype(np.int16)
    wav = from_pcm16(samples)
    assert wav.dtype == np.float32 and (wav[0], wav[-1]) == (-1, 1 - 1 / 32768)
    np.testing.assert_array_equal(to_pcm16(wav), samples)
    assert to_pcm16(np.array([0.4, 0.6, -0.6, 40000]) / 32768).tolist() == [0, 1, -1, 32767]


def written(path, samples, subtype="PCM_16"):
    soundfile.write(path, samples, 22050, subtype=subtype)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "cannot be read as audio"),
        (lambda path: path.write_text("no sound"), "cannot be read as audio"),
        (lambda path: path.write_bytes(written(path, tone(22050))[:5000]), "truncated, it holds 4956 of 22050 bytes"),
        (lambda path: path.write_bytes(written(path, tone(22050))[:30]), "cannot be read as audio"),
        (lambda path: path.write_bytes(CLIP.read_bytes()[:9000]), "cannot be read as audio"),
        (lambda path: written(path, np.zeros(0)), "has no samples"),
        (lambda path: written(path, np.array([0.1, np.nan]), "FLOAT"), "largest is nan"),
        (lambda path: written(path, np.array([0.1, 20000.0]), "FLOAT"), "largest is 20000"),
    ],
)
def test_unusable_files_are_named(tmp_path, make, message):
    make(tmp_path / "bad.wav")
    with pytest.raises(InputError, match=message) as error:
        load_wav(tmp_path / "bad.wav", 22050)
    assert str(error.value).startswith(f"{tmp_path / 'bad.wav'}: ")


def test_wav_written_to_a_pipe_has_no_length_and_is_read(tmp_path):
    content = bytearray(written(tmp_path / "a.wav", tone(22050)))
    content[4:8] = content[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert len(load_wav(tmp_path / "a.wav", 22050)) == 11025


def test_wav_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save_wav(tmp_path / "no_folder" / "a.wav", tone(22050), 22050)
    with pytest.raises(ValueError, match="not finite"):
        save_wav(tmp_path / "a.wav", np.array([np.nan]), 22050)
    assert not list(tmp_path.iterdir())


def test_too_short_for_a_spectrogram():
    with pytest.raises(InputError, match="512 samples are too few"):
        mel_spectrogram(np.zeros(512, np.float32), AUDIO)


def test_bands_above_half_the_sample_rate():
    with pytest.raises(InputError, match=r"audio\.fmax"):
        mel_spectrogram(tone(8000), AudioConfig(sample_rate=8000))


def test_silence_is_the_floor():
    mel = mel_spectrogram(np.zeros(4096, np.float32), AudioConfig(mel_floor=1e-3))
    np.testing.assert_allclose(mel, np.log(1e-3), rtol=1e-6)
    np.testing.assert_array_equal(mel, silent_mel(mel.shape[1], AudioConfig(mel_floor=1e-3)))
    assert not silent_mel(3, AudioConfig(compression="unit")).any()


def test_griffin_lim_gives_back_the_mel():
    mel = mel_spectrogram(load_wav(CLIP, 22050), AUDIO)
    wav = griffin_lim(mel, AUDIO)
    assert (wav.shape, wav.dtype) == ((61 * 256,), np.float32)
    again = mel_spectrogram(wav, AUDIO)[:, :60]
    bands, error = np.exp(mel[:, :60]), np.exp(again) - np.exp(mel[:, :60])
    assert np.linalg.norm(error) / np.linalg.norm(bands) < 0.1  # a single round of phase estimation gives 0.24


def test_griffin_lim_is_reproducible_by_seed():
    mel = mel_spectrogram(load_wav(CLIP, 22050)[:4000], AUDIO)
    np.testing.assert_array_equal(griffin_lim(mel, AUDIO, seed=1), griffin_lim(mel, AUDIO, seed=1))
    assert np.abs(griffin_lim(mel, AUDIO, seed=1) - griffin_lim(mel, AUDIO, seed=2)).max() > 1e-3


def test_griffin_lim_sharpens_and_keeps_the_level():
    mel = mel_spectrogram(load_wav(CLIP, 22050), AUDIO)
    blurred = (mel[2:] + mel[:-2] + mel[1:-1]) / 3  # over three bands
    blurred = np.concatenate([mel[:1], blurred, mel[-1:]])
    plain, sharp = (griffin_lim(blurred, AudioConfig(griffinlim_power=power)) for power in (1.0, 1.4))
    assert np.std(sharp) / np.std(plain) == pytest.approx(1, abs=0.15)
    spread = [np.std(mel_spectrogram(wav, AUDIO)[:, 5:55], axis=0).mean() for wav in (plain, sharp)]
    assert spread[1] > 1.2 * spread[0]


def test_griffin_lim_of_a_network_that_diverges():
    mel = np.where(np.arange(40) % 2, 1e4, -1e4) * np.ones((80, 1))
    assert np.isfinite(griffin_lim(mel, AUDIO)).all()


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
def test_griffin_lim_of_one_frame():
    assert griffin_lim(np.zeros((80, 1)), AUDIO).shape == (256,)


def test_signature_tells_any_two_kinds_of_mel_apart():
    signature = mel_signature(AUDIO)
    assert set(signature) == {
        "sample_rate",
        "n_fft",
        "hop_length",
        "win_length",
        "n_mels",
        "fmin",
        "fmax",
        "compression",
    }
    assert signature == mel_signature(AudioConfig(griffinlim_iterations=5, griffinlim_power=1.5))
    assert signature["compression"] == "ln(max(mel, 1e-05))"  # as in checkpoints made when it was the only one
    assert signature != mel_signature(AudioConfig(mel_floor=1e-3))
    unit = mel_signature(AudioConfig(compression="unit"))
    assert unit != signature and unit != mel_signature(AudioConfig(compression="unit", mel_ceiling=2.0))
    assert signature != mel_signature(AudioConfig(preemphasis=0.85))
    assert signature != mel_signature(AudioConfig(hop_length=200))


def test_peaks_are_limited_smoothly_and_sample_by_sample():
    wav = np.array([0.0, 0.5, -0.95, 0.9501, 1.0, -1.5, 30.0], np.float32)
    limited = limit_peaks(wav)
    assert limited.dtype == np.float32
    np.testing.assert_array_equal(limited[:3], wav[:3])
    assert (np.abs(limited) <= 1).all() and 0.95 < limited[3] < 0.9502 and limited[4] < 1
    assert (np.diff(np.abs(limited[[1, 3, 4, 5]])) > 0).all()  # louder stays louder
    np.testing.assert_array_equal(limited, np.concatenate([limit_peaks(piece) for piece in np.split(wav, 7)]))
    quiet = wav[:3]
    assert limit_peaks(quiet) is quiet

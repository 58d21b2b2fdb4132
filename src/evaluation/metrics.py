"""Objective metrics of speech: spectral envelope, pitch and quality against a recording; pace."""

from collections.abc import Sequence
from typing import NamedTuple

import librosa
import numpy as np
import scipy

from src.audio import mel_spectrogram, stft_lengths
from src.config import AudioConfig
from src.evaluation.packages import needed

# The same for all networks, whatever their own spectrograms are; the rate is the recogniser's. Rounding of 16-bit
# samples makes magnitudes of about mel_floor; without that floor, silence would outweigh speech.
AUDIO = AudioConfig(
    sample_rate=16000, n_fft=1024, hop_length=160, win_length=640, n_mels=80, fmin=0.0, fmax=8000.0, mel_floor=1e-4
)
N_CEPSTRA = 13
LOWEST, HIGHEST = 65.0, 500.0  # Hz, fundamental frequencies of a speaking voice
QUIETEST = 1e-3  # magnitude; the rounding of 16-bit samples alone makes about 2e-4


class Voice(NamedTuple):
    """Features of a waveform, one frame every 10 ms."""

    cepstra: np.ndarray  # [13, frames]
    f0: np.ndarray  # Hz [frames], NaN where voiceless


class Difference(NamedTuple):
    """Differences between two voices, over the pairs of frames that dynamic time warping finds."""

    decibels: np.ndarray  # [pairs], mel-cepstral distortion
    cents: np.ndarray  # [pairs voiced in both], 1200 log2 of the ratio of the frequencies
    voicing: np.ndarray  # [pairs], true where only one of the two is voiced


def analyse(wav: np.ndarray, sample_rate: int) -> Voice:
    """Mel cepstra and fundamental frequency, by probabilistic YIN (Mauch & Dixon 2014, `librosa.pyin`), 65 to 500 Hz.

    Frames whose mel is silent count as voiceless, because pYIN finds pitch however faint a sound is.

    Args:
        wav: float [samples] in [-1, 1], of at least 33 ms.

    Raises:
        InputError: the waveform is shorter.
    """
    wav = resample(wav, sample_rate)
    mel = mel_spectrogram(wav, AUDIO)
    lengths = {"frame_length": AUDIO.n_fft, "hop_length": AUDIO.hop_length}
    f0, _, _ = librosa.pyin(wav, fmin=LOWEST, fmax=HIGHEST, sr=AUDIO.sample_rate, **lengths)
    return Voice(mel_cepstra(mel), np.where(mel.max(0) > np.log(AUDIO.mel_floor), f0, np.nan))


def mel_cepstra(mel: np.ndarray) -> np.ndarray:
    """Coefficients c_1 to c_13 of ln mel[k] = c_0 + sum over m of c_m cos(pi m (k + 1/2) / n_mels), [13, frames].

    This is the discrete cosine transform (DCT-II) in the scale that the formula of mel-cepstral distortion assumes.
    c_0, the level, is left out.

    Args:
        mel: natural logarithm of a mel spectrogram of magnitudes [n_mels, frames].
    """
    return (scipy.fft.dct(mel, axis=0) / len(mel))[1 : N_CEPSTRA + 1]


def compare(voice: Voice, reference: Voice) -> Difference:
    """Align two voices by their cepstra (dynamic time warping, steps (1, 1), (1, 0), (0, 1)), and compare them.

    Mel-cepstral distortion is 10 / ln 10 * sqrt(2 sum over m of (c_m - c'_m)^2) in dB (Kubichek 1993), the root mean
    square difference of the two envelopes. Rhythm does not count, because frames are paired by their sound. Sounds
    without a counterpart do count.
    """
    _, path = librosa.sequence.dtw(voice.cepstra, reference.cepstra)
    ours, theirs = path.T
    square = ((voice.cepstra[:, ours] - reference.cepstra[:, theirs]) ** 2).sum(0)
    ratio = voice.f0[ours] / reference.f0[theirs]
    cents = 1200 * np.log2(ratio[np.isfinite(ratio)])
    return Difference(
        10 / np.log(10) * np.sqrt(2 * square), cents, np.isnan(voice.f0[ours]) != np.isnan(reference.f0[theirs])
    )


def difference_numbers(differences: Sequence[Difference]) -> dict[str, float | None]:
    """Means over all pairs of frames of all `differences`.

    Returns:
        mcd_dtw_db; f0_rmse_cents, root mean square over the pairs voiced in both, None if there are none;
        voicing_error, share of the pairs in which only one is voiced.
    """
    decibels, cents, voicing = (np.concatenate(arrays) for arrays in zip(*differences, strict=True))
    rmse = float(np.sqrt((cents**2).mean())) if len(cents) else None
    return {"mcd_dtw_db": float(decibels.mean()), "f0_rmse_cents": rmse, "voicing_error": float(voicing.mean())}


def f0_spread(tracks: Sequence[np.ndarray]) -> float | None:
    """Standard deviation of the logarithm of F0 over the voiced frames of all `tracks`, in semitones (12 to an octave).

    A voice that speaks more evenly than another has less of it.

    Args:
        tracks: F0 in Hz [frames] as of `analyse`, NaN where voiceless.

    Returns:
        None where fewer than two frames are voiced.
    """
    f0 = np.concatenate([track[np.isfinite(track)] for track in tracks])
    return float(np.std(12 * np.log2(f0))) if len(f0) > 1 else None


def duration_spreads(seconds: Sequence[float], reference: Sequence[float]) -> tuple[float | None, float | None]:
    """Spreads of the durations of sentences, beside those of a reference that speaks the same ones.

    The first one is the ratio of their standard deviations; the length of the sentences makes most of it. The second is
    the standard deviation of the ratio of both durations over the mean of that ratio: 0 where each sentence takes the
    same multiple of the reference's time.

    Returns:
        None each for fewer than two sentences; the first one also where all of the reference's last equally long.
    """
    if len(seconds) < 2:
        return None, None
    ratios = np.divide(seconds, reference)
    spread = float(np.std(reference))
    return float(np.std(seconds)) / spread if spread else None, float(np.std(ratios) / ratios.mean())


def resample(wav: np.ndarray, sample_rate: int) -> np.ndarray:
    """Resample `wav` to the sample rate of the metrics, float32."""
    wav = wav.astype(np.float32, copy=False)
    if sample_rate == AUDIO.sample_rate:
        return wav
    return librosa.resample(wav, orig_sr=sample_rate, target_sr=AUDIO.sample_rate, res_type="soxr_hq")


def log_spectral_distance(wav: np.ndarray, reference: np.ndarray, audio: AudioConfig) -> float:
    """Root mean square over frequency of 20 log10(|X| / |Y|), mean over frames, in dB (Gray & Markel 1976, their d_2).

    Phases do not count. Only frequencies from `audio.fmin` to `audio.fmax` are compared, because the mel spectrogram
    holds no others. Magnitudes below `QUIETEST` are raised to it; otherwise the rounding of silence would outweigh
    speech.

    Args:
        wav, reference: float [samples] in [-1, 1]; the longer one is cut.
    """
    frequencies = librosa.fft_frequencies(sr=audio.sample_rate, n_fft=audio.n_fft)
    bands = (frequencies >= audio.fmin) & (frequencies <= audio.fmax)
    lengths = stft_lengths(audio)
    samples = min(len(wav), len(reference))
    decibels = [
        20 * np.log10(np.maximum(np.abs(librosa.stft(each[:samples].astype(np.float32), **lengths))[bands], QUIETEST))
        for each in (wav, reference)
    ]
    return float(np.sqrt(((decibels[0] - decibels[1]) ** 2).mean(0)).mean())


def pesq_wideband(wav: np.ndarray, reference: np.ndarray, sample_rate: int) -> float | None:
    """Perceptual evaluation of speech quality, wideband (ITU-T P.862.2), 1.0 to 4.64; None where it finds no speech.

    Both waveforms must run in step, as a vocoder's output and the recording of its mel do.

    Args:
        wav, reference: float [samples] in [-1, 1]; the longer one is cut.

    Raises:
        InputError: the package pesq is missing.
    """
    pesq = needed("pesq")
    samples = min(len(wav), len(reference))
    degraded, original = (resample(each[:samples], sample_rate) for each in (wav, reference))
    try:
        return float(pesq.pesq(AUDIO.sample_rate, original, degraded, "wb"))
    except pesq.PesqError:  # silence, or shorter than a quarter of a second
        return None

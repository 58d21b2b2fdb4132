"""Audio files, mel spectrograms, and Griffin-Lim, which turns mel spectrograms back into waveforms."""

import io
import re
from pathlib import Path

import librosa
import numpy as np
import scipy
import soundfile

from src.config import AudioConfig
from src.errors import InputError
from src.files import write_atomically
from src.mel_filters import slaney_filters

KNEE = 0.95  # samples of synthetic speech up to this are never changed by `limit_peaks`
LOUDEST = 10.0  # ln mel: no recording within [-1, 1] comes near it, and the squares of its exponential cannot overflow
_STREAMED = 0x7FFFF000  # bytes; a program that writes a wav to a pipe does not know its size and declares this or more


def load_wav(path: str | Path, sample_rate: int) -> np.ndarray:
    """Read an audio file (wav, flac, mp3, ogg, anything that libsndfile reads) as mono at `sample_rate`.

    Returns:
        float32 [samples] in [-1, 1].

    Raises:
        InputError: no such file, not audio, truncated, empty, or samples that are NaN or far outside [-1, 1].
    """
    return to_mono(*read_audio(path), sample_rate)


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Read an audio file as it is. Returns float32 [samples, channels], and samples per second.

    Raises:
        InputError: as `load_wav`.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            rate, header = file.samplerate, file.extra_info
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as audio ({getattr(error, 'error_string', error)}); it may be damaged, or in a "
            "format that libsndfile does not know, such as m4a: convert it to wav or flac"
        ) from error
    # libsndfile reads a truncated wav without an error; only its log says that samples are missing.
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)", header, re.MULTILINE)
    if sizes and int(sizes[2]) < int(sizes[1]) < _STREAMED:
        raise InputError(f"{path}: truncated, it holds {sizes[2]} of {sizes[1]} bytes of samples")
    if not len(samples):
        raise InputError(f"{path}: has no samples")
    peak = np.abs(samples).max()
    if not peak <= 2:  # also true of NaN; decoders and filters may push a loud recording a little above 1
        raise InputError(f"{path}: float samples must be numbers within [-1, 1], the largest is {peak:g}")
    return samples, rate


def to_mono(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Bring samples [samples, channels] to one channel at `sample_rate`: float32 [samples] in [-1, 1].

    It is the mean of the channels, or the first one where they are opposite and the mean would cancel them.
    """
    wav = samples[:, 0] if are_opposite(samples) else samples.mean(1)  # (samples,)
    if rate != sample_rate:
        wav = librosa.resample(wav, orig_sr=rate, target_sr=sample_rate, res_type="soxr_hq")
    return np.clip(wav, -1, 1)


def are_opposite(samples: np.ndarray) -> bool:
    """Return whether channels [samples, channels] cancel each other: less than 1 % of their power is in the mean."""
    return samples.shape[1] > 1 and float(np.square(samples.mean(1)).mean()) < 0.01 * float(np.square(samples).mean())


def find_speech(wav: np.ndarray, sample_rate: int, trim_db: float) -> tuple[int, int]:
    """Find where the silence at both ends of a recording stops.

    A frame of 40 ms is silent if it is more than `trim_db` below the loudest one, each without its mean. 50 ms of
    silence beside the speech belong to it, so that soft consonants are not cut.

    Args:
        wav: float [samples].

    Returns:
        First sample of the speech and the one behind its last; the whole recording if all of it is silent.
    """
    hop = max(1, sample_rate // 100)
    starts = np.arange(0, len(wav), hop)
    centred = wav - wav.mean()  # so that an offset does not cost precision
    counts = np.diff([*starts, len(wav)])
    sums, squares = (np.add.reduceat(values, starts, dtype=np.float64) for values in (centred, np.square(centred)))
    frames = [np.convolve(values, np.ones(min(4, len(starts))), "valid") for values in (counts, sums, squares)]
    power = frames[2] / frames[0] - (frames[1] / frames[0]) ** 2
    loud = np.flatnonzero(power > power.max() * 10 ** (-trim_db / 10))
    if not len(loud):
        return 0, len(wav)
    margin = sample_rate // 20
    return max(0, int(loud[0]) * hop - margin), min(len(wav), (int(loud[-1]) + 4) * hop + margin)


def save_wav(path: str | Path, wav: np.ndarray, sample_rate: int) -> None:
    """Write float `wav` [samples] as 16-bit PCM; values outside [-1, 1] are clipped.

    Raises:
        InputError: the file cannot be written.
        ValueError: samples that are not finite.
    """
    if not np.isfinite(wav).all():
        raise ValueError(f"{path}: the waveform has samples that are not finite")
    content = io.BytesIO()
    soundfile.write(content, to_pcm16(wav), sample_rate, format="WAV", subtype="PCM_16")
    write_atomically(path, content.getvalue())


def limit_peaks(wav: np.ndarray) -> np.ndarray:
    """Bring float samples (any shape) into [-1, 1] without clipping.

    Samples up to `KNEE` stay as they are; the part x beyond it becomes (1 - KNEE) tanh(x / (1 - KNEE)). Each sample is
    limited by itself, so a waveform that is made in pieces sounds like the whole.
    """
    beyond = np.abs(wav) - KNEE
    if not (beyond > 0).any():
        return wav
    limited = KNEE + (1 - KNEE) * np.tanh(np.maximum(beyond, 0) / (1 - KNEE))
    return np.where(beyond > 0, np.sign(wav) * limited, wav).astype(wav.dtype)


def to_pcm16(wav: np.ndarray) -> np.ndarray:
    """Convert float samples (any shape) to 16-bit PCM, little-endian: rounded to 1 / 32768, clipped outside [-1, 1]."""
    return np.clip(np.rint(wav * 32768), -32768, 32767).astype("<i2")


def from_pcm16(samples: np.ndarray) -> np.ndarray:
    """Convert 16-bit PCM (any shape) to float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768


def mel_spectrogram(wav: np.ndarray, audio: AudioConfig, piece: bool = False) -> np.ndarray:
    """Compute the log mel spectrogram.

    Steps: pre-emphasis if configured, reflection by n_fft / 2 at both ends, STFT with a Hann window, magnitudes, mel
    filters with Slaney's scale and normalisation, compression.

    Args:
        wav: float [samples] in [-1, 1].
        piece: `wav` is cut from a longer waveform after `preemphasize`, with n_fft / 2 further samples on both sides.
            It is then neither filtered nor reflected.

    Returns:
        float32 [n_mels, frames], frames = 1 + samples // hop_length (without the further samples of a piece).

    Raises:
        InputError: a waveform too short to be reflected, or audio settings that contradict each other.
    """
    if len(wav) <= audio.n_fft // 2:
        raise InputError(
            f"{len(wav)} samples are too few for a spectrogram, it takes more than n_fft / 2 = {audio.n_fft // 2}"
        )
    filters = mel_filters(audio)
    wav = wav.astype(np.float32, copy=False)
    wav = wav if piece else preemphasize(wav, audio)
    spectrum = librosa.stft(wav, **stft_lengths(audio), center=not piece, pad_mode="reflect")
    return compress(filters @ np.abs(spectrum), audio)


def stft_lengths(audio: AudioConfig) -> dict[str, int]:
    """The lengths in samples that librosa's stft, istft and griffinlim take as keyword arguments."""
    return {"n_fft": audio.n_fft, "hop_length": audio.hop_length, "win_length": audio.win_length}


def preemphasize(wav: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """Apply y[t] = x[t] - preemphasis * x[t - 1]. Returns float32 [samples], or `wav` itself if preemphasis is 0."""
    if not audio.preemphasis:
        return wav
    return scipy.signal.lfilter([1, -audio.preemphasis], [1], wav).astype(np.float32)


def compress(magnitudes: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """Compress mel magnitudes (any shape) to the log scale of the networks.

    compression "ln" is ln(max(mel, mel_floor)). "unit" is a logarithm scaled to 0 at mel_floor and to 1 at mel_ceiling;
    with 1e-4 and 10 these are the 100 dB below a reference of 20 dB that the model zoo uses.
    """
    if audio.compression == "ln":
        return np.log(np.maximum(magnitudes, audio.mel_floor))
    floor, ceiling = np.log(audio.mel_floor), np.log(audio.mel_ceiling)
    return ((np.log(np.clip(magnitudes, audio.mel_floor, audio.mel_ceiling)) - floor) / (ceiling - floor)).astype(
        np.float32
    )


def decompress(mel: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """Invert `compress`. Values above `LOUDEST` or mel_ceiling, as of a diverging network, are clipped."""
    if audio.compression == "ln":
        return np.exp(np.minimum(mel, LOUDEST))
    floor, ceiling = np.log(audio.mel_floor), np.log(audio.mel_ceiling)
    return np.exp(np.clip(mel, 0, 1) * (ceiling - floor) + floor).astype(np.float32)


def silent_mel(n_frames: int, audio: AudioConfig) -> np.ndarray:
    """Mel spectrogram of silence, float32 [n_mels, n_frames]."""
    return compress(np.zeros((audio.n_mels, n_frames), np.float32), audio)


def griffin_lim(mel: np.ndarray, audio: AudioConfig, seed: int = 0) -> np.ndarray:
    """Synthesise a waveform from a mel spectrogram by Griffin-Lim, in the fast form of Perraudin et al. (2013).

    Linear magnitudes are estimated from the mel bands. Raising them to `audio.griffinlim_power` sharpens their peaks;
    they are then scaled back to the energy they had. Pre-emphasis is undone at the end.

    Args:
        mel: [n_mels, frames] as from `mel_spectrogram`.
        seed: of the random initial phases.

    Returns:
        float32 [frames * hop_length].
    """
    mel = np.pad(mel.astype(np.float32), ((0, 0), (0, 1)), mode="edge")  # librosa's inverse is one hop short
    magnitudes = _linear_magnitudes(decompress(mel, audio), audio)
    sharp = magnitudes**audio.griffinlim_power
    wav = librosa.griffinlim(
        sharp * (np.linalg.norm(magnitudes) / np.linalg.norm(sharp)),
        n_iter=audio.griffinlim_iterations,
        random_state=seed,
        **stft_lengths(audio),
    )
    return scipy.signal.lfilter([1], [1, -audio.preemphasis], wav).astype(np.float32) if audio.preemphasis else wav


def mel_signature(audio: AudioConfig) -> dict[str, int | float | str]:
    """The settings that define a mel spectrogram; a vocoder fits an acoustic model only if they are equal."""
    names = ("sample_rate", "n_fft", "hop_length", "win_length", "n_mels", "fmin", "fmax")
    compression = f"ln(max(mel, {audio.mel_floor:g}))"
    if audio.compression == "unit":
        compression = f"log(mel), 0 at {audio.mel_floor:g} and 1 at {audio.mel_ceiling:g}"
    if audio.preemphasis:
        compression += f", after pre-emphasis of {audio.preemphasis:g}"
    return {**{name: getattr(audio, name) for name in names}, "compression": compression}


def _linear_magnitudes(mel: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """Estimate linear magnitudes [n_fft // 2 + 1, frames] from magnitudes of mel bands.

    The multiplicative updates of Lee and Seung (2001) start from a spectrum without zeros and reach a smoother one than
    the clipped pseudo-inverse does; librosa's non-negative least squares ends near the latter too, but later. The mel
    of the resulting speech is closer to the given one.
    """
    filters = mel_filters(audio)
    target, product = filters.T @ mel, filters.T @ filters
    linear = target
    for _ in range(20):
        linear = linear * target / np.maximum(product @ linear, 1e-12)
    return linear


def mel_filters(audio: AudioConfig) -> np.ndarray:
    """Mel filters with Slaney's scale and normalisation, float32 [n_mels, n_fft // 2 + 1].

    Raises:
        InputError: `audio.fmax` is above half of the sample rate.
    """
    if audio.fmax > audio.sample_rate / 2:
        raise InputError(
            f"audio.fmax ({audio.fmax:g} Hz) must not be above half of audio.sample_rate ({audio.sample_rate} Hz)"
        )
    return slaney_filters(audio.sample_rate, audio.n_fft, audio.n_mels, audio.fmin, audio.fmax)

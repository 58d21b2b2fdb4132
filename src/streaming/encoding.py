"""Audio formats, made while the sound is being spoken.

| format | sent | |
|---|---|---|
| pcm | at once | 16 bit, little-endian, mono |
| wav | at once | the header declares an unknown length: 0xFFFFFFFF bytes, as ffmpeg and sox write to a pipe |
| mp3 | at once | constant bit rate, as the header of a variable one holds counts that are known at the end |
| opus, ogg | at once | in Ogg, opus in pages of 60 ms |
| ulaw | at once | the telephone's 8 bits, without a header |
| flac | at the end | its header holds counts and a checksum; libsndfile itself cannot read a file without them |
"""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from src.audio import to_pcm16
from src.streaming.stretching import Stretcher

UNKNOWN_LENGTH = 0xFFFFFFFF
MP3_LEVEL = 0.7  # of libsndfile's scale of compression: 56 kbit/s at 22,050 Hz, which is much for a voice
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
PAGE_LATENCY = 0x1302  # libsndfile's SFC_SET_OGG_PAGE_LATENCY_MS, which soundfile has no name for
PAGE = 60.0  # milliseconds


@dataclass(frozen=True)
class Format:
    """An audio format: its media type, and the sampling rate unless the request names one (0: that of the voice)."""

    media_type: str
    sample_rate: int = 0
    rates: tuple[int, ...] = ()  # that it can have; empty: any


FORMATS = {
    "mp3": Format("audio/mpeg", rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
    "opus": Format("audio/ogg; codecs=opus", 24000, OPUS_RATES),  # Opus knows no 22,050 Hz
    "flac": Format("audio/flac"),
    "wav": Format("audio/wav"),
    "pcm": Format("audio/pcm", 24000),  # clients of OpenAI play 24,000 Hz without asking
}

# Formats of files that the API does not have: Vorbis, and the telephone's mu-law without a header.
FILE_FORMATS = FORMATS | {
    "ogg": Format("audio/ogg; codecs=vorbis"),
    "ulaw": Format("audio/basic", 8000),
}


class PcmEncoder:
    """Raw 16-bit samples, or a wav if a header is wanted."""

    def __init__(self, sample_rate: int, header: bool):
        self._header = wav_header(sample_rate) if header else b""

    def encode(self, wav: np.ndarray) -> bytes:
        """Return the bytes of float32 samples."""
        header, self._header = self._header, b""
        return header + to_pcm16(wav).tobytes()

    def finish(self) -> bytes:
        """Return what is left."""
        return self._header

    def close(self) -> None:
        """Do nothing: there is no file."""


class FileEncoder:
    """A compressed file, written by libsndfile into memory and taken from there.

    Args:
        whole: give nothing before the end, for the file's beginning is written last.
        options: of `soundfile.SoundFile`.
    """

    def __init__(self, sample_rate: int, whole: bool = False, **options: object):
        self._whole, self._sink = whole, io.BytesIO()
        self._file = soundfile.SoundFile(self._sink, "w", sample_rate, 1, **options)
        self._taken = 0
        if options["format"] == "OGG":
            _shorten_pages(self._file)

    def encode(self, wav: np.ndarray) -> bytes:
        """Return the bytes that are ready after float32 samples."""
        self._file.write(wav)
        return b"" if self._whole else self._take()

    def finish(self) -> bytes:
        """Return what is left."""
        self._file.close()
        return self._take()

    def close(self) -> None:
        """Free the memory of a file that is not finished."""
        self._file.close()

    def _take(self) -> bytes:
        ready = bytes(self._sink.getbuffer()[self._taken :])
        self._taken += len(ready)
        return ready


def _shorten_pages(file: soundfile.SoundFile) -> None:
    """Let libsndfile send a page every 60 ms; a second is its default. soundfile has no public call for it."""
    library, memory = getattr(soundfile, "_snd", None), getattr(soundfile, "_ffi", None)
    if library is not None and memory is not None and hasattr(file, "_file"):
        library.sf_command(file._file, PAGE_LATENCY, memory.new("double *", PAGE), 8)


def wav_header(sample_rate: int) -> bytes:
    """Return the header of a mono 16-bit wav of unknown length."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    length = struct.pack("<I", UNKNOWN_LENGTH)
    return b"RIFF" + length + b"WAVEfmt " + form + b"data" + length


def encoder(name: str, sample_rate: int) -> PcmEncoder | FileEncoder:
    """Make the encoder of a format of `FILE_FORMATS`."""
    if name in ("pcm", "wav"):
        return PcmEncoder(sample_rate, header=name == "wav")
    if name == "flac":
        return FileEncoder(sample_rate, whole=True, format="FLAC", subtype="PCM_16")
    if name == "opus":
        return FileEncoder(sample_rate, format="OGG", subtype="OPUS")
    if name == "ogg":
        return FileEncoder(sample_rate, format="OGG", subtype="VORBIS")
    if name == "ulaw":
        return FileEncoder(sample_rate, format="RAW", subtype="ULAW")
    options = {"bitrate_mode": "CONSTANT", "compression_level": MP3_LEVEL}
    return FileEncoder(sample_rate, format="MP3", subtype="MPEG_LAYER_III", **options)


def at_speed(chunks: Iterable[np.ndarray], speed: float, rate: int, wanted_rate: int) -> Iterator[np.ndarray]:
    """Bring chunks of speech (float32) to another speed, and then from `rate` to `wanted_rate`."""
    stretcher = Stretcher(speed, rate)
    if rate == wanted_rate:
        for chunk in chunks:
            yield stretcher.push(chunk)
        yield stretcher.flush()
        return
    resampler = soxr.ResampleStream(rate, wanted_rate, 1, dtype="float32")
    for chunk in chunks:
        yield resampler.resample_chunk(stretcher.push(chunk))
    yield resampler.resample_chunk(stretcher.flush(), last=True)

"""Speech written as one file, or to standard output while it is being made."""

import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from src.audio import to_pcm16
from src.errors import InputError
from src.files import write_atomically
from src.streaming.encoding import FILE_FORMATS, at_speed, encoder
from src.streaming.voice import Voice

SUFFIXES = {".wav": "wav", ".flac": "flac", ".mp3": "mp3", ".ogg": "ogg", ".opus": "opus", ".ulaw": "ulaw"}
SUFFIXES |= {".pcm": "pcm", ".raw": "pcm"}
STANDARD_OUTPUT = "-"


def chosen_format(output: str, name: str | None, sample_rate: int | None) -> tuple[str, int | None]:
    """Return the format of an output, and its sampling rate, None for that of the voice.

    Args:
        output: a file's path, whose suffix names the format unless `name` does; `-`: standard output, raw PCM.
        name: one of `FILE_FORMATS`.
        sample_rate: in Hz; by default that of the voice or, where a format needs another, of the format.

    Raises:
        InputError: no format is known by the suffix, the format cannot have the rate, or standard output is a terminal.
    """
    if name is None:
        suffix = Path(output).suffix.lower()
        name = "pcm" if output == STANDARD_OUTPUT else SUFFIXES.get(suffix)
        if name is None:
            raise InputError(f"--output {output}: no format has this suffix; take {', '.join(SUFFIXES)}, or --format")
    if output == STANDARD_OUTPUT and sys.stdout.isatty():
        raise InputError("--output - writes sound, and standard output is a terminal; send it to a file or a player")
    rates = FILE_FORMATS[name].rates
    if sample_rate and rates and sample_rate not in rates:
        raise InputError(f"--sample_rate {sample_rate}: {name} can have {', '.join(map(str, rates))}")
    return name, sample_rate or (None if name == "pcm" else FILE_FORMATS[name].sample_rate or None)


def speak_into(
    voice: Voice,
    texts: Iterable[str],
    output: str,
    file_format: str,
    sample_rate: int | None,
    seed: int = 0,
    speaker: str | None = None,
) -> float:
    """Speak texts one after the other, with the pause of sentences between them, and return the seconds of speech.

    A file is written under another name first, and replaces one that is there. Standard output gets the sound as it is
    made, and may be closed by its reader, which ends the work.

    Raises:
        InputError: a text cannot be spoken, or the file cannot be written.
    """
    rate, count = sample_rate or voice.sample_rate, 0

    def sound() -> Iterator[np.ndarray]:
        nonlocal count
        pause = np.zeros(round(voice.config.text.sentence_pause * voice.sample_rate), np.float32)
        for number, text in enumerate(texts):
            spoken = voice.stream(text, seed, speaker)
            for chunk in itertools.chain([pause] if number else [], spoken):
                count += len(chunk)
                yield chunk

    chunks = at_speed(sound(), 1.0, voice.sample_rate, rate)
    if output == STANDARD_OUTPUT:
        _send(chunks, file_format, rate)
    else:
        wav = np.concatenate(list(chunks))
        write_atomically(output, _whole(wav, file_format, rate))
    return count / voice.sample_rate


def _send(chunks: Iterable[np.ndarray], file_format: str, rate: int) -> None:
    encode = encoder(file_format, rate)
    try:
        for chunk in chunks:
            sys.stdout.buffer.write(encode.encode(chunk))
            sys.stdout.buffer.flush()
        sys.stdout.buffer.write(encode.finish())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would complain when it flushes standard output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _whole(wav: np.ndarray, file_format: str, rate: int) -> bytes:
    """The content of a file; a wav's header has its true length here."""
    if file_format == "wav":
        content = io.BytesIO()
        soundfile.write(content, to_pcm16(wav), rate, format="WAV", subtype="PCM_16")
        return content.getvalue()
    encode = encoder(file_format, rate)
    return encode.encode(wav) + encode.finish()

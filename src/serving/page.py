"""The page, and the stream of sound, mel spectrogram and alignment that it draws while it plays."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from src.audio import to_pcm16
from src.serving.delivery import Delivery
from src.serving.relay import Piece
from src.serving.request import SpeechRequest, check_speech, model_of, read_json, voices_of
from src.serving.service import Service
from src.streaming.stretching import Stretcher

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def _policy() -> str:
    """Allow the page its own script and style, by their digests, and nothing else."""
    allowed = ["default-src 'none'", "connect-src 'self'", "img-src data:", "media-src blob:"]
    allowed += ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        allowed.append(f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'")
    return "; ".join(allowed)


HEADERS = {"Content-Security-Policy": _policy(), "Cache-Control": "no-store"}


async def page(request: Request) -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(PAGE, headers=HEADERS)


async def facts(request: Request) -> JSONResponse:
    """Return what the page shows before the first text, and whether it must ask for a key."""
    service: Service = request.app.state.service
    voice, settings = service.voice, service.settings
    known = {"ready": voice is not None, "stage": service.stage, "needs_key": bool(settings.api_key)}
    if voice is not None:
        audio, model = voice.config.audio, voice.config.model
        known |= {"model": model_of(voice), "voices": voices_of(voice), "sample_rate": voice.sample_rate}
        known |= {"n_mels": audio.n_mels, "hop_length": audio.hop_length, "reduction_factor": model.reduction_factor}
    return JSONResponse(known | {"longest_text": settings.max_characters})


async def speak(request: Request) -> Delivery:
    """Speak a text for the page: lines of JSON, each with sound and what is to be drawn."""
    service: Service = request.app.state.service
    service.check_ready()
    wish = check_speech(await read_json(request, service.settings), service.voice, service.settings)
    service.check_ready()
    voice = service.voice
    service.metrics.characters.inc(len(wish.text))
    note = f"{len(wish.text)} characters, page"
    return Delivery(
        service, lambda cancel: parts(voice, wish, cancel), "application/x-ndjson", note, last=lambda: line(done=True)
    )


def parts(voice: Any, wish: SpeechRequest, cancel: threading.Event) -> Iterator[Piece]:
    """Speak, and write lines of JSON. Closing this ends the speaking, and so does the event.

    A line has `pcm` (16 bit at the voice's rate), `mel` (bytes [frames, n_mels], of which 255 is the loudest and 0 is
    100 dB below), `alignment` (bytes [steps, symbols], of which 255 is all attention), each in base64, the `sentence`,
    its `symbols` when it begins, and `stop_reason` when it has ended.
    """
    stretcher, sentence = Stretcher(wish.speed, voice.sample_rate), -1
    stream = voice.stream_parts(wish.text, seed=wish.seed, speaker=wish.speaker, cancel=cancel)
    try:
        for part in stream:
            wav = stretcher.push(part.wav)
            fields: dict[str, Any] = {"sentence": part.sentence, "stop_reason": part.stop_reason}
            if part.symbols and part.sentence != sentence:  # the pause before a sentence has none
                sentence, fields["symbols"] = part.sentence, list(part.symbols)
            fields |= {"pcm": _base64(to_pcm16(wav)), "mel": _base64(_grey_mel(part.mel))}
            fields["alignment"] = _base64(np.clip(np.rint(np.asarray(part.alignment) * 255), 0, 255).astype(np.uint8))
            yield Piece(line(**fields), len(wav) / voice.sample_rate)
        wav = stretcher.flush()
        yield Piece(line(sentence=sentence, pcm=_base64(to_pcm16(wav))), len(wav) / voice.sample_rate)
    finally:
        stream.close()


def line(**fields: object) -> bytes:
    """Write a line of JSON."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _grey_mel(mel: np.ndarray) -> np.ndarray:
    """Turn a natural-log mel [n_mels, frames] into bytes [frames, n_mels]."""
    decibels = np.asarray(mel, np.float32) * (20 / np.log(10))
    return np.clip(np.rint((decibels + 100) * 2.2), 0, 255).astype(np.uint8).T


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()

"""POST /v1/audio/speech, as the OpenAI API has it, and the lists of models and voices."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse

from src.serving.delivery import Delivery
from src.serving.relay import Piece
from src.serving.request import SpeechRequest, check_speech, model_of, read_json, voices_of
from src.serving.service import Service
from src.streaming.encoding import FORMATS, at_speed, encoder


async def speech(request: Request) -> Delivery:
    """Speak a text."""
    service: Service = request.app.state.service
    service.check_ready()
    wish = check_speech(await read_json(request, service.settings), service.voice, service.settings)
    service.check_ready()  # reading took a while
    voice = service.voice
    service.metrics.characters.inc(len(wish.text))
    note = f"{len(wish.text)} characters, {wish.format}"
    headers = {"x-sample-rate": str(wish.sample_rate)}
    media_type = FORMATS[wish.format].media_type
    if wish.format == "pcm":
        media_type += f"; rate={wish.sample_rate}; channels=1"
    if not wish.by_events:
        return Delivery(service, lambda cancel: encoded(voice, wish, cancel), media_type, note, headers)
    return Delivery(
        service,
        lambda cancel: encoded(voice, wish, cancel),
        "text/event-stream; charset=utf-8",
        note,
        headers,
        wrap=lambda content: event("speech.audio.delta", audio=base64.b64encode(content).decode()),
        last=lambda: event("speech.audio.done", usage=usage(wish)),
    )


def encoded(voice: Any, wish: SpeechRequest, cancel: threading.Event) -> Iterator[Piece]:
    """Speak, and encode what is spoken. Closing this ends the speaking, and so does the event."""
    encode = encoder(wish.format, wish.sample_rate)
    chunks = voice.stream(wish.text, seed=wish.seed, speaker=wish.speaker, cancel=cancel)
    try:
        for wav in at_speed(chunks, wish.speed, voice.sample_rate, wish.sample_rate):
            if len(wav):
                yield Piece(encode.encode(np.asarray(wav, np.float32)), len(wav) / wish.sample_rate)
        yield Piece(encode.finish(), 0.0)
    finally:
        chunks.close()
        encode.close()


def event(kind: str, **fields: object) -> bytes:
    """Write a server-sent event as the OpenAI API does: JSON with a `type`."""
    return f"data: {json.dumps({'type': kind, **fields})}\n\n".encode()


def usage(wish: SpeechRequest) -> dict[str, int]:
    """Count as clients of OpenAI expect it in tokens; here a character is one, and sound has none."""
    return {"input_tokens": len(wish.text), "output_tokens": 0, "total_tokens": len(wish.text)}


async def models(request: Request) -> JSONResponse:
    """List the model."""
    service: Service = request.app.state.service
    service.check_ready()
    return JSONResponse({"object": "list", "data": [_model(model_of(service.voice))]})


async def voices(request: Request) -> JSONResponse:
    """List the voices."""
    service: Service = request.app.state.service
    service.check_ready()
    names = voices_of(service.voice)
    return JSONResponse(
        {"object": "list", "voices": names, "data": [{"id": name, "object": "voice"} for name in names]}
    )


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "this server"}

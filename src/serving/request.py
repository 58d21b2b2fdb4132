"""The body of a request for speech: read within limits, and checked field by field."""

import json
import re
import unicodedata
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import anyio
from starlette.requests import Request

from src.errors import quote, some_of
from src.serving.errors import ApiError
from src.serving.settings import Settings
from src.streaming.encoding import FORMATS

BODY_WITHIN = 30.0  # seconds
FASTEST, SLOWEST = 4.0, 0.25
RATES = (8000, 16000, 22050, 24000, 44100, 48000)
OWN_NAME = "default"
# Names that clients of OpenAI have built in: all mean the voice, or the first of several speakers, and the model.
OPENAI_VOICES = [
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
]
OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
FIELDS = ["model", "input", "voice", "response_format", "speed", "stream_format", "instructions", "seed", "sample_rate"]


@dataclass(frozen=True)
class SpeechRequest:
    """A checked request."""

    text: str
    speaker: str | None
    speed: float
    seed: int
    format: str
    sample_rate: int  # of the response
    by_events: bool  # stream_format: sse


async def read_json(request: Request, settings: Settings) -> dict[str, Any]:
    """Read the JSON object of a request, never more than `settings.max_body` bytes.

    Raises:
        ApiError: it is too large (413), too slow (408), of another type (415), or no JSON object in UTF-8 (400).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
    largest, length = settings.max_body, request.headers.get("content-length", "0")
    too_large = ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request is too large, {largest} bytes are allowed")
    if not length.isascii() or not length.isdigit() or int(length[:19]) > largest:
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise too_large
    except TimeoutError as error:
        message = f"the request was not complete after {BODY_WITHIN:g} s"
        raise ApiError(HTTPStatus.REQUEST_TIMEOUT, message, headers={"Connection": "close"}) from error
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        example = '{"model": "tts-1", "voice": "default", "input": "Hello."}'
        raise _wrong(f"the request must be a JSON object in UTF-8, such as {example}", code="invalid_json")
    return content


def check_speech(content: dict[str, Any], voice: Any, settings: Settings) -> SpeechRequest:
    """Check the fields of a request.

    Args:
        content: the JSON object.
        voice: the voice that will speak, see `src.synthesis.load_voice`.
        settings: the limits.

    Raises:
        ApiError: a field cannot be used (400), or there is no such model (404).
    """
    if unknown := [quote(name) for name in content if name not in FIELDS]:
        raise _wrong(f"unknown fields: {some_of(unknown)}; there are {', '.join(FIELDS)}", code="unknown_parameter")
    content = {name: value for name, value in content.items() if value is not None}
    _check_model(content.get("model", OPENAI_MODELS[0]), voice)
    name = _choice(content, "response_format", "mp3", tuple(FORMATS), "aac is not made: libsndfile has none")
    by_events = _choice(content, "stream_format", "audio", ("audio", "sse")) == "sse"
    if not isinstance(content.get("instructions", ""), str):
        raise _wrong("instructions must be a text; the voice does not follow them", "instructions")
    seed = content.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise _wrong("seed must be a whole number from 0 to 4294967295", "seed")
    return SpeechRequest(
        text=speakable(content.get("input"), settings.max_characters),
        speaker=_speaker(content.get("voice", OWN_NAME), voice),
        speed=_speed(content.get("speed", 1.0)),
        seed=seed,
        format=name,
        sample_rate=_rate(content.get("sample_rate"), name, voice.sample_rate),
        by_events=by_events,
    )


def speakable(text: object, longest: int) -> str:
    """Return the text of a request without white space around it. The voice itself says what of it it cannot speak.

    Raises:
        ApiError: there is none, it is too long, or has control characters or halves of characters.
    """
    if not isinstance(text, str) or not text.strip():
        raise _wrong("there is no text; input must be what should be said", "input")
    text = text.strip()
    if len(text) > longest:
        message = f"the text has {len(text)} characters, at most {longest} are spoken at once"
        raise _wrong(message, "input", "string_above_max_length")
    control = [f"U+{ord(c):04X}" for c in dict.fromkeys(text) if unicodedata.category(c) in ("Cc", "Cs")]
    if control := [name for name in control if name not in ("U+0009", "U+000A", "U+000D")]:
        raise _wrong(f"the text has control characters: {some_of(control)}", "input")
    return text


def voices_of(voice: Any) -> list[str]:
    """Names of the voices that a server lists."""
    return list(voice.speakers) or [OWN_NAME]


def model_of(voice: Any) -> str:
    """Name of the model that a server lists."""
    return str(voice.config.model.name)


def _check_model(model: object, voice: Any) -> None:
    names = (*OPENAI_MODELS, model_of(voice))
    if not isinstance(model, str):
        raise _wrong("model must be a text", "model")
    if model not in names:
        message = f"there is no model {quote(model)}; the names that are known here are {', '.join(names)}"
        raise ApiError(HTTPStatus.NOT_FOUND, message, "model", "model_not_found")


def _speaker(name: object, voice: Any) -> str | None:
    if isinstance(name, dict):  # OpenAI's newer clients send {"id": ...} for voices of one's own
        name = name.get("id")
    if not isinstance(name, str):
        raise _wrong("voice must be the name of a voice", "voice")
    if name in voice.speakers:
        return name
    if name in (OWN_NAME, *OPENAI_VOICES):
        return voice.speakers[0] if voice.speakers else None
    message = f"there is no voice {quote(name)}; there are {some_of(voices_of(voice), 20)}"
    raise _wrong(message, "voice", "voice_not_found")


def _speed(speed: object) -> float:
    # Not with `not a <= b`: JSON's NaN, which Python reads, must fail too.
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not SLOWEST <= speed <= FASTEST:
        raise _wrong(f"speed must be a number from {SLOWEST} to {FASTEST:g}", "speed")
    return float(speed)


def _rate(wanted: object, name: str, own: int) -> int:
    kind = FORMATS[name]
    if wanted is None:
        rate = kind.sample_rate or own
        return rate if not kind.rates or rate in kind.rates else 24000
    allowed = [rate for rate in sorted({*RATES, own}) if not kind.rates or rate in kind.rates]
    if type(wanted) is not int or wanted not in allowed:
        raise _wrong(f"sample_rate of {name} must be one of {', '.join(map(str, allowed))}", "sample_rate")
    return wanted


def _choice(content: dict[str, Any], field: str, default: str, allowed: tuple[str, ...], note: str = "") -> str:
    value = content.get(field, default)
    if not isinstance(value, str) or value not in allowed:
        message = f"{field} must be one of {', '.join(allowed)}"
        raise _wrong(f"{message} ({note})" if note else message, field, "unsupported_value")
    return value


def _wrong(message: str, param: str | None = None, code: str | None = "invalid_value") -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, re.sub(r"\s+", " ", message), param, code)

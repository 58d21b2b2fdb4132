"""The description of the API (OpenAPI 3.1), for /openapi.json."""

from typing import Any

from src import __version__
from src.serving.request import FASTEST, RATES, SLOWEST
from src.serving.settings import Settings
from src.streaming.encoding import FORMATS

ERRORS = {
    400: "a field of the request cannot be used, or the text cannot be spoken",
    401: "the key is missing or wrong",
    403: "the server does not go by the name in Host",
    404: "no such model",
    408: "the request came too slowly",
    413: "the request is too large",
    415: "the content type is not application/json",
    429: "too many requests are waiting; see Retry-After",
    500: "something failed in the server",
    503: "the voice is not ready yet, or the server is about to end",
    504: "the voice gave no sound in time",
}


def description(settings: Settings) -> dict[str, Any]:
    """Describe the API of a server with these settings."""
    answers = {str(status): _answer(text, "#/components/schemas/Error") for status, text in ERRORS.items()}
    sound = {kind.media_type: {"schema": {"type": "string", "format": "binary"}} for kind in FORMATS.values()}
    sound["text/event-stream"] = {"schema": {"type": "string"}}
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Speech"}}}
    paths = {
        "/v1/audio/speech": {
            "post": {
                "operationId": "createSpeech",
                "summary": "Speak a text; the sound is sent while it is made",
                "requestBody": {"required": True, "content": body},
                "responses": {"200": {"description": "the sound", "content": sound}, **answers},
            }
        },
        "/v1/models": {"get": _get("listModels", "The model", "application/json")},
        "/v1/audio/voices": {"get": _get("listVoices", "The voices", "application/json")},
        "/healthz": {"get": _get("health", "200 when a text would be spoken, otherwise 503", "application/json")},
        "/metrics": {"get": _get("metrics", "Metrics for Prometheus", "text/plain")},
    }
    components: dict[str, Any] = {"schemas": {"Speech": _speech(settings), "Error": ERROR}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Tacotron 2 in MindSpore", "version": __version__},
        "paths": paths,
        "components": components,
    }
    if settings.api_key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        paths["/healthz"]["get"]["security"] = []
    return document


def _speech(settings: Settings) -> dict[str, Any]:
    fields = {
        "input": {"type": "string", "minLength": 1, "maxLength": settings.max_characters},
        "model": {"type": "string", "description": "the one of /v1/models, or a name of OpenAI's, which means it"},
        "voice": {"type": "string", "default": "default", "description": "of /v1/audio/voices, or a name of OpenAI's"},
        "response_format": {"type": "string", "enum": list(FORMATS), "default": "mp3"},
        "speed": {"type": "number", "minimum": SLOWEST, "maximum": FASTEST, "default": 1.0},
        "stream_format": {"type": "string", "enum": ["audio", "sse"], "default": "audio"},
        "instructions": {"type": "string", "description": "accepted, and not followed"},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**32 - 1,
            "default": 0,
            "description": "not of OpenAI: the same seed and text always sound the same",
        },
        "sample_rate": {
            "type": "integer",
            "enum": list(RATES),
            "description": "not of OpenAI: samples per second; by default 24000 for pcm and opus, else the voice's own",
        },
    }
    return {"type": "object", "required": ["input"], "properties": fields, "additionalProperties": False}


ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": schema}}}}


def _get(name: str, summary: str, media_type: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "string" if media_type == "text/plain" else "object"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "the answer", "content": content},
            "503": _answer(ERRORS[503], "#/components/schemas/Error"),
        },
    }

"""Errors in the JSON form of the OpenAI API: {"error": {"message", "type", "param", "code"}}."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

UNEXPECTED = "something went wrong in the server; its log has the number of this error"
CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "host_not_allowed",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
    HTTPStatus.SERVICE_UNAVAILABLE: "not_ready",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout",
}


class ApiError(Exception):
    """The answer to a request that cannot be met.

    Args:
        status: of the HTTP response.
        message: for people, a sentence without its full stop.
        param: the field of the request that is to blame.
        code: for programs; by default that of `CODES`.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(status, message)
        self.status, self.message, self.param = HTTPStatus(status), message, param
        self.code, self.headers = code or CODES.get(self.status), headers

    @property
    def kind(self) -> str:
        """The `type` of the error in JSON."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return "requests"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        content = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": content}, self.status, self.headers)


async def answer_api_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an ApiError, as Starlette's handlers of exceptions do."""
    assert isinstance(error, ApiError)
    return error.response()


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of Starlette's own: no such address, or not by this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "there is nothing at this address; the page is at /, the API at /v1, its description at /openapi.json"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"this address takes {(error.headers or {}).get('Allow', 'other methods')}, not {request.method[:20]}"
    else:
        message = str(error.detail)
    return ApiError(error.status_code, message, headers=dict(error.headers or {})).response()

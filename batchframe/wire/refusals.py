"""How the server says no: one exception that carries an HTTP status and OpenAI's error object.

Handlers raise it; whoever calls them turns it into the response.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from starlette.responses import Response

from batchframe.wire import jsontext


class Error(Struct):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(Struct):
    error: Error


class Refusal(Exception):  # noqa: N818 (it is an answer, not a defect)
    """A request the server turns down."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, code=code, param=param)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The refusal as an HTTP response."""
        return json_response(self.body, self.status, self.headers)


def error_body(status: int, message: str, *, code: str | None = None, param: str | None = None) -> ErrorBody:
    """OpenAI's error object for a status; rows of an error file carry the same object."""
    return ErrorBody(Error(message=message, type=_error_type(status, code), param=param, code=code))


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value or struct as a JSON response."""
    return Response(jsontext.encode(value), status, headers, media_type="application/json")


def _error_type(status: int, code: str | None) -> str:
    if status >= 500:
        return "server_error"
    if status == 429:
        return "insufficient_quota" if code == "insufficient_quota" else "requests"
    return "invalid_request_error"

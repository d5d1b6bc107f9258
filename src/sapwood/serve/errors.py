"""What goes wrong, once: a status and a sentence. Each API's own form of it is made where it leaves the server."""

from __future__ import annotations

import enum

import msgspec

from sapwood.engine.client import EngineDeadError, EngineDrainingError, EngineError, EngineOverloadedError


class Family(enum.Enum):
    """Whose form of errors a path speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


def family_of(path: str) -> Family:
    return Family.ANTHROPIC if path == "/v1/messages" or path.startswith("/v1/messages/") else Family.OPENAI


class ApiError(Exception):
    """An answer that is not the wanted one. `message` is for the client and never holds anything of the inside.

    code: a stable word for programs. param: the field of the request that is wrong. retry_after: seconds after which
    trying again makes sense. close: the connection cannot be used again (the request was not read to its end).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        close: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.close = close
        self.extra_headers = headers

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = list(self.extra_headers)
        if self.retry_after is not None:
            found.append((b"retry-after", b"%d" % max(1, round(self.retry_after))))
        if self.close:
            found.append((b"connection", b"close"))
        return found


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


RETRY_AFTER_RESTART = 5.0


def from_engine_error(error: EngineError) -> ApiError:
    """The answer to what an engine client raises. Messages of EngineError are written for clients."""
    if isinstance(error, EngineOverloadedError):
        return ApiError(429, str(error), code="engine_overloaded", retry_after=error.retry_after)
    if isinstance(error, EngineDrainingError):
        return ApiError(503, str(error), code="server_draining", retry_after=RETRY_AFTER_RESTART, close=True)
    if isinstance(error, EngineDeadError):
        return ApiError(503, str(error), code="engine_dead", retry_after=RETRY_AFTER_RESTART)
    return ApiError(500, "The engine could not finish the request.", code="engine_error")


_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    408: "timeout_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "service_unavailable_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
}


def status_for(status: int, family: Family) -> int:
    """The HTTP status as an API has it: Anthropic's for a server that cannot answer now is 529."""
    return 529 if status == 503 and family is Family.ANTHROPIC else status


class OpenAIErrorDetail(msgspec.Struct, rename={"kind": "type"}):
    message: str
    kind: str
    param: str | None
    code: str | None


class OpenAIError(msgspec.Struct):
    """The form of every error of OpenAI's API."""

    error: OpenAIErrorDetail


class AnthropicErrorDetail(msgspec.Struct, rename={"kind": "type"}):
    kind: str
    message: str


class AnthropicError(msgspec.Struct, rename={"kind": "type"}):
    """The form of every error of Anthropic's API."""

    error: AnthropicErrorDetail
    request_id: str
    kind: str = "error"


ERROR_STRUCTS = {Family.OPENAI: OpenAIError, Family.ANTHROPIC: AnthropicError}


def render(error: ApiError, family: Family, request_id: str) -> bytes:
    """The JSON body of an error."""
    if family is Family.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(error.status, "invalid_request_error")
        where = f"{error.param}: " if error.param and error.param not in error.message else ""
        return msgspec.json.encode(AnthropicError(AnthropicErrorDetail(kind, where + error.message), request_id))
    kind = _OPENAI_TYPES.get(error.status, "invalid_request_error")
    return msgspec.json.encode(OpenAIError(OpenAIErrorDetail(error.message, kind, error.param, error.code)))

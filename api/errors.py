"""Errors as clients read them: the OpenAI envelope on every path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.ports import (
    BusyError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    TooOftenError,
)
from tiers.errors import (
    CaseTooLargeError,
    QueueFullError,
    TierError,
    TierRefusedError,
    TierUnavailableError,
)

log = structlog.get_logger()

_TYPES = {
    400: "invalid_request_error",
    405: "invalid_request_error",
    408: "timeout_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "unavailable_error",
}


class WrongParameterError(Exception):
    """A parameter of a request is wrong in a way that its type does not show. `param` is its name
    as the client wrote it: "messages.0.content"."""

    def __init__(self, message: str, *, param: str, code: str = "invalid_value") -> None:
        super().__init__(f"{param}: {message}.")
        self.param = param
        self.code = code


def envelope(
    *, status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The body of an error: `{"error": {"message", "type", "param", "code"}}`."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(
    *,
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A response with that body."""
    body = envelope(status=status, message=message, param=param, code=code)
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def tier_error(error: TierError) -> JSONResponse:
    """What a client is told when a model could not answer."""
    if isinstance(error, QueueFullError):
        return _later(429, error, code="queue_full", seconds=error.retry_after)
    if isinstance(error, TierUnavailableError):
        return _later(503, error, code="tier_unavailable", seconds=error.retry_after)
    if isinstance(error, CaseTooLargeError):
        return error_response(
            status=400, message=str(error), param="messages", code="context_length_exceeded"
        )
    if isinstance(error, TierRefusedError):
        return error_response(status=400, message=str(error), code="refused_by_model")
    return error_response(status=502, message=str(error), code="bad_answer")


def _later(status: int, error: Exception, *, code: str, seconds: float) -> JSONResponse:
    """An error that passes: with the time after which to ask again, in whole seconds."""
    wait = str(max(1, round(seconds)))
    return error_response(
        status=status, message=str(error), code=code, headers={"Retry-After": wait}
    )


def defect_response(path: str, error: Exception) -> JSONResponse:
    """What nobody expected: logged here, and told without details."""
    log.error("request failed", path=path, exc_info=error)
    _let_go(error)
    message = "triaged made a mistake; its log has the details."
    return error_response(status=500, message=message, code="defect")


def _let_go(error: BaseException) -> None:
    """Takes the tracebacks off an error that was told. Through them it refers to itself and to the
    whole body, which would then stay until somebody looks for such circles: long enough for a few
    clients that send rubbish to fill the memory."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            waiting += [current.__cause__, current.__context__]
            current.__traceback__ = None


def _param(location: Sequence[Any]) -> str | None:
    """What a validation error is about, as the client wrote it: "messages.0.role". Names in round
    brackets are ours: they tell the members of a union apart."""
    inside = [str(part) for part in location[1:] if not str(part).startswith("(")]
    return ".".join(inside)[:200] or None


def install_error_handlers(app: FastAPI) -> None:
    """Makes every error of the app an envelope, but for defects, which are the guard's."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        _let_go(error)
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            why = f"{first['ctx']['error']}, at character {first['loc'][-1]}"
            message = f"The body is not valid JSON: {why}."
            return error_response(status=400, message=message, code="json_invalid")
        param = _param(first["loc"])
        message = f"{param}: {first['msg']}" if param else f"The body: {first['msg']}"
        return error_response(status=400, message=message, param=param, code=first["type"])

    @app.exception_handler(WrongParameterError)
    async def _wrong(_: Request, error: WrongParameterError) -> JSONResponse:
        return error_response(status=400, message=str(error), param=error.param, code=error.code)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        message = str(error.detail)
        if error.status_code in (404, 405):
            path = "".join(
                c if c.isprintable() else "\N{REPLACEMENT CHARACTER}"
                for c in request.url.path[:200]
            )
            message = f"{message}: {request.method} {path}"
        return error_response(status=error.status_code, message=message, headers=error.headers)

    @app.exception_handler(TierError)
    async def _tier(_: Request, error: TierError) -> JSONResponse:
        _let_go(error)
        return tier_error(error)

    @app.exception_handler(NotFoundError)
    async def _missing(_: Request, error: NotFoundError) -> JSONResponse:
        return error_response(status=404, message=str(error), code="not_found")

    @app.exception_handler(ConflictError)
    async def _conflict(_: Request, error: ConflictError) -> JSONResponse:
        return error_response(status=409, message=str(error), code="conflict")

    @app.exception_handler(NotAllowedError)
    async def _not_allowed(_: Request, error: NotAllowedError) -> JSONResponse:
        return error_response(status=403, message=str(error), code="not_allowed")

    @app.exception_handler(TooOftenError)
    async def _too_often(_: Request, error: TooOftenError) -> JSONResponse:
        return _later(429, error, code="too_often", seconds=error.retry_after)

    @app.exception_handler(BusyError)
    async def _busy(_: Request, error: BusyError) -> JSONResponse:
        return _later(503, error, code="busy", seconds=error.retry_after)

"""What stands before every route: who may ask, under which host name, and how much.

Plain ASGI, because it must not buffer streams.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.asked import note
from api.errors import error_response
from api.loopback import is_loopback
from api.roles import Caller, Role

_OPEN_PATHS = frozenset({"/healthz"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"^(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(?::[0-9]{1,5})?$")
_BODY_SECONDS = 30.0
_BODIES_AT_ONCE = 16


class Guard:
    """Checks the Host header, where a browser's request comes from, the key and the body.

    `keys` are the accepted bearer keys; none means that everybody may ask, which is only right on
    loopback. On loopback (`loopback` true) only loopback names are accepted as Host, so that a web
    page cannot reach the daemon by a name of its own (DNS rebinding), and a page from elsewhere
    cannot change anything (cross-site request forgery). A body is read before the app is called:
    at most `body_limit` bytes, within `body_seconds`, and of all requests together at most
    sixteen times that much.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[str],
        loopback: bool,
        body_limit: int,
        body_seconds: float = _BODY_SECONDS,
    ) -> None:
        self._app = app
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._loopback = loopback
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._held = 0  # bytes of bodies that requests in progress have brought

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        caller = Caller(key="", role=Role.OPERATOR, client=client)
        note(scope, caller=caller, request_id=secrets.token_hex(8))
        await self._with_body(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> JSONResponse | None:
        if self._loopback:
            if not _names_loopback(headers.get("host", "")):
                return error_response(
                    status=403,
                    message="This daemon listens on loopback and answers to localhost only: "
                    "ask for http://localhost or http://127.0.0.1.",
                    code="wrong_host",
                )
            if method not in _SAFE_METHODS and not _from_here(headers):
                return error_response(
                    status=403,
                    message="A web page from elsewhere may not change anything here.",
                    code="wrong_origin",
                )
        if self._digests and path not in _OPEN_PATHS and not self._known(headers):
            return error_response(
                status=401,
                message="A key is needed: send it as 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return error_response(
                status=400, message="Content-Length is not a number.", code="bad_content_length"
            )
        if len(length) > 18 or int(length) > self._body_limit:
            return self._too_large()
        return None

    def _known(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        # Header values arrive as latin-1: these are the bytes that the client sent.
        digest = hashlib.sha256(key.strip().encode("latin-1")).digest()
        # Every key is compared, so that the time taken tells nothing of which one it was.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = 0
        parts: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._body_seconds):
                    more = True
                    while more:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        part = message.get("body", b"")
                        more = message.get("more_body", False)
                        parts.append(part)
                        held += len(part)
                        self._held += len(part)
                        if held > self._body_limit:
                            await self._too_large()(scope, receive, send)
                            return
                        if self._held > _BODIES_AT_ONCE * self._body_limit:
                            await _too_many()(scope, receive, send)
                            return
            except TimeoutError:
                await self._too_slow()(scope, receive, send)
                return
            body: bytes | None = b"".join(parts)
            parts.clear()

            async def replayed() -> Message:
                nonlocal body
                if body is None:
                    return await receive()
                whole, body = body, None
                return {"type": "http.request", "body": whole, "more_body": False}

            await self._app(scope, replayed, send)
        finally:
            self._held -= held

    def _too_large(self) -> JSONResponse:
        return error_response(
            status=413,
            message=f"The body is larger than {self._body_limit} bytes.",
            code="body_too_large",
        )

    def _too_slow(self) -> JSONResponse:
        return error_response(
            status=408,
            message=f"The body did not arrive within {self._body_seconds:g} s.",
            code="body_too_slow",
            headers={"Connection": "close"},
        )


def _too_many() -> JSONResponse:
    return error_response(
        status=503,
        message="Too many large requests are in progress; try again later.",
        code="busy",
        headers={"Connection": "close", "Retry-After": "5"},
    )


def _names_loopback(host: str) -> bool:
    """Whether a Host header ("localhost:8083", "[::1]") names this machine's loopback."""
    match = _HOST.match(host)
    if match is None:
        return False
    return is_loopback(match["name"].strip("[]").rstrip(".").lower())


def _from_here(headers: Headers) -> bool:
    """Whether a request was not sent by a web page of another machine. Programs send no Origin;
    browsers always do with what changes something."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") != "cross-site"
    try:
        name = urlsplit(origin).hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)

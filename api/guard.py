"""What stands before every route: who may ask, under which host name, and how much.

Plain ASGI, because it must not buffer streams.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response

_OPEN_PATHS = frozenset({"/healthz"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class _TooLargeError(Exception):
    pass


class Guard:
    """Checks the Host header, the key and the body's size.

    `keys` are the accepted bearer keys; none means that everybody may ask, which is only right on
    loopback. On loopback (`loopback` true) only loopback names are accepted as Host, so that a web
    page cannot reach the daemon by a name of its own (DNS rebinding).
    """

    def __init__(
        self, app: ASGIApp, *, keys: Sequence[str], loopback: bool, body_limit: int
    ) -> None:
        self._app = app
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._loopback = loopback
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._with_limit(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        if self._loopback and _host_name(headers.get("host", "")) not in _LOOPBACK_NAMES:
            return error_response(
                status=403,
                message="This daemon listens on loopback and answers to localhost only.",
                code="wrong_host",
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_limit:
            return self._too_large()
        if self._digests and path not in _OPEN_PATHS and not self._known(headers):
            return error_response(
                status=401,
                message="A key is needed: send it as 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _known(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        digest = hashlib.sha256(key.strip().encode()).digest()
        # Every key is compared, so that the time taken tells nothing of which one it was.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)

    async def _with_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        started = False

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._body_limit:
                    raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, limited, watched)
        except _TooLargeError:
            if started:
                raise
            await self._too_large()(scope, receive, send)

    def _too_large(self) -> JSONResponse:
        return error_response(
            status=413,
            message=f"The body is larger than {self._body_limit} bytes.",
            code="body_too_large",
        )


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()

"""What stands before every route: an id for each request, who may ask, under which host name, and
how much.

Plain ASGI, because it must not buffer streams; one pass over the headers, because it is in the way
of every request.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.asked import caller_of, note, note_refusal
from api.cors import HEADERS as CORS_HEADERS
from api.cors import Cors
from api.errors import defect_response, error_response
from api.keys.access import KEY_HEADERS, OPEN_PATHS, USER_HEADERS, Access, Refusal, anonymous
from api.keys.key import Key
from api.loopback import names_loopback, origin_is_here

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
_BODY_SECONDS = 30.0
_BODIES_AT_ONCE = 16
_SINGLE = KEY_HEADERS | USER_HEADERS | CORS_HEADERS | {
    b"host", b"content-length", b"transfer-encoding", b"x-request-id", b"sec-fetch-site"
}  # fmt: skip
"""Headers that mean something here; sent twice they would mean two things."""

_Extra = list[tuple[bytes, bytes]]


class Guard:
    """Gives a request its id and lets it in: Host header, where a browser's request comes from,
    key, role, limits, body.

    Without a key (on loopback) only loopback names are accepted as Host, so that a web page cannot
    reach the daemon by a name of its own (DNS rebinding), and a page from elsewhere cannot change
    anything (cross-site request forgery), unless it was named as an origin. A body is read before
    the app is called: at most `body_limit` bytes, within `body_seconds`, and of all requests
    together at most sixteen times that much.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        body_limit: int,
        cors: Cors,
        body_seconds: float = _BODY_SECONDS,
    ) -> None:
        self._app = app
        self._access = access
        self._cors = cors
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._held = 0  # bytes of bodies that requests in progress have brought

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = {}
        twice = b""
        for name, value in scope["headers"]:
            if name in _SINGLE:
                if name in headers:
                    twice = name
                headers[name] = value
        request_id = _request_id(headers.get(b"x-request-id"))
        bind_contextvars(request_id=request_id)
        extra: _Extra = [(b"x-request-id", request_id.encode()), *self._cors.headers(headers)]
        if twice:
            refusal = Refusal(
                status=400,
                message=f"The header {twice.decode('latin-1')!r} was sent twice.",
                code="duplicate_header",
            )
            await _refuse(refusal, "", scope, receive, _with_headers(send, extra))
            return
        await self._checked(scope, receive, send, headers, request_id, extra)

    async def _checked(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        request_id: str,
        extra: _Extra,
    ) -> None:
        method, path = scope["method"], scope["path"]
        client = (scope.get("client") or ("",))[0]
        if (allowed := self._cors.preflight(method, headers)) is not None:
            await send(
                {"type": "http.response.start", "status": 204, "headers": [*extra, *allowed]}
            )
            await send({"type": "http.response.body"})
            return
        if path in OPEN_PATHS:
            refusal = self._wrong_host(headers) or self._bad_length(headers)
            if refusal is not None:
                await _refuse(refusal, "", scope, receive, _with_headers(send, extra))
                return
            note(scope, caller=anonymous(client), request_id=request_id, spend=self._access.meter)
            await self._with_body(scope, receive, _with_headers(send, extra), headers)
            return
        key = self._access.identify(headers, client=client)
        if isinstance(key, Refusal):
            await _refuse(key, "", scope, receive, _with_headers(send, extra))
            return
        refusal = self._refusal(key, method, headers)
        if refusal is not None:
            await _refuse(refusal, key.name, scope, receive, _with_headers(send, extra))
            return
        exchange = self._access.admit(key, method=method, path=path, headers=headers, client=client)
        extra += exchange.quota.headers
        if isinstance(exchange, Refusal):
            await _refuse(exchange, key.name, scope, receive, _with_headers(send, extra))
            return

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.streaming = True
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        note(scope, caller=exchange.caller, request_id=request_id, spend=self._access.meter)
        try:
            await self._with_body(scope, receive, tagged, headers)
        except asyncio.CancelledError:
            if not exchange.streaming:
                await _refuse(_stopping(), key.name, scope, receive, tagged)
            if not exchange.ended or exchange.task is None or exchange.task.uncancel():
                raise
            # Its key is no longer valid. The server cuts the connection off an unfinished answer.
        except Exception as error:
            if exchange.streaming:
                raise  # too late for a status: the connection is cut off
            await defect_response(path, error)(scope, receive, tagged)
        finally:
            self._access.leave(exchange)

    def _refusal(self, key: Key, method: str, headers: Mapping[bytes, bytes]) -> Refusal | None:
        if not key.name:
            if (refusal := self._wrong_host(headers)) is not None:
                return refusal
            if method not in _SAFE_METHODS and not (
                self._cors.allows(headers)
                or origin_is_here(headers.get(b"origin"), site=headers.get(b"sec-fetch-site"))
            ):
                return Refusal(
                    status=403,
                    message="A web page from elsewhere may not change anything here.",
                    code="wrong_origin",
                )
        return self._bad_length(headers)

    def _wrong_host(self, headers: Mapping[bytes, bytes]) -> Refusal | None:
        if self._access.ring.needed or names_loopback(headers.get(b"host", b"")):
            return None
        return Refusal(
            status=403,
            message="This daemon listens on loopback and answers to localhost only: "
            "ask for http://localhost or http://127.0.0.1.",
            code="wrong_host",
        )

    def _bad_length(self, headers: Mapping[bytes, bytes]) -> Refusal | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return Refusal(
                status=400, message="Content-Length is not a number.", code="bad_content_length"
            )
        if len(length) > 18 or int(length) > self._body_limit:
            return self._too_large()
        return None

    async def _with_body(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes]
    ) -> None:
        if headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
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
                            await _refuse(
                                self._too_large(), caller_of(scope).key, scope, receive, send
                            )
                            return
                        if self._held > _BODIES_AT_ONCE * self._body_limit:
                            await _refuse(_too_many(), caller_of(scope).key, scope, receive, send)
                            return
            except TimeoutError:
                await _refuse(self._too_slow(), caller_of(scope).key, scope, receive, send)
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

    def _too_large(self) -> Refusal:
        return Refusal(
            status=413,
            message=f"The body is larger than {self._body_limit} bytes.",
            code="body_too_large",
        )

    def _too_slow(self) -> Refusal:
        return Refusal(
            status=408,
            message=f"The body did not arrive within {self._body_seconds:g} s.",
            code="body_too_slow",
            headers={"Connection": "close"},
        )


def _too_many() -> Refusal:
    return Refusal(
        status=503,
        message="Too many large requests are in progress; try again later.",
        code="busy",
        headers={"Connection": "close", "Retry-After": "5"},
    )


def _stopping() -> Refusal:
    return Refusal(
        status=503,
        message="triaged stops; ask again when it runs.",
        code="stopping",
        headers={"Connection": "close", "Retry-After": "5"},
    )


async def _refuse(refusal: Refusal, key: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with it. `key` is the name of the key that the request came with."""
    note_refusal(scope, code=refusal.code, key=key)
    response = error_response(
        status=refusal.status,
        message=refusal.message,
        code=refusal.code,
        headers=refusal.headers,
    )
    await response(scope, receive, send)


def _with_headers(send: Send, extra: _Extra) -> Send:
    async def tagged(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return tagged


def _request_id(said: bytes | None) -> str:
    """The client's, where it is fit for a log line; else one of our own."""
    if said is not None and _REQUEST_ID.fullmatch(said):
        return said.decode("ascii")
    return secrets.token_hex(8)

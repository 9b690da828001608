"""The outermost layer: measures every request, those that the guard refuses too."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.asked import refusal_of
from api.observing_http import RequestObserver, RequestRecord
from api.relay.paths import GETS, POSTS, mounted

_GONE = 499


class Measured:
    """Plain ASGI. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        observer: RequestObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._observer = observer
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = self._clock(), _GONE

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._observer.came(method=scope["method"])
        try:
            await self._app(scope, receive, seen)
        finally:
            refusal, key = refusal_of(scope)
            self._observer.ended(
                RequestRecord(
                    method=scope["method"],
                    route=route_of(scope),
                    status=status,
                    seconds=self._clock() - begun,
                    refusal=refusal,
                    key=key,
                )
            )


def route_of(scope: Scope) -> str:
    """The template of the path that a request was for ("/api/v1/incidents/{incident_id}"), "" for
    one that is none of ours, or that was refused before it was looked at."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    path = scope["path"]
    if path in POSTS or path in GETS:
        return str(path)
    under = mounted(path)
    if under is not None and under.tier is not None and (under.path in POSTS or under.path in GETS):
        return "/tier/{tier}" + under.path
    return ""

"""How bodies are read: one JSON parser for every route, fit for hostile input.

The standard library's parser recurses once per bracket until the interpreter's limit stops it.
orjson has a limit of its own, is strict about UTF-8 and numbers, and is faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

# One escape each: a surrogate pair, half of one, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def parsed(body: bytes) -> Any:
    """The JSON in a body; half surrogate pairs, which browsers send for text that was cut in an
    emoji, become U+FFFD. Raises `json.JSONDecodeError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        mended = _ESCAPE.sub(lambda m: rb"\ufffd" if m["half"] else m[0], body)
        if mended == body:
            raise
        return orjson.loads(mended)


class _JsonRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parsed(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route whose body is JSON whatever its type says: `curl -d` calls everything a form. (Pages
    from elsewhere, which could send such a form, are the guard's business.)"""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            headers.append((b"content-type", b"application/json"))
            return await handler(
                _JsonRequest({**request.scope, "headers": headers}, request.receive)
            )

        return handle

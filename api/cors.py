"""Which web pages of elsewhere may read answers (CORS). None, unless the operator names them. Pure.

A page needs a key as anybody does: cookies and the like are never accepted, so no header allows
credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2000}")
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED = (
    b"X-Request-ID, Retry-After, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    b"x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    b"x-ratelimit-reset-tokens"
)

HEADERS = frozenset(
    {
        b"origin",
        b"access-control-request-method",
        b"access-control-request-headers",
        b"access-control-request-private-network",
    }
)

Pairs = tuple[tuple[bytes, bytes], ...]


def unfit_origin(origin: str) -> str:
    """Why this cannot be allowed as an origin, "" when it can."""
    if origin in ("*", "null"):
        return f"{origin!r} would let every page in; name the origins that shall be"
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    whole = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if parts.scheme not in ("http", "https") or not parts.hostname or whole != origin:
        return f"{origin!r} is no origin; write https://HOST or https://HOST:PORT, in small letters"
    return ""


class Cors:
    """What to add to answers, and what to answer to a browser that asks first."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Raises ValueError for what is no origin."""
        for origin in origins:
            if why := unfit_origin(origin):
                raise ValueError(why)
        self._origins = frozenset(origin.encode() for origin in origins)

    def allows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request comes from a page that was named."""
        return headers.get(b"origin") in self._origins

    def headers(self, headers: Mapping[bytes, bytes]) -> Pairs:
        """For the answer to a request: nothing, unless origins are allowed at all."""
        if not self._origins:
            return ()
        vary = (b"vary", b"Origin")
        if not self.allows(headers):
            return (vary,)
        return (
            vary,
            (b"access-control-allow-origin", headers[b"origin"]),
            (b"access-control-expose-headers", _EXPOSED),
        )

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Pairs | None:
        """Beside `headers`, for a browser that asks whether it may; None when this is no such
        question, or its page was not named. Comes before keys: browsers send none with it."""
        asks = method == "OPTIONS" and b"access-control-request-method" in headers
        if not asks or not self.allows(headers):
            return None
        wanted = headers.get(b"access-control-request-headers", b"")
        more = [(b"access-control-allow-headers", wanted)] if _NAMES.fullmatch(wanted) else []
        if headers.get(b"access-control-request-private-network") == b"true":
            more.append((b"access-control-allow-private-network", b"true"))
        return (
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", b"600"),
            *more,
        )

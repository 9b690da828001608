"""What the guard found out about a request, for the routes behind it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from api.roles import Caller

_CALLER = "triaged.caller"
_REQUEST_ID = "triaged.request_id"


def note(scope: MutableMapping[str, Any], *, caller: Caller, request_id: str) -> None:
    """Keeps both with the request. The guard alone calls this."""
    scope[_CALLER] = caller
    scope[_REQUEST_ID] = request_id


def caller_of(scope: MutableMapping[str, Any]) -> Caller:
    """Who sent the request. Raises KeyError for one that no guard has seen."""
    found: Caller = scope[_CALLER]
    return found


def request_id_of(scope: MutableMapping[str, Any]) -> str:
    """The id that runs through logs, the tier's included, and is sent back as X-Request-ID."""
    found: str = scope[_REQUEST_ID]
    return found

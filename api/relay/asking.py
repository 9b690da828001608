"""One request for a tier, and bodies as ASGI brings them."""

from __future__ import annotations

import dataclasses

from starlette.types import Message, Receive

from api.relay.paths import Endpoint
from tiers.vocabulary import TierName


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`path` is the one at the tier; `query` is without its question mark."""

    tier: TierName
    endpoint: Endpoint
    method: str
    path: str
    query: str
    body: bytes


async def body_of(receive: Receive) -> bytes | None:
    """The whole body; None where the client went away. The guard has bounded it."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts) if len(parts) > 1 else parts[0]


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that begins with this body."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

"""What the tiers' endpoints say that they serve: asked briefly, kept for a while."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
import structlog

from api.ports_chat import TierTarget
from api.relay.headers import upward
from api.relay.upstream import BrokenError, UnreachableError, Upstreams
from tiers.llm.wire import mapping, text_of

log = structlog.get_logger()

_ASK_SECONDS = 0.7
_KEEP_SECONDS = 30.0
_MAX_BYTES = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    entry: Mapping[str, Any]
    target: TierTarget
    at: float


class Served:
    """Asks `/v1/models` of endpoints that should answer. `clock` is in seconds."""

    def __init__(
        self, *, upstreams: Upstreams, clock: Callable[[], float], seconds: float = _ASK_SECONDS
    ) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._seconds = seconds
        self._known: dict[str, _Known] = {}

    async def entry(self, target: TierTarget) -> Mapping[str, Any]:
        """The model's entry in the endpoint's list; empty where it does not answer within
        0.7 s. Never raises for an endpoint."""
        known = self._known.get(target.tier)
        if (
            known is not None
            and known.target == target
            and self._clock() - known.at < _KEEP_SECONDS
        ):
            return known.entry
        if target.detail:
            return {}
        try:
            async with asyncio.timeout(self._seconds):
                listed = await self._listed(target)
        except (TimeoutError, UnreachableError, BrokenError, aiohttp.ClientError, ValueError):
            return {}
        entry = _chosen(listed, wanted=target.model)
        if entry:
            self._known[target.tier] = _Known(entry=entry, target=target, at=self._clock())
        return entry

    async def name_to_send(self, target: TierTarget) -> str | None:
        """What a request to the endpoint has to call the model; None where any name will do."""
        if target.backend == "llama_cpp":
            return target.model
        return target.model or text_of((await self.entry(target)).get("id")) or None

    async def _listed(self, target: TierTarget) -> Mapping[str, Any]:
        answer = await self._upstreams.open(
            target,
            method="GET",
            path="/v1/models",
            headers=upward((), api_key=target.api_key),
        )
        try:
            if answer.status != 200:
                return {}
            raw = b""
            while len(raw) < _MAX_BYTES and (part := await answer.content.readany()):
                raw += part
        finally:
            answer.close()
        return mapping(orjson.loads(raw))


def _chosen(listed: Mapping[str, Any], *, wanted: str | None) -> Mapping[str, Any]:
    data = listed.get("data")
    entries = [mapping(entry) for entry in data] if isinstance(data, list) else []
    if wanted is not None:
        return next((entry for entry in entries if entry.get("id") == wanted), {})
    return entries[0] if entries else {}

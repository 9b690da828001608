"""A double of the store of responses: a dictionary, and switches for what can go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.ports import BusyError, ConflictError, NotFoundError
from api.ports_chat import StoredResponse


class FakeResponses:
    """Satisfies `api.ports_chat.Responses`."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredResponse] = {}
        self.away = False
        self.away_when_kept = False
        self.most = 8
        self.most_bytes = 100_000

    def _check(self) -> None:
        if self.away:
            raise BusyError("the store is away", retry_after=3.0)

    async def ready(self) -> None:
        self._check()

    async def keep(self, response: StoredResponse) -> None:
        self._check()
        if self.away_when_kept:
            raise BusyError("the store went away", retry_after=3.0)
        self.kept[response.id] = response

    async def find(self, *, id: str, owner: str) -> StoredResponse:  # noqa: A002
        self._check()
        found = self.kept.get(id)
        if found is None or found.owner != owner:
            raise NotFoundError(f"Response with id {id!r} not found")
        return found

    async def chain(self, *, id: str, owner: str) -> Sequence[StoredResponse]:  # noqa: A002
        found = [await self.find(id=id, owner=owner)]
        while (previous := found[-1].previous_id) is not None:
            found.append(await self.find(id=previous, owner=owner))
        if len(found) >= self.most:
            raise ConflictError("too many responses go on from one another")
        return found[::-1]

    async def items(self, *, ids: Sequence[str], owner: str) -> Mapping[str, Mapping[str, Any]]:
        self._check()
        return {
            item["id"]: item
            for stored in self.kept.values()
            if stored.owner == owner
            for item in (*stored.input_items, *stored.body["output"])
            if item["id"] in ids
        }

    async def forget(self, *, id: str, owner: str) -> None:  # noqa: A002
        await self.find(id=id, owner=owner)
        del self.kept[id]

"""Responses that clients of `/v1/responses` may go on from.

Whoever waits for an answer does not wait for ever for the store (`giving_up`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from api.ports import BusyError, ConflictError, NotFoundError
from api.ports_chat import StoredResponse
from daemon.store import responses
from daemon.store.errors import StoreClosedError, StoreUnavailableError
from daemon.store.pool import Connection, Database
from daemon.store.responses import Link, ResponseRow
from daemon.store.settings import RetentionSettings
from daemon.views.giving_up import GivingUp

T = TypeVar("T")

_MOST_BYTES = 8 * 1024 * 1024
"""What one request may have read for it, all responses together."""
_MOST_HOLDERS = 500
_KEEP_SECONDS = 10.0
"""How long keeping is tried again: the answer is there, and the store may be restarting."""
_PATIENCE = 15.0
"""Longer than it takes to be told that no connection is free."""


class ResponsesView:
    """Satisfies `api.ports_chat.Responses`."""

    def __init__(self, *, database: Database, settings: RetentionSettings) -> None:
        self._database = database
        self._settings = settings
        self._giving_up = GivingUp(name="responses", seconds=_PATIENCE)

    @property
    def most_bytes(self) -> int:
        return self._settings.response_kb * 1024

    async def ready(self) -> None:
        async def work(connection: Connection) -> None:
            pass  # a connection is checked before it is handed out

        await self._run(work)

    async def keep(self, response: StoredResponse) -> None:
        row = ResponseRow(
            id=response.id,
            owner=response.owner,
            previous_id=response.previous_id,
            created_at=response.created_at,
            input_items=[dict(item) for item in response.input_items],
            body=dict(response.body),
        )

        async def work(connection: Connection) -> None:
            await responses.insert(connection, row)
            if row.previous_id is not None:
                before = await responses.links(
                    connection,
                    response_id=row.previous_id,
                    owner=row.owner,
                    limit=self._settings.responses_in_a_row,
                )
                await responses.touch(connection, ids=[link.id for link in before], owner=row.owner)
            await responses.prune_surplus(connection, most=self._settings.responses_most)

        await self._bounded(self._database.retry(work, seconds=_KEEP_SECONDS))

    async def find(self, *, id: str, owner: str) -> StoredResponse:  # noqa: A002
        row = await self._run(lambda one: responses.find(one, response_id=id, owner=owner))
        if row is None:
            raise _missing(id)
        return _stored(row)

    async def chain(self, *, id: str, owner: str) -> Sequence[StoredResponse]:  # noqa: A002
        limit = self._settings.responses_in_a_row

        async def work(connection: Connection) -> Sequence[StoredResponse]:
            links = await responses.links(connection, response_id=id, owner=owner, limit=limit)
            _refuse_chain(id, links, limit=limit)
            rows = await responses.load(connection, ids=[link.id for link in links], owner=owner)
            for link in links:
                if link.id not in rows:  # deleted this moment
                    raise _missing(link.id)
            return [_stored(rows[link.id]) for link in reversed(links)]

        return await self._run(work)

    async def items(self, *, ids: Sequence[str], owner: str) -> Mapping[str, Mapping[str, Any]]:
        async def work(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
            holders = await responses.holders(connection, ids=ids, owner=owner, limit=_MOST_HOLDERS)
            _refuse_size(holders)
            of = [link.id for link in holders]
            return await responses.items(connection, ids=ids, owner=owner, of=of)

        return await self._run(work)

    async def forget(self, *, id: str, owner: str) -> None:  # noqa: A002
        if not await self._run(lambda one: responses.delete(one, response_id=id, owner=owner)):
            raise _missing(id)

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """`work` on a connection, bounded in time. Raises `BusyError`."""

        async def connected() -> T:
            async with self._database.connection() as connection:
                return await work(connection)

        return await self._bounded(connected())

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises `BusyError`."""
        try:
            return await self._giving_up.run(work)
        except TimeoutError as error:
            raise _away("PostgreSQL does not answer", retry_after=5.0) from error
        except StoreUnavailableError as error:
            raise _away(str(error), retry_after=error.retry_after) from error
        except StoreClosedError as error:
            raise BusyError(f"{error}.", retry_after=5.0) from error


def _away(why: str, *, retry_after: float) -> BusyError:
    return BusyError(
        f"Responses cannot be kept or found now: {why}. With store=false, and without"
        " previous_response_id and item references, an answer needs no store.",
        retry_after=max(1.0, retry_after),
    )


def _missing(response_id: str) -> NotFoundError:
    return NotFoundError(
        f"Response with id {response_id[:100]!r} not found; it was not stored, or it was deleted or"
        " has become too old"
    )


def _refuse_chain(response_id: str, links: Sequence[Link], *, limit: int) -> None:
    if not links:
        raise _missing(response_id)
    if len(links) >= limit:
        raise ConflictError(
            f"{limit} responses go on from one another up to this one, which is as many as there"
            " may be; begin again with what matters as input, or raise"
            " store.retention.responses_in_a_row"
        )
    if (lost := links[-1].previous_id) is not None:
        raise NotFoundError(
            f"response {response_id} goes on from {lost}, which is not kept any more; send the"
            " conversation itself as input"
        )
    _refuse_size(links)


def _refuse_size(links: Sequence[Link]) -> None:
    if sum(link.bytes for link in links) > _MOST_BYTES:
        raise ConflictError(
            f"the conversation so far has more than {_MOST_BYTES // 1024**2} MiB; begin again with"
            " what matters as input"
        )


def _stored(row: ResponseRow) -> StoredResponse:
    return StoredResponse(
        id=row.id,
        owner=row.owner,
        previous_id=row.previous_id,
        created_at=row.created_at,
        input_items=row.input_items,
        body=row.body,
    )

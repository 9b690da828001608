"""Responses that clients of `/v1/responses` may go on from."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from api.ports import BusyError, ConflictError, NotFoundError
from api.ports_chat import StoredResponse
from daemon.store import responses
from daemon.store.errors import StoreClosedError, StoreUnavailableError
from daemon.store.pool import Connection, Database
from daemon.store.responses import Link, ResponseRow
from daemon.store.settings import RetentionSettings

_MOST_BYTES = 16 * 1024 * 1024
"""What one request may have read for it, all responses together."""
_MOST_HOLDERS = 500
_KEEP_SECONDS = 10.0
"""How long keeping is tried again: the answer is there, and the store may be restarting."""


class ResponsesView:
    """Satisfies `api.ports_chat.Responses`."""

    def __init__(self, *, database: Database, settings: RetentionSettings) -> None:
        self._database = database
        self._settings = settings

    @property
    def most_bytes(self) -> int:
        return self._settings.response_kb * 1024

    async def ready(self) -> None:
        async with self._connection():
            pass  # a connection is checked before it is handed out

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

        with _as_busy():
            await self._database.retry(work, seconds=_KEEP_SECONDS)

    async def find(self, *, id: str, owner: str) -> StoredResponse:  # noqa: A002
        async with self._connection() as connection:
            row = await responses.find(connection, response_id=id, owner=owner)
        if row is None:
            raise _missing(id)
        return _stored(row)

    async def chain(self, *, id: str, owner: str) -> Sequence[StoredResponse]:  # noqa: A002
        limit = self._settings.responses_in_a_row
        async with self._connection() as connection:
            links = await responses.links(connection, response_id=id, owner=owner, limit=limit)
            if not links:
                raise _missing(id)
            if len(links) >= limit:
                raise ConflictError(
                    f"{limit} responses go on from one another before this one, which is as many"
                    " as there may be; begin again with what matters as input, or raise"
                    " store.retention.responses_in_a_row"
                )
            if (lost := links[-1].previous_id) is not None:
                raise NotFoundError(
                    f"response {id} goes on from {lost}, which is not kept any more; send the"
                    " conversation itself as input"
                )
            _refuse_size(links)
            rows = await responses.load(connection, ids=[link.id for link in links], owner=owner)
        for link in links:
            if link.id not in rows:  # deleted this moment
                raise _missing(link.id)
        return [_stored(rows[link.id]) for link in reversed(links)]

    async def items(self, *, ids: Sequence[str], owner: str) -> Mapping[str, Mapping[str, Any]]:
        async with self._connection() as connection:
            holders = await responses.holders(connection, ids=ids, owner=owner, limit=_MOST_HOLDERS)
            _refuse_size(holders)
            return await responses.items(
                connection, ids=ids, owner=owner, of=[link.id for link in holders]
            )

    async def forget(self, *, id: str, owner: str) -> None:  # noqa: A002
        async with self._connection() as connection:
            if not await responses.delete(connection, response_id=id, owner=owner):
                raise _missing(id)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        with _as_busy():
            async with self._database.connection() as connection:
                yield connection


@contextlib.contextmanager
def _as_busy() -> Any:
    try:
        yield
    except StoreUnavailableError as error:
        raise BusyError(
            f"Responses cannot be kept or found now: {error}. With store=false, and without"
            " previous_response_id and item references, an answer needs no store.",
            retry_after=max(1.0, error.retry_after),
        ) from error
    except StoreClosedError as error:
        raise BusyError(f"{error}.", retry_after=5.0) from error


def _missing(response_id: str) -> NotFoundError:
    return NotFoundError(
        f"Response with id {response_id[:100]!r} not found; it was not stored, or it was deleted or"
        " has become too old"
    )


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

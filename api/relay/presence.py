"""Ends a block when nobody waits for what it does."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from api.streaming import ClientGoneError


class WhileHere:
    """`async with WhileHere(receive):` the block is cancelled when the client disconnects, and
    `ClientGoneError` is raised in its place. The request's body must have been read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a client is watched for by a task")
        self._task = task
        self._before = task.cancelling()
        self._watch = asyncio.create_task(self._watching(), name="client-disconnect")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        if (
            self.gone
            and self._task.uncancel() <= self._before
            and isinstance(error, asyncio.CancelledError)
        ):
            raise ClientGoneError from error

    async def _watching(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

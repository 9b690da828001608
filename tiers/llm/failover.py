"""Several endpoints that are prompted alike, as one client.

A call goes to the first endpoint that may be asked, and on to the next where it gets no answer: the
connection fails, the server is loading, hangs, or answers what no model answers. What the caller
did wrong (a request that is refused, a case that is too large) goes back to the caller, and an
answer of which anything was seen is never begun again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tiers.errors import (
    QueueFullError,
    TierError,
    TierMisfitError,
    TierUnavailableError,
    Trouble,
)
from tiers.llm.endpoint import Endpoint
from tiers.llm.pool import Pool, together
from tiers.llm.requests import ChatCall
from tiers.llm.wire import ChatAnswer, Decision, Delta, ModelInfo

_Answer = TypeVar("_Answer")
_LOOKS = 3
"""Unanswered look-ups in a row that make a server a hanging one."""


class FailoverClient:
    """Satisfies `tiers.llm.port.ModelClient` over some endpoints of a pool, in its order."""

    def __init__(
        self, *, pool: Pool, endpoints: Sequence[Endpoint], followed: bool = False
    ) -> None:
        """`endpoints` are at least one; `followed` is whether the caller asks elsewhere when none
        of them answers."""
        self._pool = pool
        self._followed = followed
        self._endpoints = tuple(endpoints)
        self._last: Endpoint | None = None

    @property
    def name(self) -> str:
        return str(self._pool.tier)

    @property
    def url(self) -> str:
        return self._next.client.url

    @property
    def model(self) -> str:
        return (self._last or self._next).client.model

    @property
    def max_tokens(self) -> int:
        return self._next.client.max_tokens

    @property
    def timeout_seconds(self) -> float:
        return self._next.client.timeout_seconds

    @property
    def able(self) -> bool:
        """Whether any of them may be asked now."""
        return any(self._pool.admits(endpoint) for endpoint in self._endpoints)

    async def info(self) -> ModelInfo:
        """Of the first that answers."""
        return await self._looked_up(lambda endpoint: endpoint.client.info())

    async def prompt_tokens(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = ()
    ) -> int:
        """As the first that answers counts."""
        return await self._looked_up(
            lambda endpoint: endpoint.client.prompt_tokens(messages, tools=tools)
        )

    async def chat(self, call: ChatCall, *, timeout: float | None = None) -> ChatAnswer:
        """A whole answer of one endpoint. `timeout` bounds all tries together; without it each
        endpoint has its own."""
        return await self._called(
            lambda endpoint, left: endpoint.client.chat(call, timeout=left), timeout
        )

    async def decide(
        self, *, state: str, questions: Mapping[str, Any], timeout: float | None = None
    ) -> Decision:
        return await self._called(
            lambda endpoint, left: endpoint.client.decide(
                state=state, questions=questions, timeout=left
            ),
            timeout,
        )

    async def stream(
        self, call: ChatCall, *, timeout: float | None = None
    ) -> AsyncGenerator[Delta, None]:
        until = None if timeout is None else time.monotonic() + timeout
        async with contextlib.aclosing(self._attempts(until)) as attempts:
            async for attempt in attempts:
                deltas = attempt.endpoint.client.stream(call, timeout=attempt.left)
                async with attempt, contextlib.aclosing(deltas):
                    async with attempt.watched():
                        first = await anext(deltas)
                    attempt.began()
                    self._last = attempt.endpoint
                    yield first
                    async for delta in deltas:
                        yield delta
                    attempt.answered()
                if attempt.done:
                    return

    async def _called(
        self,
        ask: Callable[[Endpoint, float | None], Awaitable[_Answer]],
        timeout: float | None,
    ) -> _Answer:
        until = None if timeout is None else time.monotonic() + timeout
        async with contextlib.aclosing(self._attempts(until)) as attempts:
            async for attempt in attempts:
                async with attempt, attempt.watched():
                    answer = await ask(attempt.endpoint, attempt.left)
                    attempt.answered()
                    self._last = attempt.endpoint
                    return answer
        raise AssertionError("the last attempt returns or raises")

    async def _looked_up(self, ask: Callable[[Endpoint], Awaitable[_Answer]]) -> _Answer:
        """Look-ups take no trial and prove nothing; that nobody answers they notice."""
        errors: list[TierError] = []
        order = self._pool.order(self._endpoints)
        for number, endpoint in enumerate(order):
            ticket = self._pool.enter(endpoint)
            alone = number == len(order) - 1 and not self._followed
            try:
                async with _unless_it_hangs(endpoint, alone=alone):
                    return await ask(endpoint)
            except (TierUnavailableError, TierMisfitError) as error:
                endpoint.failed(ticket, error)
                errors.append(error)
            finally:
                endpoint.cancelled(ticket)
        raise together(self.name, errors)

    async def _attempts(self, until: float | None) -> AsyncGenerator[_Attempt, None]:
        """One per endpoint while there is time, until one of them is done; the last raises."""
        order = self._pool.order(self._endpoints)
        errors: list[TierError] = []
        for number, endpoint in enumerate(order):
            left = None if until is None else until - time.monotonic()
            if errors and left is not None and left <= 0:
                raise together(self.name, errors)
            attempt = _Attempt(
                pool=self._pool,
                endpoint=endpoint,
                left=left,
                errors=errors,
                last=number == len(order) - 1,
                followed=self._followed,
            )
            yield attempt
            if attempt.done:
                return

    @property
    def _next(self) -> Endpoint:
        return self._pool.preferred(self._endpoints)


@contextlib.asynccontextmanager
async def _unless_it_hangs(endpoint: Endpoint, *, alone: bool) -> AsyncIterator[None]:
    """A look-up that is not answered is a sign of hanging, where there is another one to ask."""
    clock = asyncio.timeout(None if alone else endpoint.hang_seconds or None)
    try:
        async with clock:
            yield
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise _hangs(endpoint) from error
    except TierUnavailableError as error:
        if error.trouble is not Trouble.SLOW or alone:
            raise
        raise _hangs(endpoint) from error


def _hangs(endpoint: Endpoint) -> TierUnavailableError:
    return TierUnavailableError(
        f"{endpoint.client.name}: {endpoint.client.url} hangs: it does not even answer look-ups",
        retry_after=10.0,
        trouble=Trouble.HANGS,
    )


class _Attempt:
    """One call at one endpoint: an error that lets the next one try is taken in on leaving the
    block, every other goes on to the caller."""

    def __init__(
        self,
        *,
        pool: Pool,
        endpoint: Endpoint,
        left: float | None,
        errors: list[TierError],
        last: bool,
        followed: bool,
    ) -> None:
        self.endpoint = endpoint
        self.left = left
        self.done = False
        self._pool = pool
        self._errors = errors
        self._last = last
        self._followed = followed
        self._begun = False

    async def __aenter__(self) -> None:
        self._ticket = self._pool.enter(self.endpoint)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self.done = True
            return False
        if not isinstance(error, TierError) or isinstance(error, QueueFullError):
            self.endpoint.cancelled(self._ticket)
            return False
        if not isinstance(error, TierUnavailableError | TierMisfitError):
            self.answered()  # it refused this request: so it is there
            return False
        if self._counts(error):
            self.endpoint.failed(self._ticket, error)
        self.endpoint.cancelled(self._ticket)
        if self._begun:
            return False
        self._errors.append(error)
        if not self._last or self._followed:
            self.endpoint.failovers += 1
        if self._last:
            if len(self._errors) > 1:
                raise together(self.endpoint.client.name, self._errors) from error
            return False
        return True

    def began(self) -> None:
        """The first of an answer came: nobody else is asked any more."""
        self._begun = True
        self._ticket = self.endpoint.began(self._ticket)

    def answered(self) -> None:
        """The whole answer came."""
        self.endpoint.answered(self._ticket)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Ends the block with `TierUnavailableError` when the endpoint leaves look-ups unanswered
        while there is another one to ask: a busy server answers them, a hanging one does not."""
        seconds = self.endpoint.hang_seconds
        if (self._last and not self._followed) or not seconds:
            yield
            return
        clock = asyncio.timeout(None)
        try:
            async with clock:
                looking = asyncio.create_task(
                    self._look_on(clock, seconds), name=f"look on {self.endpoint.client.url}"
                )
                try:
                    yield
                finally:
                    looking.cancel()
                    await asyncio.wait({looking})
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise _hangs(self.endpoint) from error

    async def _look_on(self, clock: asyncio.Timeout, seconds: float) -> None:
        missed = 0
        while missed < _LOOKS:
            begun = time.monotonic()
            await asyncio.sleep(seconds / _LOOKS / 2)
            lives = await self.endpoint.lives(seconds / _LOOKS / 2)
            missed = 0 if lives else missed + 1
            rest = seconds / _LOOKS - (time.monotonic() - begun)
            await asyncio.sleep(max(0.0, rest))
        clock.reschedule(asyncio.get_running_loop().time())

    def _counts(self, error: TierError) -> bool:
        """Whether the endpoint is to blame: a caller that waits for less than the endpoint may
        take learns nothing about it."""
        if not isinstance(error, TierUnavailableError) or error.trouble is not Trouble.SLOW:
            return True
        return self.left is None or self.left >= self.endpoint.client.timeout_seconds

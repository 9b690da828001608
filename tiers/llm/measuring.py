"""One call of an endpoint, measured: how long it took and waited, what it cost, how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from tiers.contracts import Usage
from tiers.errors import (
    BadAnswerError,
    CaseTooLargeError,
    QueueFullError,
    TierRefusedError,
    TierUnavailableError,
)
from tiers.llm.admission import Admission
from tiers.observing import CallObserver, CallRecord

_CODES: tuple[tuple[type[BaseException], str], ...] = (
    (QueueFullError, "queue_full"),  # before the error that it is a kind of
    (TierUnavailableError, "unavailable"),
    (CaseTooLargeError, "context_length_exceeded"),
    (TierRefusedError, "refused"),
    (BadAnswerError, "bad_answer"),
    (asyncio.CancelledError, "cancelled"),
    (GeneratorExit, "cancelled"),
)


def error_code(error: BaseException) -> str:
    """The `error` of a `CallRecord`. Pure."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), "defect")


class CallMeter:
    """Told of a call as it goes on. `usage` is set when it is known. `clock` is monotonic, in
    seconds."""

    def __init__(
        self,
        *,
        tier: str,
        operation: str,
        request_id: str,
        observer: CallObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tier = tier
        self._operation = operation
        self._request_id = request_id
        self._observer = observer
        self._clock = clock
        self._waited = 0.0
        self.usage: Usage | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[CallMeter]:
        """The whole call, however it ends; the observer is told at the end of the block."""
        begun, error = self._clock(), ""
        try:
            yield self
        except BaseException as raised:
            error = error_code(raised)
            raise
        finally:
            self._observer.called(
                CallRecord(
                    tier=self._tier,
                    operation=self._operation,
                    request_id=self._request_id,
                    error=error,
                    seconds=self._clock() - begun,
                    waited_seconds=self._waited,
                    prompt_tokens=self.usage.prompt_tokens if self.usage else 0,
                    completion_tokens=self.usage.completion_tokens if self.usage else 0,
                )
            )

    @contextlib.asynccontextmanager
    async def slot(self, admission: Admission) -> AsyncIterator[None]:
        """A slot of the endpoint, as `Admission.slot`; the wait for it is measured, also where
        it was in vain."""
        begun = self._clock()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(admission.slot())
            finally:
                self._waited = self._clock() - begun
            yield

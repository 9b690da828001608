"""Runs all sources: each on its own, started again with backoff, and visible."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from daemon.events import Batch, Cursor
from daemon.sources.backoff import Backoff
from daemon.sources.base import Emit, Receipt, Source, SourceAbsentError, SourceError, SourceState
from daemon.sources.settings import BackoffSettings
from daemon.store.errors import StoreUnavailableError
from tiers.vocabulary import SourceKind

LoadCursor = Callable[[str], Awaitable[Cursor | None]]
"""Reads the committed cursor of the source of this name; None when there never was one. Raises
`StoreUnavailableError`: the source waits."""

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """One source as the operator sees it. Times are Unix time; `lag` is in seconds, the age of
    the newest event at the moment it was handed over, None before the first."""

    name: str
    kind: SourceKind
    watching: str
    state: SourceState
    since: float
    error: str
    events: int
    losses: int
    restarts: int
    last_event_at: float | None
    lag: float | None


class _Supervised:
    """One source with what is known of it. Only its own task changes it."""

    def __init__(
        self,
        *,
        source: Source,
        emit: Emit,
        load_cursor: LoadCursor,
        backoff: Backoff,
        settings: BackoffSettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._source = source
        self._emit = emit
        self._load_cursor = load_cursor
        self._backoff = backoff
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._state = SourceState.STARTING
        self._since = clock()
        self._error = ""
        self._said = ""  # the failure that was logged last and not yet taken back
        self._events = 0
        self._losses = 0
        self._restarts = 0
        self._last_event_at: float | None = None
        self._lag: float | None = None
        # What was handed over in this process. Newer than the committed cursor while batches
        # are on their way: a restart must go on from here, or it would read them twice.
        self._handed_over: Cursor | None = None
        # Not yet known to be committed; intake bounds how many there can be.
        self._receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self._log = _log.bind(source=source.name)

    def status(self) -> SourceStatus:
        return SourceStatus(
            name=self._source.name,
            kind=self._source.kind,
            watching=self._source.watching,
            state=self._state,
            since=self._since,
            error=self._error,
            events=self._events,
            losses=self._losses,
            restarts=self._restarts,
            last_event_at=self._last_event_at,
            lag=self._lag,
        )

    async def run(self) -> None:
        """Until cancelled, absent or finished. Raises nothing else."""
        try:
            while await self._attempt():
                self._restarts += 1
        finally:
            if self._state is not SourceState.ABSENT:
                self._enter(SourceState.STOPPED)

    async def _attempt(self) -> bool:
        """One start. True: start again, the pause is over."""
        if self._state is not SourceState.BACKOFF:
            self._enter(SourceState.STARTING)
        started = self._monotonic()
        settled = asyncio.get_running_loop().call_later(self._settings.settle, self._settled)
        try:
            cursor = self._handed_over
            if cursor is None:
                cursor = await self._load_cursor(self._source.name)
            await self._run_watched(cursor)
        except SourceAbsentError as error:
            self._error = str(error)
            self._enter(SourceState.ABSENT)
            self._log.info("source absent", why=self._error)
            return False
        except SourceError as error:
            self._failed(str(error), defect=None)
        except StoreUnavailableError as error:
            sentence = f"waits for the store, to know how far it was read: {error}"
            self._failed(sentence, defect=None)
        except Exception as error:  # noqa: BLE001 -- a defect in one source must not stop the others
            sentence = (
                f"{self._source.name} stopped on an unexpected {type(error).__name__}: {error}; "
                "it is started again, please report this with the log"
            )
            self._failed(sentence, defect=error)
        else:
            self._log.info("source finished", events=self._events)
            return False
        finally:
            settled.cancel()
        if self._monotonic() - started >= self._settings.stable_after:
            self._backoff.reset()
        await asyncio.sleep(self._backoff.next())
        return True

    async def _run_watched(self, cursor: Cursor | None) -> None:
        """The source, until it ends, or until intake refuses to commit what it handed over (then
        another daemon has taken it over, and it must not read on)."""
        self._receipts = asyncio.Queue()
        run = asyncio.create_task(self._source.run(cursor=cursor, emit=self._hand_over))
        watch = asyncio.create_task(self._watch_receipts())
        try:
            await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and not watch.cancelled() and (error := watch.exception()):
                self._handed_over = None  # it was not committed: what is stored decides
                raise error
            await run
        finally:
            for task in (run, watch):
                task.cancel()
            await asyncio.wait({run, watch})

    async def _watch_receipts(self) -> None:
        """Raises what the commit of a batch raises."""
        while True:
            receipt = await self._receipts.get()
            await receipt.committed()

    async def _hand_over(self, batch: Batch) -> Receipt:
        receipt = await self._emit(batch)
        self._receipts.put_nowait(receipt)
        if batch.cursor is not None:
            self._handed_over = batch.cursor
        self._events += len(batch.events)
        self._losses += batch.received - len(batch.events)
        if batch.events:
            now = self._clock()
            self._last_event_at = now
            self._lag = max(0.0, now - batch.events[-1].occurred_at)
        return receipt

    def _settled(self) -> None:
        """Runs long enough to be called running; said once, and once more after a failure."""
        again = bool(self._said)
        self._said = ""
        self._error = ""
        self._enter(SourceState.RUNNING)
        event = "source recovered" if again else "source running"
        self._log.info(event, watching=self._source.watching)

    def _failed(self, sentence: str, *, defect: Exception | None) -> None:
        self._error = sentence
        self._enter(SourceState.BACKOFF)
        if sentence == self._said:
            return  # the same failure again: it was said, the status shows that it lasts
        self._said = sentence
        if defect is None:
            self._log.warning("source failed", why=sentence)
        else:
            self._log.error("source failed", why=sentence, exc_info=defect)

    def _enter(self, state: SourceState) -> None:
        if state is not self._state:
            self._state = state
            self._since = self._clock()


class SourceSupervisor:
    """Owns the tasks of all sources. None of them can stop another."""

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        emit: Emit,
        load_cursor: LoadCursor,
        settings: BackoffSettings | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        names = [source.name for source in sources]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            message = f"two sources are named {doubled[0]!r}; their cursors would mix, rename one"
            raise ValueError(message)
        settings = settings or BackoffSettings()
        self._supervised = [
            _Supervised(
                source=source,
                emit=emit,
                load_cursor=load_cursor,
                backoff=Backoff(settings=settings, rng=rng),
                settings=settings,
                clock=clock,
                monotonic=monotonic,
            )
            for source in sources
        ]

    def status(self) -> list[SourceStatus]:
        """All sources in the order in which they were given."""
        return [supervised.status() for supervised in self._supervised]

    async def run(self) -> None:
        """Runs until cancelled, or until every source is absent or has nothing more to come."""
        async with asyncio.TaskGroup() as group:
            for supervised in self._supervised:
                group.create_task(supervised.run(), name=f"source {supervised.status().name}")

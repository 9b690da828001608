"""The task that looks at memory and lets models give way."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog

from tiers.llm.port import Throttled
from tiers.pressure.levels import Level, Pressure, Stance, following, reasons
from tiers.pressure.settings import GuardSettings
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

log = structlog.get_logger()


class Servers(Protocol):
    """The llama-servers, as the guard needs them."""

    def status(self) -> list[ServerStatus]: ...

    async def rest(self, tier: TierName, *, why: str) -> None:
        """Stops a tier's server until it is woken."""
        ...

    async def wake(self, tier: TierName) -> None: ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GuardStatus:
    """What the guard does now. `steps` counts changes of level since the start."""

    level: Level
    why: str
    since: datetime
    steps: int
    resting: tuple[TierName, ...]
    pressure: Pressure | None


class MemoryGuard:
    """One look every few seconds. What it does to a model it takes back itself."""

    def __init__(
        self,
        *,
        settings: GuardSettings,
        read: Callable[[], Pressure],
        clients: Mapping[TierName, Throttled],
        servers: Servers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._read = read
        self._clients = clients
        self._servers = servers
        self._clock = clock
        self._stance = Stance()
        self._since = datetime.now(UTC)
        self._steps = 0
        self._resting: list[TierName] = []
        self._idle_since: dict[TierName, float] = {}
        self._pressure: Pressure | None = None
        self._blind = False
        self._waking: asyncio.Task[None] | None = None

    def status(self) -> GuardStatus:
        return GuardStatus(
            level=self._stance.level,
            why=self._stance.why,
            since=self._since,
            steps=self._steps,
            resting=tuple(self._resting),
            pressure=self._pressure,
        )

    async def run(self) -> None:
        """Until cancelled; then what was capped is as configured again. Servers that rest are left
        to whoever stops them."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._settings.check_seconds)
        finally:
            self._cap(None)
            if self._waking is not None:
                self._waking.cancel()
                await asyncio.wait({self._waking})

    async def look(self) -> None:
        """One look, and what follows from it."""
        try:
            pressure = await asyncio.to_thread(self._read)
        except (OSError, ValueError) as error:
            if not self._blind:
                log.warning("memory cannot be watched", why=str(error))
            self._blind = True
            return
        self._blind = False
        now = self._clock()
        before, self._pressure = self._stance, pressure
        self._stance = following(before, pressure, self._settings, now=now)
        if self._stance.level is not before.level:
            self._step(before.level)
        self._note_idle(now)
        if Level.ASLEEP in reasons(pressure, self._settings):
            await self._put_to_sleep(now)
        elif self._resting and self._stance.level is not Level.ASLEEP:
            self._wake_one()

    def _step(self, before: Level) -> None:
        level, why = self._stance.level, self._stance.why
        self._steps += 1
        self._since = datetime.now(UTC)
        tell = log.warning if level > before else log.info
        tell("memory guard", level=level.word, before=before.word, why=why or "there is room again")
        self._cap(self._settings.max_tokens if level is not Level.CALM else None)

    def _cap(self, tokens: int | None) -> None:
        for client in self._clients.values():
            client.cap_tokens(tokens)
            client.admission.narrow(self._settings.parallel if tokens is not None else None)

    def _note_idle(self, now: float) -> None:
        for tier, client in self._clients.items():
            if client.admission.running or client.admission.waiting:
                self._idle_since.pop(tier, None)
            else:
                self._idle_since.setdefault(tier, now)

    async def _put_to_sleep(self, now: float) -> None:
        """The largest idle model; one a look, because memory has to be seen getting free."""
        idle = [
            status
            for status in self._servers.status()
            if status.state is ServerState.READY
            and status.rss_bytes is not None
            and now - self._idle_since.get(status.tier, now) >= self._settings.idle_seconds
        ]
        if not idle:
            return
        largest = max(idle, key=lambda status: status.rss_bytes or 0)
        why = (
            f"The memory guard stopped it: {self._stance.why}. It starts again when there is room."
        )
        log.warning("model put to sleep", tier=str(largest.tier), why=self._stance.why)
        self._resting.append(largest.tier)
        await self._servers.rest(largest.tier, why=why)

    def _wake_one(self) -> None:
        """One after the other, the last that went to sleep first: it is the smallest. A large one
        loads for minutes, in which the guard must go on looking."""
        if self._waking is not None and not self._waking.done():
            return
        tier = self._resting.pop()
        log.info("model woken", tier=str(tier))
        self._waking = asyncio.create_task(self._servers.wake(tier), name=f"wake {tier}")

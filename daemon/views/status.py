"""Every part of the daemon by name, and the accounting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from api.keys.access import Access
from api.ports import (
    Accounting,
    BusyError,
    DaemonStatus,
    Health,
    LedgerEntry,
    PartStatus,
    TierStatus,
)
from daemon.memory.recall import Memory, MemoryState
from daemon.model_units import UnitUse
from daemon.notify.notifier import ChannelStatus
from daemon.sources.base import SourceState
from daemon.sources.supervise import SourceStatus
from daemon.store import accounting, incident_queries, ledger, pattern_search
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.protection import Protection, inspect
from daemon.views.acting import (
    ActingReport,
    KeptActing,
    actions_part,
    actions_status,
    read_acting,
)
from daemon.views.giving_up import PATIENCE, GivingUp
from daemon.views.tiers import served_by_others, tier_part, tier_status, with_unit
from tiers.llm.endpoint import EndpointStatus
from tiers.pressure.guard import GuardStatus
from tiers.pressure.levels import Level
from tiers.runtime.states import ServerStatus
from tiers.vocabulary import TierName

_SOURCE_HEALTH = {
    SourceState.STARTING: Health.STARTING,
    SourceState.RUNNING: Health.OK,
    SourceState.BACKOFF: Health.DEGRADED,
    SourceState.ABSENT: Health.ABSENT,
    SourceState.STOPPED: Health.DOWN,
}
_MEMORY_HEALTH = {
    MemoryState.OPENING: Health.STARTING,
    MemoryState.READY: Health.OK,
    MemoryState.OFF: Health.ABSENT,
    MemoryState.UNUSABLE: Health.DEGRADED,
}
_NOTHING = Accounting(received=0, stored=0, folded=0, dropped=0, drops={})
_NO_TOTALS = pattern_search.PatternTotals(patterns=0, to_judge=0)
_PATIENCE = 3.0
"""Seconds for the store: who scrapes and probes waits for ten at most, and other parts are to be
told of too."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the store says; as it is here where it says nothing."""

    accounting: Accounting = _NOTHING
    totals: pattern_search.PatternTotals = _NO_TOTALS
    incidents_by_state: Mapping[str, int] = dataclasses.field(default_factory=dict)
    protection: Protection | None = None
    acting: KeptActing | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReport:
    """What no database knows of a daemon: how each part of its process is."""

    version: str
    host: str
    started_at: datetime
    parts: Sequence[PartStatus]
    tiers: Sequence[TierStatus]
    model_calls: Mapping[str, int]
    overflowed: int
    acting: ActingReport | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where the status comes from. Each is asked when somebody asks."""

    servers: Callable[[], Sequence[ServerStatus]]
    sources: Callable[[], Sequence[SourceStatus]]
    memory: Memory | None
    waiting_batches: Callable[[], int]
    model_calls: Callable[[], Mapping[str, int]]
    overflowed: Callable[[], int]
    guard: Callable[[], GuardStatus] | None = None
    endpoints: Callable[[], Mapping[TierName, Sequence[EndpointStatus]]] = dict
    channels: Callable[[], Sequence[ChannelStatus]] = tuple
    access: Access | None = None
    unit: Callable[[TierName], UnitUse | None] = lambda _: None
    """What systemd says of a tier's server, where it runs that."""
    acting: Callable[[], ActingReport] | None = None


class StatusView:
    """Gathers the status. `ready` means: the store answers and every tier can be asked."""

    def __init__(
        self, *, database: Database, parts: Parts, version: str, host: str, started_at: datetime
    ) -> None:
        self._database = database
        self._parts = parts
        self._version = version
        self._host = host
        self._started_at = started_at
        self._giving_up = GivingUp(name="status", seconds=_PATIENCE)
        self._ledger_giving_up = GivingUp(name="ledger", seconds=PATIENCE)

    async def _read(self) -> _Kept:
        async with self._database.connection() as connection:
            counters = await accounting.counters(connection)
            drops = await accounting.drops(connection)
            totals = await pattern_search.totals(connection)
            counts = await incident_queries.counts(connection)
            protection = await inspect(connection)
            acting = await read_acting(connection)
        states: dict[str, int] = {}
        for entry in counts:
            states[entry.state] = states.get(entry.state, 0) + entry.count
        return _Kept(
            accounting=Accounting(
                received=sum(c.received for c in counters),
                stored=sum(c.stored for c in counters),
                folded=sum(c.folded for c in counters),
                dropped=sum(c.dropped for c in counters),
                drops={f"{d.source}: {d.reason}": d.count for d in drops},
            ),
            totals=totals,
            incidents_by_state=states,
            protection=protection,
            acting=acting,
        )

    async def status(self) -> DaemonStatus:
        """Never raises: a store that is away is a part that is down."""
        kept, store_problem = _Kept(), ""
        try:
            kept = await self._giving_up.run(self._read())
        except StoreUnavailableError as error:
            store_problem = str(error)
        except TimeoutError:
            store_problem = f"PostgreSQL does not answer within {_PATIENCE:g} s"
        report = self.report()
        backed = {f"tier/{tier.value}" for tier in served_by_others(report.tiers)}
        parts = [self._store_part(store_problem), *report.parts]
        if kept.protection is not None:
            parts.insert(1, self._ledger_part(kept.protection))
        actions = None
        if kept.acting is not None and report.acting is not None:
            actions = actions_status(kept.acting, report.acting)
            parts.append(actions_part(actions, since=report.started_at))
        return DaemonStatus(
            version=report.version,
            host=report.host,
            started_at=report.started_at,
            ready=all(
                part.health is Health.OK or part.name in backed for part in parts if part.required
            ),
            parts=parts,
            tiers=report.tiers,
            accounting=kept.accounting,
            patterns=kept.totals.patterns,
            to_judge=kept.totals.to_judge,
            incidents_by_state=kept.incidents_by_state,
            model_calls=report.model_calls,
            overflowed=report.overflowed,
            actions=actions,
        )

    def report(self) -> DaemonReport:
        """How the parts of this process are, the store apart."""
        servers, endpoints = self._parts.servers(), self._parts.endpoints()
        tiers = [
            with_unit(
                tier_status(server, endpoints.get(server.tier, ())), self._parts.unit(server.tier)
            )
            for server in servers
        ]
        parts = [self._intake_part()]
        parts += [
            tier_part(tier, server, endpoints.get(server.tier, ()))
            for tier, server in zip(tiers, servers, strict=True)
        ]
        parts += [self._memory_part()]
        if self._parts.access is not None:
            parts += [self._keys_part(self._parts.access)]
        if self._parts.guard is not None:
            parts += [_guard_part(self._parts.guard())]
        parts += [_channel_part(status) for status in self._parts.channels()]
        parts += [_source_part(status) for status in self._parts.sources()]
        return DaemonReport(
            version=self._version,
            host=self._host,
            started_at=self._started_at,
            parts=parts,
            tiers=tiers,
            model_calls=dict(self._parts.model_calls()),
            overflowed=self._parts.overflowed(),
            acting=self._parts.acting() if self._parts.acting is not None else None,
        )

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]:
        return await self._ledger_giving_up.or_busy(self._ledger(after=after, limit=limit))

    async def _ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]:
        try:
            async with self._database.connection() as connection:
                entries = await ledger.read(connection, after=after, limit=limit)
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        return [
            LedgerEntry(
                seq=entry.seq,
                at=entry.at,
                kind=entry.kind,
                actor=entry.actor,
                incident_id=entry.incident_id,
                body=entry.content,
                hash=entry.hash.hex(),
            )
            for entry in entries
        ]

    def _store_part(self, problem: str) -> PartStatus:
        health = Health.DOWN if problem else Health.OK
        return self._part("store", health, problem or "PostgreSQL answers", required=True)

    def _ledger_part(self, protection: Protection) -> PartStatus:
        health = Health.OK if protection.by_rights else Health.ABSENT
        return self._part(
            "ledger", health if protection.guarded else Health.DEGRADED, protection.words
        )

    def _intake_part(self) -> PartStatus:
        waiting = self._parts.waiting_batches()
        return self._part("intake", Health.OK, f"{waiting} batches wait for their commit")

    def _memory_part(self) -> PartStatus:
        memory = self._parts.memory
        if memory is None:
            return self._part("memory", Health.ABSENT, "switched off")
        return self._part("memory", _MEMORY_HEALTH[memory.state], memory.detail)

    def _keys_part(self, access: Access) -> PartStatus:
        ring = access.ring
        if ring.problem:
            detail = f"{ring.problem}; the keys before stay in force"
            return self._part("keys", Health.DEGRADED, detail)
        if access.keyless is not None:
            detail = f"none: callers on loopback have the role {access.keyless.role}"
            return self._part("keys", Health.ABSENT, detail)
        return self._part("keys", Health.OK, f"{len(ring.keys)} in {ring.path}")

    def _part(
        self, name: str, health: Health, detail: str, *, required: bool = False
    ) -> PartStatus:
        return PartStatus(
            name=name, health=health, detail=detail, since=self._started_at, required=required
        )


def _channel_part(status: ChannelStatus) -> PartStatus:
    return PartStatus(
        name=f"notify/{status.name}",
        health=Health.DEGRADED if status.problem else Health.OK,
        detail=status.problem or f"{status.sent} messages sent",
        since=status.since,
        required=False,
        facts={"sent": status.sent, "failed": status.failed},
    )


def _guard_part(status: GuardStatus) -> PartStatus:
    """Models that give way are no failure of the daemon, but worth a look."""
    doing = {
        Level.CALM: "memory is sufficient",
        Level.SHORT: "answers are kept short",
        Level.ASLEEP: "answers are kept short, idle models are stopped",
    }[status.level]
    resting = f"; asleep: {', '.join(status.resting)}" if status.resting else ""
    return PartStatus(
        name="memory guard",
        health=Health.OK if status.level is Level.CALM else Health.DEGRADED,
        detail=f"{doing}{': ' + status.why if status.why else ''}{resting}",
        since=status.since,
        required=False,
        facts={"level": int(status.level), "steps": status.steps},
    )


def _source_part(status: SourceStatus) -> PartStatus:
    detail = status.error or f"{status.watching}; {status.events} events"
    return PartStatus(
        name=f"source/{status.name}",
        health=_SOURCE_HEALTH[status.state],
        detail=detail,
        since=datetime.fromtimestamp(status.since, tz=UTC),
        required=False,
        facts={"events": status.events, "losses": status.losses, "restarts": status.restarts},
    )

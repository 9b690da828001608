"""The status as a facade apart from the daemon tells it: its own store and keys, and of everything
else what the daemon said last."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from api.ports import DaemonStatus, Health, LedgerEntry, PartStatus
from daemon.views.acting import actions_part
from daemon.views.status import DaemonReport, StatusView
from daemon.views.tiers import served_by_others

FRESH_SECONDS = 20.0
"""Four reports: a daemon that is silent for longer is away or stuck."""
_OWN = ("store", "ledger", "keys")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A daemon's report, and when it was heard (monotonic seconds)."""

    at: float
    report: DaemonReport


class ReportedStatus:
    """Joins the facade's own status with the daemons' reports."""

    def __init__(
        self,
        *,
        own: StatusView,
        host: str,
        reports: Callable[[], Sequence[Heard]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`host` is whose daemon is told of first, where several report."""
        self._own = own
        self._host = host
        self._reports = reports
        self._clock = clock

    async def status(self) -> DaemonStatus:
        """Never raises."""
        status = await self._own.status()
        heard = sorted(self._reports(), key=lambda each: each.report.host != self._host)
        now = self._clock()
        fresh = [each for each in heard if now - each.at < FRESH_SECONDS]
        if not fresh:
            return self._silent(status, heard)
        first, others = fresh[0].report, fresh[1:]
        own = [part for part in status.parts if part.name in _OWN]
        parts = [*own, _alive("daemon", fresh[0], now=now)]
        parts += [part for part in first.parts if part.name not in _OWN]
        parts += [_alive(f"daemon/{each.report.host}", each, now=now) for each in others]
        actions = status.actions
        if actions is not None and first.acting is not None:
            actions = dataclasses.replace(
                actions, level=first.acting.level, privileges=first.acting.privileges
            )
            parts.append(actions_part(actions, since=first.started_at))
        backed = {f"tier/{tier.value}" for tier in served_by_others(first.tiers)}
        return dataclasses.replace(
            status,
            version=first.version,
            host=first.host,
            started_at=first.started_at,
            ready=all(
                part.health is Health.OK or part.name in backed for part in parts if part.required
            ),
            parts=parts,
            tiers=first.tiers,
            model_calls=first.model_calls,
            overflowed=first.overflowed + status.overflowed,
            actions=actions,
        )

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]:
        """As `StatusView.ledger`."""
        return await self._own.ledger(after=after, limit=limit)

    def _silent(self, status: DaemonStatus, heard: Sequence[Heard]) -> DaemonStatus:
        """Chats and records go on; nothing is watched, and that is what must be seen."""
        now, ago = self._clock(), ""
        since = status.started_at
        if heard:
            seconds = now - heard[0].at
            ago = f" for {seconds:.0f} s"
            since = datetime.now(tz=UTC) - timedelta(seconds=seconds)
        detail = (
            f"no word from it{ago}: nothing is watched unless it runs (systemctl status triaged) "
            "with api.enabled = false, at this database"
        )
        silent = PartStatus(
            name="daemon", health=Health.DOWN, detail=detail, since=since, required=True
        )
        return dataclasses.replace(status, ready=False, parts=[silent, *status.parts])


def _alive(name: str, heard: Heard, *, now: float) -> PartStatus:
    report = heard.report
    return PartStatus(
        name=name,
        health=Health.OK,
        detail=f"triaged {report.version} on {report.host}, heard {now - heard.at:.0f} s ago",
        since=report.started_at,
        required=True,
    )

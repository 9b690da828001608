"""The loop that tells: looks into the store for what a channel was not told, sends it, remembers.

What is to be told is in the store, so a restart loses nothing; it is remembered after it was sent,
so a kill between the two tells once more rather than never. Each channel goes its own way: a dead
one keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from daemon.notify.action_words import action_notices
from daemon.notify.channel import ChannelError, Sends
from daemon.notify.message import Letter, Notice, Topic
from daemon.notify.outages import TierState
from daemon.notify.plan import letters
from daemon.notify.settings import ChannelSettings, NotifySettings
from daemon.notify.words import closed_notice, opened_notice, tier_notice
from daemon.store import action_reports, assessments, notices
from daemon.store.actions import ActionRow
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from tiers.vocabulary import Severity

log = structlog.get_logger()

Needs = Callable[[Sequence[ActionRow]], Awaitable[Mapping[int, str]]]
"""By the ids of proposals, what root does not allow yet, in words."""
_PAUSE_FIRST, _PAUSE_MOST = 5.0, 900.0
_TIMES_KEPT = 10_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel does. `problem` is a sentence, "" when the last message was taken."""

    name: str
    sent: int
    failed: int
    problem: str
    since: datetime


class Notifier:
    """One channel."""

    def __init__(
        self,
        *,
        channel: Sends,
        settings: ChannelSettings,
        common: NotifySettings,
        database: Database,
        tiers: Callable[[], Sequence[TierState]],
        needs: Needs,
        host: str,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`now` is local time, for the quiet hours."""
        self._channel = channel
        self._settings = settings
        self._common = common
        self._database = database
        self._tier_states = tiers
        self._needs = needs
        self._host = host
        self._now = now
        self._times: collections.deque[datetime] = collections.deque(maxlen=_TIMES_KEPT)
        self._out: dict[str, str] = {}
        """Tiers that were told to be out, by the key of that notice."""
        self._sent = self._failed = 0
        self._problem = ""
        self._since = datetime.now(tz=UTC)

    def status(self) -> ChannelStatus:
        return ChannelStatus(
            name=self._channel.name,
            sent=self._sent,
            failed=self._failed,
            problem=self._problem,
            since=self._since,
        )

    async def run(self) -> None:
        """Until cancelled."""
        pause = _PAUSE_FIRST
        while True:
            try:
                await self.tell()
            except StoreUnavailableError:
                await asyncio.sleep(self._common.check_seconds)  # the store's own part says so
                continue
            except ChannelError as error:
                self._fails(str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MOST)
                continue
            pause = _PAUSE_FIRST
            await asyncio.sleep(self._common.check_seconds)

    async def tell(self) -> int:
        """One look; returns how many messages went out. Raises `ChannelError` at the first that
        was not taken: it and the rest stay to be told."""
        waiting = [*await self._incidents(), *await self._actions(), *await self._tiers()]
        sent = 0
        for letter in letters(
            waiting,
            settings=self._settings,
            now=self._now(),
            sent=tuple(self._times),
            host=self._host,
        ):
            await self._channel.send(letter)
            self._took()
            await self._remember(letter)
            sent += 1
        return sent

    async def _incidents(self) -> list[Notice]:
        name, least = self._channel.name, self._settings.min_severity
        wanted = [severity for severity in Severity if severity.rank >= least.rank]
        async with self._database.connection() as connection:
            opened = await notices.to_open(
                connection,
                channel=name,
                severities=wanted,
                wait=timedelta(minutes=self._common.wait_minutes),
            )
            closed = (
                await notices.to_close(connection, channel=name) if self._settings.closed else []
            )
            said = await assessments.latest(connection, [incident.id for incident in opened])
        found = [
            opened_notice(
                incident,
                said.get(incident.id),
                host=self._host,
                key=notices.incident_key(incident, Topic.OPENED),
            )
            for incident in opened
        ]
        return found + [
            closed_notice(
                incident,
                host=self._host,
                key=notices.incident_key(incident, Topic.CLOSED),
            )
            for incident in closed
        ]

    async def _actions(self) -> list[Notice]:
        if not self._settings.actions:
            return []
        async with self._database.connection() as connection:
            untold = await action_reports.untold(connection, channel=self._channel.name)
        needs = await self._needs(untold.proposed) if untold.proposed else {}
        return list(action_notices(untold, needs=needs))

    async def _tiers(self) -> list[Notice]:
        if not self._settings.tiers:
            return []
        found: dict[str, Notice] = {}
        patience = timedelta(minutes=self._common.tier_minutes)
        now = datetime.now(tz=UTC)
        for state in self._tier_states():
            tier = str(state.tier)
            if state.out and now - state.since >= patience and tier not in self._out:
                key = f"tier/{self._host}/{tier}/{state.since.isoformat()}/out"
                found[tier] = tier_notice(
                    tier=tier, out=True, detail=state.detail, host=self._host, key=key
                )
            elif not state.out and tier in self._out:
                key = self._out[tier].removesuffix("out") + "back"
                found[tier] = tier_notice(tier=tier, out=False, detail="", host=self._host, key=key)
        if not found:
            return []
        keys = [notice.key for notice in found.values()]
        async with self._database.connection() as connection:
            told = await notices.known(connection, channel=self._channel.name, keys=keys)
        for tier, notice in found.items():
            if notice.key in told and notice.topic is Topic.TIER_OUT:
                self._out[tier] = notice.key  # told before a restart of ours
        return [notice for notice in found.values() if notice.key not in told]

    async def _remember(self, letter: Letter) -> None:
        for notice in letter.covers:
            if notice.topic is Topic.TIER_OUT:
                self._out[notice.key.split("/")[2]] = notice.key
            elif notice.topic is Topic.TIER_BACK:
                self._out.pop(notice.key.split("/")[2], None)
        keys = [(notice.key, notice.incident_id) for notice in letter.covers]
        async with self._database.transaction() as connection:
            await notices.told(connection, channel=self._channel.name, keys=keys)

    def _took(self) -> None:
        self._times.append(self._now())
        self._sent += 1
        if self._problem:
            log.info("notifications go out again", channel=self._channel.name)
            self._problem, self._since = "", datetime.now(tz=UTC)

    def _fails(self, problem: str) -> None:
        self._failed += 1
        if problem != self._problem:
            log.warning("a notification was not taken", channel=self._channel.name, why=problem)
            self._problem, self._since = problem, datetime.now(tz=UTC)

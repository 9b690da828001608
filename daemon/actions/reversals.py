"""Looks at reversals whose time is over and that nobody called off: systemd carried them out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from daemon.actions.errors import ActionError
from daemon.actions.host.arming import Arming
from daemon.actions.reversal import token_of
from daemon.live import LiveHub
from daemon.store import actions
from daemon.store.actions import ActionRow
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Severity

log = structlog.get_logger()

_GRACE = timedelta(seconds=60)
"""The timer was armed after its time was stored, and systemd is not exact to the second."""


class Reversals:
    """Of one host. What it finds goes to the ledger, once."""

    def __init__(self, *, database: Database, arming: Arming, host: str, live: LiveHub) -> None:
        self._database = database
        self._arming = arming
        self._host = host
        self._live = live

    async def look(self) -> None:
        """Raises `StoreUnavailableError`. A host that does not answer is asked again later."""
        async with self._database.connection() as connection:
            rows = await actions.reversed_unseen(connection, host=self._host)
        for row in rows:
            try:
                waits = await self._arming.waits(token=token_of(row.id))
            except ActionError as error:
                log.debug("a reversal cannot be looked at", action=row.id, why=str(error))
                continue
            if not waits or _overdue(row):
                await self._note(row, carried_out=not waits)

    async def _note(self, row: ActionRow, *, carried_out: bool) -> None:
        reversal = row.reversal or {}
        what = f"{reversal.get('kind')} {reversal.get('target')}"
        if carried_out:
            why = (
                f"nobody confirmed the way in after '{row.sentence}': systemd did {what}, unless "
                "the host was started anew meanwhile"
            )
        else:
            why = (
                f"nobody confirmed the way in after '{row.sentence}', and {what} is overdue: "
                f"look at triaged-reversal-{token_of(row.id)}.timer"
            )
        noted = await run(
            self._database,
            lambda work: actions.note_reversal(work, row, carried_out=carried_out, why=why),
            seconds=15,
        )
        if noted:
            self._live.publish(
                kind="action", severity=Severity.CRITICAL, text=why, incident=row.incident_id
            )
            log.warning("action reversed", action=row.id, why=why)


def _overdue(row: ActionRow) -> bool:
    return row.confirm_by is not None and row.confirm_by + _GRACE < datetime.now(tz=UTC)

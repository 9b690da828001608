"""What was done to the host, as the ledger tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.ledger import NewEntry
from daemon.store import ledger
from daemon.store.pool import Database
from daemon.views.effects import ACTION_INTENT, ACTION_RESULT, ACTION_STARTED, EffectsView
from tiers.chat_claims import claims
from tiers.chat_contracts import EffectsUnreadableError

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def entry(kind: str, action_id: str, at: datetime, **body: str) -> NewEntry:
    return NewEntry(kind=kind, actor="executor", body={"action_id": action_id, **body}, at=at)


async def write(pool: Database, *entries: NewEntry) -> None:
    async with pool.connection() as connection, connection.transaction():
        await ledger.append(connection, entries)


async def test_an_effect_begins_when_it_is_started_and_is_told_with_its_end(
    pool: Database,
) -> None:
    second = timedelta(seconds=1)
    nginx = {"action": "restart_unit", "target": "nginx.service"}
    await write(
        pool,
        entry(ACTION_INTENT, "old", NOON - second, **nginx),
        entry(ACTION_STARTED, "old", NOON - second, **nginx),
        entry("verdict", "x", NOON),
        entry(ACTION_INTENT, "a", NOON, **nginx),
        entry(ACTION_STARTED, "a", NOON + second, **nginx),
        entry(ACTION_RESULT, "a", NOON + 2 * second, outcome="done", detail="it is\nactive"),
        entry(ACTION_INTENT, "b", NOON, action="clean_cache", target="apt"),
        entry(ACTION_STARTED, "c", NOON + 3 * second, action="kill, process", target="4711"),
        entry(ACTION_RESULT, "old", NOON + 4 * second, outcome="failed"),
    )
    view = EffectsView(database=pool)
    found = await view.since(NOON)
    assert list(found) == [
        "restart_unit nginx.service, begun 12:00:01 UTC: done (it is active)",
        "kill  process 4711, begun 12:00:03 UTC: not known to have ended",
    ]
    assert len(await view.since(NOON - timedelta(hours=1))) == 3
    assert await view.since(NOON + timedelta(hours=1)) == []
    claim = claims("I restarted nginx.", asked=True)[0]
    assert claim.fits(found[0])
    assert not claim.fits(found[1])


async def test_nothing_was_done_yet(pool: Database) -> None:
    assert await EffectsView(database=pool).since(NOON) == []


async def test_a_ledger_that_cannot_be_read_says_so(pool: Database) -> None:
    await pool.close()
    with pytest.raises(EffectsUnreadableError):
        await EffectsView(database=pool).since(NOON)

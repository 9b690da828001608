"""What root does not allow: proposed all the same, said, and not approved."""

from __future__ import annotations

import pytest
from actions_kit import Lamp, rig
from surface_kit import real_ports

from api.ports import ConflictError
from daemon.actions import needs
from daemon.store.pool import Database

CLOSED = "The root helper does not allow 'block': root adds it to the list 'verbs' in /etc/x."


async def test_it_is_proposed_and_says_so_and_waits_until_root_allows_it(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest", lamp=Lamp(verbs=("block",)))
    asking.root.refuses = {"block": CLOSED}
    row = await asking.ask()
    view = real_ports(asking)["proposals"]
    said = f"root allows the verb block; now: not allowed ({CLOSED.rstrip('.')})"
    assert [each.needs for each in await view.waiting()] == [said]
    assert (await view.show(row.code or "")).proposal.needs == said
    with pytest.raises(ConflictError, match="goes on waiting: The root helper does not allow"):
        await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "proposed"
    asking.root.refuses = {}
    assert [each.needs for each in await view.waiting()] == [""]
    await asking.desk.answer(code=row.code or "", approve=True, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "approved"


async def test_it_may_be_denied(pool: Database) -> None:
    asking = rig(pool, autonomy="suggest", lamp=Lamp(verbs=("block",)))
    asking.root.refuses = {"block": CLOSED}
    row = await asking.ask()
    await asking.desk.answer(code=row.code or "", approve=False, by="anna", where="cli")
    assert (await asking.row(row.id)).state == "denied"


async def test_a_helper_that_hangs_keeps_nobody_waiting(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_SECONDS", 0.05)
    asking = rig(pool, autonomy="suggest", lamp=Lamp(verbs=("block", "unblock")))
    row = await asking.ask()
    asking.root.hangs = True
    said = (await asking.desk.needs([row]))[row.id]
    assert said.startswith("root allows the verbs block and unblock; now: not allowed")
    assert "does not say" in said

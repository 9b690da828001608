"""Kept responses over the real PostgreSQL: owners, chains, references, bounds, and outages."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import psycopg
import pytest

from api.ports import BusyError, ConflictError, NotFoundError
from api.ports_chat import StoredResponse
from daemon.store import pruning, responses
from daemon.store.partitions import Maintenance
from daemon.store.pool import Database
from daemon.store.settings import RetentionSettings, StoreSettings
from daemon.views import responses as views
from daemon.views.responses import ResponsesView

AT = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def response(name: str, previous: str | None = None, **changes: Any) -> StoredResponse:
    values: dict[str, Any] = {
        "id": f"resp_{name}",
        "owner": "alice",
        "previous_id": None if previous is None else f"resp_{previous}",
        "created_at": AT,
        "input_items": [{"id": f"msg_in_{name}", "type": "message", "content": f"ask {name}"}],
        "body": {"id": f"resp_{name}", "output": [{"id": f"msg_out_{name}", "text": name}]},
    }
    return StoredResponse(**{**values, **changes})


def view(pool: Database, **settings: Any) -> ResponsesView:
    return ResponsesView(database=pool, settings=RetentionSettings(**settings))


async def count(pool: Database) -> int:
    async with pool.connection() as connection:
        row = await (await connection.execute("select count(*) from responses")).fetchone()
    assert row is not None
    return int(row[0])


async def use_long_ago(pool: Database, name: str, *, days: int) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "update responses set used_at = now() - %s * interval '1 day' where id = %s",
            (days, f"resp_{name}"),
        )


async def test_what_is_kept_comes_back_as_it_was(pool: Database) -> None:
    kept = response(
        "a",
        body={
            "output": [],
            "z": 1,
            "a": {"deep": [1.0, 10**18, None, "ü\u2028😀"]},
            "metadata": {"k": ""},
        },
        input_items=[{"id": "x", "text": "one\\u0000 two"}],
    )
    await view(pool).keep(kept)
    found = await view(pool).find(id="resp_a", owner="alice")
    assert found == kept
    assert list(found.body) == ["output", "z", "a", "metadata"]


async def test_keeping_again_changes_nothing(pool: Database) -> None:
    await view(pool).keep(response("a"))
    await view(pool).keep(response("a", body={"output": [], "other": True}))
    assert (await view(pool).find(id="resp_a", owner="alice")).body == response("a").body
    assert await count(pool) == 1


async def test_hostile_texts_are_made_harmless(pool: Database) -> None:
    kept = response("a", owner="ev\x00il", input_items=[{"id": "i\x00d", "text": "z\x00\ud800"}])
    await view(pool).keep(kept)
    found = await view(pool).find(id="resp_a", owner="ev\x00il")
    assert found.input_items == [{"id": "i\ufffdd", "text": "z\ufffd\ufffd"}]
    for odd in ("\x00", "\ud800", "'; drop table responses; --", "%s", ""):
        with pytest.raises(NotFoundError):
            await view(pool).find(id=odd, owner="alice")
        with pytest.raises(NotFoundError):
            await view(pool).chain(id=odd, owner=odd)
        assert await view(pool).items(ids=[odd], owner=odd) == {}


async def test_another_owner_sees_nothing(pool: Database) -> None:
    await view(pool).keep(response("a"))
    for work in (
        view(pool).find(id="resp_a", owner="bob"),
        view(pool).chain(id="resp_a", owner="bob"),
        view(pool).forget(id="resp_a", owner="bob"),
    ):
        with pytest.raises(NotFoundError):
            await work
    assert await view(pool).items(ids=["msg_in_a", "msg_out_a"], owner="bob") == {}
    # Going on from another's leads nowhere either.
    await view(pool).keep(response("b", "a", owner="bob"))
    with pytest.raises(NotFoundError, match="goes on from resp_a"):
        await view(pool).chain(id="resp_b", owner="bob")
    assert await count(pool) == 2


async def test_a_chain_is_told_oldest_first(pool: Database) -> None:
    for name, previous in (("a", None), ("b", "a"), ("c", "b"), ("other", "a")):
        await view(pool).keep(response(name, previous))
    chain = await view(pool).chain(id="resp_c", owner="alice")
    assert [one.id for one in chain] == ["resp_a", "resp_b", "resp_c"]


async def test_a_chain_with_a_gap_is_refused(pool: Database) -> None:
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        await view(pool).keep(response(name, previous))
    await view(pool).forget(id="resp_a", owner="alice")
    with pytest.raises(NotFoundError, match="goes on from resp_a, which is not kept"):
        await view(pool).chain(id="resp_c", owner="alice")
    with pytest.raises(NotFoundError):
        await view(pool).find(id="resp_a", owner="alice")
    with pytest.raises(NotFoundError):
        await view(pool).forget(id="resp_a", owner="alice")
    assert await view(pool).items(ids=["msg_out_a"], owner="alice") == {}


async def test_a_chain_is_bounded(pool: Database) -> None:
    short = view(pool, responses_in_a_row=3)
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        await short.keep(response(name, previous))
    assert len(await short.chain(id="resp_b", owner="alice")) == 2
    with pytest.raises(ConflictError, match="responses_in_a_row"):
        await short.chain(id="resp_c", owner="alice")


async def test_circles_end(pool: Database) -> None:
    await view(pool).keep(response("a", "b"))
    await view(pool).keep(response("b", "a"))
    await view(pool).keep(response("self", "self"))
    for name in ("resp_a", "resp_self"):
        with pytest.raises(ConflictError):
            await view(pool).chain(id=name, owner="alice")


async def test_a_conversation_is_bounded_in_bytes(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST_BYTES", 3_000)
    large = [{"id": "shared", "text": "x" * 2_000}]
    await view(pool).keep(response("a", input_items=large))
    assert len(await view(pool).chain(id="resp_a", owner="alice")) == 1
    await view(pool).keep(response("b", "a", input_items=large))
    with pytest.raises(ConflictError, match="MiB"):
        await view(pool).chain(id="resp_b", owner="alice")
    with pytest.raises(ConflictError):
        await view(pool).items(ids=["shared"], owner="alice")


async def test_items_are_found_by_id(pool: Database) -> None:
    await view(pool).keep(response("a"))
    await view(pool).keep(response("b"))
    newer = response("c", input_items=[{"id": "msg_in_a", "text": "newer"}])
    await view(pool).keep(newer)
    found = await view(pool).items(ids=["msg_in_a", "msg_out_b", "msg_no"], owner="alice")
    assert found == {
        "msg_in_a": {"id": "msg_in_a", "text": "newer"},
        "msg_out_b": {"id": "msg_out_b", "text": "b"},
    }


async def test_the_number_is_bounded_and_the_oldest_go_first(pool: Database) -> None:
    small = view(pool, responses_most=3)
    for days, name in ((3, "a"), (2, "b"), (1, "c")):
        await small.keep(response(name))
        await use_long_ago(pool, name, days=days)
    await small.keep(response("d", "a"))  # goes on from the oldest, which is new by that
    assert await count(pool) == 3
    assert len(await small.chain(id="resp_d", owner="alice")) == 2
    with pytest.raises(NotFoundError):
        await small.find(id="resp_b", owner="alice")


async def test_maintenance_forgets_what_was_not_used_for_long(pool: Database) -> None:
    for days, name, previous in ((40, "a", None), (40, "old", None), (29, "b", None)):
        await view(pool).keep(response(name, previous))
        await use_long_ago(pool, name, days=days)
    await view(pool).keep(response("c", "a"))
    report = await Maintenance(database=pool, settings=StoreSettings()).run()
    assert report.responses_deleted == 1
    assert len(await view(pool).chain(id="resp_c", owner="alice")) == 2
    with pytest.raises(NotFoundError):
        await view(pool).find(id="resp_old", owner="alice")


async def test_pruning_takes_more_than_one_chunk(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_CHUNK", 2)
    for number in range(5):
        await view(pool).keep(response(str(number)))
        await use_long_ago(pool, str(number), days=10)
    assert await responses.prune_old(pool, days=5) == 5


async def test_many_go_on_from_one_at_once(pool: Database) -> None:
    kept = view(pool, responses_most=30)
    for name, previous in (("a", None), ("b", "a"), ("c", "b")):
        await kept.keep(response(name, previous))
        await use_long_ago(pool, name, days=1)
    await asyncio.gather(
        *(kept.keep(response(f"n{number}", "abc"[number % 3])) for number in range(40))
    )
    # Who makes room leaves rows alone that others work on; the next one takes those too.
    await kept.keep(response("last"))
    assert await count(pool) == 30
    newest = [f"n{number}" for number in range(40)]
    found = [await _there(kept, name) for name in newest]
    assert sum(found) >= 20


async def _there(kept: ResponsesView, name: str) -> bool:
    try:
        await kept.find(id=f"resp_{name}", owner="alice")
    except NotFoundError:
        return False
    return True


async def test_what_is_kept_survives_a_lost_connection(pool: Database, database: str) -> None:
    kept = view(pool)
    await kept.keep(response("a"))
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    await kept.keep(response("b", "a"))
    assert len(await kept.chain(id="resp_b", owner="alice")) == 2


async def test_a_store_that_is_away_is_said(
    store_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_KEEP_SECONDS", 0.1)
    patience = store_settings.model_copy(update={"acquire_seconds": 0.2})
    nowhere = Database(conninfo="host=/nonexistent dbname=x", settings=patience)
    await nowhere._pool.open(wait=False)
    try:
        away = view(nowhere)
        for work in (
            away.ready(),
            away.keep(response("a")),
            away.find(id="resp_a", owner="alice"),
            away.chain(id="resp_a", owner="alice"),
            away.items(ids=["x"], owner="alice"),
            away.forget(id="resp_a", owner="alice"),
        ):
            with pytest.raises(BusyError, match="store=false") as caught:
                await work
            assert caught.value.retry_after >= 1
    finally:
        await nowhere.close()
    with pytest.raises(BusyError, match="stopping"):
        await away.ready()


async def test_a_server_that_hangs_is_away_too(
    pool: Database, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await view(pool).keep(response("a"))
    monkeypatch.setattr(views, "_PATIENCE", 0.3)
    kept = view(pool)
    with psycopg.connect(database) as admin:
        admin.execute("lock table responses")
        for work in (kept.find(id="resp_a", owner="alice"), kept.keep(response("b"))):
            with pytest.raises(BusyError, match="does not answer"):
                await work
    assert (await view(pool).find(id="resp_a", owner="alice")).id == "resp_a"
    await eventually_none(kept)


async def eventually_none(kept: ResponsesView) -> None:
    """What was given up has ended."""
    async with asyncio.timeout(5):
        while kept._giving_up._left:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


def test_sizes_are_settings() -> None:
    settings = RetentionSettings(response_kb=16)
    assert ResponsesView(database=None, settings=settings).most_bytes == 16_384  # type: ignore[arg-type]

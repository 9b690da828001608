"""What a daemon and a facade apart tell each other, rubbish and silence included."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ports import (
    Accounting,
    DaemonStatus,
    Health,
    LiveItem,
    PartStatus,
    TierStatus,
)
from daemon.apart.hearing import Hearer
from daemon.apart.telling import Teller
from daemon.apart.wire import PIECE_CHARS, Assembler, TooLongError, pieces
from daemon.apart.words import Told, read, written
from daemon.live import LiveHub
from daemon.store import notify as notifications
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.views.reported import FRESH_SECONDS, Heard, ReportedStatus
from daemon.views.status import DaemonReport, StatusView
from tiers.vocabulary import Severity, TierName

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def part(name: str, health: Health = Health.OK, *, required: bool = False) -> PartStatus:
    return PartStatus(
        name=name, health=health, detail="as it is", since=NOW, required=required, facts={"n": 1}
    )


def report(host: str = "here", *parts: PartStatus) -> DaemonReport:
    tier = TierStatus(
        tier=TierName.META,
        health=Health.OK,
        state="ready",
        model="m",
        url="http://127.0.0.1:8082",
        pid=7,
        restarts=0,
        rss_bytes=1,
        detail="",
    )
    return DaemonReport(
        version="9",
        host=host,
        started_at=NOW,
        parts=parts or (part("source/journald"),),
        tiers=(tier,),
        model_calls={"meta": 3},
        overflowed=1,
    )


def item(text: str = "ö\n") -> LiveItem:
    return LiveItem(at=NOW, kind="incident", severity=Severity.WARNING, text=text, incident_id=4)


@given(st.binary(max_size=40_000), st.randoms())
def test_a_word_arrives_whole_in_any_order(word: bytes, shuffle: Any) -> None:
    sent = pieces(word, id="host:1:ab/0")
    assert all(len(piece) <= PIECE_CHARS for piece in sent)
    shuffle.shuffle(sent)
    assembler = Assembler()
    assert [got for piece in sent if (got := assembler.take(piece)) is not None] == [word]


@given(st.text(max_size=200))
def test_rubbish_is_no_word(text: str) -> None:
    assert Assembler().take(text) is None or text.count(" ") == 3


@pytest.mark.parametrize(
    "piece",
    [
        "",
        "a 0 1",
        "a 1 1 x",
        "a 0 9999 x",
        "a -1 1 x",
        "a 0 1 \x01",
        "a 0 1 " + base64.b85encode(b"no zlib").decode(),
        "a 0 1 " + base64.b85encode(zlib.compress(bytes(5 * 2**20))).decode(),
    ],
)
def test_no_piece_breaks_the_assembler(piece: str) -> None:
    assert Assembler().take(piece) is None


def test_words_that_never_become_whole_are_let_go() -> None:
    assembler = Assembler()
    for number in range(1_000):
        assert assembler.take(f"{number} 0 2 x") is None
    assert len(assembler._open) < 20


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(TooLongError):
        pieces(bytes(5 * 2**20), id="a")


def test_a_word_is_read_as_it_was_written() -> None:
    told = Told(owner="here:1:ab", report=report(), items=(item(),))
    found = read(written(told))
    assert found is not None
    assert found.report is not None
    assert written(found) == written(told)
    assert list(found.report.parts) == list(report().parts)
    assert list(found.items) == [item()]
    for rubbish in (b"", b"{}", b"[]", b'{"owner": 1}', b'{"owner": "x", "report": {}}'):
        assert read(rubbish) is None


def test_text_that_is_no_unicode_is_told_all_the_same() -> None:
    found = read(written(Told(owner="a", items=(item("caf\udce9"),))))
    assert found is not None
    assert found.items[0].text == "caf\N{REPLACEMENT CHARACTER}"


async def test_over_a_real_database(pool: Database) -> None:
    """A report of many pieces and what happens reach the facade; rubbish between them does not."""
    telling, hearing = LiveHub(), LiveHub()
    many = report("here", *(part(f"source/{n:x}-{hash((n, 'x')):x}") for n in range(2_000)))
    hearer = Hearer(database=pool, live=hearing)
    teller = Teller(
        database=pool, owner="here:1:ab", report=lambda: many, live=telling, interval=0.1
    )
    tasks = [asyncio.create_task(hearer.run()), asyncio.create_task(teller.run())]
    try:
        assert await hearer.first(seconds=10)
        async with pool.connection() as connection:
            await notifications.notify(connection, ["rubbish", "a 0 1 rubbish", ""])
        (heard,) = hearer.reports()
        assert list(heard.report.parts) == list(many.parts)
        reader = hearing.follow()
        following = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        telling.publish(kind="verdict", text="x" * 10_000, incident=3)
        got = await asyncio.wait_for(following, 10)
        assert (got.kind, got.incident_id) == ("verdict", 3)
        # A connection that breaks is made anew.
        async with pool.connection() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where query ilike 'listen%' and pid <> pg_backend_pid()"
            )
        following = asyncio.ensure_future(anext(reader))
        for _ in range(100):
            telling.publish(kind="verdict", text="again")
            await asyncio.sleep(0.1)
            if following.done():
                break
        assert (await asyncio.wait_for(following, 1)).text == "again"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cast("Any", reader).aclose()


async def test_a_way_that_broke_in_silence_is_found(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection answers nothing and is not closed: only asking finds that."""
    monkeypatch.setattr(notifications, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(notifications, "_ANSWER_SECONDS", 0.1)
    connection = await pool.connect()
    monkeypatch.setattr(pool, "connect", lambda: _given(connection))
    listening = notifications.listen(pool)
    following = asyncio.ensure_future(anext(listening))
    await asyncio.sleep(0.05)

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(connection, "execute", hangs)
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        await asyncio.wait_for(following, 10)
    assert connection.closed


async def _given(connection: Any) -> Any:
    return connection


class Own:
    """The facade's own status: it has a store and keys."""

    def __init__(self, *parts: PartStatus) -> None:
        self._parts = parts

    async def status(self) -> DaemonStatus:
        return DaemonStatus(
            version="1",
            host="api",
            started_at=NOW,
            ready=True,
            parts=self._parts,
            tiers=(),
            accounting=Accounting(received=2, stored=1, folded=1, dropped=0, drops={}),
            patterns=5,
            to_judge=0,
            incidents_by_state={},
            model_calls={},
        )


def view(own: Own, heard: Callable[[], list[Heard]]) -> ReportedStatus:
    return ReportedStatus(
        own=cast("StatusView", own), host="here", reports=heard, clock=lambda: 100.0
    )


async def test_own_store_and_the_daemons_rest() -> None:
    own = Own(part("store", required=True), part("keys"), part("intake"), part("memory"))
    heard = [
        Heard(at=99, report=report("other")),
        Heard(at=98, report=report("here", part("intake"), part("memory"), part("keys"))),
    ]
    found = await view(own, lambda: heard).status()
    assert found.ready
    assert [each.name for each in found.parts] == [
        "store",
        "keys",
        "daemon",
        "intake",
        "memory",
        "daemon/other",
    ]
    assert (found.host, found.patterns, found.model_calls) == ("here", 5, {"meta": 3})
    (tier,) = found.tiers
    assert tier.pid == 7


async def test_a_store_that_only_the_facade_misses_is_told() -> None:
    own = Own(part("store", Health.DOWN, required=True))
    found = await view(own, lambda: [Heard(at=99, report=report())]).status()
    assert not found.ready


async def test_a_tier_that_is_down_at_the_daemon_is_down() -> None:
    down = part("tier/meta", Health.DOWN, required=True)
    own = Own(part("store", required=True))
    found = await view(own, lambda: [Heard(at=99, report=report("here", down))]).status()
    assert not found.ready


@pytest.mark.parametrize("ago", [None, FRESH_SECONDS + 1])
async def test_silence_is_the_first_thing_to_be_seen(ago: float | None) -> None:
    heard = [] if ago is None else [Heard(at=100 - ago, report=report())]
    found = await view(Own(part("store", required=True)), lambda: heard).status()
    assert not found.ready
    assert found.parts[0].name == "daemon"
    assert found.parts[0].health is Health.DOWN
    assert "nothing is watched" in found.parts[0].detail

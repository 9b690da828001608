"""What is told, when, to whom; and that nothing is told twice, forgotten, or dangerous to read."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from daemon.notify.channel import Channel, ChannelError
from daemon.notify.message import Letter, Notice, Topic
from daemon.notify.notifier import Notifier
from daemon.notify.outages import TierState, tier_states
from daemon.notify.plan import is_quiet, letters
from daemon.notify.settings import ChannelSettings, NotifySettings
from daemon.notify.words import alone, harmless, summary
from daemon.store import incidents, notices, work
from daemon.store.actions import ActionRow
from daemon.store.incidents import Incident, NewIncident
from daemon.store.pool import Database
from daemon.store.transitions import Transition, apply
from tiers.llm.breaker import BreakerState
from tiers.llm.endpoint import EndpointStatus
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import Category, Severity, TierName

NOON = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)
NIGHT = NOON.replace(hour=23)
SOMEWHERE = (SecretStr("json://localhost"),)


def notice(number: int = 1, severity: Severity = Severity.WARNING) -> Notice:
    return Notice(
        key=f"incident/{number}/0/opened",
        topic=Topic.OPENED,
        severity=severity,
        title=f"title {number}",
        body="body",
        incident_id=number,
    )


def settings(**fields: Any) -> ChannelSettings:
    return ChannelSettings(urls=SOMEWHERE, **fields)


def planned(
    waiting: list[Notice],
    *,
    now: dt.datetime = NOON,
    sent: int = 0,
    **fields: Any,
) -> list[Letter]:
    times = [now - dt.timedelta(minutes=1)] * sent
    return letters(waiting, settings=settings(**fields), now=now, sent=times, host="box")


def test_a_few_are_told_each_and_many_as_one() -> None:
    assert [len(letter.covers) for letter in planned([notice(n) for n in range(4)])] == [1] * 4
    (one,) = planned([notice(n) for n in range(200)])
    assert len(one.covers) == 200
    assert one.body.count("\n- ") == 19
    assert "180 more" in one.body


def test_quiet_hours_let_only_the_critical_through() -> None:
    waiting = [notice(1), notice(2, Severity.CRITICAL)]
    (only,) = planned(waiting, now=NIGHT, quiet="22:00-07:00")
    assert [each.incident_id for each in only.covers] == [2]
    assert planned([notice(1)], now=NIGHT, quiet="22:00-07:00") == []
    assert len(planned(waiting, now=NOON, quiet="22:00-07:00")) == 2


def test_over_the_limit_only_the_critical_goes_and_that_has_an_end_too() -> None:
    assert planned([notice(1)], sent=20) == []
    assert len(planned([notice(1, Severity.CRITICAL)], sent=20)) == 1
    assert planned([notice(1, Severity.CRITICAL)], sent=25) == []
    # Less room than messages: one message.
    (one,) = planned([notice(1), notice(2)], sent=19)
    assert len(one.covers) == 2


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [
        ("22:00-07:00", dt.time(23), True),
        ("22:00-07:00", dt.time(6, 59), True),
        ("22:00-07:00", dt.time(7), False),
        ("12:00-13:00", dt.time(12, 30), True),
        ("12:00-13:00", dt.time(13), False),
        (None, dt.time(3), False),
    ],
)
def test_hours(hours: str | None, at: dt.time, quiet: bool) -> None:
    assert is_quiet(hours, at) is quiet


@pytest.mark.parametrize("hours", ["22-7", "25:00-07:00", "22:00-24:00", "22:61-07:00", ""])
def test_hours_that_are_none(hours: str) -> None:
    with pytest.raises(ValidationError):
        settings(quiet=hours)


def test_text_from_logs_rings_nobody_and_leads_nowhere() -> None:
    hostile = (
        "@everyone click https://evil.example/x <!channel> [here](http://x) \x1b[31m\n\nnow \u202e"
    )
    shown = harmless(hostile, 500)
    assert "@everyone" not in shown
    assert "https://" not in shown
    assert "http://" not in shown
    assert "<!channel>" not in shown
    assert "[here](" not in shown
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "http" not in harmless("seehttp://evil.example/ _https://evil.example/", 100)
    assert len(harmless("x" * 1000, 100)) == 100


def test_a_summary_names_the_worst_first() -> None:
    letter = summary([notice(1), notice(2, Severity.CRITICAL)], host="box")
    assert letter.severity is Severity.CRITICAL
    assert letter.body.splitlines()[0] == "- title 2"


# --- with the store ------------------------------------------------------------------------------


class Phone:
    """A channel that keeps what it is sent."""

    def __init__(self) -> None:
        self.name = "phone"
        self.letters: list[Letter] = []
        self.dead = False

    async def send(self, letter: Letter) -> None:
        if self.dead:
            raise ChannelError("phone did not take it")
        self.letters.append(letter)

    def titles(self) -> list[str]:
        return [letter.title for letter in self.letters]


class Servers(list[ServerStatus]):
    def __call__(self) -> list[TierState]:
        return tier_states(self, {})


async def nothing_needed(rows: Sequence[ActionRow]) -> Mapping[int, str]:
    return {}


def made(
    pool: Database, phone: Phone, *, servers: Servers | None = None, **fields: Any
) -> Notifier:
    return Notifier(
        channel=phone,
        settings=settings(**fields),
        common=NotifySettings(check_seconds=0.1, wait_minutes=5, tier_minutes=0),
        database=pool,
        tiers=Servers() if servers is None else servers,
        needs=nothing_needed,
        host="box",
        now=lambda: NOON,
    )


async def opened(
    pool: Database, key: str, severity: Severity = Severity.CRITICAL, title: str = "out of memory"
) -> Incident:
    wanted = NewIncident(
        severity=severity,
        category=Category.MEMORY,
        title=title,
        unit="kernel",
        correlation=key,
        at=dt.datetime.now(dt.UTC),
        condition={"silence": 900},
    )
    async with work.begin(pool) as unit:
        return (await incidents.open_or_join(unit, wanted, reopen_seconds=3600)).incident


async def close(pool: Database, incident: Incident) -> None:
    move = Transition(
        incident_id=incident.id,
        from_state=incident.state,
        fence=incident.fence,
        to_state="closed",
        happening="test",
        actor="daemon",
        reason="the unit is steady",
    )
    async with work.begin(pool) as unit:
        assert await apply(unit, [move])


async def test_an_incident_is_told_once_and_its_end_too(pool: Database) -> None:
    phone = Phone()
    notifier = made(pool, phone)
    incident = await opened(pool, "a")
    assert await notifier.tell() == 1
    assert phone.titles() == ["[box] critical: out of memory"]
    assert f"triaged incidents show {incident.id}" in phone.letters[0].body
    # Neither again, nor by another that starts over the same store.
    assert await notifier.tell() == 0
    assert await made(pool, phone).tell() == 0
    await close(pool, incident)
    assert await notifier.tell() == 1
    assert phone.titles()[-1] == "[box] over: out of memory"
    assert await notifier.tell() == 0
    # What returns is told again.
    await opened(pool, "a")
    assert await notifier.tell() == 1


async def test_what_is_not_bad_enough_or_not_looked_at_yet_waits(pool: Database) -> None:
    phone = Phone()
    notifier = made(pool, phone)
    await opened(pool, "n", Severity.NOTICE)
    warning = await opened(pool, "w", Severity.WARNING)
    assert await notifier.tell() == 0
    async with pool.transaction() as connection:
        await connection.execute(
            "update incidents set opened_at = now() - interval '6 minutes' where id = %s",
            (warning.id,),
        )
    assert await notifier.tell() == 1
    assert "No model has looked" in phone.letters[0].body


async def test_a_dead_channel_forgets_nothing(pool: Database) -> None:
    phone = Phone()
    phone.dead = True
    notifier = made(pool, phone)
    await opened(pool, "a")
    with pytest.raises(ChannelError):
        await notifier.tell()
    phone.dead = False
    assert await notifier.tell() == 1


async def test_the_loop_goes_on_past_a_dead_channel(pool: Database) -> None:
    phone = Phone()
    phone.dead = True
    notifier = made(pool, phone)
    await opened(pool, "a")
    task = asyncio.create_task(notifier.run())
    try:
        async with asyncio.timeout(20):
            while not notifier.status().problem:  # noqa: ASYNC110 (a status tells nobody)
                await asyncio.sleep(0.02)
        assert notifier.status().failed == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_storm_is_one_message(pool: Database) -> None:
    phone = Phone()
    for number in range(30):
        await opened(pool, f"k{number}", title=f"failure {number}")
    assert await made(pool, phone).tell() == 1
    assert "30 messages, the worst critical" in phone.titles()[0]
    assert await made(pool, phone).tell() == 0


def server(state: ServerState, detail: str = "") -> ServerStatus:
    return ServerStatus(
        tier=TierName.META,
        state=state,
        model="m",
        url="",
        port=1,
        pid=None,
        restarts=0,
        rss_bytes=None,
        detail=detail,
        since=dt.datetime(2026, 5, 4, tzinfo=dt.UTC),
    )


async def test_a_tier_that_is_out_is_told_and_so_is_its_return(pool: Database) -> None:
    phone, servers = Phone(), Servers()
    notifier = made(pool, phone, servers=servers)
    servers[:] = [server(ServerState.FAILED, "It ended 6 times.")]
    assert await notifier.tell() == 1
    assert phone.titles() == ["[box] tier meta is out"]
    assert "It ended 6 times." in phone.letters[0].body
    assert await notifier.tell() == 0
    # A daemon that starts meanwhile neither tells it again nor misses the return.
    again = made(pool, phone, servers=servers)
    assert await again.tell() == 0
    servers[:] = [server(ServerState.READY)]
    assert await again.tell() == 1
    assert phone.titles()[-1] == "[box] tier meta is back"
    assert await again.tell() == 0


def endpoint(state: BreakerState, *, own: bool = False) -> EndpointStatus:
    return EndpointStatus(
        url="http://elsewhere",
        backend="openai",
        model="m",
        state=state,
        since=dt.datetime(2026, 5, 5, tzinfo=dt.UTC),
        why="nothing answers there",
        in_use=True,
        own=own,
        asked=True,
        failovers=0,
        openings=1,
    )


@pytest.mark.parametrize(
    ("state", "endpoints", "out"),
    [
        (ServerState.FAILED, [endpoint(BreakerState.OPEN, own=True)], True),
        (ServerState.READY, [endpoint(BreakerState.OPEN, own=True)], False),
        (ServerState.STOPPED, [endpoint(BreakerState.OPEN, own=True)], False),
        (ServerState.READY, [endpoint(BreakerState.OPEN)], True),
        (ServerState.READY, [endpoint(BreakerState.OPEN), endpoint(BreakerState.CLOSED)], False),
        (ServerState.READY, [endpoint(BreakerState.OPEN), endpoint(BreakerState.OPEN)], True),
        (
            ServerState.FAILED,
            [endpoint(BreakerState.OPEN, own=True), endpoint(BreakerState.CLOSED)],
            False,
        ),
        (
            ServerState.FAILED,
            [endpoint(BreakerState.OPEN, own=True), endpoint(BreakerState.OPEN)],
            True,
        ),
    ],
)
def test_a_tier_is_out_when_nobody_answers_for_it(
    state: ServerState, endpoints: list[EndpointStatus], out: bool
) -> None:
    (found,) = tier_states([server(state, "It ended.")], {TierName.META: endpoints})
    assert found.out is out
    assert bool(found.detail) is out


async def test_what_is_long_over_is_forgotten(pool: Database) -> None:
    live, over = await opened(pool, "live"), await opened(pool, "over")
    await made(pool, Phone()).tell()
    await close(pool, over)
    async with pool.transaction() as connection:
        await connection.execute("update notices set told_at = now() - interval '31 days'")
        assert await notices.prune(connection) == 1
        left = await notices.known(
            connection,
            channel="phone",
            keys=[notices.incident_key(each, "opened") for each in (live, over)],
        )
    assert left == {f"incident/{live.id}/0/opened"}


# --- apprise over a real socket ------------------------------------------------------------------


class Receiver:
    """An HTTP server that takes apprise's JSON, or refuses it."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    kept = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            kept.bodies.append(json.loads(self.rfile.read(length)))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    yield kept, f"json://127.0.0.1:{listening.server_port}/secret-token"
    listening.shutdown()
    listening.server_close()
    thread.join()


async def test_a_letter_arrives(receiver: tuple[Receiver, str]) -> None:
    kept, url = receiver
    channel = Channel(name="phone", settings=ChannelSettings(urls=(SecretStr(url),)))
    await channel.send(alone(dataclasses.replace(notice(), severity=Severity.CRITICAL)))
    assert (kept.bodies[0]["title"], kept.bodies[0]["type"]) == ("title 1", "failure")


async def test_a_refusal_names_the_channel_and_no_secret(
    receiver: tuple[Receiver, str], caplog: pytest.LogCaptureFixture
) -> None:
    kept, url = receiver
    kept.status = 500
    channel = Channel(name="phone", settings=ChannelSettings(urls=(SecretStr(url),)))
    with pytest.raises(ChannelError) as caught:
        await channel.send(alone(notice()))
    assert "phone did not take it" in str(caught.value)
    assert "secret-token" not in str(caught.value) + caplog.text
    assert "secret-token" not in repr(ChannelSettings(urls=(SecretStr(url),)))


def test_urls_come_from_a_file_that_may_hold_comments(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# phone\n\njson://localhost\n", encoding="utf-8")
    assert Channel(name="a", settings=ChannelSettings(urls_file=file)).name == "a"
    file.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ChannelError, match="holds no URL"):
        Channel(name="a", settings=ChannelSettings(urls_file=file))
    file.write_text("nosuch://token@host\n", encoding="utf-8")
    with pytest.raises(ChannelError, match=r"URL 1 \(nosuch://\.\.\.\)") as caught:
        Channel(name="a", settings=ChannelSettings(urls_file=file))
    assert "token" not in str(caught.value)
    with pytest.raises(ChannelError, match="cannot be read"):
        Channel(name="a", settings=ChannelSettings(urls_file=tmp_path / "none"))

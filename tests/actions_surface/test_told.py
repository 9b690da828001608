"""What people, Prometheus and the status are told of actions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from actions_kit import Lamp, Rig, rig
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.ports import Health
from daemon.actions.errors import HostUnavailableError, PrivilegeError
from daemon.actions.host.host import HelperAnswer
from daemon.notify.message import Letter, Topic
from daemon.notify.notifier import Needs, Notifier
from daemon.notify.settings import ChannelSettings, NotifySettings
from daemon.store.actions import ActionRow
from daemon.store.pool import Database
from daemon.views.acting import ActingReport
from daemon.views.actions import ActionsView
from daemon.views.privileges import Privileges
from daemon.views.prometheus import render
from daemon.views.reported import Heard, ReportedStatus
from daemon.views.status import Parts, StatusView
from tiers.vocabulary import Severity

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class Mailbox:
    """A channel that keeps what it is sent."""

    name = "phone"

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)


async def nothing_needed(rows: Sequence[ActionRow]) -> Mapping[int, str]:
    return {}


def notifier(
    pool: Database, box: Mailbox, *, hour: int = 12, needs: Needs = nothing_needed, **channel: Any
) -> Notifier:
    settings = ChannelSettings(urls=(SecretStr("json://localhost"),), **channel)
    return Notifier(
        channel=box,
        settings=settings,
        common=NotifySettings(channels={"phone": settings}),
        database=pool,
        tiers=tuple,
        needs=needs,
        host="web1",
        now=lambda: NOON.replace(hour=hour),
    )


@pytest.fixture
def lamps(pool: Database) -> Rig:
    return rig(pool, autonomy="suggest")


def topics(box: Mailbox) -> list[Topic]:
    return [notice.topic for letter in box.letters for notice in letter.covers]


async def approve(lamps: Rig, code: str | None) -> None:
    await lamps.desk.answer(code=code or "", approve=True, by="olga", where="api")
    await lamps.executor.work_once()


async def test_a_proposal_and_its_end_are_told_once(pool: Database, lamps: Rig) -> None:
    box = Mailbox()
    telling = notifier(pool, box)
    row = await lamps.ask(reason="@everyone http://evil.example <b>\x1b[2J")
    assert await telling.tell() == 1
    assert await telling.tell() == 0
    (letter,) = box.letters
    assert letter.severity is Severity.WARNING
    assert letter.title == f"[web1] {row.code}: light hall?"
    for words in (row.content_hash, f"triaged proposals approve {row.code}", "Risk low"):
        assert words in letter.body
    for hostile in ("@everyone", "http://", "\x1b"):
        assert hostile not in letter.body
    await approve(lamps, row.code)
    assert await telling.tell() == 1
    assert box.letters[1].title == "[web1] done: light hall"
    assert "approved by olga" in box.letters[1].body
    assert box.letters[1].severity is Severity.INFO
    assert await notifier(pool, box).tell() == 0, "a restart tells nothing again"


async def test_what_root_does_not_allow_is_told_with_the_proposal(
    pool: Database, lamps: Rig
) -> None:
    lamps.lamp.verbs = ("block",)
    lamps.root.refuses = {"block": "The root helper does not allow 'block': root adds it."}
    box = Mailbox()
    await lamps.ask()
    await notifier(pool, box, needs=lamps.desk.needs).tell()
    assert "Needs: root allows the verb block; now: not allowed" in box.letters[0].body


async def test_what_failed_and_what_nobody_knows_is_a_warning(pool: Database) -> None:
    for lamp, word in ((Lamp(broken=True), "FAILED"), (Lamp(blind=True), "NOBODY KNOWS")):
        lamps, box = rig(pool, lamp=lamp, autonomy="suggest"), Mailbox()
        row = await lamps.ask(target="hall", kind="restart_unit")
        await approve(lamps, row.code)
        await notifier(pool, box).tell()
        assert word in box.letters[-1].title
        assert box.letters[-1].severity is Severity.WARNING
        async with pool.connection() as connection:
            await connection.execute("delete from actions")


async def test_what_was_answered_meanwhile_is_told_no_more(pool: Database, lamps: Rig) -> None:
    box = Mailbox()
    row = await lamps.ask()
    await lamps.desk.answer(code=row.code or "", approve=False, by="olga", where="api")
    assert await notifier(pool, box).tell() == 0


async def test_quiet_hours_limits_and_the_setting(pool: Database, lamps: Rig) -> None:
    box = Mailbox()
    await lamps.ask()
    assert await notifier(pool, box, hour=23, quiet="22:00-07:00").tell() == 0
    assert await notifier(pool, box, actions=False).tell() == 0
    lamps.lamp.present = {f"lamp{n}" for n in range(8)}
    for number in range(8):
        await lamps.ask(target=f"lamp{number}")
    assert await notifier(pool, box).tell() == 1
    assert len(box.letters[0].covers) == 9
    assert topics(box) == [Topic.PROPOSED] * 9


async def test_a_reversal_that_waits_is_critical(pool: Database, lamps: Rig) -> None:
    box = Mailbox()
    lamps.lamp.way_in = True
    row = await lamps.ask(kind="restart_unit")
    await approve(lamps, row.code)
    await notifier(pool, box, hour=23, quiet="22:00-07:00").tell()
    (letter,) = box.letters
    assert topics(box) == [Topic.CONFIRM]
    assert letter.severity is Severity.CRITICAL
    assert f"triaged proposals confirm {row.code}" in letter.body
    await lamps.desk.confirm(code=row.code or "", by="olga", where="api")
    await notifier(pool, box).tell()
    assert topics(box) == [Topic.CONFIRM, Topic.ENDED]


async def test_the_switch_is_told(pool: Database, lamps: Rig) -> None:
    box = Mailbox()
    telling = notifier(pool, box)
    await lamps.desk.stop(by="operator:local", reason="the racks move")
    await telling.tell()
    await lamps.desk.resume(by="operator:local", reason="")
    await telling.tell()
    assert topics(box) == [Topic.SWITCHED] * 2
    assert "stopped by operator:local" in box.letters[0].title
    assert "the racks move" in box.letters[0].body
    assert "resumed" in box.letters[1].title


# --- status and metrics ---------------------------------------------------------------------------


def status_view(pool: Database, **report: Any) -> StatusView:
    acting = ActingReport(**{"level": "suggest", **report})
    return StatusView(
        database=pool,
        parts=Parts(
            servers=tuple,
            sources=tuple,
            memory=None,
            waiting_batches=lambda: 0,
            model_calls=dict,
            overflowed=lambda: 0,
            acting=lambda: acting,
        ),
        version="1",
        host="web1",
        started_at=NOON,
    )


def series(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_the_status_has_a_part_for_actions(pool: Database, lamps: Rig) -> None:
    view = status_view(pool, privileges={"units": "open: root", "helper": "closed: no socket"})
    await lamps.ask()
    status = await view.status()
    assert status.actions is not None
    part = next(part for part in status.parts if part.name == "actions")
    assert (part.health, part.required) == (Health.OK, False)
    assert part.detail == "level suggest; 1 proposal waits; units open; helper closed"
    assert part.facts["waiting"] == 1
    actions = ActionsView(database=pool, desk=lamps.desk)
    await actions.stop(by="operator:local", reason="the racks\nmove")
    status = await view.status()
    part = next(part for part in status.parts if part.name == "actions")
    assert part.health is Health.DEGRADED
    assert part.detail.startswith("STOPPED by operator:local: the racks")
    assert status.actions is not None
    assert status.actions.stopped is not None
    observing = await status_view(pool, level="observe").status()
    await actions.resume(by="operator:local", reason="")
    assert observing.actions is not None


async def test_a_facade_apart_tells_the_daemons_level_and_doors(pool: Database) -> None:
    daemon = status_view(pool, level="auto-safe", privileges={"units": "open: root"})
    apart = ReportedStatus(
        own=status_view(pool),
        host="web1",
        reports=lambda: [Heard(at=0.0, report=daemon.report())],
        clock=lambda: 1.0,
    )
    status = await apart.status()
    assert status.actions is not None
    assert (status.actions.level, dict(status.actions.privileges)) == (
        "auto-safe",
        {"units": "open: root"},
    )
    assert [part.name for part in status.parts].count("actions") == 1


async def test_metrics_count_outcomes_and_time(pool: Database, lamps: Rig) -> None:
    lamps.lamp.present |= {"attic"}
    for target in ("hall", "attic"):
        row = await lamps.ask(target=target)
        await approve(lamps, row.code)
    await lamps.ask(kind="darken", target="nowhere")
    await lamps.ask(kind="darken")
    async with pool.transaction() as connection:
        await connection.execute(
            "update actions set ended_at = started_at + interval '20 s' where target = 'attic'"
        )
    found = series(render(await status_view(pool).status()))

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("triaged_actions_total", action="light", outcome="done") == 2
    assert value("triaged_actions_total", action="darken", outcome="refused") == 1
    assert value("triaged_proposals_waiting") == 1
    assert value("triaged_actions_running") == 0
    assert value("triaged_actions_stopped") == 0
    assert value("triaged_action_seconds_count", action="light") == 2
    assert value("triaged_action_seconds_sum", action="light") >= 20
    assert value("triaged_action_seconds_bucket", action="light", le="15.0") == 1
    assert value("triaged_action_seconds_bucket", action="light", le="30.0") == 2
    assert value("triaged_action_seconds_bucket", action="light", le="+Inf") == 2
    assert not any(labels and ("action", "darken") in labels and "seconds" in name
                   for name, labels in found)  # fmt: skip


# --- the doors to the host ------------------------------------------------------------------------


class Door:
    """Units and helper of a host, each of which may be shut."""

    def __init__(self, *, verbs: object = (), error: Exception | None = None) -> None:
        self.verbs = verbs
        self.error = error

    @property
    def units(self) -> Door:
        return self

    @property
    def helper(self) -> Door:
        return self

    async def names(self) -> Sequence[str]:
        if isinstance(self.error, HostUnavailableError):
            raise self.error
        return ()

    async def call(self, verb: str, arguments: Any, *, timeout: float) -> HelperAnswer:
        if self.error is not None:
            raise self.error
        return HelperAnswer(ok=True, detail="", data={"verbs": self.verbs, "file": "/etc/x"})


@pytest.mark.parametrize(
    ("door", "units", "helper"),
    [
        (Door(verbs=["remount", "block"]), "open", "open for block, remount"),
        (Door(verbs=[]), "open", "closed: it allows no verb (/etc/x)"),
        (Door(verbs=None), "open", "closed: it does not say what it allows"),
        (Door(error=PrivilegeError("no socket")), "open", "closed: no socket"),
        (Door(error=HostUnavailableError("no bus")), "closed: no bus", "closed: no bus"),
    ],
)
async def test_doors_are_told_in_sentences(door: Any, units: str, helper: str) -> None:
    privileges = Privileges(host=door)
    assert privileges.told() == {}
    await privileges.look()
    assert privileges.told()["units"].startswith(units)
    assert privileges.told()["helper"] == helper


async def test_a_channel_that_is_new_tells_no_old_results(pool: Database, lamps: Rig) -> None:
    row = await lamps.ask()
    await approve(lamps, row.code)
    async with pool.transaction() as connection:
        await connection.execute("update actions set ended_at = now() - interval '25 hours'")
    assert await notifier(pool, Mailbox()).tell() == 0


async def test_the_live_stream_tells_each_step(pool: Database, lamps: Rig) -> None:
    live = lamps.desk._live
    told: list[str] = []

    async def follow() -> None:
        async for item in live.follow():
            assert item.kind == "action"
            told.append(item.text)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    row = await lamps.ask()
    await lamps.desk.answer(code=row.code or "", approve=True, by="alice via webui", where="chat")
    await lamps.desk.stop(by="operator:olga", reason="tea")
    await asyncio.sleep(0.05)
    following.cancel()
    assert told[0].startswith(f"proposal {row.code}: light hall")
    assert told[1:] == [
        "approved by alice via webui: light hall",
        "acting was stopped by operator:olga: tea",
    ]

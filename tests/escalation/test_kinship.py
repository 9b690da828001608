"""Causes and what follows from them."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from escalation_kit import ScriptedTrigger, bench, event, incidents

from daemon.escalation.kinship import Kin, cause_of
from daemon.store import incidents as store
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Category, Provenance, SourceKind

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OOM = "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB, anon-rss:1kB"


def kin(number: int, text: str, **changes: object) -> Kin:
    values: dict[str, object] = {
        "incident_id": number,
        "category": Category.SERVICE,
        "unit": "systemd",
        "correlation": "unit:postgresql",
        "text": text,
        "opened_at": NOW,
    }
    return Kin(**{**values, **changes})  # type: ignore[arg-type]


def memory(text: str = OOM) -> Kin:
    return kin(1, text, category=Category.MEMORY, unit="kernel", correlation="kernel:memory")


@pytest.mark.parametrize(
    ("unit", "correlation", "follows"),
    [
        ("systemd", "unit:postgresql", True),
        ("postgres", "postgres:database", True),
        ("kernel", "kernel:storage", False),  # "kernel:" stands in every such line
        ("process-exporter", "process-exporter:service", False),
        ("total", "total:service", False),
        ("nginx", "unit:nginx", False),
        ("pg", "unit:pg", False),
    ],
)
def test_only_whom_the_kernel_named_was_killed(unit: str, correlation: str, follows: bool) -> None:
    child = kin(2, "it failed", unit=unit, correlation=correlation)
    assert cause_of(child, [memory("kernel: oom kill: " + OOM)]) == (1 if follows else None)


def test_time_and_circles() -> None:
    child = kin(2, "it failed")
    late = kin(2, "it failed", opened_at=NOW + dt.timedelta(minutes=11))
    assert cause_of(child, [memory()]) == 1
    assert cause_of(late, [memory()]) is None
    assert cause_of(child, [child]) is None
    own_child = kin(1, OOM, category=Category.MEMORY, parent_id=2)
    assert cause_of(child, [own_child]) is None


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_kill_and_the_unit_that_fails_by_it(pool: Database, reverse: bool) -> None:
    one = bench(pool, ScriptedTrigger())
    kill = event(OOM, unit="kernel", provenance=Provenance.KERNEL)
    failed = event(
        "postgresql.service: Failed with result 'oom-kill'.",
        unit="systemd",
        kind=SourceKind.SYSTEMD,
        provenance=Provenance.SYSTEMD,
        attributes={"unit": "postgresql.service"},
    )
    for each in (failed, kill) if reverse else (kill, failed):
        await one.take([each])
        await one.settle()
    found = await incidents(pool)
    cause = next(i for i in found if i.category is Category.MEMORY)
    assert [i.parent_id for i in found if i.id != cause.id] == [cause.id]
    assert cause.parent_id is None


async def test_a_full_disk_and_the_programs_that_complain(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("EXT4-fs error (device sda1): bad block", unit="kernel")])
    await one.settle()
    await one.take([event("bad: cannot write: No space left on device", unit="mailer")])
    await one.settle()
    found = await incidents(pool)
    storage = [i for i in found if i.category is Category.STORAGE]
    assert storage
    followers = [i for i in found if i.category is not Category.STORAGE]
    assert all(i.parent_id == storage[0].id for i in followers)


async def test_two_daemons_make_no_circle(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    await one.take([event("bad thing", unit="unita"), event("bad thing", unit="unitb")])
    await one.settle()
    first, second = (incident.id for incident in await incidents(pool))
    await asyncio.gather(
        *(
            run(pool, lambda work, c=c, p=p: store.set_parent(work, child=c, parent=p))
            for c, p in [(first, second), (second, first)] * 5
        )
    )
    assert sum(i.parent_id is not None for i in await incidents(pool)) == 1


async def test_a_brute_force_is_one_incident(pool: Database) -> None:
    one = bench(pool, ScriptedTrigger())
    texts = (
        "Failed password for root from 203.0.113.7 port {} ssh2",
        "Failed password for invalid user admin from 203.0.113.7 port {} ssh2",
        "pam_unix(sshd:auth): authentication failure; rhost=203.0.113.{}",
    )
    lines = [
        event(text.format(number), unit="sshd", at=1_700_000_000.0 + number)
        for number in range(1, 101)
        for text in texts
    ]
    await one.take(lines)
    await one.settle()
    (incident,) = await incidents(pool)
    assert incident.event_count == 300
    assert incident.correlation == "sshd:auth"

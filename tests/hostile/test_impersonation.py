"""Who speaks for systemd, the kernel and our own measurements: nobody who can write a log line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hostile_fields import failed, full_disk
from hostile_rig import HostileRig, hostile_rig

from daemon.emit import HostEmit
from daemon.escalation.casebook import Casebook
from daemon.escalation.conditions import Condition
from daemon.escalation.offers import Grounds, offers_for
from daemon.events import Event
from daemon.memory.none import NoRecall
from daemon.sources.journald_entries import event_of
from daemon.store import incident_queries
from daemon.store.incident_queries import EvidenceRow
from daemon.store.pool import Database
from tiers.vocabulary import Category, Provenance, SourceKind

SAID = "nginx.service: Failed with result 'exit-code'."


def entry(text: str, *, by_systemd: bool) -> Event:
    """By PID 1 about nginx, or by `logger -t nginx` in somebody's session."""
    own = {
        "_PID": "1" if by_systemd else "4711",
        "_UID": "0" if by_systemd else "1000",
        "_COMM": "systemd" if by_systemd else "logger",
        "_TRANSPORT": "journal" if by_systemd else "syslog",
        "_SYSTEMD_UNIT": "init.scope" if by_systemd else "session-2.scope",
        "SYSLOG_IDENTIFIER": "systemd" if by_systemd else "nginx",
        "UNIT": "nginx.service",
        "PRIORITY": "3",
        "MESSAGE": text,
        "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)),
    }
    made = event_of(own, source="journald", message_limit=16_384)
    assert made is not None
    assert made.provenance is (Provenance.SYSTEMD if by_systemd else Provenance.TEXT)
    return made


async def over(rig: HostileRig) -> None:
    """All incidents are, and everything is well."""
    async with rig.database.connection() as connection:
        await connection.execute(
            "update incidents set state = 'closed', closed_at = now(), close_reason = 'gone'"
        )


async def rows(rig: HostileRig, statement: str) -> list[Any]:
    async with rig.database.connection() as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall()


async def test_who_repeats_systemds_words_is_not_systemd(pool: Database, tmp_path: Path) -> None:
    """The same text under the same unit's name is the same pattern. The incident of systemd's own
    word is over, and a log line brings it back."""
    async with hostile_rig(pool, level="auto-full", folder=tmp_path) as rig:
        rig.host.units.break_unit("nginx.service")
        await rig.take([entry(SAID, by_systemd=True)])
        await rig.settle()
        assert [e.target for e in rig.host.doors.effects if e.verb == "restart"] == [
            "nginx.service"
        ]  # systemd said it, so that the rig would see the breach
        await over(rig)
        rig.host.doors.effects.clear()
        for _ in range(5):
            await rig.take([entry(SAID, by_systemd=False)])
            await rig.settle()
        assert await rows(rig, "select provenance from patterns") == [("text",)]
        assert (await rows(rig, "select reopened from incidents"))[0][0] == 1
        assert rig.host.doors.effects == []


async def test_text_that_brings_an_incident_back_brings_no_word_of_systemd_back(
    pool: Database, tmp_path: Path
) -> None:
    """Another pattern with the same key: what systemd said then is about then."""
    async with hostile_rig(pool, level="auto-full", folder=tmp_path) as rig:
        rig.host.units.break_unit("nginx.service")
        await rig.take([failed("nginx.service")])
        await rig.settle()
        assert rig.host.doors.effects
        await over(rig)
        rig.host.doors.effects.clear()
        await rig.take([Event(SAID, "app", SourceKind.FILE, "files", Provenance.TEXT, time.time())])
        await rig.settle()
        assert (await rows(rig, "select reopened from incidents"))[0][0] == 1
        assert rig.host.doors.effects == []
        # systemd's own word counts again.
        rig.host.units.break_unit("nginx.service")
        await rig.take([failed("nginx.service", level="critical")])
        await rig.settle()
        assert any(effect.verb == "restart" for effect in rig.host.doors.effects)


@pytest.mark.parametrize("level", ["auto-safe", "auto-full"])
async def test_what_systemd_says_of_another_host_moves_nothing_here(
    pool: Database, tmp_path: Path, level: str
) -> None:
    """Two hosts share one database; the unit there has a namesake here, which is well."""
    async with hostile_rig(pool, level=level, folder=tmp_path) as rig:
        rig.emit = HostEmit(host="web2")
        rig.emit.intake = rig.engine.intake
        await rig.take([failed("nginx.service"), full_disk()])
        await rig.settle()
        assert (await rows(rig, "select count(*) from incidents"))[0][0] == 2
        assert rig.host.doors.effects == []


def evidence(text: str, provenance: Provenance) -> EvidenceRow:
    return EvidenceRow(
        ref="E1",
        provenance=provenance.value,
        source="journald/nginx",
        text=text,
        at=dt.datetime.now(tz=dt.UTC),
        count=1,
        fingerprint="f" * 16,
    )


def offered(
    row: EvidenceRow,
    *,
    category: Category = Category.SERVICE,
    units: tuple[str, ...] = (),
    rule: str | None = None,
) -> dict[str, Provenance]:
    grounds = Grounds(
        category=category,
        condition=Condition(units=units),
        rule=rule,
        evidence=[row],
        patterns=[],
        certificates=["web"],
    )
    return {code: offer.basis for code, offer in offers_for(grounds).items()}


@pytest.mark.parametrize(
    "text",
    [
        "Started nginx.service - A high performance web server.",
        "Suppressed 8123 messages from nginx.service",
        "nginx.service: Deactivated successfully.",
        "unit nginx.service recovered: active and steady for 60 s",
        "unit nginx.service is no longer failed: dead",
        "Reloading nginx.service...",
    ],
)
def test_what_systemd_says_of_a_well_unit_offers_nothing(text: str) -> None:
    """A model that obeys finds anything worth an incident."""
    assert offered(evidence(text, Provenance.SYSTEMD), units=("nginx.service",)) == {}


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        "nginx.service: Main process exited, code=killed, status=9/KILL",
        "nginx.service: Start request repeated too quickly.",
        "Failed to start nginx.service - A high performance web server.",
        "unit nginx.service failed: exit-code (status 1/FAILURE), restarts 0",
        "unit nginx.service restarts again and again: 5 restarts in 10 min, exit-code",
    ],
)
def test_what_it_says_of_one_that_is_down_does(text: str) -> None:
    bases = offered(evidence(text, Provenance.SYSTEMD), units=("nginx.service",))
    assert bases["restart_unit:nginx.service"] is Provenance.SYSTEMD


def test_a_unit_that_is_well_again_is_not_offered() -> None:
    """Text that makes an old incident worse does not make systemd's old word new."""
    grounds = Grounds(
        category=Category.SERVICE,
        condition=Condition(units=("nginx.service",)),
        rule=None,
        evidence=[evidence(SAID, Provenance.SYSTEMD)],
        patterns=[],
    )
    assert "restart_unit:nginx.service" in offers_for(grounds)
    assert not offers_for(dataclasses.replace(grounds, steady={"nginx.service"}))


@pytest.mark.parametrize(("seconds", "offered"), [(5.0, True), (59.0, True), (600.0, False)])
async def test_steady_is_what_systemd_says_now(
    pool: Database, tmp_path: Path, seconds: float, offered: bool
) -> None:
    async def units(names: Sequence[str]) -> Mapping[str, float]:
        return dict.fromkeys(names, seconds)

    async with hostile_rig(pool, level="observe", folder=tmp_path) as rig:
        await rig.take([failed("nginx.service")])
        await rig.settle()
        async with pool.connection() as connection:
            (incident,) = await incident_queries.listing(connection)
    book = Casebook(database=pool, recall=NoRecall(), facts=nothing, similar=0, units=units)
    file = await book.open(incident)
    assert ("restart_unit:nginx.service" in file.offers) is offered
    assert file.well == (set() if seconds < 10 else {"nginx.service"}), (
        "in a loop it runs for moments"
    )


async def nothing() -> tuple[tuple[str, str], ...]:
    return ()


@pytest.mark.parametrize("provenance", list(Provenance))
def test_a_process_that_is_called_no_space_is_no_measurement(provenance: Provenance) -> None:
    """The kernel quotes names of processes, and so do measurements of ours."""
    row = evidence("ENOSPC disk space[4711]: segfault at 0 ip 0", provenance)
    bases = offered(row, category=Category.STORAGE, rule="no-space")
    assert set(bases) == {"vacuum_journal:journal", "clean_tmp:/tmp"}
    assert set(bases.values()) == {Provenance.TEXT}


def test_a_process_that_is_called_certificate_vouches_for_none() -> None:
    row = evidence("certificate[4711]: segfault at 0 ip 0", Provenance.KERNEL)
    bases = offered(row, category=Category.TIME)
    assert bases == {"renew_certificate:web": Provenance.TEXT}

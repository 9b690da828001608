"""The replay over a real database, of what the daemon itself wrote there."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from psycopg.conninfo import make_conninfo
from replay_kit import facts, policy

from daemon.actions.catalogue import Catalogue
from daemon.actions.kind import Target
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import ActionFacts, Origin
from daemon.actions.requests import NewRequest, new_action
from daemon.actions.states import ActionState
from daemon.actions.steps import action_of, decision_step, refusal_step
from daemon.actions.weigh import Weighed
from daemon.cli import replay as command
from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit
from daemon.store import actions
from daemon.store.actions import ActionRow, Move
from daemon.store.cluster import DAEMON
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from daemon.store.work import Work, begin
from tiers.vocabulary import Provenance

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def request(work: Work, catalogue: Catalogue, **changes: Any) -> ActionRow:
    values: dict[str, Any] = {
        "kind": "restart_unit",
        "target": "nginx.service",
        "origin": Origin.TIER,
        "requested_by": "tier/review",
        "reason": "it failed",
        "basis": Provenance.SYSTEMD,
    }
    new = new_action(NewRequest(**values | changes), catalogue=catalogue, host="web1")
    row, _ = await actions.insert(work, new)
    return row


def weighed(row: ActionRow, catalogue: Catalogue, found: ActionFacts) -> Weighed:
    kind = catalogue.kind(row.kind)
    return Weighed(
        action=action_of(row, catalogue),
        kind=kind,
        target=Target(name=row.target, type=kind.spec.target),
        risk=found.risk,
        facts=found,
        decision=decide(found, policy("suggest")),
    )


async def recorded_history(pool: Database) -> None:
    """One that was approved and worked, one that policy was not asked about, one on text."""
    catalogue = every_kind()
    now = datetime.now(tz=UTC).astimezone()
    async with begin(pool) as work:
        row = await request(work, catalogue)
        found = weighed(row, catalogue, facts(at=now))
        step = decision_step(row, ActionState.PROPOSED, found, expires=60, code="K7F3")
        moved = await actions.move(work, step)
        for to, entry, detail in (
            ("approved", "action_approval", {"approved": True}),
            ("intent", "action_intent", {}),
            ("started", "action_started", {}),
            ("done", "action_result", {"outcome": "done", "detail": "it is active"}),
        ):
            assert moved is not None
            moved = await actions.move(
                work, Move(row=moved, to=to, entry=entry, actor="test", detail=detail)
            )
        gone = await request(work, catalogue, target="gone.service")
        await actions.move(work, refusal_step(gone, rule="not-possible", why="no such unit"))
        text = await request(work, catalogue, target="web.service", basis=Provenance.TEXT)
        found = weighed(text, catalogue, facts(at=now, target="web.service", basis=Provenance.TEXT))
        await actions.move(
            work, decision_step(text, ActionState.PROPOSED, found, expires=60, code="K7F4")
        )


async def earlier_answers(pool: Database) -> None:
    """A tier named actions the day before the first request."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(
            "insert into patterns (fingerprint, source_kind, unit, pattern, sample, provenance,"
            " first_seen, last_seen, rate_at) values"
            " ('00000000000000aa', 'systemd', 'nginx.service', 'p', 's', 'systemd', now(), now(),"
            " now())"
        )
        await connection.execute(
            "insert into incidents (state, severity, category, title, unit, correlation) values"
            " ('closed', 'warning', 'service', 't', 'nginx.service', 'k')"
        )
        await connection.execute(
            "insert into incident_patterns (incident_id, fingerprint, first_at, last_at)"
            " select id, '00000000000000aa', now(), now() from incidents"
        )
        await connection.execute(
            "insert into assessments (incident_id, tier, cause, severity, disposition, confidence,"
            " summary, evidence, actions, repaired, model, endpoint, prompt_tokens,"
            " completion_tokens, seconds, at)"
            " select id, 'review', 'c', 'warning', 'act', 1, 's', '{}', %s::jsonb, false, 'm', 'e',"
            " 0, 0, 0, now() - interval '1 day' from incidents",
            (
                json.dumps(
                    [
                        {"code": "restart_unit:nginx.service", "reason": "r", "evidence": []},
                        {"code": "restart_unit:web.service", "reason": "r", "evidence": []},
                        {"code": "format_disk:sda", "reason": "r", "evidence": []},
                    ]
                ),
            ),
        )


async def read(pool: Database, since: datetime = LONG_AGO) -> list[tuple[Any, ...]]:
    found = await command.recorded(pool, since=since, settings=policy(), host="here")
    return sorted(
        (each.target, each.outcome, each.host, each.facts and each.facts.basis.value)
        for each in found
    )


async def test_what_the_daemon_wrote_is_read(pool: Database) -> None:
    await recorded_history(pool)
    assert await read(pool) == [
        ("gone.service", "refused", "web1", None),
        ("nginx.service", "done", "web1", "systemd"),
        ("web.service", "waiting", "web1", "text"),
    ]
    assert await read(pool, since=datetime.now(tz=UTC) + timedelta(hours=1)) == []


async def test_answers_from_before_there_were_actions(pool: Database) -> None:
    await earlier_answers(pool)
    named = [
        ("nginx.service", "suggested", "here", "systemd"),
        ("web.service", "suggested", "here", "text"),
    ]
    assert await read(pool) == named
    await recorded_history(pool)
    assert [row for row in await read(pool) if row[1] == "suggested"] == named


async def test_a_page_is_not_the_end(pool: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.store.replay._PAGE", 2)
    await earlier_answers(pool)
    await recorded_history(pool)
    assert len(await read(pool)) == 5


@pytest.fixture
def here(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    config = tmp_path / "triaged.toml"
    dsn = make_conninfo(database, user=DAEMON)
    config.write_text(f'[store]\ndsn = "{dsn}"\n[actions]\nautonomy = "suggest"\n')
    monkeypatch.setattr("daemon.cli.replay.configure_logs", lambda **_: None)
    return Context(config=config, state_dir=tmp_path / "state", url=None)


def run(here: Context, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    app = typer.Typer()
    command.register(app)
    typer.main.get_command(app).main(list(words), standalone_mode=False, obj=here)
    return capsys.readouterr().out


def filled(database: str, store_settings: StoreSettings) -> None:
    """The history, written in an event loop that ends before the command's begins."""

    async def fill() -> None:
        conninfo = make_conninfo(database, user=DAEMON)
        pool = Database(conninfo=conninfo, settings=store_settings, application_name="test")
        await pool.open(wait_seconds=10)
        await earlier_answers(pool)
        await recorded_history(pool)
        await pool.close()

    asyncio.run(fill())


def test_the_command(
    here: Context,
    database: str,
    store_settings: StoreSettings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled(database, store_settings)
    monkeypatch.setattr("daemon.cli.context.out.width", 200, raising=False)
    said = run(here, "--level", "auto-safe", capsys=capsys)
    rows = [re.sub(r" {2,}", "  ", row.strip()) for row in said.splitlines()]
    assert any("restart_unit nginx.service  suggested*  allow (safe)" in row for row in rows)
    changed = "restart_unit nginx.service  ask (suggest), done  allow (safe)  <- changed"
    assert any(changed in row for row in rows)
    assert any("restart_unit gone.service  deny (not-possible), refused" in row for row in rows)
    assert "then -> now: allow 0 -> 2, ask 2 -> 2, deny 1 -> 1; 1 decided otherwise." in said
    assert "2 would newly be done without a human: 1 never asked, 1 approved then." in said
    assert "Of those that were done then: 1 done." in said
    assert "* from before triaged could act" in said
    few = json.loads(run(here, "--level", "auto-safe", "--changed", "--json", capsys=capsys))
    assert [(each["target"], each["reconstructed"]) for each in few["requests"]] == [
        ("nginx.service", True),
        ("nginx.service", False),
    ]
    assert few["totals"]["requests"] == 5
    same = json.loads(run(here, "--json", capsys=capsys))
    assert same["totals"]["changed"] == 0
    late = json.loads(run(here, "--since", "1h", "--json", capsys=capsys))
    assert late["totals"]["requests"] == 3


def test_the_command_over_nothing(here: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(here, capsys=capsys) == "Nothing was asked for in that time.\n"
    said = json.loads(run(here, "--json", "--level", "auto-full", capsys=capsys))
    assert (said["level"], said["totals"]["requests"]) == ("auto-full", 0)
    with pytest.raises(CommandError, match="--since 'soon'") as raised:
        run(here, "--since", "soon", capsys=capsys)
    assert raised.value.code == Exit.USAGE

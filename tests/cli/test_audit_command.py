"""`triaged audit` over a real database, and an intruder with every right over the same."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from daemon.cli import audit as command
from daemon.cli.main import entry
from daemon.ledger import NewEntry
from daemon.store import work
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings

ENTRIES = 12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


Audit = Callable[..., Answer]


@pytest.fixture
def recorded(database: str) -> str:
    """A database with a dozen entries of several kinds; some hold hostile text."""

    async def fill() -> None:
        pool = Database(conninfo=database, settings=StoreSettings(pool_min=0, pool_max=2))
        await pool.open(wait_seconds=10)
        async with work.begin(pool) as unit:
            for number in range(ENTRIES):
                unit.record(
                    NewEntry(
                        kind=("verdict", "action_intent", "action_result")[number % 3],
                        actor=("tier/trigger", "operator:ada", "daemon")[number % 3],
                        incident_id=number % 2 + 1,
                        body={"n": number, "text": "\x1b[31mred\x07 [bold]no[/bold]\nnext"},
                    )
                )
        await pool.close()

    asyncio.run(fill())
    return database


@pytest.fixture
def audit(
    recorded: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Audit:
    """The command in this process: dozens of processes would take a minute."""
    config = tmp_path / "triaged.toml"
    config.write_text(f"[store]\ndsn = {json.dumps(recorded)}\n")
    config.chmod(0o600)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(command, "configure_logs", lambda **_: None)  # it is for the whole process

    def run(*arguments: str) -> Answer:
        given = ("--config", str(config), "--state-dir", str(tmp_path), "audit", *arguments)
        monkeypatch.setattr(sys, "argv", ["triaged", *given])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            entry()
        said = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Answer(returncode=code or 0, stdout=said.out, stderr=said.err)

    return run


def intrude(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table ledger disable trigger ledger_append_only")
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute("alter table ledger enable trigger ledger_append_only")


def test_entries_are_listed_newest_first_and_by_what_is_asked(audit: Audit) -> None:
    def numbers(*options: str) -> list[int]:
        answer = audit("list", "--json", *options)
        assert answer.returncode == 0, answer.stderr
        return [each["seq"] for each in json.loads(answer.stdout)]

    assert numbers() == list(range(ENTRIES, 0, -1))
    assert numbers("--limit", "2") == [12, 11]
    assert numbers("--kind", "action") == [12, 11, 9, 8, 6, 5, 3, 2]
    assert numbers("--kind", "action_result", "--incident", "1") == [9, 3]
    assert numbers("--actor", "operator") == [11, 8, 5, 2]
    assert numbers("--actor", "tier", "--actor", "operator:ada") == [11, 10, 8, 7, 5, 4, 2, 1]
    assert numbers("--actor", "oper") == numbers("--since", "2999-01-01") == []
    assert len(numbers("--since", "1h")) == ENTRIES

    shown = audit("list", "--limit", "1")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    assert "[bold]no[/bold] next" in shown.stdout
    assert "No entries." in audit("list", "--kind", "mute").stdout
    wrong = audit("list", "--kind", "action", "--kind", "bogus")
    assert wrong.returncode == 2
    assert "'bogus': there are action, verdict, transition" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--since", "yesterday"), "write 30min, 12h"),
        (("list", "--since", "999999w"), "write 30min, 12h"),
        (("verify", "--head", "12:abc"), "NUMBER:HASH"),
        (("list", "--incident", "0"), "--incident"),
        (("export", "--format", "csv"), "--format"),
    ],
)
def test_what_is_typed_wrong_is_a_usage_error(
    audit: Audit, arguments: tuple[str, ...], words: str
) -> None:
    answer = audit(*arguments)
    assert answer.returncode == 2, answer.stdout
    assert words in answer.stderr


def test_an_untouched_ledger_holds_and_its_file_too(audit: Audit, tmp_path: Path) -> None:
    answer = audit("verify")
    assert answer.returncode == 0, answer.stderr
    assert "12 entries, and the chain holds" in answer.stdout
    assert "is a superuser" in answer.stdout
    head = json.loads(audit("verify", "--json").stdout)["head"]
    assert f"head {head}" in answer.stdout
    assert audit("verify", "--head", head).returncode == 0

    file = tmp_path / "ledger.jsonl"
    written = audit("export", str(file))
    assert (written.returncode, written.stdout) == (0, "")
    assert head in written.stderr
    assert file.stat().st_mode & 0o077 == 0
    assert audit("export").stdout == file.read_text()
    assert audit("verify", "--file", str(file), "--head", head).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"triaged.toml", "ledger.jsonl"}

    file.write_text(file.read_text().replace('"n":4', '"n":5'))
    found = audit("verify", "--file", str(file), "--json")
    assert found.returncode == 6
    assert json.loads(found.stdout)["breaks"][0]["seq"] == 5
    assert audit("verify", "--file", str(tmp_path / "none")).returncode == 4
    assert audit("export", str(tmp_path / "no" / "file")).returncode == 1
    assert "Is a directory" in audit("verify", "--file", str(tmp_path)).stderr


TAMPERING = {
    "changed": ("update ledger set body = '{\"n\": 4}' where seq = 5", 5),
    "actor": ("update ledger set actor = 'operator:eve' where seq = 5", 5),
    "moved in time": ("update ledger set at = 'infinity' where seq = 5", 5),
    "long ago": ("update ledger set at = '4000-01-01 BC' where seq = 5", 5),
    "no object": ("update ledger set body = '3' where seq = 5", 5),
    "lines": ("update ledger set body = E'{\"n\":\n4}' where seq = 5", 5),
    "removed": ("delete from ledger where seq = 5", 6),
    "first removed": ("delete from ledger where seq = 1", 2),
    "swapped": (
        """update ledger set seq = seq + 100 where seq in (5, 6);
        update ledger set seq = case seq when 105 then 6 else 5 end where seq > 100""",
        5,
    ),
    "nothing": (
        "alter table ledger alter body drop not null; update ledger set body = null where seq = 5",
        5,
    ),
    "put in": (
        """insert into ledger select 13, at, kind, actor, incident_id, body, prev_hash, hash
        from ledger where seq = 12""",
        13,
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found_and_named(
    audit: Audit, recorded: str, tmp_path: Path, how: str
) -> None:
    statement, where = TAMPERING[how]
    intrude(recorded, *statement.split(";"))
    answer = audit("verify", "--json")
    assert answer.returncode == 6, answer.stderr
    found = json.loads(answer.stdout)
    assert not found["holds"]
    assert found["breaks"][0]["seq"] == where
    assert f"entry {where}: " in audit("verify").stdout
    assert audit("list").returncode == audit("list", "--json").returncode == 0
    file = tmp_path / "ledger.jsonl"
    assert audit("export", str(file)).returncode == 6
    assert audit("verify", "--file", str(file)).returncode == 6


def test_a_cut_end_and_a_new_chain_show_against_a_kept_head(audit: Audit, recorded: str) -> None:
    head = json.loads(audit("verify", "--json").stdout)["head"]
    intrude(recorded, "delete from ledger where seq > 9")
    assert audit("verify").returncode == 0
    cut = audit("verify", "--head", head)
    assert cut.returncode == 6
    assert "the end was cut off" in cut.stdout
    intrude(recorded, "truncate ledger")
    assert audit("verify").returncode == 0
    assert audit("verify", "--head", head).returncode == 6

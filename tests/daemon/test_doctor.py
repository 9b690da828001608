"""What the doctor finds."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from daemon import doctor
from daemon.config.settings import Settings
from daemon.findings import Finding, Level
from daemon.ledger_findings import ledger_findings
from daemon.state_folder import held
from daemon.store.open import open_store
from daemon.store.settings import StoreSettings


def access(
    monkeypatch: pytest.MonkeyPatch, state: Path, *, uid: int, **api: object
) -> list[Finding]:
    settings = Settings.model_validate({"api": api})
    with monkeypatch.context() as patch:
        patch.setattr(doctor.os, "geteuid", lambda: uid)
        return doctor._access(settings, state)


def test_root_without_keys_on_loopback_is_open_to_local_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (found,) = access(monkeypatch, tmp_path, uid=0, port=8099)
    assert found.level is Level.NOTE
    assert "8099" in found.words
    assert "triaged keys add" in found.words
    assert access(monkeypatch, tmp_path, uid=1000)[0].level is Level.OK


def test_keys_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def found(**api: object) -> dict[Level, str]:
        findings = access(monkeypatch, tmp_path, uid=os.getuid(), **api)
        return {finding.level: finding.words for finding in findings}

    assert "triaged keys add" in found(host="0.0.0.0")[Level.PROBLEM]  # noqa: S104
    plain = tmp_path / "plain"
    plain.write_text("a-key\n")
    plain.chmod(0o644)
    assert "does not exist" in found(keys_file=str(tmp_path / "gone"))[Level.PROBLEM]
    told = found(keys_file=str(plain))
    assert "chmod 600" in told[Level.WARNING]
    assert "an admin's" in told[Level.NOTE]
    kept = tmp_path / "keys.toml"
    kept.write_text("[keys.x]\nrole = 'viewer'\nsha256 = 'no'\n")
    kept.chmod(0o600)
    assert "keys.toml:3: keys.x.sha256: must be 64" in found()[Level.PROBLEM]
    table = f"[keys.x]\nrole = 'viewer'\nsha256 = '{'0' * 64}'\n"
    kept.write_text(table)
    assert found() == {Level.OK: "127.0.0.1 with 1 keys"}
    kept.write_text(table + "expires = 2020-01-01T00:00:00Z\n")
    told = found()
    assert "holds no valid key" in told[Level.PROBLEM]
    assert "has expired" in told[Level.NOTE]
    kept.chmod(0o666)
    assert "can be changed by other users" in found()[Level.PROBLEM]


def test_a_state_folder_of_others_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    assert doctor._state(folder)[0].level in (Level.OK, Level.WARNING)
    if doctor.os.geteuid() == 0:
        folder.chmod(0o777)
        (found,) = doctor._state(folder)
        assert found.level is Level.PROBLEM
        assert "0777" in found.words


def test_the_ports_of_the_daemon_that_holds_the_state_are_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = Settings.model_validate(
            {
                "api": {"port": listening.getsockname()[1]},
                "tiers": {name: {"port": 0} for name in ("trigger", "review", "meta")},
            }
        )
        (found,) = doctor._ports(settings, tmp_path)
        assert found.level is Level.WARNING
        with held(tmp_path):
            (found,) = doctor._ports(settings, tmp_path)
        assert found.level is Level.OK
        assert "are triaged's" in found.words
        for wrong in ("", "nonsense"):
            (tmp_path / "daemon.lock").write_text(wrong)
            assert doctor._ports(settings, tmp_path)[0].level is Level.WARNING


async def test_a_ledger_that_its_trigger_alone_protects_is_told_of(
    database: str, state_dir: Path
) -> None:
    (found,) = await ledger_findings(StoreSettings(dsn=database), state_dir=state_dir)
    assert (found.what, found.level) == ("ledger", Level.WARNING)
    assert "trigger only" in found.words
    assert "docs/operation.md" in found.words


async def test_the_embedded_ledger_is_looked_at_while_its_server_runs(state_dir: Path) -> None:
    assert await ledger_findings(StoreSettings(), state_dir=state_dir) == []
    async with open_store(StoreSettings(), state_dir, attach=False):
        (found,) = await ledger_findings(StoreSettings(), state_dir=state_dir)
    assert (found.what, found.level) == ("ledger", Level.OK)
    assert "triaged_daemon can only add" in found.words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dsn": "host=/nowhere dbname=x"}, "not available"),
        ({"dsn": "no=such=thing"}, "no connection string"),
        ({"dsn_file": "/nowhere/dsn"}, "cannot read"),
    ],
)
async def test_a_database_that_does_not_answer_is_a_problem(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    (found,) = await ledger_findings(
        StoreSettings.model_validate(settings | {"connect_seconds": 0.5}), state_dir=tmp_path
    )
    assert (found.what, found.level) == ("store", Level.PROBLEM)
    assert words in found.words

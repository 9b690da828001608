"""The ten most likely mistakes of an installation: made here, found by the doctor, explained in
docs/troubleshooting.md. A row of the page without a case here fails, and a case without a row."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo
from scripted_models import listing

from daemon import doctor, installation
from daemon.config.settings import Settings
from daemon.findings import Finding, Level
from daemon.installation import Unit, examine_unit
from daemon.ledger_findings import ledger_findings
from daemon.reachable import servers_found
from daemon.store.settings import StoreSettings

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
OTHER = next(each.pw_name for each in pwd.getpwall() if each.pw_uid != os.geteuid())


def rows() -> list[tuple[str, list[str], list[str]]]:
    """Mistake, what the doctor says, what mends it."""
    table = PAGE.read_text().partition("| mistake |")[2].partition("\n\n")[0]
    found = []
    for line in table.splitlines()[2:]:
        mistake, says, mend = (cell.strip() for cell in line.strip("|").split(" | "))
        found.append((mistake, re.findall(r"`([^`]+)`", says), re.findall(r"`([^`]+)`", mend)))
    return found


class Host:
    """A host with a unit of ours, a configuration and a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "triaged.toml"
        self.config.touch(mode=0o644)
        self.state = folder / "state"
        self.state.mkdir()

    def unit(self, **settings: Any) -> list[Finding]:
        found = Unit(
            properties={
                "ActiveState": "active",
                "User": settings.pop("user", pwd.getpwuid(os.geteuid()).pw_name),
                "SupplementaryGroups": "systemd-journal adm",
                "PrivateDevices": "yes",
                "ProtectHome": "read-only",
                "IPAddressAllow": "127.0.0.0/8 ::1/128",
                "IPAddressDeny": "0.0.0.0/0 ::/0",
            }
        )
        return examine_unit(
            found,
            settings=Settings.model_validate(settings),
            config=self.config,
            state_dir=self.state,
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(installation, "CREDENTIALS", tmp_path)
    return Host(tmp_path)


Case = Callable[[Host, pytest.MonkeyPatch], Any]


def a_run_as_root(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    (host.state / "logs").mkdir()
    return host.unit(user=OTHER)


def a_closed_configuration(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    host.config.chmod(0o600)
    return host.unit(user=OTHER)


def a_missing_model(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    tiers = {"meta": {"model": str(host.folder / "large.gguf")}}
    return doctor._models(Settings.model_validate({"tiers": tiers}))


def a_model_in_a_home(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    return host.unit(tiers={"review": {"model": "/home/ann/model.gguf"}})


def a_hidden_gpu(host: Host, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr(installation, "_GPU_DEVICES", (str(host.config),))
    return host.unit(tiers={"review": {"model": "/srv/triaged/models/large.gguf"}})


async def an_endpoint_without_the_model(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    async with listing("other:1b") as url:
        tiers = {"review": {"endpoint": url, "backend": "ollama", "model": "qwen3:8b"}}
        return await servers_found(Settings.model_validate({"tiers": tiers}))


def a_machine_that_is_not_allowed(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    return host.unit(tiers={"meta": {"endpoint": "http://10.1.2.3:8000", "model": "m"}})


def a_port_that_is_taken(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        api = {"port": listening.getsockname()[1]}
        return doctor._ports(Settings.model_validate({"api": api}), host.state)


def an_open_door(host: Host, _: pytest.MonkeyPatch) -> list[Finding]:
    api = {"host": "0.0.0.0"}  # noqa: S104
    return doctor._access(Settings.model_validate({"api": api}), host.state)


async def a_wrong_password(
    host: Host, _: pytest.MonkeyPatch, *, database: str = ""
) -> list[Finding]:
    dsn = make_conninfo(database, user="nobody_that_there_is")
    return await ledger_findings(StoreSettings(dsn=dsn), state_dir=host.state)


CASES: tuple[Case, ...] = (
    a_run_as_root,
    a_closed_configuration,
    a_missing_model,
    a_model_in_a_home,
    a_hidden_gpu,
    an_endpoint_without_the_model,
    a_machine_that_is_not_allowed,
    a_port_that_is_taken,
    an_open_door,
    a_wrong_password,
)
"""In the order of the page."""


def test_the_page_has_ten() -> None:
    assert len(rows()) == len(CASES) == 10


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.__name__ for case in CASES])
async def test_the_doctor_finds_it_and_says_what_the_page_says(
    number: int, host: Host, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    case, (_, says, mends) = CASES[number], rows()[number]
    more = {"database": database} if case is a_wrong_password else {}
    made: Any = case(host, monkeypatch, **more)
    findings: list[Finding] = await made if hasattr(made, "__await__") else made
    wrong = [f.words for f in findings if f.level in (Level.PROBLEM, Level.WARNING)]
    (words,) = [each for each in wrong if all(said in each for said in says)] or [str(wrong)]
    for said in (*says, *mends):
        assert said in words, said


async def test_endpoints_that_answer_are_in_order_and_those_that_do_not_are_named() -> None:
    async with listing("qwen3:8b") as url:
        tier = {"endpoint": url, "backend": "ollama", "model": "qwen3:8b"}
        behind = {"endpoint": "http://127.0.0.1:9", "backend": "openai", "model": "m"}
        tiers = {"review": {**tier, "fallback": [behind]}, "meta": behind}
        found = await servers_found(Settings.model_validate({"tiers": tiers}))
    assert [(each.level, "127.0.0.1:9" in each.words) for each in found] == [
        (Level.OK, False),
        (Level.PROBLEM, True),  # the last of its tier: nothing stands behind it
        (Level.PROBLEM, True),
    ]


async def test_a_broker_that_is_away_and_a_model_unit_that_does_not_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    settings = Settings.model_validate(
        {
            "sources": {"mqtt": {"enabled": True, "host": "127.0.0.1", "port": port}},
            "tiers": {"meta": {"served_by": "service", "port": port}},
        }
    )
    words = {each.what: each.words for each in await servers_found(settings)}
    assert f"127.0.0.1:{port}" in words["broker"]
    assert "systemctl start llama-meta.service" in words["models"]


@pytest.mark.parametrize(
    ("enabled", "state", "mends"),
    [
        (False, "inactive", "systemctl enable --now triaged-api.service"),
        (False, None, "install.sh --api daemon"),
        (True, "active", "install.sh --api apart"),
        (True, "inactive", ""),
        (False, "active", ""),
    ],
)
def test_the_api_is_answered_once(enabled: bool, state: str | None, mends: str) -> None:
    api = None if state is None else Unit(properties={"ActiveState": state})
    settings = Settings.model_validate({"api": {"enabled": enabled}})
    (found,) = installation.examine_api(api, settings=settings)
    assert (found.level is Level.PROBLEM) == bool(mends)
    assert mends in found.words


def test_the_settings_are_those_that_the_unit_has(tmp_path: Path) -> None:
    unit = Unit(
        properties={"Environment": 'A=1 "TRIAGED__HOST_NAME=two words" TRIAGED__API__ENABLED=false'}
    )
    settings, findings = doctor._as_served(unit, Settings(), None)
    assert (settings.host_name, settings.api.enabled, findings) == ("two words", False, [])
    wrong = Unit(properties={"Environment": "TRIAGED__API__ENABELD=false"})
    _, (found,) = doctor._as_served(wrong, Settings(), None)
    assert found.level is Level.PROBLEM

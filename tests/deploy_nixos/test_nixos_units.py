"""The units on NixOS: those of deploy/systemd, directive by directive."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from nix_kit import ROOT, host, triaged

from tiers.runtime.binary import MINIMUM_BUILD

SYSTEMD = ROOT / "deploy" / "systemd"
NAMES = ("triaged", "llama-trigger", "llama-review", "llama-meta")
OTHERWISE = {"ExecStart", "ExecReload", "Environment", "LoadCredential"}
"""What is said otherwise on NixOS: where programs are, and secrets one by one."""


def directives(path: Path, section: str = "Service") -> dict[str, list[str]]:
    """A section of a unit."""
    text = path.read_text().split(f"[{section}]")[1].split("[Install]")[0]
    found = defaultdict(list)
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found[key].append(value)
    return dict(found)


def rendered(value: Any) -> list[str]:
    """A value of serviceConfig, as NixOS writes it into the unit."""
    if isinstance(value, list):
        return [line for one in value for line in rendered(one)]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)]


def words(lines: Iterable[str]) -> list[str]:
    return " ".join(lines).split()


@pytest.fixture(scope="module")
def units() -> dict[str, Any]:
    found = host(what="config.systemd.services")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_they_are_as_hard_as_everywhere(units: dict[str, Any], name: str) -> None:
    ours = {key: rendered(value) for key, value in units[name]["serviceConfig"].items()}
    theirs = directives(SYSTEMD / f"{name}.service")
    assert set(ours) | OTHERWISE == set(theirs) | OTHERWISE
    for key in set(theirs) - OTHERWISE:
        assert words(ours[key]) == words(theirs[key]), key


def test_they_start_one_after_the_other(units: dict[str, Any]) -> None:
    after = {name: set(unit["after"]) for name, unit in units.items()}
    assert "llama-trigger.service" in after["llama-review"]
    assert {"llama-trigger.service", "llama-review.service"} <= after["llama-meta"]
    assert {f"{name}.service" for name in NAMES[1:]} <= after["triaged"]
    assert not [one for one in after["llama-trigger"] if one.startswith("llama-")]
    for unit in units.values():
        assert unit["partOf"] == unit["wantedBy"] == ["triaged.target"]


def test_the_daemon_and_the_models_have_the_configured_llama_server(units: dict[str, Any]) -> None:
    for name in NAMES:
        assert units[name]["environment"]["LLAMA_BIN"].endswith("-llama-cpp/bin/llama-server")
    bundled = host(triaged("llama-cpp.bundled = true;"), what="config.systemd.services")
    for name in NAMES:
        assert "LLAMA_BIN" not in bundled[name]["environment"]


OLD = 'pkgs.llama-cpp // { version = "0.4.0"; cmakeFlags = [ "-DLLAMA_BUILD_NUMBER:STRING=%d" ]; }'


@pytest.mark.parametrize(
    ("package", "bundled"),
    [
        ("pkgs.llama-cpp", False),
        ('pkgs.llama-cpp // { version = "9297"; }', True),
        ('pkgs.llama-cpp // { version = "11549"; }', False),
        (OLD % (MINIMUM_BUILD - 1), True),
        (OLD % MINIMUM_BUILD, False),
    ],
)
def test_a_llama_server_that_is_too_old_is_not_run(package: str, bundled: bool) -> None:
    said = f"llama-cpp.package = {package}; package = pkgs.triaged // {{ bundledLlama = true; }};"
    units = host(triaged(said), what="config.systemd.services")
    for name in NAMES:
        assert ("LLAMA_BIN" in units[name]["environment"]) is not bundled


def test_where_nothing_else_can_be_run_that_is_said() -> None:
    said = f'llama-cpp.acceleration = "cuda"; llama-cpp.package = {OLD % 10_809};'
    (warning,) = host(triaged(said), what="config.warnings")
    assert f"is build 10809 of llama.cpp, older than {MINIMUM_BUILD}" in warning
    units = host(triaged(said), what="config.systemd.services")
    assert "LLAMA_BIN" in units["llama-meta"]["environment"]


def test_where_the_daemon_runs_the_models_systemd_does_not() -> None:
    found = host(
        triaged("llama-cpp.enable = false;"),
        what="{ inherit (config.systemd) services;"
        " inherit (config.services.triaged.settings) tiers; }",
    )
    assert set(found["services"]) == {"triaged"}
    assert all("served_by" not in tier for tier in found["tiers"].values())


@pytest.mark.parametrize("acceleration", ["cuda", "rocm", "vulkan"])
def test_graphics_cards_are_opened_where_they_are_used(acceleration: str) -> None:
    drop_in = (SYSTEMD / "drop-ins" / "gpu.conf").read_text()
    units = host(
        triaged(f'llama-cpp.acceleration = "{acceleration}";'), what="config.systemd.services"
    )
    for name in NAMES:
        ours = units[name]["serviceConfig"]
        assert ours["DeviceAllow"] == re.findall(r"^DeviceAllow=(.*)$", drop_in, re.MULTILINE)
        assert ours["PrivateDevices"] is False
        assert ours["MemoryDenyWriteExecute"] is False
        assert {"video", "render"} <= set(ours["SupplementaryGroups"])


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        ("", []),
        ('allowedAddresses = [ "192.0.2.7" ];', ["192.0.2.7"]),
        ('mqtt = { enable = true; host = "127.0.0.1"; };', []),
        ('mqtt = { enable = true; host = "broker.example"; };', ["any"]),
        ('tiers.meta.endpoint = "http://[::1]:8000/v1";', []),
        ('tiers.meta.endpoint = "http://localhost";', []),
        ('tiers.meta.endpoint = "https://localhost.example/v1";', ["any"]),
        ('api = { host = "0.0.0.0"; keysFile = "/var/lib/triaged/keys.toml"; };', ["any"]),
        ('notifications.channels.p.urlsFile = "/p";', ["any"]),
        (
            'notifications.channels.p.urlsFile = "/p"; allowedAddresses = [ ];',
            [],
        ),
    ],
)
def test_it_may_talk_to_whom_it_has_to(said: str, addresses: list[str]) -> None:
    units = host(triaged(said), what="config.systemd.services")
    assert units["triaged"]["serviceConfig"]["IPAddressAllow"] == ["localhost", *addresses]
    for name in set(units) & set(NAMES[1:]):
        assert units[name]["serviceConfig"]["IPAddressAllow"] == ["localhost"]


def test_secrets_are_credentials_of_the_daemon_alone() -> None:
    units = host(
        triaged(
            'api.keysFile = "/run/secrets/keys";'
            ' tiers.meta = { endpoint = "http://h"; apiKeyFile = "/k"; };'
            ' notifications.channels.phone.urlsFile = "/p";'
        ),
        what="config.systemd.services",
    )
    assert units["triaged"]["serviceConfig"]["LoadCredential"] == [
        "channel-phone:/p",
        "keys:/run/secrets/keys",
        "tier-meta:/k",
    ]
    assert "LoadCredential" not in units["llama-trigger"]["serviceConfig"]


def test_timescaledb_is_made_before_the_daemon_fills_the_database() -> None:
    found = host(
        triaged("database.timescaledb = true;"),
        what="{ inherit (config.systemd) services;"
        " asked = map (f: f { timescaledb = 1; }) [ config.services.postgresql.extensions ];"
        " inherit (config.services.postgresql) settings; }",
    )
    unit = found["services"]["triaged-timescaledb"]
    assert unit["before"] == ["triaged.service"]
    assert "postgresql-setup.service" in unit["after"]
    assert found["asked"] == [[1]]
    assert found["settings"] == {"shared_preload_libraries": "timescaledb"}


HELPER = ROOT / "deploy" / "actions" / "systemd"


def helper_units(verbs: str) -> dict[str, Any]:
    found = host(
        triaged(f"helper.verbs = [ {verbs} ];"),
        what="{ inherit (config.systemd) services sockets; }",
    )
    return {
        "Service": found["services"]["triaged-helper@"]["serviceConfig"],
        "Socket": found["sockets"]["triaged-helper"],
    }


def test_the_helper_is_as_fenced_in_as_everywhere() -> None:
    ours = helper_units('"journal-vacuum"')
    theirs = directives(HELPER / "triaged-helper@.service")
    # Where drop-ins are written on NixOS may be written anyway.
    otherwise = {"ExecStart", "ReadWritePaths"}
    assert set(ours["Service"]) | otherwise == set(theirs)
    for key in set(theirs) - otherwise:
        assert words(rendered(ours["Service"][key])) == words(theirs[key]), key
    theirs = directives(HELPER / "triaged-helper.socket", "Socket")
    (stream,) = theirs.pop("ListenStream")
    assert ours["Socket"]["listenStreams"] == [stream]
    assert {key: rendered(value) for key, value in ours["Socket"]["socketConfig"].items()} == theirs


def test_verbs_that_need_more_get_it() -> None:
    more = directives(HELPER / "drop-ins" / "mounts.conf")
    ours = helper_units('"remount"')["Service"]
    assert set(words(more["CapabilityBoundingSet"])) <= set(words(ours["CapabilityBoundingSet"]))
    assert [ours["RestrictNamespaces"]] == more["RestrictNamespaces"]
    assert set(words(more["SystemCallFilter"])) <= set(words(ours["SystemCallFilter"]))
    undone = set(directives(HELPER / "drop-ins" / "packages.conf"))
    assert not undone & set(helper_units('"nixos"')["Service"])


def test_the_helper_is_there_where_it_is_needed() -> None:
    what = (
        "{ inherit (config.systemd) services sockets;"
        " settings = config.services.triaged.settings.actions; }"
    )
    without = host(what=what)
    assert without["sockets"] == {}
    assert "triaged-helper@" not in without["services"]
    found = host(triaged('nixos.flake = "/etc/nixos#host";'), what=what)
    assert found["settings"]["nixos_flake"] == "/etc/nixos#host"
    # A switch that it runs restarts units: not the one that runs it.
    assert found["services"]["triaged-helper@"]["restartIfChanged"] is False


EXPOSURE = {"triaged": 1.5, "llama-trigger": 2.5, "llama-review": 2.5, "llama-meta": 2.5}


def unit_file(unit: dict[str, Any]) -> str:
    """A unit as NixOS writes it, with programs that are here."""
    service = [
        f"{key}={line}"
        for key, value in unit["serviceConfig"].items()
        for line in rendered(value)
        if not key.startswith("Exec")
    ]
    return "\n".join(
        [
            "[Unit]",
            f"Description={unit['description']}",
            *(f"After={one}" for one in unit["after"]),
            "[Service]",
            "ExecStart=/bin/true",
            *service,
        ]
    )


@pytest.mark.parametrize("name", EXPOSURE)
def test_systemd_finds_little_exposed(units: dict[str, Any], name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    path = tmp_path / f"{name}.service"
    path.write_text(unit_file(units[name]))
    done = subprocess.run(
        [analyze, "security", "--offline=true", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.search(r"Overall exposure level .*: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE[name]
    verified = subprocess.run(
        [analyze, "verify", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert name not in verified.stderr

"""triaged as a service of a real Debian: one story, a test goes on where the last one ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from machine import Machine
from newer import that_does_not_start, with_newer_schema

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

INSTALL = "/root/wheelhouse/install.sh"
QUICK = """
[escalation]
steady_seconds = 5
[sources.systemd]
steady_after = 5
[sources.metrics]
interval = 2
slow_interval = 2
"""
UNITS = {
    "crashy": "[Service]\nExecStart=/bin/sh -c 'sleep 0.3; exit 7'\nRestart=always\nRestartSec=1\n"
    "[Unit]\nStartLimitIntervalSec=0\n",
    "nodir": "[Service]\nWorkingDirectory=/srv/not/there\nExecStart=/bin/sleep infinity\n",
    "stuck": "[Service]\nType=notify\nNotifyAccess=all\nWatchdogSec=4\n"
    "ExecStart=/bin/sh -c 'systemd-notify --ready; sleep infinity'\n",
}


def _json(debian: Machine, *command: str) -> Any:
    return json.loads(debian.run("triaged", *command, "--json").stdout)


def _live(debian: Machine) -> list[dict[str, Any]]:
    found: Any = _json(debian, "incidents", "list")
    incidents: list[dict[str, Any]] = found["incidents"] if isinstance(found, dict) else found
    return incidents


def _named(debian: Machine, unit: str) -> list[str]:
    return [i["state"] for i in _live(debian) if unit in i["title"]]


def _property(debian: Machine, name: str, unit: str = "triaged") -> str:
    return debian.say("systemctl", "show", unit, "--value", f"--property={name}")


def _stored(debian: Machine, text: str) -> bool:
    key = debian.say("sh", "-c", "cut -d' ' -f3 /var/lib/triaged/local.key")
    program = (
        "import sys, urllib.request as u; q = u.Request('http://127.0.0.1:8083/api/v1/events',"
        f" headers={{'Authorization': 'Bearer {key}'}}); print(u.urlopen(q).read().decode())"
    )
    return text in debian.run("python3", "-c", program).stdout


def test_a_dry_run_changes_nothing(debian: Machine) -> None:
    before = debian.say("find", "/etc", "/opt", "/usr/local", "/var/lib")
    said = debian.run(INSTALL, "--dry-run").stdout
    assert "Only said, not done" in said
    assert "put the program into /opt/triaged/releases/" in said
    assert debian.say("find", "/etc", "/opt", "/usr/local", "/var/lib") == before


def test_it_installs_offline_and_is_ready(debian: Machine) -> None:
    debian.write("/etc/triaged/triaged.toml", f'state_dir = "/var/lib/triaged"\n{QUICK}')
    debian.run(INSTALL, seconds=600)
    assert _property(debian, "ActiveState") == "active"
    assert _property(debian, "User") == "triaged"
    assert _property(debian, "WatchdogUSec") == "1min 30s"
    assert "http://127.0.0.1:8083" in _property(debian, "StatusText")
    assert _property(debian, "NRestarts") == "0"
    again = debian.run(INSTALL, seconds=120).stdout
    assert "nothing: it is installed" in again
    assert "write /" not in again
    assert "put the program" not in again


def _parts(debian: Machine, *as_user: str) -> dict[str, str]:
    """Health by part, as `triaged status` shows it."""
    lines = debian.say(*as_user, "triaged", "status").splitlines()
    return {words[0]: words[1] for line in lines if len(words := line.split()) > 1}


def test_another_user_may_ask_how_it_is(debian: Machine) -> None:
    wanted = {"store", "tier/trigger", "tier/review", "tier/meta"}
    wanted |= {"source/journald", "source/systemd", "source/metrics"}

    def all_well() -> bool:
        parts = _parts(debian, "runuser", "-u", "nobody", "--")
        return all(parts.get(part) == "ok" for part in wanted)

    debian.until(all_well, seconds=60, what="well")
    doctor = debian.run("triaged", "doctor", check=False)
    assert doctor.returncode == 0, doctor.stdout


def test_broken_services_become_incidents_that_name_them(
    debian: Machine, disk: Path | None
) -> None:
    for name, unit in UNITS.items():
        debian.write(f"/etc/systemd/system/{name}.service", unit)
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "start", "--no-block", *UNITS)
    if disk is not None:
        debian.run("sh", "-c", "head -c 30000000 /dev/zero > /srv/small/big || true")
    for name in UNITS:
        debian.until(lambda name=name: bool(_named(debian, name)), seconds=90, what=name)
    if disk is not None:
        debian.until(lambda: bool(_named(debian, "/srv/small")), seconds=90, what="small disk")


def test_incidents_close_when_services_are_mended(debian: Machine, disk: Path | None) -> None:
    debian.run("mkdir", "-p", "/srv/not/there")
    for name in ("crashy", "stuck"):
        debian.write(
            f"/etc/systemd/system/{name}.service", "[Service]\nExecStart=/bin/sleep infinity\n"
        )
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "restart", *UNITS)
    if disk is not None:
        debian.run("rm", "/srv/small/big")
    for name in UNITS:
        debian.until(lambda name=name: not _named(debian, name), seconds=180, what=f"{name} closed")
    if disk is not None:
        debian.until(
            lambda: not _named(debian, "/srv/small"), seconds=180, what="small disk closed"
        )


def test_a_reload_takes_a_new_configuration_and_refuses_a_broken_one(debian: Machine) -> None:
    good = f'state_dir = "/var/lib/triaged"\nhost_name = "renamed"\n{QUICK}'
    pid = _property(debian, "MainPID")
    debian.write("/etc/triaged/triaged.toml", good + "[api]\nport = 'none'\n")
    debian.run("systemctl", "reload", "triaged")
    debian.until(
        lambda: "the configuration is kept" in debian.journal(),
        seconds=30,
        what="refused",
    )
    assert "triaged.toml" in debian.journal(lines=5)
    assert _property(debian, "ActiveState") == "active"
    debian.write("/etc/triaged/triaged.toml", good)
    debian.run("systemctl", "reload", "triaged")
    debian.until(
        lambda: " on renamed: ready" in debian.say("triaged", "status"), seconds=90, what="reloaded"
    )
    assert _property(debian, "MainPID") == pid
    assert _property(debian, "NRestarts") == "0"


def test_a_killed_daemon_comes_back_and_misses_nothing(debian: Machine) -> None:
    pid = _property(debian, "MainPID")
    debian.run("kill", "-9", pid)
    debian.run("logger", "-t", "backup", "error: written while nobody watched")
    debian.until(lambda: _property(debian, "NRestarts") == "1", seconds=60, what="restarted")
    debian.until(
        lambda: _property(debian, "ActiveState") == "active", seconds=120, what="active again"
    )
    debian.until(
        lambda: _stored(debian, "written while nobody watched"), seconds=60, what="read later"
    )
    accounting = _json(debian, "status")["accounting"]
    assert accounting["received"] == sum(accounting[k] for k in ("stored", "folded", "dropped"))


def test_a_stuck_daemon_is_found_by_the_watchdog(debian: Machine) -> None:
    debian.write(
        "/etc/systemd/system/triaged.service.d/watchdog.conf", "[Service]\nWatchdogSec=6\n"
    )
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "restart", "triaged", seconds=180)
    pid = _property(debian, "MainPID")
    debian.run("kill", "-STOP", pid)
    debian.until(
        lambda: _property(debian, "MainPID") not in (pid, "0"), seconds=120, what="replaced"
    )
    debian.until(
        lambda: _property(debian, "ActiveState") == "active", seconds=120, what="active again"
    )
    assert "watchdog" in debian.journal().lower()
    debian.run("rm", "/etc/systemd/system/triaged.service.d/watchdog.conf")
    debian.run("systemctl", "daemon-reload")


def test_a_backup_brings_everything_back(debian: Machine) -> None:
    as_triaged = ("runuser", "-u", "triaged", "--", "env", "HOME=/var/lib/triaged", "triaged")
    debian.run("triaged", "inject", "error: told before the backup")
    debian.until(lambda: _stored(debian, "told before the backup"), seconds=60, what="stored")
    debian.run(*as_triaged, "backup", "/var/lib/triaged/out.tar", seconds=120)
    refused = debian.run(*as_triaged, "restore", "--yes", "/var/lib/triaged/out.tar", check=False)
    assert refused.returncode != 0, "a daemon holds the state"
    debian.run("systemctl", "stop", "triaged", seconds=120)
    debian.run("rm", "-r", "/var/lib/triaged/postgres", "/var/lib/triaged/memory")
    debian.run(*as_triaged, "restore", "--yes", "/var/lib/triaged/out.tar", seconds=120)
    debian.run("systemctl", "start", "triaged", seconds=180)
    assert _stored(debian, "told before the backup")


def test_a_stop_leaves_no_process(debian: Machine) -> None:
    debian.run("systemctl", "stop", "triaged", seconds=120)
    assert debian.say("ps", "-u", "triaged", "-o", "args=") == ""
    assert _property(debian, "Result") == "success"


def test_it_starts_at_boot(debian: Machine) -> None:
    debian.reboot()
    debian.until(lambda: _property(debian, "ActiveState") == "active", seconds=180, what="active")
    debian.until(lambda: _parts(debian).get("source/journald") == "ok", seconds=60, what="reads")


def _children(debian: Machine) -> str:
    """What the daemon itself started."""
    return debian.say("ps", "--ppid", _property(debian, "MainPID"), "-o", "args=")


def test_systemd_may_run_the_models(debian: Machine) -> None:
    debian.run(INSTALL, "--models", "systemd", seconds=300)
    for tier in ("trigger", "review", "meta"):
        assert _property(debian, "ActiveState", f"llama-{tier}") == "active"
    debian.until(
        lambda: debian.say("triaged", "status").count("tier/") == 3, seconds=60, what="attached"
    )
    assert "child.py" not in _children(debian)
    # The daemon measures them through systemd.
    wanted = {
        _property(debian, "MainPID", f"llama-{tier}") for tier in ("trigger", "review", "meta")
    }
    debian.until(
        lambda: {str(each["pid"]) for each in _json(debian, "status")["tiers"]} == wanted,
        seconds=60,
        what="measured",
    )
    answer = debian.run("triaged", "ask", "how full is the disk?", seconds=120).stdout
    assert "%" in answer
    debian.run(INSTALL, "--models", "daemon", seconds=300)
    assert _property(debian, "ActiveState", "llama-trigger") == "inactive"
    debian.until(lambda: "child.py" in _children(debian), seconds=60, what="run by the daemon")


def test_the_api_may_be_a_process_of_its_own(debian: Machine) -> None:
    debian.run(INSTALL, "--api", "apart", seconds=300)
    assert _property(debian, "ActiveState", "triaged-api") == "active"
    assert _property(debian, "User", "triaged-api") == "triaged"
    # Who listens is the API; the daemon has no port.
    sockets = {
        words[9]
        for line in debian.say("cat", "/proc/net/tcp").splitlines()[1:]
        if (words := line.split())[1].endswith(":1F93") and words[3] == "0A"  # 8083, listening
    }
    api, daemon = _property(debian, "MainPID", "triaged-api"), _property(debian, "MainPID")
    assert "a process apart" in _property(debian, "StatusText")
    for pid, listens in ((api, True), (daemon, False)):
        held = debian.say("ls", "-l", f"/proc/{pid}/fd")
        assert any(f"socket:[{socket}]" in held for socket in sockets) is listens
    # An event, a chat, and what happens when either is away.
    debian.run("triaged", "inject", "error: sent to the API apart")
    debian.until(lambda: _stored(debian, "sent to the API apart"), seconds=60, what="stored")
    answer = debian.run("triaged", "ask", "how full is the disk?", seconds=120).stdout
    assert "%" in answer
    debian.run("kill", "-9", api)
    assert _property(debian, "ActiveState") == "active"
    debian.until(
        lambda: _parts(debian).get("daemon") == "ok", seconds=120, what="the API back again"
    )
    debian.run("systemctl", "restart", "triaged", seconds=120)
    debian.until(
        lambda: _parts(debian).get("source/journald") == "ok", seconds=120, what="found again"
    )
    doctor = debian.run("triaged", "doctor", check=False)
    assert doctor.returncode == 0, doctor.stdout
    debian.run(INSTALL, "--api", "daemon", seconds=300)
    assert _property(debian, "ActiveState", "triaged-api") == "inactive"
    debian.until(lambda: _parts(debian).get("store") == "ok", seconds=60, what="one again")
    assert "daemon" not in _parts(debian)


def test_an_upgrade_that_does_not_start_is_taken_back(debian: Machine) -> None:
    before = debian.say("readlink", "/opt/triaged/current")
    root = debian.root / "root"
    that_does_not_start(root / "wheelhouse", root / "broken")
    said = debian.run("/root/broken/install.sh", check=False, seconds=600)
    assert said.returncode == 1, said.stdout
    assert "this release is broken" in said.stdout
    assert debian.say("readlink", "/opt/triaged/current") == before
    assert _property(debian, "ActiveState") == "active"


def test_an_upgrade_over_a_new_schema_and_the_way_back(debian: Machine) -> None:
    before = debian.say("readlink", "/opt/triaged/current")
    root = debian.root / "root"
    with_newer_schema(root / "wheelhouse", root / "newer")
    debian.run("logger", "-t", "backup", "error: written before the upgrade")
    debian.until(lambda: _stored(debian, "written before the upgrade"), seconds=60, what="stored")
    said = debian.run("/root/newer/install.sh", seconds=600).stdout
    assert "back up all state" in said
    assert debian.say("readlink", "/opt/triaged/current") != before
    assert "newer" in debian.journal()
    debian.run("/root/newer/install.sh", "rollback", "--yes", seconds=300)
    assert debian.say("readlink", "/opt/triaged/current") == before
    assert _property(debian, "ActiveState") == "active"
    assert _stored(debian, "written before the upgrade")


def test_uninstalling_keeps_state_unless_told(debian: Machine) -> None:
    debian.run(INSTALL, "uninstall", seconds=120)
    assert debian.run("test", "-e", "/opt/triaged", check=False).returncode == 1
    assert debian.run("test", "-e", "/usr/local/bin/triaged", check=False).returncode == 1
    assert debian.run("test", "-d", "/var/lib/triaged/postgres").returncode == 0
    debian.run(INSTALL, "uninstall", "--purge", seconds=120)
    assert debian.run("test", "-e", "/var/lib/triaged", check=False).returncode == 1
    assert debian.run("id", "triaged", check=False).returncode == 1
    assert debian.say("systemctl", "list-unit-files", "triaged*", "llama-*").endswith(
        "0 unit files listed."
    )

"""Verbs that run programs of the host, which are doubles here: what they are given, word by word,
and what is refused before anything runs."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest
from helper_kit import RealHelper

RECORDER = """#!/usr/bin/python3 -I
import json, os, sys
with open({note!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
sys.stdout.write(json.loads({answers!r}).get(sys.argv[1] if len(sys.argv) > 1 else "", ""))
"""


class Programs:
    """Doubles that note what they were given, and answer by their first argument."""

    def __init__(self, helper: RealHelper) -> None:
        self._helper = helper
        self._note = helper.root / "note"

    def put(self, name: str, answers: dict[str, str] | None = None) -> None:
        script = RECORDER.format(note=str(self._note), answers=json.dumps(answers or {}))
        self._helper.program(name, script)

    @property
    def ran(self) -> list[list[str]]:
        if not self._note.exists():
            return []
        return [json.loads(line) for line in self._note.read_text().splitlines()]


@pytest.fixture
def programs(helper: RealHelper) -> Programs:
    return Programs(helper)


def _systemctl(
    programs: Programs, unit: str, *, active: str = "active", file: str = "enabled", also: str = ""
) -> None:
    shown = f"Id={unit}\nLoadState=loaded\nActiveState={active}\nUnitFileState={file}\n"
    install = f"[Install]\nWantedBy=multi-user.target\n{also}\n"
    programs.put("systemctl", {"show": shown, "cat": install})


def test_a_unit_is_disabled(helper: RealHelper, programs: Programs) -> None:
    helper.allow("unit-file")
    _systemctl(programs, "web.service")
    said = helper.call("unit-file", change="disable", unit="web.service")
    assert said.ok, said.detail
    assert ["systemctl", "--no-ask-password", "disable", "--", "web.service"] in programs.ran


@pytest.mark.parametrize(
    ("unit", "settings"),
    [
        ("ssh.service", {}),
        ("NetworkManager.service", {}),
        ("triaged.service", {}),
        ("mariadb.service", {"critical_units": ["mariadb*"]}),
        ("multi-user.target", {}),
        ("data.mount", {}),
        ("--now.service", {}),
    ],
)
def test_critical_units_are_refused_before_anything_runs(
    helper: RealHelper, programs: Programs, unit: str, settings: dict[str, object]
) -> None:
    helper.allow("unit-file", "restart-limit", **settings)
    _systemctl(programs, unit)
    assert helper.call("unit-file", change="disable", unit=unit).code == "refused"
    limit = helper.call("restart-limit", change="raise", unit=unit, burst=9, seconds=60)
    assert limit.code == "refused"
    assert programs.ran == []


def test_an_alias_and_what_would_go_along_are_refused(
    helper: RealHelper, programs: Programs
) -> None:
    helper.allow("unit-file")
    _systemctl(programs, "sshd.service")
    assert helper.call("unit-file", change="disable", unit="web.service").code == "refused"
    _systemctl(programs, "web.service", also="Also=web.socket ssh.socket")
    said = helper.call("unit-file", change="disable", unit="web.service")
    assert said.code == "refused"
    assert "ssh.socket too" in said.detail
    _systemctl(programs, "web.service", file="static")
    assert helper.call("unit-file", change="enable", unit="web.service").code == "refused"


@pytest.fixture
def limits(helper: RealHelper, programs: Programs) -> Path:
    units = helper.root / "units"
    units.mkdir()
    helper.allow("restart-limit", drop_ins=str(units))
    _systemctl(programs, "web.service")
    return units


def test_a_restart_limit_is_raised_and_lowered(
    helper: RealHelper, programs: Programs, limits: Path
) -> None:
    raised = helper.call("restart-limit", change="raise", unit="web.service", burst=9, seconds=60)
    assert raised.ok, raised.detail
    file = limits / "web.service.d" / "50-triaged-restart-limit.conf"
    lines = file.read_text().splitlines()
    assert lines[1:] == ["[Unit]", "StartLimitBurst=9", "StartLimitIntervalSec=60"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert programs.ran[-1] == ["systemctl", "--no-ask-password", "daemon-reload"]
    assert helper.call("restart-limit", change="lower", unit="web.service").ok
    assert list(limits.iterdir()) == []
    assert helper.call("restart-limit", change="lower", unit="web.service").code == "refused"


def test_other_drop_ins_stay(helper: RealHelper, limits: Path) -> None:
    (limits / "web.service.d").mkdir()
    (limits / "web.service.d" / "own.conf").write_text("[Service]\n")
    assert helper.call("restart-limit", change="raise", unit="web.service", burst=9, seconds=60).ok
    assert helper.call("restart-limit", change="lower", unit="web.service").ok
    assert [path.name for path in (limits / "web.service.d").iterdir()] == ["own.conf"]


def test_no_link_is_followed_where_it_writes(helper: RealHelper, limits: Path) -> None:
    outside = helper.root / "outside"
    outside.mkdir()
    (limits / "web.service.d").symlink_to(outside)
    said = helper.call("restart-limit", change="raise", unit="web.service", burst=9, seconds=60)
    assert not said.ok
    assert list(outside.iterdir()) == []
    (limits / "web.service.d").unlink()
    (limits / "web.service.d").mkdir()
    target = outside / "precious"
    target.write_text("precious")
    for name in ("50-triaged-restart-limit.conf", ".50-triaged-restart-limit.conf.new"):
        (limits / "web.service.d" / name).symlink_to(target)
    assert helper.call("restart-limit", change="raise", unit="web.service", burst=9, seconds=60).ok
    assert target.read_text() == "precious"
    (limits / "web.service.d").chmod(0o777)
    assert not helper.call("restart-limit", change="lower", unit="web.service").ok


def test_a_reversal_is_a_timer_with_one_command(helper: RealHelper, programs: Programs) -> None:
    helper.allow("reversal-arm", "reversal-cancel")
    _systemctl(programs, "ssh.service")
    programs.put("systemd-run")
    token = "00000000000000a1"
    arguments = {"token": token, "target": "ssh.service", "after_seconds": 600}
    said = helper.call("reversal-arm", kind="start_unit", **arguments)
    assert said.ok, said.detail
    (ran,) = [argv for argv in programs.ran if argv[0] == "systemd-run"]
    assert f"--unit=triaged-reversal-{token}" in ran
    assert "--on-active=600s" in ran
    systemctl = str(helper.programs / "systemctl")
    at = ran.index("--")
    assert ran[at + 1 :] == [systemctl, "--no-ask-password", "start", "--", "ssh.service"]
    assert helper.call("reversal-cancel", token=token).ok
    assert programs.ran[-1][-1] == f"triaged-reversal-{token}.timer"


def test_a_reversal_leads_back_to_what_is_now(helper: RealHelper, programs: Programs) -> None:
    """Or it would be a way to stop what must not be stopped."""
    helper.allow("reversal-arm")
    programs.put("systemd-run")
    arguments = {"token": "00000000000000a1", "target": "ssh.service", "after_seconds": 30}
    _systemctl(programs, "ssh.service", active="active", file="disabled")
    assert helper.call("reversal-arm", kind="stop_unit", **arguments).code == "refused"
    assert helper.call("reversal-arm", kind="enable_unit", **arguments).code == "refused"
    assert helper.call("reversal-arm", kind="disable_unit", **arguments).code == "refused"
    assert helper.call("reversal-arm", kind="nixos_rollback", **arguments).code == "refused"
    assert all(argv[0] != "systemd-run" for argv in programs.ran)
    _systemctl(programs, "ssh.service", active="inactive")
    assert helper.call("reversal-arm", kind="stop_unit", **arguments).ok


@pytest.mark.parametrize(
    "unit", ["debug-shell.service", "systemd-poweroff.service", "backup.timer"]
)
def test_a_reversal_starts_nothing_that_nobody_started(
    helper: RealHelper, programs: Programs, unit: str
) -> None:
    """Or it would be a way to a shell without a password, or to halt the host."""
    helper.allow("reversal-arm")
    programs.put("systemd-run")
    _systemctl(programs, unit, active="inactive")
    said = helper.call(
        "reversal-arm", token="00000000000000a1", kind="start_unit", target=unit, after_seconds=30
    )
    assert said.code == "refused"
    assert "is inactive" in said.detail
    assert all(argv[0] != "systemd-run" for argv in programs.ran)


@pytest.mark.parametrize("active", ["active", "reloading", "activating", "failed"])
def test_a_reversal_starts_what_ran_or_broke(
    helper: RealHelper, programs: Programs, active: str
) -> None:
    helper.allow("reversal-arm")
    programs.put("systemd-run")
    _systemctl(programs, "ssh.service", active=active)
    said = helper.call(
        "reversal-arm",
        token="00000000000000a1",
        kind="start_unit",
        target="ssh.service",
        after_seconds=30,
    )
    assert said.ok, said.detail


def test_the_journal_is_vacuumed(helper: RealHelper, programs: Programs) -> None:
    helper.allow("journal-vacuum")
    programs.put("journalctl")
    assert helper.call("journal-vacuum", keep_megabytes=200).ok
    assert programs.ran == [["journalctl", "--vacuum-size=200M"]]
    assert helper.call("journal-vacuum", keep_megabytes=49).code == "refused"


SIMULATED = """\
Reading package lists...
Inst libssl3 [3.0.1-1] (3.0.2-1 Debian-Security:12/stable-security [amd64])
Inst nginx [1.22-1] (1.22-2 Debian:12.5/stable [amd64])
Inst libc6:i386 [2.36-1] (2.36-2 Debian:12/stable, Debian-Security:12/stable-security [i386])
Conf libssl3 (3.0.2-1 Debian-Security:12/stable-security [amd64])
"""


def _apt(programs: Programs, simulated: str = SIMULATED) -> None:
    programs.put("dpkg")
    programs.put("apt-get", {"--simulate": simulated})


def test_security_updates_are_listed_and_exactly_those_are_installed(
    helper: RealHelper, programs: Programs
) -> None:
    helper.allow("security-updates")
    _apt(programs)
    listed = helper.call("security-updates-list")
    assert listed.data == {
        "manager": "apt",
        "packages": ["libc6:i386=2.36-2", "libssl3=3.0.2-1"],
    }
    _apt(programs, SIMULATED.replace("Inst nginx [1.22-1]", "Inst nginx"))
    strange = helper.call("security-updates", packages=["nginx=1.22-2"])
    assert strange.code == "refused"
    older = helper.call("security-updates", packages=["libssl3=3.0.1-1"])
    assert older.code == "refused"
    along = helper.call("security-updates", packages=["libssl3=3.0.2-1"])
    assert along.code == "refused"
    assert "too, which was not named" in along.detail
    only = "\n".join(line for line in SIMULATED.splitlines() if "nginx" not in line)
    _apt(programs, only)
    said = helper.call("security-updates", packages=["libssl3=3.0.2-1", "libc6:i386=2.36-2"])
    assert said.ok, said.detail
    ran = programs.ran[-1]
    assert ran[0] == "apt-get"
    assert "--simulate" not in ran
    assert "--no-remove" in ran
    assert "--only-upgrade" in ran
    assert ran[-2:] == ["libssl3=3.0.2-1", "libc6:i386=2.36-2"]


def test_a_host_with_another_package_manager_is_told_so(helper: RealHelper) -> None:
    helper.allow("security-updates", "package-cache-clean", programs=[str(helper.programs)])
    for verb in ("package-cache-clean", "security-updates-list"):
        said = helper.call(verb)
        assert said.code == "refused"
        assert "neither" in said.detail


def test_dnf_is_asked_for_exactly_those(helper: RealHelper, programs: Programs) -> None:
    programs.put("dnf", {"--quiet": "\nopenssl.x86_64   1:3.0.7-25.el9   updates\n"})
    helper.allow("security-updates", programs=[str(helper.programs)])
    named = "openssl.x86_64=1:3.0.7-25.el9"
    assert helper.call("security-updates-list").data["packages"] == [named]
    assert helper.call("security-updates", packages=[named]).ok
    assert programs.ran[-1][-2:] == ["upgrade", "openssl-1:3.0.7-25.el9.x86_64"]


def test_a_log_is_rotated_with_the_general_settings(helper: RealHelper, programs: Programs) -> None:
    folder = helper.root / "logrotate.d"
    folder.mkdir()
    (folder / "web").write_text("/var/log/web.log {\n  missingok\n}\n")
    general = (
        "weekly\nrotate 4\n# comment\ninclude /etc/logrotate.d\n"
        "/var/log/wtmp {\n  rotate 1\n}\ncreate\n"
    )
    (helper.root / "logrotate.conf").write_text(general)
    seen = helper.root / "seen"
    helper.program("logrotate", f'#!/bin/sh\necho "$@" > {seen}\ncat "$2" >> {seen}\n')
    helper.allow("log-rotate", logrotate=str(folder))
    said = helper.call("log-rotate", name="web")
    assert said.ok, said.detail
    words, *kept = seen.read_text().splitlines()
    assert words.split()[0] == "--force"
    assert words.split()[2] == str(folder / "web")
    assert kept == ["weekly", "rotate 4", "create"]
    assert not Path(words.split()[1]).exists()


def test_a_configuration_that_others_can_write_is_not_rotated(helper: RealHelper) -> None:
    folder = helper.root / "logrotate.d"
    folder.mkdir()
    (folder / "web").write_text("")
    (folder / "web").chmod(0o666)
    (folder / "link").symlink_to(folder / "web")
    helper.allow("log-rotate", logrotate=str(folder))
    for name in ("web", "link", "none", "../web", ".hidden", "-f"):
        assert helper.call("log-rotate", name=name).code == "refused", name


def test_a_program_that_others_can_write_is_not_run(helper: RealHelper) -> None:
    helper.program("journalctl", "#!/bin/sh\n").chmod(0o777)
    helper.allow("journal-vacuum", programs=[str(helper.programs)])
    said = helper.call("journal-vacuum", keep_megabytes=100)
    assert said.code == "failed"
    assert "root's alone" in said.detail


def test_a_program_sees_a_clean_environment_and_its_words_are_bounded(
    helper: RealHelper,
) -> None:
    seen = helper.root / "seen"
    helper.program(
        "journalctl",
        f"#!/bin/sh\nenv > {seen}\nls -l /proc/$$/fd >> {seen}\nyes | head -c 9000000\n",
    )
    helper.allow("journal-vacuum")
    said = helper.call("journal-vacuum", keep_megabytes=100)
    assert said.ok, said.detail
    assert len(said.detail) < 2_000
    names = {line.partition("=")[0] for line in seen.read_text().splitlines() if "=" in line}
    assert names <= {"PATH", "LC_ALL", "HOME", "TZ", "PWD", "_", "SHLVL", "OLDPWD"}
    assert "socket" not in seen.read_text()


def test_a_failing_program_is_no_success(helper: RealHelper) -> None:
    helper.program("journalctl", "#!/bin/sh\necho 'it is broken'\nexit 3\n")
    helper.allow("journal-vacuum")
    said = helper.call("journal-vacuum", keep_megabytes=100)
    assert (said.ok, said.code) == (False, "failed")
    assert "status 3" in said.detail
    assert "it is broken" in said.detail


def test_a_grandchild_that_holds_the_pipe_holds_up_nothing(helper: RealHelper) -> None:
    helper.program("journalctl", "#!/bin/sh\nsleep 30 &\necho done\n")
    helper.allow("journal-vacuum")
    began = time.monotonic()
    assert helper.call("journal-vacuum", keep_megabytes=100).ok
    assert time.monotonic() - began < 10


def test_a_helper_that_is_told_to_end_ends_its_children(helper: RealHelper) -> None:
    note = helper.root / "pid"
    helper.program("journalctl", f"#!/bin/sh\necho $$ > {note}\nexec sleep 60\n")
    helper.allow("journal-vacuum")
    process, connection = helper.start()
    with process, connection:
        connection.sendall(b'{"verb": "journal-vacuum", "arguments": {"keep_megabytes": 100}}\n')
        end = time.monotonic() + 10
        while not (note.exists() and note.read_text().endswith("\n")):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.terminate()
        assert b'"ok": false' in connection.makefile("rb").readline()
        process.wait(timeout=20)
        assert process.stderr is not None
        assert b"outcome=failed" in process.stderr.read()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)

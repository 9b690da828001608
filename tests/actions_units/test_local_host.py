"""The host that the tests run on, measured, and hostile forms of what the kernel shows."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.actions.errors import HostUnavailableError
from daemon.actions.host.critical import Concern
from daemon.actions.host.local import LocalHost
from daemon.actions.host.mounts import parse_mounts
from daemon.actions.host.processes import read_process, unit_of
from daemon.actions.host.surroundings import why_process_critical
from tests.actions_units.standin import StandIn


async def test_processes_are_this_hosts(host: LocalHost) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220
    try:
        found = await host.process(child.pid)
        assert found is not None
        assert (found.parent, found.uid, found.kernel) == (os.getpid(), os.getuid(), False)
        stat = Path(f"/proc/{child.pid}/stat").read_text()  # noqa: ASYNC240
        fields = stat.rpartition(")")[2].split()
        assert (found.start, found.nice) == (int(fields[19]), int(fields[16]))
        assert Path(found.command).name.startswith("python")
        assert child.pid in {each.pid for each in await host.processes()}
    finally:
        child.communicate(b"\n")
    assert await host.process(child.pid) is None
    assert await host.process(2**31) is None


async def test_names_of_processes_may_hold_anything(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    rest = " ".join(["S", "1", *["0"] * 4, "2097152", *["0"] * 9, "5", "0", "0", "4711", "0"])
    for name in ("a) S 1 (b", "x\ny", "((", "…"):
        (folder / "stat").write_text(f"7 ({name}) {rest}\n")
        (folder / "status").write_text("Name:\tx\nUid:\t33\t0\t0\t0\n")
        (folder / "cgroup").write_text("0::/system.slice/web.service\n")
        found = read_process(tmp_path, 7)
        assert found is not None
        assert (found.name, found.start, found.uid, found.kernel) == (name, 4711, 33, True)
        assert (found.unit, found.nice, found.parent) == ("web.service", 5, 1)
    for broken in ("", "7", "7 (x", "7 (x) S"):
        (folder / "stat").write_text(broken)
        assert read_process(tmp_path, 7) is None


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/ssh.service", "user@0.service"),
        ("0::/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        ("0::/system.slice/web.service/ssh.service", "web.service"),
        ("0::/init.scope", "init.scope"),
        ("0::/", ""),
        ("", ""),
        ("rubbish", ""),
        ("5:cpu:/x.service\n1:name=systemd:/system.slice/cron.service\n", "cron.service"),
        ("0::/system.slice/evil name.service/ssh.service", "ssh.service"),
    ],
)
def test_the_unit_is_the_first_one(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


@given(st.text())
def test_any_cgroup_and_any_mounts_are_read(text: str) -> None:
    unit_of(text)
    parse_mounts(text)


async def test_mounts_and_free_space(host: LocalHost, tmp_path: Path) -> None:
    mounts = {mount.point: mount for mount in await host.mounts()}
    assert mounts["/"].total > 0
    assert {"rw", "ro"} & set(mounts["/"].options)
    assert await host.free_bytes(str(tmp_path)) > 0
    for path in (str(tmp_path / "nothing"), "a\0b"):
        with pytest.raises(HostUnavailableError, match="cannot be measured"):
            await host.free_bytes(path)


def test_mounts_with_odd_names_and_their_own_options() -> None:
    line = (
        "36 35 98:0 / /media/my\\040disk\\011\\134 ro,nodev shared:1 - ext4 /dev/sdb1 rw,errors=ro"
    )
    (mount,) = parse_mounts(f"rubbish\n{line}\n36 35 98:0 / /x\n")
    assert (mount.point, mount.device, mount.type) == ("/media/my disk\t\\", "/dev/sdb1", "ext4")
    assert mount.options == ("rw", "errors=ro"), "how the daemon sees it says nothing"


async def test_programs_that_only_read(host: LocalHost) -> None:
    output = await host.read(["/bin/echo", "$(reboot)", "; ls"])
    assert (output.status, output.text) == (0, "$(reboot) ; ls\n")
    with pytest.raises(HostUnavailableError, match="has no nothing-like-that"):
        await host.read(["nothing-like-that"])
    with pytest.raises(HostUnavailableError, match="did not finish"):
        await host.read(["sleep", "5"], timeout=0.1)


async def test_processes_of_this_host_and_why_they_are_critical(
    systemd: StandIn, host: LocalHost
) -> None:
    systemd.add("tunnel.service", RequiredBy=["ssh.service"])
    systemd.add("web.service")
    own = await host.process(os.getpid())
    assert own is not None
    found = await why_process_critical(own, host=host)
    assert found is not None
    assert found.concern is Concern.DAEMON
    for unit, concern in (
        ("tunnel.service", Concern.SSH),
        ("sshd@gone.service", Concern.SSH),
        ("session-7.scope", Concern.LOGIN),
        ("web.service", None),
        ("", None),
    ):
        other = dataclasses.replace(own, pid=2**30, parent=0, unit=unit)
        found = await why_process_critical(other, host=host)
        assert (found.concern if found is not None else None) is concern, unit

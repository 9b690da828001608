"""What is critical: by name, by surroundings, by descent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.actions.host.critical import (
    CRITICAL,
    WAY_IN,
    Concern,
    Critical,
    critical_mount,
    critical_name,
    critical_process,
    critical_unit,
)
from daemon.actions.host.host import ProcessState, UnitState
from daemon.actions.host.own_database import critical_database

NAMED = {
    Concern.SSH: "ssh.service sshd.service ssh.socket ssh@1-10.0.0.1:22.service sshd@3.service "
    "dropbear.service sshd-keygen.service",
    Concern.NETWORK: "NetworkManager.service networkmanager.service systemd-networkd.service "
    "systemd-resolved.service networking.service firewalld.service nftables.service ufw.service "
    "wpa_supplicant@wlan0.service ifup@eth0.service network-online.target iptables.service "
    "systemd-networkd.socket",
    Concern.REMOTE: "wg-quick@wg0.service openvpn-client@home.service tailscaled.service "
    "openvpn.service cockpit.socket xrdp.service serial-getty@ttyS0.service",
    Concern.BOOT: "systemd-journald.service dbus.socket dbus-broker.service init.scope "
    "basic.target multi-user.target systemd-udevd.service polkit.service system.slice "
    "emergency.service rescue.target reboot.target debug-shell.service modprobe@evil.service",
    Concern.LOGIN: "getty@tty1.service user@1000.service session-4.scope sssd.service",
    Concern.DAEMON: "triaged.service triaged-helper.socket triaged-helper@1.service "
    "triaged.target llama-meta.service triaged-reversal-00000000000000ff.timer",
    Concern.STORAGE: "-.mount boot.mount home.mount dev-sda1.swap lvm2-monitor.service "
    "mdmonitor.service zfs-mount.service dm-event.socket multipathd.service "
    "remote-veritysetup.target",
}
HARMLESS = (
    "nginx.service", "apache2.service", "mysql.service", "cron.service", "logrotate.timer",
    "sshguard.service", "docker.service", "myapp@7.service", "redis-server.service",
    "prometheus.service", "apt-daily.timer", "certbot.service", "postfix@-.service",
)  # fmt: skip


@pytest.mark.parametrize("concern", NAMED, ids=str)
def test_by_name(concern: Concern) -> None:
    for name in NAMED[concern].split():
        found = critical_name(name)
        assert found is not None, name
        assert found.concern is concern, name
        assert name in found.why


def test_most_services_are_not() -> None:
    for name in HARMLESS:
        assert critical_name(name) is None, name


def test_the_operators_own() -> None:
    globs = ("mysql", "shop-*")
    assert critical_name("mysql.service", globs=globs) is not None
    assert critical_name("shop-web.service", globs=globs) is not None
    assert critical_name("mysqld.service", globs=globs) is None
    found = critical_name("mysql.service", globs=globs)
    assert found is not None
    assert found.concern in WAY_IN


@pytest.mark.parametrize(
    ("dsn", "local"),
    [
        (None, False),
        ("", True),
        ("postgresql:///triaged", True),
        ("postgresql://u:p@localhost/x", True),
        ("postgresql://u@127.0.0.2:5433/x", True),
        ("host=::1 dbname=x", True),
        ("host=/run/postgresql", True),
        ("postgresql://db1.example,localhost/x", True),
        ("postgresql://db1.example/x", False),
        ("hostaddr=192.0.2.7 host=localhost", False),
        ("host=a b c = rubbish", True),
    ],
)
def test_its_own_postgresql(dsn: str | None, local: bool) -> None:
    globs = critical_database(dsn)
    assert bool(globs) == local
    assert (critical_name("postgresql@15-main.service", globs=globs) is not None) == local


def unit(name: str, **more: Sequence[str]) -> UnitState:
    tuples = {key: tuple(value) for key, value in more.items()}
    return dataclasses.replace(
        UnitState(name=name, load="loaded", active="active", sub="running"), **tuples
    )


def test_by_another_name_and_by_what_it_triggers() -> None:
    assert critical_unit(unit("a.service", names=["a.service", "sshd.service"]), around={})
    assert critical_unit(unit("a.service", triggered_by=["ssh.socket"]), around={})
    assert critical_unit(unit("a.timer", triggers=["systemd-tmpfiles-clean.service"]), around={})
    around = {"b.socket": unit("b.socket", names=["b.socket", "sshd.socket"])}
    assert critical_unit(unit("a.service", triggered_by=["b.socket"]), around=around)
    assert critical_unit(unit("a.service", triggered_by=["b.socket"]), around={}) is None


NAMES = st.sampled_from([f"u{number}.service" for number in range(8)])
GRAPHS = st.dictionaries(NAMES, st.lists(st.sampled_from([*(f"u{n}.service" for n in range(8)),
    "ssh.service", "x.target"]), max_size=4))  # fmt: skip


@given(graph=GRAPHS, start=NAMES)
def test_whatever_a_critical_unit_needs_is_critical(
    graph: dict[str, list[str]], start: str
) -> None:
    around = {name: unit(name, requires_by=needs) for name, needs in graph.items()}
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph.get(name, [])
    found = critical_unit(around.get(start, unit(start)), around=around)
    assert (found is not None) == ("ssh.service" in reached)
    if found is not None:
        assert found.concern is Concern.SSH


@given(name=st.text(max_size=60), globs=st.lists(st.text(max_size=20), max_size=3))
def test_any_text_has_an_answer(name: str, globs: list[str]) -> None:
    critical_name(name, globs=globs)


@given(
    prefix=st.sampled_from([g for globs in CRITICAL.values() for g in globs if g.endswith("*")]),
    rest=st.from_regex(r"[A-Za-z0-9:_.\\@-]{0,30}\.service", fullmatch=True),
)
def test_nothing_appended_makes_it_harmless(prefix: str, rest: str) -> None:
    assert critical_name(prefix.rstrip("*").replace("*", "x") + rest) is not None


# --- processes and mounts -------------------------------------------------------------------------


def process(pid: int, parent: int = 1, *, of: str = "", kernel: bool = False) -> ProcessState:
    return ProcessState(
        pid=pid, start=pid, name="p", uid=0, nice=0, state="S", unit=of, command="p",
        parent=parent, kernel=kernel,
    )  # fmt: skip


@given(
    parents=st.lists(st.integers(0, 19), min_size=20, max_size=20),
    own=st.integers(2, 19),
    pid=st.integers(2, 19),
)
def test_the_daemons_own_and_its_ancestors(parents: list[int], own: int, pid: int) -> None:
    """Whatever the tree, circles included, as a look that is not of one moment may have."""
    processes = [process(number, parents[number]) for number in range(1, 20)]

    def ancestors(number: int) -> set[int]:
        line: set[int] = set()
        while number > 0 and number not in line:
            line.add(number)
            number = parents[number] if number < 20 else 0
        return line

    found = critical_process(processes[pid - 1], processes=processes, own=own, unit=None)
    assert (found is not None) == (own in ancestors(pid) or pid in ancestors(own))


def test_init_kernel_and_units() -> None:
    own = os.getpid()

    def why(each: ProcessState, found: Critical | None = None) -> Critical | None:
        return critical_process(each, processes=[each], own=own, unit=found)

    assert why(process(1, 0)) is not None
    assert why(process(77, 2, kernel=True)) is not None
    assert why(process(77)) is None
    ssh = critical_name("ssh.service")
    found = why(process(77, of="ssh.service"), ssh)
    assert found is not None
    assert found.concern is Concern.SSH
    assert "belongs to ssh.service" in found.why


def test_mounts_are_storage_and_some_are_the_boot() -> None:
    for point in ("/", "/boot", "/boot/efi", "/efi", "/usr"):
        assert critical_mount(point).concern is Concern.BOOT, point
    for point in ("/home", "/srv/boot", "/var", "/bootstrap"):
        assert critical_mount(point).concern is Concern.STORAGE, point

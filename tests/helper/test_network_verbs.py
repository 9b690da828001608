"""Blocks in a real nftables, in network namespaces of their own: packets, the kernel's clock, and
addresses that are never blocked."""

# ruff: noqa: S607 -- tools of the machine

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from helper_kit import RealHelper

_LISTENER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("up", flush=True)
kept = []
while True:
    kept.append(server.accept())
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Two namespaces: the host's 10.77.0.1 and fd77::1, somebody's 10.77.0.9 and fd77::9. The
    host's gateway is 10.77.0.254."""

    host: int
    other: int

    def on_host(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self._at(self.host, argv)

    def reaches(self, address: str, port: int) -> bool:
        """Whether somebody's connection to the host comes about within half a second."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), timeout=0.5)"
        return self._at(self.other, (sys.executable, "-c", code)).returncode == 0

    def enter(self, pid: int) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def _at(self, pid: int, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter(pid), *argv], capture_output=True, text=True, check=False, timeout=20
        )


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0:
        pytest.skip("namespaces are made by root, and this is not root")
    if not shutil.which("nft") or not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("nft, ip or nsenter is not installed")
    spaces = [subprocess.Popen(["unshare", "--net", "sleep", "600"]) for _ in range(2)]
    try:
        time.sleep(0.2)
        wire = Wire(host=spaces[0].pid, other=spaces[1].pid)
        made = wire.on_host("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
        if made.returncode:
            pytest.skip(f"this machine has no namespaces to test in: {made.stderr.strip()}")
        wire.on_host("ip", "link", "set", "wire1", "netns", str(wire.other))
        for pid, name, end in ((wire.host, "wire0", 1), (wire.other, "wire1", 9)):
            for words in (
                ("ip", "link", "set", "lo", "up"),
                ("ip", "address", "add", f"10.77.0.{end}/24", "dev", name),
                ("ip", "address", "add", f"fd77::{end}/64", "dev", name, "nodad"),
                ("ip", "link", "set", name, "up"),
            ):
                subprocess.run([*wire.enter(pid), *words], check=True, timeout=20)
        wire.on_host("ip", "route", "add", "default", "via", "10.77.0.254")
        yield wire
    finally:
        for space in spaces:
            space.kill()
            space.wait()


@pytest.fixture
def fenced(helper: RealHelper, wire: Wire) -> RealHelper:
    wire.on_host("nft", "delete", "table", "inet", "triaged")
    helper.prefix = wire.enter(wire.host)
    helper.allow("block", "unblock", never_block=["198.51.100.0/24"])
    return helper


@contextlib.contextmanager
def _running(*argv: str) -> Iterator[None]:
    """A program that says one word when it is ready."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield
        finally:
            process.kill()


def _listening(wire: Wire, address: str, port: int) -> contextlib.AbstractContextManager[None]:
    return _running(*wire.enter(wire.host), sys.executable, "-c", _LISTENER, address, str(port))


@pytest.mark.parametrize(
    ("listens", "blocked"),
    [("10.77.0.1", "10.77.0.9"), ("fd77::1", "fd77::8/125")],
)
def test_packets_are_dropped_and_the_kernel_lifts_it(
    fenced: RealHelper, wire: Wire, listens: str, blocked: str
) -> None:
    with _listening(wire, listens, 8080):
        assert wire.reaches(listens, 8080)
        said = fenced.call("block", network=blocked, seconds=5)
        assert said.ok, said.detail
        assert not wire.reaches(listens, 8080)
        looked = fenced.call("blocked", network=blocked)
        assert looked.data["blocked"]
        assert 1 <= looked.data["left"] <= 5
        time.sleep(5.2)
        assert wire.reaches(listens, 8080)
        assert not fenced.call("blocked", network=blocked).data["blocked"]


def test_a_block_is_lifted_and_made_anew(fenced: RealHelper) -> None:
    assert fenced.call("unblock", network="192.0.2.7").code == "refused"
    assert fenced.call("block", network="192.0.2.7", seconds=100).ok
    assert fenced.call("block", network="192.0.2.7", seconds=900).ok
    assert fenced.call("blocked", network="192.0.2.7").data["left"] > 800
    assert fenced.call("block", network="203.0.113.0/24", seconds=60).ok
    overlapping = fenced.call("block", network="203.0.113.9", seconds=60)
    assert overlapping.code == "refused"
    listed = fenced.call("blocked").data["networks"]
    assert {each["network"] for each in listed} == {"192.0.2.7/32", "203.0.113.0/24"}
    assert fenced.call("unblock", network="192.0.2.7").ok
    assert not fenced.call("blocked", network="192.0.2.7").data["blocked"]


def test_neighbours_are_told_apart(fenced: RealHelper) -> None:
    for end in (4, 5, 6, 7):
        assert fenced.call("block", network=f"192.0.2.{end}", seconds=100).ok
    assert fenced.call("unblock", network="192.0.2.5").ok
    listed = fenced.call("blocked").data["networks"]
    assert {each["network"] for each in listed} == {f"192.0.2.{end}/32" for end in (4, 6, 7)}


def test_the_hosts_own_rules_are_left_alone(fenced: RealHelper, wire: Wire) -> None:
    for words in (
        ("add", "table", "inet", "mine"),
        ("add", "chain", "inet", "mine", "input"),
        ("add", "rule", "inet", "mine", "input", "tcp dport 22 accept"),
    ):
        assert wire.on_host("nft", *words).returncode == 0
    before = wire.on_host("nft", "list", "table", "inet", "mine").stdout
    assert fenced.call("block", network="192.0.2.7", seconds=100).ok
    assert fenced.call("unblock", network="192.0.2.7").ok
    assert wire.on_host("nft", "list", "table", "inet", "mine").stdout == before


NEVER = {
    "10.77.0.1": "an address of this host",
    "10.77.0.0/24": "an address of this host",
    "fd77::1": "an address of this host",
    "10.77.0.254": "a gateway",
    "198.51.100.7": "198.51.100.0/24",
    "127.0.0.1": "127.0.0.0/8",
    "127.5.0.0/16": "127.0.0.0/8",
    "::1": "::1",
    "fe80::1": "fe80::/10",
    "224.0.0.1": "224.0.0.0/4",
    "10.0.0.0/8": "wider than /16",
    "2001::/16": "wider than /32",
    "2001:db8::1/32": "no address and no network",
    "::ffff:c000:207": "clothes",
    "192.0.2.7/24": "no address and no network",
    "192.0.2.07": "no address and no network",
    "2001:0db8::7": "usual form",
    "10.77.0.9": "",
    "192.0.2.0/24": "",
    "2001:db8::/48": "",
}


def test_some_addresses_are_never_blocked(wire: Wire) -> None:
    """In one process of the host's namespace, for each of them as the verb asks."""
    code = f"""
import ipaddress, json, pathlib
from daemon.helper import addresses, config, errors, firewall
never = (ipaddress.ip_network("198.51.100.0/24"),)
config = config.Config(file=pathlib.Path("x"), never_block=never)
said = {{}}
for text in {list(NEVER)!r}:
    try:
        said[text] = addresses.why_never(firewall.network_of(text), config)
    except errors.RefusedError as error:
        said[text] = str(error)
print(json.dumps(said))
"""
    done = wire.on_host(sys.executable, "-c", code)
    said = json.loads(done.stdout)
    for network, why in NEVER.items():
        assert (why in said[network]) if why else said[network] == "", network


def test_the_verb_refuses_what_is_never_blocked(fenced: RealHelper) -> None:
    said = fenced.call("block", network="10.77.0.254", seconds=60)
    assert said.code == "refused"
    assert "a gateway" in said.detail
    assert fenced.call("blocked", network="10.77.0.254").data["why_never"]


def test_who_is_logged_in_by_ssh_is_never_blocked(fenced: RealHelper, wire: Wire) -> None:
    code = (
        "import socket, time; s = socket.create_connection(('10.77.0.1', 22));"
        "print('up', flush=True); time.sleep(30)"
    )
    client = _running(*wire.enter(wire.other), sys.executable, "-c", code)
    with _listening(wire, "10.77.0.1", 22), client:
        said = fenced.call("block", network="10.77.0.9", seconds=60)
    assert said.code == "refused"
    assert "logged in by ssh" in said.detail

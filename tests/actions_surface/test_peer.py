"""Whose connection it is, by the kernel's word: crafted tables, and real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.peer import HostPeers, owner_in

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when   uid  timeout inode"
FOUR = (ipaddress.ip_address("127.0.0.1"), 40000, ipaddress.ip_address("127.0.0.1"), 8083)
SIX = (ipaddress.ip_address("::1"), 40000, ipaddress.ip_address("::1"), 8083)


def row(local: str, remote: str, *, state: str = "01", uid: str = "1000", inode: str = "77") -> str:
    return (
        f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {uid}        0 "
        f"{inode} 1 0000000000000000"
    )


CLIENT, SERVER = "0100007F:9C40", "0100007F:1F93"


def test_the_clients_end_is_what_counts() -> None:
    assert owner_in([HEAD, row(CLIENT, SERVER)], FOUR) == 1000
    assert owner_in([HEAD, row(SERVER, CLIENT, uid="0")], FOUR) is None
    assert owner_in([HEAD, row("0100007F:9C41", SERVER)], FOUR) is None
    both = [HEAD, row(SERVER, CLIENT, uid="0"), row(CLIENT, SERVER, uid="33")]
    assert owner_in(both, FOUR) == 33


def test_who_hung_up_is_nobody() -> None:
    """The kernel shows sockets that nobody holds as root's."""
    for state in ("04", "05", "06", "08", "09", "0B"):
        assert owner_in([row(CLIENT, SERVER, state=state, uid="0", inode="0")], FOUR) is None
    assert owner_in([row(CLIENT, SERVER, uid="0", inode="0")], FOUR) is None


def test_ipv6_and_what_is_ipv4_in_it() -> None:
    one = "00000000000000000000000001000000"
    mapped = "0000000000000000FFFF00000100007F"
    assert owner_in([row(f"{one}:9C40", f"{one}:1F93")], SIX) == 1000
    assert owner_in([row(f"{mapped}:9C40", f"{mapped}:1F93")], FOUR) == 1000


@pytest.mark.parametrize(
    "line",
    ["", "x", "a b c 01", row("zz:1", SERVER), row(CLIENT, "1:1"), row(CLIENT, SERVER, uid="x")],
)
def test_rubbish_is_nobody(line: str) -> None:
    assert owner_in([line], FOUR) is None


@contextlib.contextmanager
def listening(address: str) -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        yield listener, (address, listener.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_our_own_connection(address: str) -> None:
    with listening(address) as (listener, server), socket.create_connection(server):
        held, _ = listener.accept()
        with held:
            client = held.getpeername()[:2]
            found = await HostPeers().owner(client=client, server=server)
            assert found is not None
            assert (found.uid, found.trusted) == (os.geteuid(), True)
            assert await HostPeers().owner(client=(client[0], 1), server=server) is None


async def test_a_connection_that_was_closed_is_nobodys() -> None:
    with listening("127.0.0.1") as (listener, server):
        asking = socket.create_connection(server)
        held, _ = listener.accept()
        with held:
            client = held.getpeername()[:2]
            asking.close()
            assert await HostPeers().owner(client=client, server=server) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_somebody_elses_connection() -> None:
    program = (
        "import encodings.idna, os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "sys.stdin.read()\n"
    )
    with listening("127.0.0.1") as (listener, server):
        listener.settimeout(20)
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(server[1]), stdin=asyncio.subprocess.PIPE
        )
        held, _ = await asyncio.to_thread(listener.accept)
        with held:
            found = await HostPeers().owner(client=held.getpeername()[:2], server=server)
        await other.communicate(b"")
    assert found is not None
    assert (found.uid, found.trusted) == (65534, False)


async def test_a_long_table_takes_milliseconds(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    lines = [row(f"0100007F:{n % 65536:04X}", "0200007F:1F93") for n in range(50_000)]
    table.write_text("\n".join([HEAD, *lines, row(CLIENT, SERVER)]))
    async with asyncio.timeout(5):
        found = await HostPeers(tables=[tmp_path / "gone", table]).owner(
            client=("127.0.0.1", 40000), server=("127.0.0.1", 8083)
        )
    assert found is not None
    assert found.name

"""Addresses that are never blocked: our own, the way out, names, and whoever is logged in by ssh.

Read from /proc and two files, so that no program's output has to be trusted for it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.config import Config, Network

LEAST_PREFIX = {4: 16, 6: 32}
"""Wider networks are never blocked."""

_ALWAYS = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"),
        *("::/128", "::1/128", "fe80::/10", "ff00::/8"),
    )
)
_ESTABLISHED = "01"
_GATEWAY_FLAG = 0x2
_PORT = re.compile(r"\s*(?:Port|ListenAddress)\s.*?([0-9]{1,5})\s*$", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def why_never(network: Network, config: Config, *, proc: Path = Path("/proc")) -> str:
    """Empty where `network` may be blocked; else whose it is, or what it holds."""
    if network.prefixlen < LEAST_PREFIX[network.version]:
        return f"it is wider than /{LEAST_PREFIX[network.version]}"
    for never in (*_ALWAYS, *config.never_block):
        if never.version == network.version and never.overlaps(network):
            return f"{never} is never blocked"
    net = proc / "self" / "net"
    for what, addresses in (
        ("an address of this host", _own(net)),
        ("a gateway", _gateways(net)),
        ("a server of names", _resolvers()),
        ("logged in by ssh", _ssh_peers(net)),
    ):
        for address in addresses:
            if address.version == network.version and address in network:
                return f"{address} is {what}"
    return ""


def _own(net: Path) -> Iterator[Address]:
    last = ""
    for line in _lines(net / "fib_trie"):
        if found := re.search(r"\|-- ([0-9.]+)$", line):
            last = found[1]
        elif "host LOCAL" in line and last:
            yield ipaddress.ip_address(last)
    for line in _lines(net / "if_inet6"):
        yield ipaddress.IPv6Address(int(line.split()[0], 16))


def _gateways(net: Path) -> Iterator[Address]:
    for line in _lines(net / "route")[1:]:
        fields = line.split()
        if int(fields[3], 16) & _GATEWAY_FLAG:
            yield _v4(fields[2])
    for line in _lines(net / "ipv6_route"):
        fields = line.split()
        if int(fields[8], 16) & _GATEWAY_FLAG:
            yield ipaddress.IPv6Address(int(fields[4], 16))


def _resolvers() -> Iterator[Address]:
    for file in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        for line in _lines(Path(file)):
            if found := re.match(r"nameserver\s+([0-9a-fA-F.:]+)", line):
                try:
                    yield ipaddress.ip_address(found[1])
                except ValueError:
                    continue


def _ssh_peers(net: Path) -> Iterator[Address]:
    ports = _ssh_ports()
    for name in ("tcp", "tcp6"):
        for line in _lines(net / name)[1:]:
            fields = line.split()
            if fields[3] != _ESTABLISHED or int(fields[1].rpartition(":")[2], 16) not in ports:
                continue
            peer = fields[2].rpartition(":")[0]
            yield _v4(peer) if name == "tcp" else _v6(peer)


def _ssh_ports() -> frozenset[int]:
    ports = {22}
    folder = Path("/etc/ssh")
    for file in (folder / "sshd_config", *sorted(folder.glob("sshd_config.d/*.conf"))):
        for line in _lines(file):
            if found := re.match(
                r"\s*(?:Port|ListenAddress)\s.*?([0-9]{1,5})\s*$", line, re.IGNORECASE
            ):
                ports.add(int(found[1]))
    return frozenset(ports)


def _v4(words: str) -> ipaddress.IPv4Address:
    """From the kernel's hexadecimal form, a word in the processor's own order."""
    return ipaddress.IPv4Address(struct.pack("=I", int(words, 16)))


def _v6(words: str) -> Address:
    raw = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, 32, 8))
    address = ipaddress.IPv6Address(socket.inet_ntop(socket.AF_INET6, raw))
    return address.ipv4_mapped or address


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []

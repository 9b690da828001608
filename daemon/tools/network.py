"""Sockets that listen, and interfaces."""

from __future__ import annotations

import asyncio
import dataclasses
import socket

import psutil

from daemon.tools.toolbox import ToolError
from daemon.tools.words import listed, size
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    port: int
    protocol: str
    addresses: tuple[str, ...]
    program: str
    pid: int | None


async def listening_sockets(*, port: int | None = None) -> ToolResult:
    """Who listens, on all ports or on one."""
    if port is not None and port > 65_535:
        raise ToolError(f"{port} is not a port; ports are 1 to 65535.")
    found = await asyncio.to_thread(_listeners)
    if port is not None:
        found = [entry for entry in found if entry.port == port]
        if not found:
            return ToolResult(
                ok=True, summary=f"Nothing listens on port {port}.", data={"listeners": []}
            )
    words = [
        f"{entry.protocol} port {entry.port} {entry.program}"
        + (f" (pid {entry.pid})" if entry.pid else "")
        + f" on {', '.join(entry.addresses)}"
        for entry in found
    ]
    plural = "socket listens" if len(found) == 1 else "sockets listen"
    summary = f"{len(found)} {plural}: {listed(words, most=12)}."
    data = {"listeners": [dataclasses.asdict(entry) for entry in found]}
    return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)


async def network_interfaces(*, interface: str | None = None) -> ToolResult:
    """Addresses, state, traffic and errors of interfaces."""
    addresses = psutil.net_if_addrs()
    if interface is not None and interface not in addresses:
        raise ToolError(f"There is no interface {interface}; there are {', '.join(addresses)}.")
    states, counters = psutil.net_if_stats(), psutil.net_io_counters(pernic=True)
    words, data = [], []
    for name in [interface] if interface else sorted(addresses):
        ips = [
            a.address.split("%")[0]
            for a in addresses[name]
            if a.family in (socket.AF_INET, socket.AF_INET6)
        ]
        state, count = states.get(name), counters.get(name)
        up = state is not None and state.isup
        part = f"{name} is {'up' if up else 'down'} with {', '.join(ips) or 'no address'}"
        if state is not None and state.speed:
            part += f", {state.speed} Mbit/s"
        if count is not None:
            part += (
                f", received {size(count.bytes_recv)}, sent {size(count.bytes_sent)}, "
                f"{count.errin + count.errout} errors, {count.dropin + count.dropout} dropped"
            )
        words.append(part)
        data.append(
            {
                "name": name,
                "up": up,
                "addresses": ips,
                "counters": count._asdict() if count is not None else None,
            }
        )
    return ToolResult(ok=True, summary=listed(words, most=6) + ".", data={"interfaces": data})


def _listeners() -> list[Listener]:
    """Grouped by protocol, port and process. Others' programs are unknown without privilege."""
    groups: dict[tuple[str, int, int | None], set[str]] = {}
    for connection in psutil.net_connections(kind="inet"):
        if not connection.laddr:
            continue
        if connection.type == socket.SOCK_STREAM:
            if connection.status != psutil.CONN_LISTEN:
                continue
            protocol = "tcp"
        elif connection.raddr:
            continue
        else:
            protocol = "udp"
        key = (protocol, connection.laddr.port, connection.pid)
        groups.setdefault(key, set()).add(connection.laddr.ip)
    return [
        Listener(
            port=port,
            protocol=protocol,
            addresses=tuple(sorted(ips)),
            program=_program(pid),
            pid=pid,
        )
        for (protocol, port, pid), ips in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] or 0)
        )
    ]


def _program(pid: int | None) -> str:
    if pid is None:
        return "a program that cannot be seen"
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "a program that has ended"

"""Clears the way for a server: leftovers of an earlier run are ended, strangers are named."""

from __future__ import annotations

from pathlib import Path

import psutil

from tiers.runtime.errors import MisconfiguredError, PortTakenError
from tiers.runtime.ownership import (
    end_orphan,
    holder_of,
    is_orphan,
    port_is_free,
    read_mark,
)
from tiers.vocabulary import TierName


def end_left_over(*, pid_file: Path, tier: TierName, state_dir: Path) -> None:
    """Ends the server that the pid file names when a daemon that is gone left it."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        mark = read_mark(psutil.Process(pid))
    except (OSError, ValueError, psutil.Error):
        return
    if mark is not None and mark.tier == tier and is_orphan(mark, of=state_dir):
        end_orphan(pid, state_dir=state_dir)


def claim_port(*, tier: TierName, host: str, port: int, state_dir: Path) -> None:
    """Returns when the port is free. A server that an earlier run left there is ended.

    Raises `PortTakenError` that names the process, `MisconfiguredError` for an address that is
    not this machine's.
    """
    try:
        if port_is_free(host, port):
            return
        holder = holder_of(port, state_dir=state_dir)
        if holder is not None and holder.orphan and holder.pid is not None:
            end_orphan(holder.pid, state_dir=state_dir)
        if port_is_free(host, port):
            return
    except OSError as error:
        raise MisconfiguredError(
            f"llama-server {tier} cannot listen on {host}:{port}: {error.strerror}; "
            "check `host` and `port` of this tier."
        ) from error
    raise PortTakenError(
        f"Port {port} on {host} is in use by {holder.words() if holder else 'another process'};"
        f" stop it, or set another `port` in [tiers.{tier}]."
    )


def resident_bytes(pid: int) -> int | None:
    """The memory of a process, None when it is gone."""
    try:
        resident: int = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None
    return resident

"""Every kind of action that needs nothing but the host, from all families."""

from __future__ import annotations

from daemon.actions.catalogue import Catalogue
from daemon.actions.kind import Kind
from daemon.actions.kinds import (
    certificates,
    containers,
    limits,
    network,
    nixos,
    packages,
    processes,
    storage,
    timers,
    unit_files,
    units,
)

KINDS: tuple[Kind, ...] = (
    *units.KINDS,
    *unit_files.KINDS,
    *limits.KINDS,
    *timers.KINDS,
    *certificates.KINDS,
    *storage.KINDS,
    *processes.KINDS,
    *network.KINDS,
    *packages.KINDS,
    *containers.KINDS,
    *nixos.KINDS,
)
"""In the order in which people are shown them."""


def every_kind() -> Catalogue:
    """The catalogue of all."""
    return Catalogue(kinds=KINDS)

"""Every kind of action that there is, from all families."""

from __future__ import annotations

from daemon.actions.catalogue import Catalogue
from daemon.actions.kind import Kind
from daemon.actions.kinds import certificates, limits, timers, unit_files, units

KINDS: tuple[Kind, ...] = (
    *units.KINDS,
    *unit_files.KINDS,
    *limits.KINDS,
    *timers.KINDS,
    *certificates.KINDS,
)
"""In the order in which people are shown them."""


def every_kind() -> Catalogue:
    """The catalogue of all."""
    return Catalogue(kinds=KINDS)

"""Generations of NixOS, as the links of the system's profile say."""

from __future__ import annotations

import os
import re
from pathlib import Path

from daemon.helper.errors import RefusedError

PROFILE = Path("/nix/var/nix/profiles/system")
"""A link to the link of the generation that the next boot takes."""
RUNNING = Path("/run/current-system")
_STORE = Path("/nix/store")
_MOST = 1_000_000


def number_of(text: str) -> int:
    """Raises `RefusedError` for what is no number of a generation."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text, re.ASCII) or int(text) > _MOST:
        raise RefusedError("a generation is a number from 1 on")
    return int(text)


def system_of(generation: int) -> Path:
    """Its path in the store. Raises `RefusedError` where there is no such generation."""
    link = PROFILE.with_name(f"system-{generation}-link")
    try:
        system = link.resolve(strict=True)
    except OSError:
        raise RefusedError(f"this host has no generation {generation} of NixOS") from None
    if _STORE not in system.parents:
        raise RefusedError(f"{link} does not lead into {_STORE}")
    return system


def switcher(generation: int) -> Path:
    """The program that makes it the running one."""
    return system_of(generation) / "bin" / "switch-to-configuration"


def current() -> int | None:
    """The number of the generation that runs; None where none of the profile's does."""
    try:
        running = RUNNING.resolve(strict=True)
    except OSError:
        return None
    numbers = []
    for link in PROFILE.parent.glob("system-*-link"):
        found = re.fullmatch(r"system-([1-9][0-9]{0,6})-link", link.name)
        if found and Path(os.path.realpath(link)) == running:
            numbers.append(int(found[1]))
    return max(numbers, default=None)

"""Globs of actions and targets, as the operator writes them. `*`, `?`, `[abc]`; case counts. Pure.

A glob of actions is "KIND", which means any target, or "KIND:TARGET"; both halves may hold
wildcards: "nixos_*", "*:ssh*", "block_address:2001:db8::*" (the first colon parts them).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

_KIND = re.compile(r"[a-z0-9_*?\[\]!-]+", re.ASCII)


def matching_action(globs: Iterable[str], *, kind: str, target: str) -> str | None:
    """The first glob that means this action."""
    for glob in globs:
        of_kind, colon, of_target = glob.partition(":")
        if fnmatch.fnmatchcase(kind, of_kind) and (
            not colon or fnmatch.fnmatchcase(target, of_target)
        ):
            return glob
    return None


def matching_target(globs: Iterable[str], target: str) -> str | None:
    """The first glob that means this target."""
    return next((glob for glob in globs if fnmatch.fnmatchcase(target, glob)), None)


def check_action_glob(glob: str) -> str:
    """Raises `ValueError` for what could never match, which an operator would take for a rule."""
    of_kind, colon, of_target = glob.partition(":")
    if _KIND.fullmatch(of_kind) is None:
        raise ValueError(
            f'{glob!r} matches no action: write "KIND" or "KIND:TARGET", such as "nixos_*" or '
            '"*:ssh.service"; kinds are small letters and _'
        )
    if colon and (not of_target or of_target != of_target.strip()):
        raise ValueError(
            f"{glob!r} matches no target: write one behind the colon, or leave the colon out"
        )
    return glob


def check_target_glob(glob: str) -> str:
    """Raises `ValueError` for what could never match."""
    if not glob or glob != glob.strip():
        raise ValueError(f'{glob!r} matches no target: write it as "nginx.service" or "web-*"')
    return glob

"""How keys of the API look on a terminal and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from api.keys.key import Key, Limits
from daemon.cli.render import ago, line


def key_json(key: Key, used: Mapping[str, Any] | None, *, now: datetime) -> dict[str, Any]:
    """A key for scripts, never the key itself. `used` is what the daemon says of its use."""
    return {
        "name": key.name,
        "role": key.role.value,
        "created": key.created,
        "expires": key.expires,
        "expired": not key.valid_at(now),
        "only": key.only,
        "forwards_users": key.forwards_users,
        "user_roles": dict(key.user_roles),
        "note": key.note,
        "limits": dataclasses.asdict(key.limits),
        "last_used": used["last_used"] if used else None,
        "today": used["today"] if used else None,
    }


def key_table(keys: Any, used: Mapping[str, Any], *, now: datetime) -> Table:
    """A listing. `used` is what the daemon says of the use of each, by name."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "role", "expires", "limits", "last used", "today", "note"):
        table.add_column(column, overflow="fold")
    for key in keys:
        its = used.get(key.name)
        ends = "" if key.expires is None else f"{key.expires:%Y-%m-%d}"
        if not key.valid_at(now):
            ends += " (over)"
        role = key.role.value + (f", only {key.only}" if key.only else "")
        role += ", forwards users" if key.forwards_users else ""
        today = (
            f"{its['today']['requests']} requests, {its['today']['tokens']} tokens" if its else ""
        )
        table.add_row(
            key.name,
            role,
            ends,
            _limits(key.limits),
            (ago(its["last_used"]) or "never") if its else "",
            today,
            Text(line(key.note)),
        )
    return table


def _limits(limits: Limits) -> str:
    words = (
        (limits.requests_per_minute, "a minute"),
        (limits.concurrent, "at once"),
        (limits.tokens_per_day, "tokens a day"),
    )
    return ", ".join(f"{number} {what}" for number, what in words if number is not None)

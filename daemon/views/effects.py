"""What the ledger says was done to the host. A chat's claims are checked against this.

Whatever changes the host writes three kinds of entries, each in a transaction of its own, so that
an action that was cut off in the middle is seen (intent, started, result):

| kind             | when                                  | body                              |
|------------------|---------------------------------------|-----------------------------------|
| `action_intent`  | it is decided that it will run        | `action_id`, `action`, `target`   |
| `action_started` | right before it runs: an effect begins | the same                         |
| `action_result`  | it has ended and was checked          | `action_id`, `outcome`, `detail`  |

`action_id` is one text for all three; `action` is the name of a typed action ("restart_unit"),
`target` what it was resolved to ("nginx.service"), `outcome` one of `done` (checked), `failed` and
`unknown`, `detail` a sentence. An entry `action_started` alone is an effect whose end is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.ledger import Entry
from daemon.store import ledger
from daemon.store.errors import StoreError
from daemon.store.pool import Database
from tiers.chat_contracts import EffectsUnreadableError

ACTION_INTENT = "action_intent"
ACTION_STARTED = "action_started"
ACTION_RESULT = "action_result"

_MOST = 200
_TEXT_CHARS = 200


class EffectsView:
    """Satisfies `tiers.chat_contracts.Effects`. Reads the newest 200 entries at most."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def since(self, moment: datetime) -> Sequence[str]:
        """Oldest first. Raises `tiers.chat_contracts.EffectsUnreadableError`."""
        kinds = (ACTION_STARTED, ACTION_RESULT)
        try:
            async with self._database.connection() as connection:
                entries = await ledger.latest(connection, kinds=kinds, limit=_MOST)
        except StoreError as error:
            raise EffectsUnreadableError(str(error)) from error
        return effects_of(entries, since=moment)


def effects_of(entries: Sequence[Entry], *, since: datetime) -> list[str]:
    """A sentence for each action that was started since then. `entries` are the newest first."""
    results: dict[str, Mapping[str, Any]] = {}
    found: list[str] = []
    for entry in entries:
        body = entry.content
        action_id = str(body.get("action_id", ""))
        if entry.kind == ACTION_RESULT:
            results.setdefault(action_id, body)
        elif entry.kind == ACTION_STARTED and entry.at >= since:
            found.append(_sentence(entry.at, body, results.get(action_id)))
    return found[::-1]


def _sentence(at: datetime, body: Mapping[str, Any], result: Mapping[str, Any] | None) -> str:
    what = f"{_flat(body.get('action'))} {_flat(body.get('target'))}".strip().replace(",", " ")
    begun = f"{what}, begun {at.astimezone(UTC):%H:%M:%S} UTC"
    if result is None:
        return f"{begun}: not known to have ended"
    detail = _flat(result.get("detail"))
    return f"{begun}: {_flat(result.get('outcome'))}" + (f" ({detail})" if detail else "")


def _flat(value: object) -> str:
    return " ".join(str(value or "").split())[:_TEXT_CHARS]

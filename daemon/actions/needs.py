"""What root has to allow before a proposal can be carried out: asked of the root helper.

It changes nothing about what is proposed: an operator may learn of a good action first, and open
the door for it then. Nothing is approved that cannot be carried out, though.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from daemon.actions.action import Action
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.host.host import Host
from daemon.actions.kind import Kind
from daemon.actions.steps import action_of
from daemon.store.actions import ActionRow

_SECONDS = 3.0
"""How long whoever looks at proposals waits for a helper that hangs."""
_SILENT = "the root helper does not say within a moment what it allows"


class Needs:
    """Told for actions of this host: of another one only its own daemon can know."""

    def __init__(self, *, catalogue: Catalogue, acted_on: Host, host: str) -> None:
        """`host` is the name of the host, `acted_on` the host itself."""
        self._catalogue = catalogue
        self._acted_on = acted_on
        self._host = host

    async def of(self, rows: Sequence[ActionRow]) -> Mapping[int, str]:
        """By the actions' ids, what each needs that is not allowed now, in words; those that lack
        nothing are left out."""
        wanted = {row.id: self._verbs(row) for row in rows if row.host == self._host}
        refused: dict[str, str] = {}
        try:
            async with asyncio.timeout(_SECONDS):
                for verb in dict.fromkeys(verb for verbs in wanted.values() for verb in verbs):
                    refused[verb] = await self._acted_on.helper.allows(verb) or ""
        except TimeoutError:
            pass
        found = {}
        for row, verbs in wanted.items():
            missing = {verb: why for verb in verbs if (why := refused.get(verb, _SILENT))}
            if missing:
                found[row] = _words(missing)
        return found

    async def why_not(self, action: Action, kind: Kind) -> str | None:
        """The sentence that says how the privilege is granted; None where none is missing."""
        for verb in kind.verbs(action):
            if (why := await self._acted_on.helper.allows(verb)) is not None:
                return why
        return None

    def _verbs(self, row: ActionRow) -> tuple[str, ...]:
        try:
            return self._catalogue.kind(row.kind).verbs(action_of(row, self._catalogue))
        except ActionError:
            return ()  # a runbook that is configured no more; an answer says so


def _words(missing: Mapping[str, str]) -> str:
    """`missing` has a sentence for each verb."""
    verbs = " and ".join(missing)
    word = "verb" if len(missing) == 1 else "verbs"
    why = " ".join(dict.fromkeys(missing.values()))
    return f"root allows the {word} {verbs}; now: not allowed ({why.rstrip('.')})"

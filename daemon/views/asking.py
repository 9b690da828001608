"""How a chat asks for actions: as text that asks, for one caller, and never as an approval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from api.ports import BusyError
from api.roles import Caller
from daemon.actions.action import TargetType
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError, HostUnavailableError
from daemon.actions.host.host import ProcessState, Units
from daemon.actions.kind import Parameter
from daemon.actions.policy.facts import Autonomy, Origin
from daemon.actions.requests import NewRequest
from daemon.actions.states import ActionState
from daemon.store import actions
from daemon.store.actions import ActionRow
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.tools.words import clock
from daemon.views.action_rows import proposal_of
from tiers.chat_contracts import ActionKind, Asked, Proposal
from tiers.vocabulary import Provenance

_TYPES = {str: "string", int: "integer", bool: "boolean"}
_UNITS = frozenset({TargetType.UNIT, TargetType.TIMER})
_ASKED = (ActionState.PROPOSED, ActionState.REQUESTED)


class ChatAsker:
    """Satisfies `tiers.chat_contracts.Asker`. Whatever a chat says is `text`: nothing that is asked
    for here is ever done without a human."""

    def __init__(
        self,
        *,
        database: Database,
        ask: Callable[[NewRequest], Awaitable[ActionRow]],
        needs: Callable[[Sequence[ActionRow]], Awaitable[Mapping[int, str]]],
        catalogue: Catalogue,
        units: Units,
        process: Callable[[int], Awaitable[ProcessState | None]],
        level: Autonomy,
        by: Caller,
    ) -> None:
        self._database = database
        self._ask = ask
        self._needs = needs
        self._catalogue = catalogue
        self._units = units
        self._process = process
        self._level = level
        self._by = by

    @property
    def kinds(self) -> Sequence[ActionKind]:
        return [
            ActionKind(
                name=kind.spec.name,
                description=kind.spec.sentence,
                target=kind.spec.target.value,
                parameters=_schema(kind.spec.parameters),
            )
            for kind in self._catalogue
        ]

    async def ask(
        self, *, kind: str, target: str, parameters: Mapping[str, Any], reason: str
    ) -> Asked:
        try:
            if self._catalogue.kind(kind).spec.target in _UNITS:
                target = await self.unit(target) or target
            row = await self._ask(
                NewRequest(
                    kind=kind,
                    target=target,
                    parameters=parameters,
                    origin=Origin.CHAT,
                    requested_by=f"chat:{self._by.name}",
                    reason=reason,
                    basis=Provenance.TEXT,
                )
            )
        except (ActionError, BusyError) as error:
            return Asked(sentence=f"Nothing was asked for: {error}", refused=True)
        if row.state != ActionState.PROPOSED.value:
            return asked(row, proposal=None)
        (proposal,) = await self._proposals([row])
        return asked(row, proposal=proposal)

    async def unit(self, name: str) -> str | None:
        wanted = name.strip().lower()
        try:
            names = await self._units.names()
        except HostUnavailableError:
            return None if not wanted else name if "." in wanted else f"{name}.service"
        found = [each for each in names if each.lower() in (wanted, f"{wanted}.service")]
        return found[0] if len(found) == 1 else next((n for n in found if n == name), None)

    async def process(self, pid: int) -> str | None:
        try:
            found = await self._process(pid)
        except HostUnavailableError:
            return None
        return f"{found.pid}:{found.start}" if found is not None else None

    async def waiting(self) -> Sequence[Proposal] | None:
        try:
            async with self._database.connection() as connection:
                rows = await actions.waiting(connection)
        except StoreUnavailableError:
            return None
        return await self._proposals(rows)

    async def _proposals(self, rows: Sequence[ActionRow]) -> Sequence[Proposal]:
        needs = await self._needs(rows)
        return [proposal_of(row, level=self._level, needs=needs.get(row.id, "")) for row in rows]

    async def past(self, *, target: str, limit: int) -> Sequence[str]:
        try:
            if target and "." not in target:
                target = await self.unit(target) or target
            async with self._database.connection() as connection:
                rows = await actions.listing(connection, target=target or None, limit=limit)
        except StoreUnavailableError as error:
            return [f"what was asked for cannot be read now: {error}"]
        return [past_words(row) for row in rows]


def asked(row: ActionRow, *, proposal: Proposal | None) -> Asked:
    """What a model and a user are told of a request. The code is not in it: models have no use
    for it."""
    state = ActionState(row.state)
    if state is ActionState.REFUSED:
        return Asked(sentence=f"Refused: {row.sentence}: {row.why}", refused=True)
    if state in _ASKED:
        return Asked(
            sentence=(
                f"Proposed, not done: {row.sentence}. Risk {row.risk or 'not known yet'}. It waits "
                "for the answer of an operator."
            ),
            proposal=proposal,
        )
    if state in (ActionState.APPROVED, ActionState.INTENT, ActionState.STARTED):
        return Asked(
            sentence=(
                f"Approved and under way, not known to be done: {row.sentence}. list_actions tells "
                "how it ends."
            )
        )
    return Asked(sentence=past_words(row), refused=True)


def past_words(row: ActionRow) -> str:
    """One action in a sentence: what, what became of it, when, for whom."""
    when = clock((row.ended_at or row.answered_at or row.requested_at).timestamp())
    why = f" ({row.why})" if row.why else ""
    by = f", answered by {row.answered_by}" if row.answered_by else ""
    return (
        f"action {row.id}: {row.sentence}: {row.state}{why}, {when}, asked for by "
        f"{row.requested_by}{by}"
    )


def _schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            each.name: {
                "type": _TYPES[each.type],
                "description": each.description,
                **({"enum": list(each.choices)} if each.choices else {}),
            }
            for each in parameters
        },
        "required": [each.name for each in parameters if each.default is None],
        "additionalProperties": False,
    }

"""Actions that wait for a human, as the facade asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from api.ports import NotFoundError
from api.ports_actions import EvidenceLine, OutcomeView, ProposalDetail
from api.roles import Caller
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.host.host import ProcessState, Units
from daemon.actions.kind import Kind
from daemon.actions.policy.facts import Autonomy
from daemon.actions.requests import NewRequest
from daemon.actions.states import ActionState
from daemon.actions.steps import action_of, why_not
from daemon.store import action_past, actions, incident_queries
from daemon.store.action_past import StopRow
from daemon.store.actions import ActionRow
from daemon.store.incident_queries import EvidenceRow
from daemon.store.pool import Database
from daemon.tools.words import duration
from daemon.views.action_rows import busy, proposal_of
from daemon.views.asking import ChatAsker
from daemon.views.giving_up import PATIENCE, GivingUp
from tiers.chat_contracts import Asker, Proposal


class AtDesk(Protocol):
    """What of `daemon.actions.desk.Desk` people and chats reach."""

    @property
    def catalogue(self) -> Catalogue: ...

    async def request(self, request: NewRequest) -> ActionRow: ...

    async def answer(
        self, *, code: str, approve: bool, by: str, where: str, content_hash: str | None = None
    ) -> ActionRow: ...

    async def needs(self, rows: Sequence[ActionRow]) -> Mapping[int, str]: ...

    async def confirm(self, *, code: str, by: str, where: str) -> ActionRow: ...

    async def stop(self, *, by: str, reason: str) -> StopRow: ...

    async def resume(self, *, by: str, reason: str) -> StopRow: ...

    async def stopped(self) -> StopRow | None: ...


class ProposalsView:
    """Satisfies `api.ports_actions.Proposals`. `units` is the inventory of units, in which what a
    chat's user calls a unit is looked up, and `process` that of processes, by number."""

    def __init__(
        self,
        *,
        database: Database,
        desk: AtDesk,
        units: Units,
        process: Callable[[int], Awaitable[ProcessState | None]],
        level: Autonomy,
    ) -> None:
        self._database = database
        self._desk = desk
        self._units = units
        self._process = process
        self._level = level
        self._giving_up = GivingUp(name="proposals", seconds=PATIENCE)

    async def waiting(self) -> Sequence[Proposal]:
        return await self._giving_up.or_busy(self._waiting())

    async def _waiting(self) -> Sequence[Proposal]:
        with busy():
            async with self._database.connection() as connection:
                rows = await actions.waiting(connection)
        needs = await self._desk.needs(rows)
        return [proposal_of(row, level=self._level, needs=needs.get(row.id, "")) for row in rows]

    async def show(self, code: str) -> ProposalDetail:
        return await self._giving_up.or_busy(self._show(code))

    async def _show(self, code: str) -> ProposalDetail:
        with busy():
            async with self._database.connection() as connection:
                row = await actions.by_code(connection, code)
                if row is None or row.state != ActionState.PROPOSED.value:
                    why = why_not(row) if row is not None else None
                    raise NotFoundError(why or f"no proposal {code} waits for an answer")
                past = await action_past.outcomes(
                    connection, host=row.host, actions=[(row.kind, row.target)]
                )
                evidence: Sequence[EvidenceRow] = ()
                if row.incident_id is not None:
                    evidence = await incident_queries.evidence_of(connection, row.incident_id)
        before, measured, undone = self._words(row)
        needs = await self._desk.needs([row])
        return ProposalDetail(
            proposal=proposal_of(row, level=self._level, needs=needs.get(row.id, "")),
            basis=row.basis,
            evidence=[_line(each) for each in evidence if each.ref in row.evidence],
            past=next(
                (
                    OutcomeView(
                        done=each.done,
                        failed=each.failed,
                        last_at=each.last_at,
                        last_done=each.last_done,
                    )
                    for each in past
                ),
                None,
            ),
            before=before,
            measured=measured,
            undone=undone,
        )

    async def answer(
        self,
        *,
        code: str,
        approve: bool,
        by: Caller,
        where: str,
        content_hash: str | None = None,
    ) -> str:
        row = await self._desk.answer(
            code=code, approve=approve, by=by.name, where=where, content_hash=content_hash
        )
        if not approve:
            return f"Denied: {row.sentence}. Nothing was done."
        return (
            f"Approved: {row.sentence}. It is carried out and then checked; what became of it: "
            f"`triaged actions show {row.id}`."
        )

    async def confirm(self, *, code: str, by: Caller, where: str) -> str:
        row = await self._desk.confirm(code=code, by=by.name, where=where)
        return f"Confirmed: {row.sentence} stays; what would have taken it back is called off."

    async def asker(self, *, by: Caller) -> Asker | None:
        if self._level is Autonomy.OBSERVE:
            return None
        return ChatAsker(
            database=self._database,
            ask=self._desk.request,
            needs=self._desk.needs,
            catalogue=self._desk.catalogue,
            units=self._units,
            process=self._process,
            level=self._level,
            by=by,
        )

    def _words(self, row: ActionRow) -> tuple[str, str, str]:
        """What has to hold before, what is measured afterwards, what undoes it."""
        try:
            kind = self._desk.catalogue.kind(row.kind)
            return kind.spec.precondition, kind.spec.postcondition, self._undone(row, kind)
        except ActionError as error:
            return str(error), str(error), str(error)

    def _undone(self, row: ActionRow, kind: Kind) -> str:
        timed = kind.timed_inverse(action_of(row, self._desk.catalogue))
        words = []
        if timed is not None:
            words.append(f"after {duration(timed.after_seconds)} it is undone by {timed.kind}")
        elif kind.spec.inverse is not None:
            words.append(f"{kind.spec.inverse} undoes it")
        elif kind.spec.reversible:
            words.append("it leaves nothing lasting")
        else:
            words.append("nothing undoes it")
        if kind.spec.locks_out:
            words.append(
                f"if {row.target} is a way into this host (ssh, network), systemd takes it back "
                f"unless somebody confirms in time: triaged proposals confirm {row.code}"
            )
        return "; ".join(words)


def _line(row: EvidenceRow) -> EvidenceLine:
    return EvidenceLine(
        ref=row.ref,
        provenance=row.provenance,
        source=row.source,
        text=row.text,
        count=row.count,
        at=row.at,
    )

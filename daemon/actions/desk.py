"""The desk: requests become proposals, approvals or refusals, and people answer here.

Everything that it decides is a step of a row, committed with its ledger entry. A daemon that dies
at any point goes on from the rows. Models reach `request` only; `answer`, `confirm` and the stop
switch are for people, and whoever calls them has checked who that is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import structlog

from api.ports import BusyError
from daemon.actions import commits
from daemon.actions.answers import Answers
from daemon.actions.catalogue import Catalogue
from daemon.actions.commits import Told
from daemon.actions.errors import ActionError, HostUnavailableError
from daemon.actions.host.arming import Arming
from daemon.actions.host.host import Host
from daemon.actions.inverses import Inverses
from daemon.actions.lease import LostLeaseError
from daemon.actions.needs import Needs
from daemon.actions.policy.facts import Origin, Verdict
from daemon.actions.requests import NewRequest, new_action
from daemon.actions.reversals import Reversals
from daemon.actions.settings import ActionsSettings
from daemon.actions.states import ActionState
from daemon.actions.steps import action_of, decision_step, new_code, refusal_step
from daemon.actions.switch import StopSwitch
from daemon.actions.weigh import BUSY_TARGET, Weighed, Weigher
from daemon.live import LiveHub
from daemon.store import actions
from daemon.store.action_past import StopRow
from daemon.store.actions import ActionRow, Move
from daemon.store.errors import StoreRejectedError, StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.work import Work, run
from tiers.vocabulary import Provenance, Severity

log = structlog.get_logger()

_CODE_TRIES = 20
_LATER_SECONDS = 5.0
"""What cannot be decided on now is looked at again after."""
_TICK_SECONDS = 5.0
_PATIENCE = 15.0
"""Seconds that somebody who asks or answers waits for the store."""
_S = ActionState


class Desk:
    """One per daemon; acts for its own host only."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        weigher: Weigher,
        acted_on: Host,
        arming: Arming,
        settings: ActionsSettings,
        host: str,
        live: LiveHub,
        on_approved: Callable[[], None],
        told: Told | None = None,
    ) -> None:
        """`host` is the name of the host, `acted_on` the host itself; `on_approved` is called
        when there is something to carry out. `told` learns what comes to nothing; None: nobody
        has to."""
        self._database = database
        self._catalogue = catalogue
        self._weigher = weigher
        self._settings = settings
        self._host = host
        self._live = live
        self._on_approved = on_approved
        self._told = told or _Nobody()
        self._inverses = Inverses(
            database=database, catalogue=catalogue, acted_on=acted_on, host=host
        )
        self._reversals = Reversals(database=database, arming=arming, host=host, live=live)
        self._needs = Needs(catalogue=catalogue, acted_on=acted_on, host=host)
        self._wake = asyncio.Event()
        self._answers = Answers(
            database=database,
            catalogue=catalogue,
            weigher=weigher,
            arming=arming,
            needs=self._needs,
            settings=settings,
            host=host,
            live=live,
            on_approved=on_approved,
        )
        self._switch = StopSwitch(database=database, live=live, on_change=self._switched)

    @property
    def catalogue(self) -> Catalogue:
        return self._catalogue

    @property
    def host(self) -> str:
        """The name of the host that is acted on."""
        return self._host

    def wake(self) -> None:
        """There may be a request: do not wait for the next look."""
        self._wake.set()

    def _switched(self) -> None:
        self.wake()
        self._on_approved()

    async def run(self) -> None:
        """Works until cancelled. The store being away is waited for."""
        while True:
            try:
                await self.tick()
            except StoreUnavailableError as error:
                log.debug("actions wait for the store", why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def tick(self) -> None:
        """Everything that waits for the desk, once. Mostly nothing does: one question, then."""
        async with self._database.connection() as connection:
            if not await actions.pending(connection, host=self._host):
                return
        await self._inverses.look()
        await self._reversals.look()
        async with self._database.connection() as connection:
            late = await actions.late(connection, host=self._host, seconds=self._expiry_seconds)
            obsolete = await actions.obsolete(connection)
        for row in late:
            await self._expire(row)
        for row in obsolete:
            await self._withdraw(row)
        async with self._database.connection() as connection:
            requested = await actions.requests(connection, host=self._host)
        for row in requested:
            await self._decide_safely(row)

    # --- requests --------------------------------------------------------------------------------

    async def request(self, request: NewRequest) -> ActionRow:
        """Decided when this returns: refused, proposed (it has a code then) or approved. What is
        open already is returned as it stands. Raises `ActionError` for what is no action, and
        `api.ports.BusyError`."""
        new = new_action(request, catalogue=self._catalogue, host=self._host)
        try:
            row, fresh = await run(
                self._database, lambda work: actions.insert(work, new), seconds=_PATIENCE
            )
            # One that is there and not decided may be ours: a commit of which nobody heard.
            undecided = fresh or row.state == _S.REQUESTED.value
            return await self._decide(row) if undecided else row
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error

    async def _decide_safely(self, row: ActionRow) -> None:
        """A defect that one request brings out must not stop the others."""
        try:
            await self._decide(row, patient=True)
        except StoreUnavailableError:
            raise
        except Exception as error:
            log.error("request not decided", action=row.id, exc_info=error)
            why = f"triaged made a mistake ({type(error).__name__}); its log has the details"
            await self._step(refusal_step(row, rule="defect", why=why))

    async def _decide(self, row: ActionRow, *, patient: bool = False) -> ActionRow:
        """`patient`: nobody waits for the answer, so that it can be given later: when the host
        answers, or an earlier step on the same target has ended. It expires meanwhile."""
        try:
            weighed = await self._weigh(row)
        except HostUnavailableError as error:
            if patient:
                return await self._later(row, str(error))
            return await self._refuse(row, rule="host-unavailable", why=str(error))
        except ActionError as error:
            return await self._refuse(row, rule="not-possible", why=str(error))
        decided = weighed.decision
        match decided.verdict:
            case Verdict.DENY if patient and decided.rule == BUSY_TARGET:
                return await self._later(row, decided.reason)
            case Verdict.DENY:
                return await self._refuse(
                    row, rule=decided.rule, why=decided.reason, weighed=weighed
                )
            case Verdict.ASK:
                return await self._propose(row, weighed)
            case Verdict.ALLOW:
                moved = await self._step(
                    decision_step(row, _S.APPROVED, weighed, expires=self._expiry_seconds)
                )
                if moved is not None:
                    self._say(moved, f"allowed ({decided.rule}): {row.sentence}")
                    self._on_approved()
                return moved or await self._as_it_is(row)

    async def _later(self, row: ActionRow, why: str) -> ActionRow:
        log.debug("a request waits", action=row.id, why=why)
        await run(
            self._database,
            lambda work: actions.pause(work, row, seconds=_LATER_SECONDS),
            seconds=_PATIENCE,
        )
        return row

    async def _propose(self, row: ActionRow, weighed: Weighed) -> ActionRow:
        for _ in range(_CODE_TRIES):
            step = decision_step(
                row, _S.PROPOSED, weighed, expires=self._expiry_seconds, code=new_code()
            )
            try:
                moved = await self._step(step)
            except StoreRejectedError:
                continue  # the code is taken by another proposal
            if moved is not None:
                self._say(
                    moved,
                    f"proposal {moved.code}: {row.sentence} ({weighed.decision.reason})",
                    Severity.WARNING,
                )
            return moved or await self._as_it_is(row)
        return await self._refuse(row, rule="no-code", why="no free code was found; try again")

    async def _refuse(
        self, row: ActionRow, *, rule: str, why: str, weighed: Weighed | None = None
    ) -> ActionRow:
        if weighed is None:
            step = refusal_step(row, rule=rule, why=why)
        else:
            step = decision_step(row, _S.REFUSED, weighed)
        moved = await self._come_to_nothing(step)
        if moved is not None:
            self._say(moved, f"refused ({rule}): {row.sentence}: {why}")
        return moved or await self._as_it_is(row)

    # --- people ----------------------------------------------------------------------------------

    async def answer(
        self,
        *,
        code: str,
        approve: bool,
        by: str,
        where: str,
        content_hash: str | None = None,
    ) -> ActionRow:
        """See `daemon.actions.answers.Answers.answer`."""
        return await self._answers.answer(
            code=code, approve=approve, by=by, where=where, content_hash=content_hash
        )

    async def needs(self, rows: Sequence[ActionRow]) -> Mapping[int, str]:
        """See `daemon.actions.needs.Needs.of`."""
        return await self._needs.of(rows)

    async def confirm(self, *, code: str, by: str, where: str) -> ActionRow:
        """See `daemon.actions.answers.Answers.confirm`."""
        return await self._answers.confirm(code=code, by=by, where=where)

    async def stop(self, *, by: str, reason: str) -> StopRow:
        """See `daemon.actions.switch.StopSwitch`."""
        return await self._switch.stop(by=by, reason=reason)

    async def resume(self, *, by: str, reason: str) -> StopRow:
        """See `daemon.actions.switch.StopSwitch`."""
        return await self._switch.resume(by=by, reason=reason)

    async def stopped(self) -> StopRow | None:
        """See `daemon.actions.switch.StopSwitch`."""
        return await self._switch.stopped()

    # --- steps -----------------------------------------------------------------------------------

    @property
    def _expiry_seconds(self) -> float:
        return self._settings.approval_minutes * 60

    async def _weigh(self, row: ActionRow) -> Weighed:
        return await self._weigher.weigh(
            action_of(row, self._catalogue),
            basis=Provenance(row.basis),
            origin=Origin(row.origin),
            incident_id=row.incident_id,
            without=row.id,
        )

    async def _expire(self, row: ActionRow) -> None:
        why = _TOO_LATE[row.state]
        moved = await self._come_to_nothing(
            Move(row=row, to=_S.EXPIRED.value, entry="action_expired", actor="daemon", why=why)
        )
        if moved is not None:
            self._say(moved, f"expired: {row.sentence}: {why}")

    async def _withdraw(self, row: ActionRow) -> None:
        why, to = "its incident is over", _S.WITHDRAWN.value
        moved = await self._step(
            Move(row=row, to=to, entry="action_withdrawn", actor="daemon", why=why)
        )
        if moved is not None:
            self._say(moved, f"withdrawn: {row.sentence}: {why}")

    async def _come_to_nothing(self, step: Move) -> ActionRow | None:
        try:
            return await run(
                self._database, commits.nothing(step, told=self._told), seconds=_PATIENCE
            )
        except LostLeaseError:
            return None

    async def _step(self, step: Move) -> ActionRow | None:
        return await run(self._database, lambda work: actions.move(work, step), seconds=_PATIENCE)

    async def _as_it_is(self, row: ActionRow) -> ActionRow:
        """Somebody else moved it first."""
        async with self._database.connection() as connection:
            return await actions.get(connection, row.id) or row

    def _say(self, row: ActionRow, text: str, severity: Severity = Severity.NOTICE) -> None:
        self._live.publish(kind="action", severity=severity, text=text, incident=row.incident_id)


_TOO_LATE = {
    _S.REQUESTED.value: "it could not be decided on in time",
    _S.PROPOSED.value: "nobody answered in time",
    _S.APPROVED.value: "it was not carried out in time",
}


class _Nobody:
    """Satisfies `daemon.actions.commits.Told`."""

    async def ended(self, work: Work, row: ActionRow) -> None:
        pass

    async def came_to_nothing(self, work: Work, row: ActionRow) -> None:
        pass

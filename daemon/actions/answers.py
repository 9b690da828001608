"""People answer proposals here: exactly as they are, once, and in time.

Whoever calls this has checked who answers and whether that one may. Models do not reach it.
"""

from __future__ import annotations

from collections.abc import Callable

from api.ports import BusyError, ConflictError, NotFoundError
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError, HostUnavailableError
from daemon.actions.host.arming import Arming
from daemon.actions.needs import Needs
from daemon.actions.policy.facts import Origin, Verdict
from daemon.actions.reversal import token_of
from daemon.actions.settings import ActionsSettings
from daemon.actions.states import ActionState
from daemon.actions.steps import action_of, refusal_step, why_not
from daemon.actions.weigh import TOO_MANY, Weighed, Weigher
from daemon.live import LiveHub
from daemon.store import action_past, actions
from daemon.store.actions import ActionRow, Move
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Provenance, Severity

_PATIENCE = 15.0
"""Seconds that somebody who answers waits for the store."""
_S = ActionState
_APPROVED = (_S.APPROVED, _S.INTENT, _S.STARTED, _S.DONE, _S.FAILED, _S.UNKNOWN)


class Answers:
    """Approvals, denials and confirmations."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        weigher: Weigher,
        arming: Arming,
        needs: Needs,
        settings: ActionsSettings,
        host: str,
        live: LiveHub,
        on_approved: Callable[[], None],
    ) -> None:
        """`on_approved` is called when there is something to carry out."""
        self._database = database
        self._catalogue = catalogue
        self._weigher = weigher
        self._arming = arming
        self._needs = needs
        self._host = host
        self._settings = settings
        self._live = live
        self._on_approved = on_approved

    async def answer(
        self,
        *,
        code: str,
        approve: bool,
        by: str,
        where: str,
        content_hash: str | None = None,
    ) -> ActionRow:
        """A human approves or denies a proposal, exactly as it is. `by` and `where` go to the
        ledger; `content_hash`, where given, is of what the human saw.

        Raises `api.ports.NotFoundError` where no proposal ever had this code, and
        `api.ports.ConflictError`, with the reason, where it cannot be answered (any more).
        """
        try:
            async with self._database.connection() as connection:
                row = await actions.by_code(connection, code)
                late = row is not None and await actions.is_late(connection, row)
            if row is None:
                raise NotFoundError(f"there is no proposal {code.upper()}")
            _require_answerable(row, content_hash, late=late)
            if not approve:
                return await self._deny(row, by=by, where=where)
            await self._require_possible(row, by=by)
            return await self._approve(row, by=by, where=where)
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error

    async def confirm(self, *, code: str, by: str, where: str) -> ActionRow:
        """A human says that the way into the host still works: the armed reversal of this action
        is called off, and measured to be gone. Raises as `answer` does."""
        try:
            async with self._database.connection() as connection:
                row = await actions.by_code(connection, code)
            if row is None:
                raise NotFoundError(f"there is no action {code.upper()}")
            _require_confirmable(row, host=self._host)
            try:
                await self._call_off(row)
            except ActionError as error:
                raise ConflictError(
                    f"the reversal of {row.code} could not be called off: {error}"
                ) from error
            confirmed = await run(
                self._database,
                lambda work: actions.confirm(work, row, by=f"{by} from {where}"),
                seconds=_PATIENCE,
            )
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        if confirmed is None:
            raise ConflictError(f"{row.code} was confirmed by somebody else just now")
        self._say(confirmed, f"way in confirmed by {by}: {row.sentence} stays")
        return confirmed

    async def _call_off(self, row: ActionRow) -> None:
        """The timer is asked, not the clock: the store's and the host's may be apart. Raises
        `ActionError`, and `ConflictError` where it does not wait any more."""
        token = token_of(row.id)
        if not await self._arming.waits(token=token):
            raise ConflictError(
                f"the time to confirm {row.code} is over: its timer waits no more, so systemd has "
                "reversed it (unless the host was started anew meanwhile); look at "
                f"{row.target}"
            )
        await self._arming.cancel(token=token)

    async def _deny(self, row: ActionRow, *, by: str, where: str) -> ActionRow:
        moved = await self._step(
            Move(
                row=row,
                to=_S.DENIED.value,
                entry="action_approval",
                actor=by,
                answered_by=by,
                answered_from=where,
                why=f"denied by {by}",
                detail={"approved": False, "from_where": where, "code": row.code},
            )
        )
        moved = moved or await self._as_answered(row, _S.DENIED, by=by, where=where)
        self._say(moved, f"denied by {by}: {row.sentence}")
        return moved

    async def _require_possible(self, row: ActionRow, *, by: str) -> None:
        """Raises `ConflictError`: what policy denies by now, no human approves by accident. What is
        for another host is measured and weighed there, before it begins: here is not its host."""
        if row.host != self._host:
            await self._require_not_stopped(row)
            return
        try:
            weighed = await self._weigh(row)
        except HostUnavailableError as error:
            raise ConflictError(f"{row.code} cannot be approved now: {error}") from error
        except ActionError as error:
            await self._step(refusal_step(row, rule="not-possible", why=str(error), asked_by=by))
            raise ConflictError(f"{row.code} is no longer possible: {error}") from error
        if weighed.decision.verdict is not Verdict.DENY or weighed.decision.rule == TOO_MANY:
            await self._require_privilege(row, weighed)
            return
        why = weighed.decision.reason
        if weighed.facts.stopped:
            raise ConflictError(f"{row.code} cannot be approved now: {why}")
        await self._step(refusal_step(row, rule=weighed.decision.rule, why=why, asked_by=by))
        raise ConflictError(f"{row.code} is no longer allowed: {why}")

    async def _require_privilege(self, row: ActionRow, weighed: Weighed) -> None:
        """Raises `ConflictError`, and the proposal goes on waiting: root may open the door yet."""
        if why := await self._needs.why_not(weighed.action, weighed.kind):
            raise ConflictError(
                f"{row.code} cannot be carried out yet, so it was not approved and goes on "
                f"waiting: {why}"
            )

    async def _require_not_stopped(self, row: ActionRow) -> None:
        async with self._database.connection() as connection:
            last = await action_past.last_switch(connection)
        if last is not None and last.stopped:
            raise ConflictError(
                f"{row.code} cannot be approved now: the stop switch is on: nothing is done until "
                "an operator turns it off"
            )

    async def _approve(self, row: ActionRow, *, by: str, where: str) -> ActionRow:
        moved = await self._step(
            Move(
                row=row,
                to=_S.APPROVED.value,
                entry="action_approval",
                actor=by,
                answered_by=by,
                answered_from=where,
                approved_hash=row.content_hash,
                expires_seconds=self._settings.approval_minutes * 60,
                why=f"approved by {by}",
                detail={"approved": True, "from_where": where, "code": row.code},
            )
        )
        moved = moved or await self._as_answered(row, *_APPROVED, by=by, where=where)
        self._say(moved, f"approved by {by}: {row.sentence}")
        self._on_approved()
        return moved

    async def _weigh(self, row: ActionRow) -> Weighed:
        return await self._weigher.weigh(
            action_of(row, self._catalogue),
            basis=Provenance(row.basis),
            origin=Origin(row.origin),
            incident_id=row.incident_id,
            without=row.id,
            queued=True,
        )

    async def _step(self, step: Move) -> ActionRow | None:
        return await run(self._database, lambda work: actions.move(work, step), seconds=_PATIENCE)

    async def _as_answered(
        self, row: ActionRow, *states: ActionState, by: str, where: str
    ) -> ActionRow:
        """The row, where it was this very answer that moved it, and only the connection broke.
        Raises `ConflictError` where somebody else moved it first, or its time is over."""
        async with self._database.connection() as connection:
            now = await actions.get(connection, row.id) or row
        if now.state in states and (now.answered_by, now.answered_from) == (by, where):
            return now
        raise ConflictError(why_not(now) or f"{row.code} has expired")

    def _say(self, row: ActionRow, text: str) -> None:
        self._live.publish(
            kind="action", severity=Severity.NOTICE, text=text, incident=row.incident_id
        )


def _require_answerable(row: ActionRow, content_hash: str | None, *, late: bool) -> None:
    if why := why_not(row) or (f"{row.code} has expired" if late else None):
        raise ConflictError(why)
    if content_hash is not None and content_hash.lower() != row.content_hash:
        raise ConflictError(
            f"{row.code} is not what you were shown: its content is {row.content_hash[:12]}, "
            f"yours {content_hash[:12]}; look at it again"
        )


def _require_confirmable(row: ActionRow, *, host: str) -> None:
    name = row.code or f"action {row.id}"
    if row.confirm_by is None or row.started_at is None:
        raise ConflictError(f"{name} has no armed reversal: there is nothing to confirm")
    if row.confirmed_at is not None:
        raise ConflictError(f"{name} was confirmed by {row.confirmed_by} already")
    if row.host != host:
        raise ConflictError(f"{name} was done on {row.host}: confirm it there")

"""What was done to the host and what was not, and the stop switch, as the facade asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from api.ports import ConflictError, NotFoundError
from api.ports_actions import ActionDetail, ActionFilter, ActionView, StopView
from daemon.actions.kinds.every import every_kind
from daemon.actions.states import ActionState
from daemon.store import action_reports, actions
from daemon.store.pool import Database
from daemon.views.action_rows import action_step, action_view, busy, stop_view
from daemon.views.choices import require_known
from daemon.views.giving_up import PATIENCE, GivingUp
from daemon.views.proposals import AtDesk


class ActionsView:
    """Satisfies `api.ports_actions.Actions`."""

    def __init__(self, *, database: Database, desk: AtDesk) -> None:
        self._database = database
        self._desk = desk
        self._giving_up = GivingUp(name="actions", seconds=PATIENCE)

    async def find(self, wanted: ActionFilter) -> Sequence[ActionView]:
        """Raises `WrongParameterError` where a state or the kind is none. A kind that an older
        release knew is one where there are actions of it."""
        require_known(wanted.states, ActionState, param="state")
        found = await self._giving_up.or_busy(self._find(wanted))
        if not found and wanted.kind is not None:
            require_known([wanted.kind], every_kind().names(), param="kind")
        return found

    async def _find(self, wanted: ActionFilter) -> Sequence[ActionView]:
        with busy():
            async with self._database.connection() as connection:
                rows = await actions.listing(
                    connection,
                    states=wanted.states or None,
                    kind=wanted.kind,
                    target=wanted.target,
                    incident_id=wanted.incident_id,
                    before=wanted.before_id,
                    limit=wanted.limit,
                )
        return [action_view(row) for row in rows]

    async def show(self, action_id: int) -> ActionDetail:
        return await self._giving_up.or_busy(self._show(action_id))

    async def _show(self, action_id: int) -> ActionDetail:
        with busy():
            async with self._database.connection() as connection:
                row = await actions.get(connection, action_id)
                if row is None:
                    raise NotFoundError(f"There is no action {action_id}.")
                inverse = await action_reports.inverse_of(connection, action_id)
                entries = await action_reports.entries_of(connection, action_id)
        return ActionDetail(
            action=action_view(row),
            evidence=row.evidence,
            output=row.output,
            before=row.before,
            measured=row.measured,
            undo_at=inverse.due_at if inverse is not None else None,
            undo_state=inverse.state if inverse is not None else None,
            steps=[action_step(entry) for entry in entries],
        )

    async def stop(self, *, by: str, reason: str) -> StopView:
        return await self._giving_up.or_busy(self._stop(by=by, reason=reason))

    async def _stop(self, *, by: str, reason: str) -> StopView:
        with busy():
            standing = stop_view(await self._desk.stopped())
            if standing is not None:
                return standing
            thrown = await self._desk.stop(by=by, reason=reason)
        return StopView(by=thrown.by, reason=thrown.reason, at=thrown.at)

    async def resume(self, *, by: str, reason: str) -> None:
        await self._giving_up.or_busy(self._resume(by=by, reason=reason))

    async def _resume(self, *, by: str, reason: str) -> None:
        with busy():
            if await self._desk.stopped() is None:
                raise ConflictError("acting is not stopped, so there is nothing to resume")
            await self._desk.resume(by=by, reason=reason)

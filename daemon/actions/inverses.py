"""What was done for a time is taken back: asked for when it is due, and until it is undone."""

from __future__ import annotations

import structlog

from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.host.host import Host
from daemon.actions.policy.facts import Origin
from daemon.actions.requests import NewRequest, new_action
from daemon.actions.verify import look
from daemon.store import action_past, actions
from daemon.store.action_past import InverseRow
from daemon.store.pool import Database
from daemon.store.work import Work, run
from tiers.vocabulary import Provenance

log = structlog.get_logger()

_PATIENCE = 15.0
_AGAIN_SECONDS = 3_600.0
"""What was not undone (refused, expired, failed) is due again after this. A denial ends it."""


class Inverses:
    """Of one host. Everything that it decides is committed, so that no restart forgets it."""

    def __init__(
        self, *, database: Database, catalogue: Catalogue, acted_on: Host, host: str
    ) -> None:
        """`host` is the name of the host, `acted_on` the host itself."""
        self._database = database
        self._catalogue = catalogue
        self._acted_on = acted_on
        self._host = host

    async def look(self) -> None:
        """Raises `StoreUnavailableError`."""
        async with self._database.connection() as connection:
            open_again = await action_past.any_to_rearm(connection, host=self._host)
            due = await action_past.due_inverses(connection, host=self._host)
        if open_again:
            await self._rearm()
        for inverse in due:
            await self._take_back(inverse)

    async def _rearm(self) -> None:
        again = await run(
            self._database,
            lambda work: action_past.rearm_inverses(
                work, host=self._host, after_seconds=_AGAIN_SECONDS
            ),
            seconds=_PATIENCE,
        )
        for action_id in again:
            log.warning("an action is not undone yet; it is tried again", action=action_id)

    async def _take_back(self, inverse: InverseRow) -> None:
        if why := await self._undone(inverse):
            await self._settle(inverse, "undone", why)
            return
        request = NewRequest(
            kind=inverse.kind,
            target=inverse.target,
            parameters=inverse.parameters,
            origin=Origin.INVERSE,
            requested_by="daemon",
            reason=f"the time of action {inverse.action_id} is over",
            basis=Provenance.MEASURED,
            inverse_of=inverse.action_id,
        )
        try:
            new = new_action(request, catalogue=self._catalogue, host=self._host)
        except ActionError as error:
            # Stored by a release that knew the kind otherwise: nobody here can undo it.
            log.error("an action cannot be undone", action=inverse.action_id, why=str(error))
            await self._settle(inverse, "void", f"it cannot be undone: {error}")
            return

        async def ask(work: Work) -> None:
            row, _ = await actions.insert(work, new)
            await action_past.settle_inverse(
                work,
                action_id=inverse.action_id,
                state="due",
                why="its time is over",
                request_id=row.id,
            )

        await run(self._database, ask, seconds=_PATIENCE)

    async def _undone(self, inverse: InverseRow) -> str | None:
        """What says that it is undone already (by the kernel, by a person), None where nothing
        does. Kinds that need a baseline to tell cannot say."""
        try:
            action = self._catalogue.action(
                host=self._host,
                kind=inverse.kind,
                target=inverse.target,
                parameters=inverse.parameters,
            )
            kind = self._catalogue.kind(inverse.kind)
        except ActionError:
            return None
        check = await look(kind, action, self._acted_on, {})
        return check.detail if check.holds is True else None

    async def _settle(self, inverse: InverseRow, state: str, why: str) -> None:
        await run(
            self._database,
            lambda work: action_past.settle_inverse(
                work, action_id=inverse.action_id, state=state, why=why
            ),
            seconds=_PATIENCE,
        )

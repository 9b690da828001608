"""Carries out what was approved: intent, started, result, each committed before the next.

| died                          | what the next start finds, and does                              |
|-------------------------------|------------------------------------------------------------------|
| before the intent             | approved: begins anew, weighs and measures again                 |
| after the intent              | intent: nothing has happened; back to approved                   |
| after started, before, during | started: measures the postcondition against the stored baseline, |
| or after the effect           | and never runs anything again                                    |
| after the result              | nothing to do: outcome and lesson were in the same transaction   |

No transaction is open while the host is touched. A row is worked on under a lease with a fence: an
executor that lost it writes nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from datetime import UTC, datetime

import structlog

from daemon.actions import commits
from daemon.actions.action import Action
from daemon.actions.catalogue import Catalogue
from daemon.actions.commits import Told
from daemon.actions.errors import REFUSALS, ActionError, HostUnavailableError
from daemon.actions.host.arming import Arming
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Kind, KindSpec, Output
from daemon.actions.lease import Lease, LostLeaseError
from daemon.actions.policy.facts import Origin, Verdict
from daemon.actions.reversal import Reversal, reversal_of, token_of
from daemon.actions.settings import ActionsSettings
from daemon.actions.states import ActionState
from daemon.actions.steps import action_of, decision_step
from daemon.actions.verify import Result, after_crash, verify, with_refusal
from daemon.actions.weigh import TOO_MANY, Weighed, Weigher
from daemon.live import LiveHub
from daemon.store import actions
from daemon.store.actions import ActionRow
from daemon.store.errors import StoreRejectedError, StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Provenance, Severity

log = structlog.get_logger()

_POLL_SECONDS = 5.0
"""For what nobody here announces: approvals in another process, leases and pauses that end."""
_BUSY_SECONDS = 5.0
"""The host does not answer, or another action is under way on the target: tried again after."""
_S = ActionState


class Executor:
    """Carries out the actions of one host, one after the other."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        weigher: Weigher,
        host: Host,
        arming: Arming,
        settings: ActionsSettings,
        name: str,
        owner: str,
        live: LiveHub,
        told: Told,
    ) -> None:
        """`name` is the host's; `owner` is this process, and never used again by another."""
        self._database = database
        self._catalogue = catalogue
        self._weigher = weigher
        self._host = host
        self._arming = arming
        self._settings = settings
        self._name = name
        self._owner = owner
        self._live = live
        self._told = told
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to carry out."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled. The store being away is waited for."""
        while True:
            try:
                busy = await self.work_once()
            except StoreUnavailableError as error:
                log.debug("executor waits for the store", why=str(error))
                busy = False
            if busy:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def work_once(self) -> bool:
        """Takes one action as far as it goes now, if one waits; whether there was one."""
        seconds = self._settings.lease_seconds
        async with self._database.connection() as connection:
            if not await actions.claimable(connection, host=self._name):
                return False
        row = await run(
            self._database,
            lambda work: actions.claim(
                work, host=self._name, owner=self._owner, lease_seconds=seconds
            ),
            seconds=5,
        )
        if row is None:
            return False
        lease = Lease(database=self._database, row=row, owner=self._owner, seconds=seconds)
        beating = asyncio.create_task(lease.beat(), name=f"lease of action {row.id}")
        try:
            await self._handle_safely(lease)
        except asyncio.CancelledError:
            await lease.give_back()
            raise
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating
        return True

    async def _handle_safely(self, lease: Lease) -> None:
        try:
            await self._handle(lease)
        except LostLeaseError:
            log.info("lease of an action lost", action=lease.row.id)
        except StoreUnavailableError:
            raise
        except Exception as error:
            log.error("action not carried out", action=lease.row.id, exc_info=error)
            if lease.row.state != _S.STARTED.value:
                why = f"triaged made a mistake ({type(error).__name__}); its log has the details"
                await self._refuse_safely(lease, rule="defect", why=why)
            # One that has begun keeps its lease until it runs out, and is then measured.

    async def _handle(self, lease: Lease) -> None:
        match ActionState(lease.row.state):
            case _S.STARTED:
                await self._recover(lease)
            case _S.INTENT:
                if lease.row.reversal is not None and not await self._call_off(lease.row):
                    # It would be carried out although nothing was begun.
                    await lease.pause(seconds=_BUSY_SECONDS)
                    return
                await lease.commit(commits.anew(lease.row), to=_S.APPROVED)
                await self._carry_out(lease)
            case _:
                await self._carry_out(lease)

    # --- before the effect -----------------------------------------------------------------------

    async def _carry_out(self, lease: Lease) -> None:
        row, steady = lease.row, self._settings.steady_seconds
        try:
            action = action_of(row, self._catalogue)
            kind = self._catalogue.kind(action.kind)
            weighed = await self._still_allowed(lease, action)
            if weighed is None:
                return
            await kind.ready(action, self._host)
            before = dict(await kind.before(action, self._host))
            reversal = reversal_of(
                action, spec=kind.spec, target=weighed.target, before=before, steady_seconds=steady
            )
        except HostUnavailableError as error:
            # It has not begun: it waits, and expires if that takes too long.
            log.debug("an action waits for the host", action=row.id, why=str(error))
            await lease.pause(seconds=_BUSY_SECONDS)
            return
        except ActionError as error:
            await self._refuse(lease, rule="precondition", why=str(error))
            return
        intent = commits.intent(
            row, before=before, inverse=kind.timed_inverse(action), reversal=reversal
        )
        try:
            await lease.commit(intent, to=_S.INTENT)
        except StoreRejectedError:
            await lease.pause(seconds=_BUSY_SECONDS)
            return
        if reversal is not None and not await self._armed(lease, reversal):
            return
        await lease.commit(commits.start(lease.row, told=self._told), to=_S.STARTED)
        if lease.row.state != _S.STARTED.value:
            self._say(row, f"refused (stopped): {row.sentence}", Severity.WARNING)
            if reversal is not None:
                await self._call_off(row)
            return
        self._say(row, f"begun: {row.sentence}")
        output, refused = await self._run(kind, action)
        found = await verify(kind, action, self._host, before=before, steady=steady, once=refused)
        if refused:
            found = with_refusal(found, output.text)
        await self._finish(lease, found, output=output)

    async def _still_allowed(self, lease: Lease, action: Action) -> Weighed | None:
        """Policy again, on the facts of now. What a human approved may run unless policy denies
        it; what nobody approved must still be allowed. None: it may not run."""
        row = lease.row
        weighed = await self._weigher.weigh(
            action,
            basis=Provenance(row.basis),
            origin=Origin(row.origin),
            incident_id=row.incident_id,
            without=row.id,
            queued=True,
        )
        decided = weighed.decision
        if decided.verdict is Verdict.ALLOW:
            return weighed
        asks = decided.verdict is Verdict.ASK or decided.rule == TOO_MANY
        if asks and row.approved_hash is not None:
            return weighed
        # Nobody approved it, and by now policy wants a human: the desk asks.
        to = _S.REQUESTED if asks else _S.REFUSED
        told = None if asks else self._told
        await lease.commit(commits.decision(decision_step(row, to, weighed), told=told), to=to)
        if not asks:
            why = f"refused ({decided.rule}): {row.sentence}: {decided.reason}"
            self._say(row, why, Severity.WARNING)
        return None

    async def _armed(self, lease: Lease, reversal: Reversal) -> bool:
        """Nothing that can lock the operator out runs without its reversal."""
        token = token_of(lease.row.id)
        try:
            if await self._arming.waits(token=token):  # of an executor that died
                await self._arming.cancel(token=token)
            await self._arming.arm(
                token=token,
                kind=reversal.kind,
                target=reversal.target,
                after_seconds=reversal.after_seconds,
            )
        except ActionError as error:
            await self._call_off(lease.row)  # armed, perhaps, and nobody could say so
            why = f"its reversal could not be armed, so it was not begun: {error}"
            await self._refuse(lease, rule="no-reversal", why=why)
            return False
        return True

    async def _call_off(self, row: ActionRow) -> bool:
        """Whether no reversal waits any more."""
        try:
            await self._arming.cancel(token=token_of(row.id))
        except ActionError as error:
            log.error("a reversal was not called off", action=row.id, why=str(error))
            return False
        return True

    # --- the effect and what follows -------------------------------------------------------------

    async def _run(self, kind: Kind, action: Action) -> tuple[Output, bool]:
        """The effect, and whether it was refused before it began. However it ends, what is
        measured afterwards decides."""
        try:
            async with asyncio.timeout(kind.spec.timeout):
                return await kind.run(action, self._host), False
        except TimeoutError:
            return Output(text=f"it did not end within {kind.spec.timeout:g} s"), False
        except REFUSALS as error:
            return Output(text=str(error)), True
        except ActionError as error:
            return Output(text=str(error)), False
        except Exception as error:
            log.error("an action broke off", action=action.code, exc_info=error)
            said = f"it broke off by a defect of triaged ({type(error).__name__})"
            return Output(text=said), False

    async def _recover(self, lease: Lease) -> None:
        """Begun by an executor that died: only measured. systemd and the root helper go on without
        it: an update that restarts triaged itself is not over when triaged is back."""
        row = lease.row
        try:
            action = action_of(row, self._catalogue)
            kind = self._catalogue.kind(action.kind)
        except ActionError as error:
            check = Check(holds=None, detail=f"it cannot be measured: {error}", final=True)
            found = Result(state=_S.UNKNOWN, check=check)
        else:
            steady = self._settings.steady_seconds
            found = await verify(
                kind,
                action,
                self._host,
                before=row.before,
                steady=steady,
                running=_left(row, kind.spec),
            )
        await self._finish(lease, after_crash(found), output=Output(text=row.output))

    async def _finish(self, lease: Lease, found: Result, *, output: Output) -> None:
        """The effect is there, whatever PostgreSQL does: the result waits for it without end."""
        row = lease.row
        body = commits.result(row, found=found, output=output, told=self._told)
        try:
            await lease.commit(body, to=found.state, seconds=None)
        except (LostLeaseError, StoreUnavailableError):
            raise
        except Exception as error:
            # Or it would be begun for ever, and its target closed to all others.
            log.error("the end of an action was not told", action=row.id, exc_info=error)
            plain = dataclasses.replace(found, check=dataclasses.replace(found.check, measured={}))
            body = commits.result(row, found=plain, output=Output(), told=None)
            await lease.commit(body, to=found.state, seconds=None)
        severity = Severity.INFO if found.state is _S.DONE else Severity.WARNING
        self._say(row, f"{found.state.value}: {row.sentence}: {found.check.detail}", severity)
        log.info(
            "action ended",
            action=row.id,
            what=row.sentence,
            outcome=found.state.value,
            detail=found.check.detail,
        )

    async def _refuse_safely(self, lease: Lease, *, rule: str, why: str) -> None:
        """A refusal that cannot be committed must not stop the others: the lease runs out."""
        try:
            await self._refuse(lease, rule=rule, why=why)
        except LostLeaseError:
            pass
        except StoreUnavailableError:
            raise
        except Exception as error:
            log.error("action not refused", action=lease.row.id, exc_info=error)

    async def _refuse(self, lease: Lease, *, rule: str, why: str) -> None:
        refusal = commits.refusal(lease.row, rule=rule, why=why, told=self._told)
        await lease.commit(refusal, to=_S.REFUSED)
        self._say(lease.row, f"refused ({rule}): {lease.row.sentence}: {why}", Severity.WARNING)

    def _say(self, row: ActionRow, text: str, severity: Severity = Severity.NOTICE) -> None:
        self._live.publish(kind="action", severity=severity, text=text, incident=row.incident_id)


def _left(row: ActionRow, spec: KindSpec) -> float:
    """Seconds for which an effect may still be at work, whichever way the clocks went."""
    if row.started_at is None:
        return 0.0
    passed = (datetime.now(tz=UTC) - row.started_at).total_seconds()
    most = spec.timeout if spec.outlives is None else spec.outlives
    return min(max(spec.timeout - passed, 0.0), most)

"""Carrying out a runbook: step by step, each asked of policy and measured, until one does not work.

A runbook is no way around anything. Each step is found in the inventory, refused where policy would
deny it as an action of its own, and verified before the next begins. What needs more than that is
refused as a step: what can lock the operator out (its reversal is armed for single actions alone),
and what has to be undone in time by the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import REFUSALS, ActionError, PreconditionError, TargetError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter, Target, TimedInverse
from daemon.actions.runbook import Runbook, actions_of, arguments_of
from daemon.actions.states import ActionState
from daemon.actions.verify import verify

_BLASTS = tuple(Blast)
_MOST_ENDED = 100
_NIXOS = frozenset({"nixos_test", "nixos_switch", "nixos_rollback"})


class StepGate(Protocol):
    """Policy, asked about a step as about an action of its own."""

    async def why_not(self, step: Action, kind: Kind, target: Target) -> str | None:
        """The reason where policy denies it now (the stop switch, a rule, a critical target, a
        limit); None where it allows it, or would have a human asked: the human, or the level, has
        answered for the whole runbook, whose risk is that of its worst step."""
        ...


class RunRunbook:
    """`steps` are the kinds that runbooks are made of: all others."""

    def __init__(self, *, runbooks: Sequence[Runbook], steps: Catalogue, gate: StepGate) -> None:
        """Raises `UnknownActionError` for a step that is no action."""
        self._runbooks = {runbook.name: runbook for runbook in runbooks}
        self._steps = steps
        self._gate = gate
        self._ended: dict[str, str] = {}
        self.spec = _spec(runbooks, steps)

    def risk(self, action: Action, target: Target) -> Risk:
        """That of the worst step; critical for one is critical for all."""
        risk = self.spec.risk
        for step in self._actions(action):
            kind = self._steps.kind(step.kind)
            own = Target(
                name=step.target,
                type=kind.spec.target,
                critical=target.critical,
                why_critical=target.why_critical,
            )
            risk = risk.at_least(kind.risk(step, own))
        return risk

    def verbs(self, action: Action) -> tuple[str, ...]:
        steps = ((self._steps.kind(step.kind), step) for step in self._actions(action))
        return tuple(dict.fromkeys(verb for kind, step in steps for verb in kind.verbs(step)))

    def require_target(self, action: Action, limits: Limits) -> None:
        """What its steps are done to, too."""
        for number, step in enumerate(self._actions(action), 1):
            try:
                self._steps.kind(step.kind).require_target(step, limits)
            except TargetError as error:
                raise TargetError(f"step {number} ({step.code}): {error}") from error

    async def find(self, action: Action, host: Host) -> Target:
        critical: list[str] = []
        for number, step in enumerate(self._actions(action), 1):
            kind, target = await self._found(step, host)
            if step.kind in _NIXOS or (kind.spec.locks_out and target.way_in):
                raise TargetError(
                    f"step {number} ({step.code}) can lock the operator out: do it by itself, so "
                    "that a reversal is armed"
                )
            inverse = kind.timed_inverse(step)
            if inverse is not None and not inverse.in_kernel:
                raise TargetError(f"step {number} ({step.code}) has to be undone in time: not here")
            if target.critical:
                critical.append(target.why_critical)
        runbook = self._runbook(action)
        return Target(
            name=runbook.name,
            type=TargetType.RUNBOOK,
            critical=bool(critical),
            why_critical="; ".join(critical),
            description=runbook.description,
        )

    async def ready(self, action: Action, host: Host) -> None:
        """The first step has to be ready as a whole; of the others what does not depend on those
        before them."""
        for number, step in enumerate(self._actions(action), 1):
            kind, target = await self._found(step, host)
            if why := await self._gate.why_not(step, kind, target):
                raise PreconditionError(f"step {number} ({step.code}) is denied: {why}")
            if number == 1:
                await kind.ready(step, host)
                continue
            with contextlib.suppress(PreconditionError):
                await kind.ready(step, host)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        """What each step is compared with when all is over, or after a crash."""
        steps = self._actions(action)
        found = [await self._steps.kind(step.kind).before(step, host) for step in steps]
        return {"at": host.now(), "steps": [dict(each) for each in found]}

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        return None

    async def run(self, action: Action, host: Host) -> Output:
        """Raises `ActionError` at the first step that may not be done, or does not work."""
        self._ended.pop(action.content_hash, None)
        done: list[str] = []
        for number, step in enumerate(self._actions(action), 1):
            try:
                words = await self._step(step, host)
            except ActionError as error:
                told = "; ".join([*done, f"step {number} ({step.code}): {error}"])
                self._end(action, f"stopped: {told}")
                raise ActionError(f"stopped: {told}") from error
            done.append(f"step {number} ({step.code}): {words}")
        self._end(action, "")
        return Output(text="; ".join(done), data={"steps": len(done)})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        """A run that stopped has failed, however the host looks. Of one that ended every step is
        measured again but those that a later one took back. Of one that nobody saw end, because
        the daemon did, the same, and where a step was to be taken back it cannot be said."""
        stopped = self._ended.get(action.content_hash)
        if stopped:
            return Check(holds=False, final=True, detail=stopped)
        steps = self._actions(action)
        kept = [at for at in range(len(steps)) if not self._taken_back(steps, at)]
        looks = [
            await self._steps.kind(steps[at].kind).check(steps[at], host, before["steps"][at])
            for at in kept
        ]
        states = {look.holds for look in looks}
        if stopped is None and len(kept) < len(steps):
            states.add(None)
        holds = False if False in states else (None if None in states else True)
        return Check(
            holds=holds,
            final=holds is True or any(look.final and look.holds is False for look in looks),
            detail="; ".join(look.detail for look in looks),
            measured={"steps": [dict(look.measured) for look in looks]},
        )

    def _taken_back(self, steps: Sequence[Action], at: int) -> bool:
        """Whether a later step on the same target undoes this one, or does it anew."""
        undoes = {steps[at].kind, self._steps.kind(steps[at].kind).spec.inverse}
        return any(
            later.target == steps[at].target and later.kind in undoes for later in steps[at + 1 :]
        )

    def _end(self, action: Action, why: str) -> None:
        """Remembers how a run ended until it is checked: what a stopped one left may look well."""
        self._ended[action.content_hash] = why
        while len(self._ended) > _MOST_ENDED:
            self._ended.pop(next(iter(self._ended)))

    async def _step(self, step: Action, host: Host) -> str:
        kind, target = await self._found(step, host)
        if why := await self._gate.why_not(step, kind, target):
            raise PreconditionError(f"it is denied: {why}")
        await kind.ready(step, host)
        before = await kind.before(step, host)
        trouble = ""
        try:
            async with asyncio.timeout(kind.spec.timeout):
                await kind.run(step, host)
        except REFUSALS as error:
            raise ActionError(f"it was not begun: {error}") from error
        except (ActionError, TimeoutError) as error:
            # What it did all the same is measured.
            trouble = f" ({str(error) or 'it took too long'})"
        steady = host.limits.steady_seconds
        result = await verify(kind, step, host, before=before, steady=steady)
        if result.state is not ActionState.DONE:
            raise ActionError(f"it did not work{trouble}: {result.check.detail}")
        return result.check.detail

    async def _found(self, step: Action, host: Host) -> tuple[Kind, Target]:
        kind = self._steps.kind(step.kind)
        return kind, await kind.find(step, host)

    def _runbook(self, action: Action) -> Runbook:
        try:
            return self._runbooks[action.target]
        except KeyError:
            known = ", ".join(self._runbooks) or "none"
            raise TargetError(
                f"there is no runbook {action.target[:60]!r}; [actions.runbooks] has {known}"
            ) from None

    def _actions(self, action: Action) -> Sequence[Action]:
        runbook = self._runbook(action)
        values = arguments_of(runbook, str(action.parameters["arguments"]))
        return actions_of(runbook, values, host=action.host, catalogue=self._steps)


def _spec(runbooks: Sequence[Runbook], catalogue: Catalogue) -> KindSpec:
    """The worst of all steps of all runbooks: what is said of the kind holds for each of them."""
    specs = [[catalogue.kind(step.kind).spec for step in book.steps] for book in runbooks]
    flat = [spec for book in specs for spec in book]
    return KindSpec(
        name="run_runbook",
        family="runbooks",
        target=TargetType.RUNBOOK,
        sentence="carry out the runbook {target} with {arguments}",
        risk=Risk.LOW,
        blast=max((spec.blast for spec in flat), key=_BLASTS.index, default=Blast.NOTHING),
        reversible=all(spec.reversible for spec in flat),
        disruptive=any(spec.disruptive for spec in flat),
        precondition="policy denies no step, all targets are there, and the first step is ready",
        postcondition="each step worked, by its own measure, before the next began",
        timeout=max((sum(_seconds(spec) for spec in book) for book in specs), default=60.0),
        settle=max((spec.settle for spec in flat), default=30.0),
        outlives=max((spec.timeout for spec in flat), default=0.0),
        parameters=(
            Parameter(
                name="arguments",
                type=str,
                description="the values of the runbook's parameters as JSON, such as "
                '{"unit": "web.service"}',
                default="{}",
                least=2,
                most=2_000,
            ),
        ),
    )


def _seconds(spec: KindSpec) -> float:
    """A step's time, with what it needs to be steady at most."""
    return spec.timeout + spec.settle + _MOST_STEADY


_MOST_STEADY = 600.0


def kinds(*, runbooks: Sequence[Runbook], steps: Catalogue, gate: StepGate) -> tuple[Kind, ...]:
    """The family; without a runbook there is none."""
    return (RunRunbook(runbooks=runbooks, steps=steps, gate=gate),) if runbooks else ()

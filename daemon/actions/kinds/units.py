"""Starting, stopping, restarting and reloading units, and forgetting that they failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target, TimedInverse
from daemon.actions.kinds import unit_states
from daemon.actions.kinds.unit_states import fresh, in_words, measured

_FAMILY = "units"
_ACTIVATING = (".socket", ".path")
"""What starts a unit again at the next knock, so that it does not stay stopped."""
_ANY_TYPE = (*unit_states.RUNNABLE, ".mount", ".automount", ".swap", ".target", ".scope", ".slice")


class UnitKind:
    """What every action on a unit does alike. `verb` is what `Units.act` is told."""

    spec: KindSpec
    verb: str
    types: tuple[str, ...] = unit_states.RUNNABLE

    def risk(self, action: Action, target: Target) -> Risk:
        """A critical target is high-risk, whatever is done to it."""
        return self.spec.risk.at_least(Risk.HIGH if target.critical else Risk.LOW)

    def verbs(self, action: Action) -> tuple[str, ...]:
        return ()

    def require_target(self, action: Action, limits: Limits) -> None:
        unit_states.require_unit_name(action.target, types=self.types)

    async def find(self, action: Action, host: Host) -> Target:
        return await unit_states.find_unit(action.target, host=host, types=self.types)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        return unit_states.baseline(await fresh(action.target, host=host), host=host)

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        return None

    async def run(self, action: Action, host: Host) -> Output:
        result = await host.units.act(self.verb, action.target)
        return Output(
            text=f"systemd ended the job to {self.verb} {action.target}: {result}",
            data={"job": result},
        )


class StartUnit(UnitKind):
    spec = KindSpec(
        name="start_unit",
        family=_FAMILY,
        target=TargetType.UNIT,
        sentence="start {target}",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        locks_out=True,
        inverse="stop_unit",
        precondition="the unit is loaded, not masked, does not run, and may be started by hand",
        postcondition="it is active with a new run and stays so without a restart; a unit that "
        "runs once has ended with success",
        timeout=120.0,
        settle=60.0,
    )
    verb = "start"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        if state.active == "active":
            raise PreconditionError(f"{state.name} is active already: there is nothing to start")
        unit_states.require_startable(state)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        return await unit_states.check_started(action.target, host, before)


class RestartUnit(UnitKind):
    spec = KindSpec(
        name="restart_unit",
        family=_FAMILY,
        target=TargetType.UNIT,
        sentence="restart {target}",
        risk=Risk.LOW,
        blast=Blast.DEPENDANTS,
        reversible=True,
        disruptive=True,
        locks_out=True,
        precondition="the unit is loaded, not masked, runs or has failed, and may be stopped and "
        "started by hand",
        postcondition="it is active with a new run and stays so without a restart; a unit that "
        "runs once has ended with success",
        timeout=200.0,
        settle=60.0,
    )
    verb = "restart"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        unit_states.require_startable(state)
        if state.active == "inactive":
            raise PreconditionError(
                f"{state.name} does not run and has not failed: to start it is start_unit"
            )
        if state.active == "active":
            _require_stoppable(state.name, refuses=state.refuse_manual_stop, can=state.can_stop)

    async def run(self, action: Action, host: Host) -> Output:
        # A loop goes on counting between the baseline and now. From nought on, a restart that
        # systemd did by itself cannot be taken for ours, nor ours for one of its own. And a unit
        # that was started too often is started by nobody until its count is forgotten.
        state = await fresh(action.target, host=host)
        if state.active == "failed" or unit_states.waits_for_restart(state):
            await host.units.act("reset-failed", action.target)
        return await super().run(action, host)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        return await unit_states.check_started(action.target, host, before)


class StopUnit(UnitKind):
    spec = KindSpec(
        name="stop_unit",
        family=_FAMILY,
        target=TargetType.UNIT,
        sentence="stop {target}",
        risk=Risk.MEDIUM,
        blast=Blast.DEPENDANTS,
        reversible=True,
        disruptive=True,
        locks_out=True,
        inverse="start_unit",
        precondition="the unit runs, may be stopped by hand, and no active socket or path would "
        "start it again",
        postcondition="it does not run and stays so",
        timeout=120.0,
        settle=30.0,
    )
    verb = "stop"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        if state.active in ("inactive", "failed"):
            raise PreconditionError(f"{state.name} does not run: it is {in_words(state)}")
        unit_states.require_settled(state)
        _require_stoppable(state.name, refuses=state.refuse_manual_stop, can=state.can_stop)
        for name in state.triggered_by:
            if name.endswith(_ACTIVATING):
                trigger = await host.units.state(name)
                if trigger is not None and trigger.active == "active":
                    raise PreconditionError(
                        f"{name} would start {state.name} again: stop {name} first"
                    )

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:
            return unit_states.gone(action.target)
        return unit_states.judge_stopped(
            state, before, now=host.now(), steady_seconds=host.limits.steady_seconds
        )


class ReloadUnit(UnitKind):
    spec = KindSpec(
        name="reload_unit",
        family=_FAMILY,
        target=TargetType.UNIT,
        sentence="have {target} read its configuration again",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        locks_out=True,
        precondition="the unit is active and can be reloaded",
        postcondition="its reload ended with success, and it stays active with the same run",
        timeout=100.0,
        settle=20.0,
    )
    verb = "reload"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        unit_states.require_loaded(state)
        unit_states.require_settled(state)
        if state.active != "active":
            raise PreconditionError(f"{state.name} is not active: it is {in_words(state)}")
        if not state.can_reload:
            raise PreconditionError(f"{state.name} has nothing to reload with: it can be restarted")

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:
            return unit_states.gone(action.target)
        return unit_states.judge_reloaded(
            state, before, now=host.now(), steady_seconds=host.limits.steady_seconds
        )


class ResetFailedUnit(UnitKind):
    spec = KindSpec(
        name="reset_failed_unit",
        family=_FAMILY,
        target=TargetType.UNIT,
        sentence="forget that {target} failed, and how often it was started",
        risk=Risk.LOW,
        blast=Blast.NOTHING,
        reversible=True,
        precondition="the unit is failed",
        postcondition="it is not failed any more",
        timeout=30.0,
        settle=5.0,
    )
    verb = "reset-failed"
    types = _ANY_TYPE

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        if state.active != "failed":
            raise PreconditionError(f"{state.name} has not failed: it is {in_words(state)}")

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:  # only its failure kept it: its unit file is gone
            detail = f"systemd has forgotten {action.target}"
            return Check(holds=True, final=True, detail=detail, measured={"load": ""})
        failed = state.active == "failed"
        return Check(
            holds=not failed,
            final=not failed,
            detail=f"{state.name} is {'still ' if failed else ''}{in_words(state)}",
            measured=measured(state),
        )


def _require_stoppable(unit: str, *, refuses: bool, can: bool) -> None:
    if refuses or not can:
        raise PreconditionError(f"{unit} refuses to be stopped by hand (RefuseManualStop)")


KINDS: tuple[Kind, ...] = (
    StartUnit(),
    StopUnit(),
    RestartUnit(),
    ReloadUnit(),
    ResetFailedUnit(),
)

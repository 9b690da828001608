"""What kinds that act on units have in common: finding them, preconditions, and judging by what was
measured before. What asks the host is asynchronous; the rest is pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import TargetType
from daemon.actions.errors import PreconditionError, PrivilegeError, TargetError
from daemon.actions.host.critical import WAY_IN
from daemon.actions.host.host import Host, UnitState
from daemon.actions.host.surroundings import why_unit_critical
from daemon.actions.kind import Check, Target
from daemon.systemd.names import is_unit

RUNNABLE = (".service", ".socket", ".timer", ".path")
"""Units that are started and stopped. Others stand for much more than themselves."""
TRANSITIONAL = frozenset({"activating", "deactivating", "reloading", "refreshing", "maintenance"})
_MASKED = frozenset({"masked", "masked-runtime"})


async def find_unit(
    name: str,
    *,
    host: Host,
    types: tuple[str, ...] = RUNNABLE,
    as_type: TargetType = TargetType.UNIT,
) -> Target:
    """The unit as the host has it now. An alias is refused: what is approved, limited and kept one
    at a time is the unit's own name. Raises `TargetError`, `HostUnavailableError`."""
    state = await host.units.state(name)
    if state is None:
        raise TargetError(f"this host has no unit {name[:80]!r}")
    if state.name != name:
        raise TargetError(f"{name} is another name of {state.name}: name that one")
    require_unit_name(name, types=types)
    critical = await why_unit_critical(state, host=host)
    return Target(
        name=state.name,
        type=as_type,
        critical=critical is not None,
        why_critical=critical.why if critical is not None else "",
        way_in=critical is not None and critical.concern in WAY_IN,
        description=state.description,
    )


def require_unit_name(name: str, *, types: tuple[str, ...]) -> None:
    """Raises `TargetError` for what is the name of no unit, or of one of another type."""
    if not is_unit(name):
        raise TargetError(f"{name[:80]!r} is not the name of a unit (nginx.service is one)")
    if not name.endswith(types):
        kinds = ", ".join(types)
        raise TargetError(f"{name} is not of a kind that this action is for ({kinds})")


async def fresh(name: str, *, host: Host) -> UnitState:
    """Raises `PreconditionError` where the unit has gone since it was found."""
    state = await host.units.state(name)
    if state is None:
        raise PreconditionError(f"{name} is no longer on this host")
    return state


def require_loaded(state: UnitState) -> None:
    """Raises `PreconditionError` for what systemd cannot start, whatever it is asked."""
    if state.load in _MASKED or state.unit_file in _MASKED:
        raise PreconditionError(f"{state.name} is masked: somebody decided that it never runs")
    if state.load != "loaded":
        message = f"systemd cannot load {state.name} ({state.load}): its unit file needs a human"
        raise PreconditionError(message)


def require_settled(state: UnitState) -> None:
    """Raises `PreconditionError` while systemd is busy with the unit. One that waits for its next
    automatic start is not: to act then is what an administrator does."""
    if state.active in TRANSITIONAL and not waits_for_restart(state):
        raise PreconditionError(
            f"{state.name} is {state.active} ({state.sub}) right now: systemd is at work on it"
        )


def require_startable(state: UnitState) -> None:
    """Raises `PreconditionError`."""
    require_loaded(state)
    require_settled(state)
    if state.refuse_manual_start or not state.can_start:
        raise PreconditionError(f"{state.name} refuses to be started by hand (RefuseManualStart)")


def waits_for_restart(state: UnitState) -> bool:
    """It crashed, and systemd starts it again in a while."""
    return state.sub.startswith("auto-restart")


async def require_helper(verb: str, *, host: Host) -> None:
    """Raises `PrivilegeError` where the root helper may not be asked."""
    if (why := await host.helper.allows(verb)) is not None:
        raise PrivilegeError(why)


def baseline(state: UnitState, *, host: Host) -> dict[str, Any]:
    """What `check` compares with, JSON-ready."""
    return {
        "at": host.now(),
        "active": state.active,
        "sub": state.sub,
        "invocation": state.invocation,
        "restarts": state.restarts,
        "active_since": state.active_since,
        "changed_at": state.changed_at,
        "unit_file": state.unit_file,
    }


def measured(state: UnitState) -> dict[str, Any]:
    """What a check saw, JSON-ready."""
    return {
        "active": state.active,
        "sub": state.sub,
        "result": state.result,
        "restarts": state.restarts,
        "invocation": state.invocation,
        "active_since": state.active_since,
        "unit_file": state.unit_file,
    }


def in_words(state: UnitState) -> str:
    """Like "failed, result exit-code, 3 restarts", or "active (running)"."""
    words = state.active if state.sub == state.active else f"{state.active} ({state.sub})"
    if state.result not in ("", "success"):
        words += f", result {state.result}"
    if state.restarts:
        words += f", {state.restarts} restarts"
    return words


def gone(name: str) -> Check:
    """Nobody can say any more."""
    return Check(
        holds=False, final=True, detail=f"{name} is no longer on this host", measured={"load": ""}
    )


async def check_started(unit: str, host: Host, before: Mapping[str, Any]) -> Check:
    """`judge_started`, of the unit as it is now."""
    state = await host.units.state(unit)
    if state is None:
        return gone(unit)
    return judge_started(state, before, now=host.now(), steady_seconds=host.limits.steady_seconds)


def judge_started(
    state: UnitState, before: Mapping[str, Any], *, now: float, steady_seconds: float
) -> Check:
    """Whether a start or a restart took effect: another run than before, and well.

    A unit that runs once has to have ended with success, or to be at rest after it; any other has
    to be active for `steady_seconds` without an automatic restart. A run of before that goes on
    does not hold, however well it is: the effect did not happen.
    """

    def answer(holds: bool | None, words: str, *, final: bool = False) -> Check:
        detail = f"{state.name} {words}"
        return Check(holds=holds, detail=detail, final=final, measured=measured(state))

    if "invocation" not in before:
        return answer(None, "cannot be compared: what it was before is not known")
    known = str(before["invocation"])
    new = state.invocation not in ("", known)
    if waits_for_restart(state):
        words = "crashed, and systemd is about to start it again" if new else "is in its old loop"
        return answer(False, f"{words}: {in_words(state)}", final=new)
    if state.active in TRANSITIONAL:
        return answer(None, f"is still {in_words(state)}")
    if state.active == "failed":
        if not new and str(before.get("active")) == "failed" and not _changed(state, before):
            return answer(False, f"is failed as before: {in_words(state)}")
        return answer(False, f"does not run: {in_words(state)}", final=True)
    if not new:
        if state.active == "active":
            return answer(False, "still has the run of before: nothing happened to it")
        if _has_ended_unseen(state):
            return answer(None, "is inactive, and systemd no longer knows how it ended")
        return answer(False, f"was not started: {in_words(state)}")
    if state.active == "inactive":
        if state.service_type == "oneshot" and state.result == "success":
            return answer(True, "ran to its end with success", final=True)
        return answer(False, f"started and ended: {in_words(state)}", final=True)
    if state.active != "active":
        return answer(None, f"is in a state that is not known here: {in_words(state)}")
    restarts = int(before.get("restarts", 0))
    if state.restarts not in (0, restarts):
        return answer(False, f"has restarted by itself since: {in_words(state)}", final=True)
    if state.service_type == "oneshot":
        return answer(True, "ran to its end with success and counts as active", final=True)
    steady = now - state.active_since
    words = f"is active with a new run for {max(steady, 0):.0f} s of {steady_seconds:.0f} s"
    if state.active_since <= 0 or steady < steady_seconds:
        return answer(None, f"{words}, {state.restarts} restarts")
    return answer(True, f"{words}, {state.restarts} restarts", final=True)


def judge_stopped(
    state: UnitState, before: Mapping[str, Any], *, now: float, steady_seconds: float
) -> Check:
    """Whether it does not run, and stays so for `steady_seconds`."""

    def answer(holds: bool | None, words: str, *, final: bool = False) -> Check:
        detail = f"{state.name} {words}"
        return Check(holds=holds, detail=detail, final=final, measured=measured(state))

    if waits_for_restart(state):
        return answer(False, f"is started again by systemd: {in_words(state)}")
    if state.active in TRANSITIONAL:
        return answer(None, f"is still {in_words(state)}")
    if state.active not in ("inactive", "failed"):
        new = state.invocation not in ("", str(before.get("invocation", "")))
        words = "was started again" if new else "still runs"
        return answer(False, f"{words}: {in_words(state)}", final=new)
    # Forgotten by systemd: it cannot have run since, so what counts is the time since we acted.
    since = state.inactive_since or float(before.get("at", now))
    steady = now - since
    words = f"has been {state.active} for {max(steady, 0):.0f} s of {steady_seconds:.0f} s"
    return answer(True if steady >= steady_seconds else None, words, final=steady >= steady_seconds)


def judge_reloaded(
    state: UnitState, before: Mapping[str, Any], *, now: float, steady_seconds: float
) -> Check:
    """Whether a reload took effect: systemd moved the unit since, says that it went well, and the
    run of before goes on for `steady_seconds`."""

    def answer(holds: bool | None, words: str, *, final: bool = False) -> Check:
        detail = f"{state.name} {words}"
        seen = measured(state) | {"reload": state.reload_result}
        return Check(holds=holds, detail=detail, final=final, measured=seen)

    if state.invocation != str(before.get("invocation", "")) or state.active == "failed":
        words = f"did not outlive its reload: {in_words(state)}"
        return answer(False, words, final=state.active not in TRANSITIONAL)
    if state.active in TRANSITIONAL:
        return answer(None, f"is still {in_words(state)}")
    if state.active != "active":
        return answer(False, f"does not run any more: {in_words(state)}", final=True)
    if not _changed(state, before):
        return answer(False, "was not reloaded")
    if state.reload_result not in ("", "success"):
        return answer(False, f"could not be reloaded: {state.reload_result}", final=True)
    steady = now - state.changed_at
    words = f"has been well since its reload, {max(steady, 0):.0f} s of {steady_seconds:.0f} s"
    return answer(True if steady >= steady_seconds else None, words, final=steady >= steady_seconds)


def _changed(state: UnitState, before: Mapping[str, Any]) -> bool:
    return state.changed_at > float(before.get("changed_at", 0.0))


def _has_ended_unseen(state: UnitState) -> bool:
    """systemd forgets a unit that runs once and that nothing refers to, with its run."""
    return state.service_type == "oneshot" and not state.invocation

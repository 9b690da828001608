"""One process, named by number and start: ending it, and how nice it is to others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.host import Host, Limits, ProcessState
from daemon.actions.host.process_names import named_harmlessly
from daemon.actions.host.surroundings import why_process_critical
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter, Target
from daemon.actions.kinds.by_helper import HelperKind

_FAMILY = "processes"
_OVER = frozenset({"Z", "X", "x"})
"""States of a process that has ended and only waits to be forgotten."""


class _ProcessKind(HelperKind):
    def require_target(self, action: Action, limits: Limits) -> None:
        _named(action.target)

    async def find(self, action: Action, host: Host) -> Target:
        process = await _process(action.target, host)
        if process is None:
            raise TargetError(f"there is no process {action.target[:60]!r} (PID:START) any more")
        critical = await why_process_critical(process, host=host)
        where = f" of {process.unit}" if process.unit else ""
        return Target(
            name=action.target,
            type=TargetType.PROCESS,
            critical=critical is not None,
            why_critical=critical.why if critical is not None else "",
            description=f"{named_harmlessly(process.name)}{where}",
        )

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        process = await _process(action.target, host)
        there = {"name": process.name, "nice": process.nice} if process else {}
        return {"at": host.now(), **there}


class EndProcess(_ProcessKind):
    spec = KindSpec(
        name="end_process",
        family=_FAMILY,
        target=TargetType.PROCESS,
        sentence="end the process {target} (SIG{signal})",
        risk=Risk.MEDIUM,
        blast=Blast.TARGET,
        reversible=False,
        disruptive=True,
        precondition="the process runs, and the root helper may end it",
        postcondition="there is no process of that number and start any more",
        timeout=20.0,
        settle=30.0,
        parameters=(
            Parameter(
                name="signal",
                type=str,
                description="term asks it to end, kill does not ask",
                default="term",
                choices=("term", "kill"),
            ),
        ),
    )
    verb = "process-end"

    async def ready(self, action: Action, host: Host) -> None:
        await _there(action.target, host)
        await super().ready(action, host)

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {**_named(action.target), **action.parameters})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        process = await _process(action.target, host)
        if process is None:
            return Check(holds=True, final=True, detail=f"the process {action.target} has ended")
        return Check(
            holds=False,
            detail=f"the process {action.target} ({named_harmlessly(process.name)}) is still "
            f"there, in state {process.state}",
            measured={"state": process.state},
        )


class ReniceProcess(_ProcessKind):
    spec = KindSpec(
        name="renice_process",
        family=_FAMILY,
        target=TargetType.PROCESS,
        sentence="give the process {target} the nice value {nice}",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        inverse="renice_process",
        precondition="the process runs with another nice value, and the root helper may change it",
        postcondition="the same process has that nice value",
        timeout=20.0,
        settle=5.0,
        parameters=(
            Parameter(
                name="nice",
                type=int,
                description="from -5 (before others) to 19 (after all others)",
                default=10,
                least=-5,
                most=19,
            ),
        ),
    )
    verb = "process-renice"

    def risk(self, action: Action, target: Target) -> Risk:
        """To go before others may starve them."""
        first = int(action.parameters["nice"]) < 0
        return super().risk(action, target).at_least(Risk.MEDIUM if first else Risk.LOW)

    async def ready(self, action: Action, host: Host) -> None:
        process = await _there(action.target, host)
        if process.nice == action.parameters["nice"]:
            raise PreconditionError(f"{action.target} has the nice value {process.nice} already")
        await super().ready(action, host)

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {**_named(action.target), **action.parameters})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        process = await _process(action.target, host)
        if process is None:
            words = f"the process {action.target} has ended meanwhile"
            return Check(holds=False, final=True, detail=words)
        holds = process.nice == action.parameters["nice"]
        return Check(
            holds=holds,
            final=holds,
            detail=f"the process {action.target} ({named_harmlessly(process.name)}) has the nice "
            f"value {process.nice}",
            measured={"nice": process.nice},
        )


def _named(target: str) -> dict[str, int]:
    """Number and start of "PID:START". Raises `TargetError` for another form."""
    match = re.fullmatch(r"([1-9][0-9]{0,6}):([0-9]{1,19})", target, re.ASCII)
    if match is None:
        raise TargetError(
            f"{target[:60]!r} names no process: write PID:START, START being the 22nd field of "
            "/proc/PID/stat, so that no later process of that number is meant"
        )
    return {"pid": int(match[1]), "start": int(match[2])}


async def _process(target: str, host: Host) -> ProcessState | None:
    """None where exactly that one has ended, whoever has its number now."""
    named = _named(target)
    process = await host.process(named["pid"])
    if process is None or process.start != named["start"] or process.state in _OVER:
        return None
    return process


async def _there(target: str, host: Host) -> ProcessState:
    process = await _process(target, host)
    if process is None:
        raise PreconditionError(f"the process {target} has ended by itself")
    return process


KINDS: tuple[Kind, ...] = (EndProcess(), ReniceProcess())

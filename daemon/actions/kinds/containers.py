"""Restarting a container, over the engine's socket, which is the root helper's to ask."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import TargetError
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter, Target
from daemon.actions.kinds.by_helper import HelperKind, look

_VERB = "containers"


class RestartContainer(HelperKind):
    spec = KindSpec(
        name="restart_container",
        family="containers",
        target=TargetType.CONTAINER,
        sentence="restart {engine}'s container {target}",
        risk=Risk.LOW,
        blast=Blast.DEPENDANTS,
        reversible=True,
        disruptive=True,
        precondition="the engine has a container of that name, and the root helper may restart it",
        postcondition="it was started anew, runs, is not unhealthy, and stays so",
        timeout=170.0,
        settle=60.0,
        parameters=(
            Parameter(
                name="engine",
                type=str,
                description="whose container it is",
                default="docker",
                choices=("docker", "podman"),
            ),
        ),
    )
    verb = "container-restart"

    async def find(self, action: Action, host: Host) -> Target:
        answer = await host.helper.call(_VERB, _asked(action), timeout=60.0)
        if not answer.ok:
            raise TargetError(f"{action.target[:80]!r} is not found: {answer.detail}")
        if answer.data.get("name") != action.target:
            raise TargetError(f"{action.target} is called {answer.data.get('name')}: name it so")
        return Target(
            name=action.target,
            type=TargetType.CONTAINER,
            description=str(answer.data.get("status", "")),
        )

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        found = await look(host, _VERB, _asked(action))
        return {"at": host.now(), "started_at": found["started_at"], "running": found["running"]}

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, _asked(action))

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        found = await look(host, _VERB, _asked(action))
        runs = found["running"] and not found["restarting"] and found["health"] != "unhealthy"
        anew = found["started_at"] != before["started_at"]
        started = _moment(str(found["started_at"]))
        words = f"{action.target} is {found['status']}, started at {found['started_at']}"
        measured = {key: found[key] for key in ("started_at", "running", "restarting", "health")}
        if not anew:
            return Check(holds=False, detail=f"{words}, as before", measured=measured)
        if not runs or found["health"] == "starting":
            return Check(holds=False, detail=words, measured=measured)
        if started is None:
            return Check(holds=None, detail=f"{words}: that is no time", measured=measured)
        since = host.now() - started
        if since < host.limits.steady_seconds:
            waits = f"{words}, {max(since, 0):.0f} s ago: that is not long enough to say"
            return Check(holds=None, detail=waits, measured=measured)
        return Check(holds=True, final=True, detail=words, measured=measured)


def _asked(action: Action) -> dict[str, Any]:
    return {"container": action.target, **action.parameters}


def _moment(text: str) -> float | None:
    """Seconds since the epoch, of RFC 3339 with up to nine digits; None for what is none."""
    whole, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") or ("Z" if rest else "")
    try:
        return datetime.fromisoformat(whole + zone).timestamp()
    except ValueError:
        return None


KINDS: tuple[Kind, ...] = (RestartContainer(),)

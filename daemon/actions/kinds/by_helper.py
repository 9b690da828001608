"""What kinds that act through the root helper have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Risk
from daemon.actions.errors import HostUnavailableError, PreconditionError, PrivilegeError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import KindSpec, Output, Target, TimedInverse

_LOOK_SECONDS = 60.0


class HelperKind:
    """`verb` is the helper's that acts."""

    spec: KindSpec
    verb: str

    def risk(self, action: Action, target: Target) -> Risk:
        """A critical target is high-risk, whatever is done to it."""
        return self.spec.risk.at_least(Risk.HIGH if target.critical else Risk.LOW)

    def verbs(self, action: Action) -> tuple[str, ...]:
        return (self.verb,)

    def require_target(self, action: Action, limits: Limits) -> None:
        """Any name can be one, as far as nothing but the host knows them."""

    async def ready(self, action: Action, host: Host) -> None:
        await require(self.verb, host=host)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        return {"at": host.now()}

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        return None

    async def _ask(self, host: Host, arguments: Mapping[str, Any]) -> Output:
        return await effect(host, self.verb, arguments, timeout=self.spec.timeout)


async def effect(host: Host, verb: str, arguments: Mapping[str, Any], *, timeout: float) -> Output:
    """Has the helper do it. What the helper could not do is words too: `check` decides. Raises
    `PreconditionError` where it was refused, so that what holds all the same is no success of
    it, and as `Helper.call` does."""
    answer = await host.helper.call(verb, arguments, timeout=timeout)
    words = answer.detail if answer.ok else f"the root helper did not do it: {answer.detail}"
    if not answer.begun:
        raise PreconditionError(words)
    return Output(text=words, data=answer.data)


async def require(verb: str, *, host: Host) -> None:
    """Raises `PrivilegeError` where the root helper may not be asked."""
    if (why := await host.helper.allows(verb)) is not None:
        raise PrivilegeError(why)


async def look(
    host: Host, verb: str, arguments: Mapping[str, Any], *, timeout: float = _LOOK_SECONDS
) -> Mapping[str, Any]:
    """What a verb of the helper that only looks found. Raises `HostUnavailableError` with its
    reason where it found nothing, and as `Helper.call` does."""
    answer = await host.helper.call(verb, arguments, timeout=timeout)
    if not answer.ok:
        raise HostUnavailableError(f"the root helper could not look: {answer.detail}")
    return answer.data


async def lines(host: Host, *program: str) -> list[str] | None:
    """What a read-only program printed; None where it ended with another status than 0. Raises
    `HostUnavailableError`."""
    output = await host.read(program)
    return output.text.splitlines() if output.status == 0 else None

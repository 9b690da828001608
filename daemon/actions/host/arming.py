"""Arms and cancels the reversals that systemd carries out without the daemon.

The root helper does it where it is allowed to; a daemon that is root asks systemd itself. Neither
is told a command: the helper derives it from kind and target, and so does `_command`.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from dbus_fast import Variant

from daemon.actions.errors import HostUnavailableError, PreconditionError, PrivilegeError
from daemon.actions.host.bus import ManagerBus, explained
from daemon.actions.host.host import Helper, Units
from daemon.systemd.errors import RefusedError
from daemon.systemd.names import is_unit

_TOKEN = re.compile(r"[0-9a-f]{8,32}")
_HELPER_SECONDS = 20.0
_GONE = "org.freedesktop.systemd1.NoSuchUnit"
_SYSTEMCTL = "/usr/bin/systemctl"
_VERBS = {
    "start_unit": "start",
    "stop_unit": "stop",
    "enable_unit": "enable",
}


class Arming(Protocol):
    """Transient timers of systemd, by token (16 hexadecimal digits)."""

    async def arm(self, *, token: str, kind: str, target: str, after_seconds: float) -> None:
        """Returns when the timer is measured to wait. Raises `PrivilegeError`,
        `PreconditionError` (there is none like that), `HostUnavailableError`."""
        ...

    async def cancel(self, *, token: str) -> None:
        """Returns when the timer is measured to be gone. Raises as `arm` does."""
        ...

    async def waits(self, *, token: str) -> bool:
        """Whether the timer still waits. Raises `HostUnavailableError`."""
        ...


class ReversalTimers:
    """Satisfies `Arming`."""

    def __init__(self, *, bus: ManagerBus, units: Units, helper: Helper) -> None:
        self._bus = bus
        self._units = units
        self._helper = helper

    async def arm(self, *, token: str, kind: str, target: str, after_seconds: float) -> None:
        timer = timer_of(token)
        seconds = round(after_seconds)
        arguments = {"token": token, "kind": kind, "target": target, "after_seconds": seconds}
        if not await self._by_helper("reversal-arm", arguments):
            await self._start(token, _command(kind, target), seconds)
        if not await self.waits(token=token):
            message = f"{timer} does not wait, although it was armed: nothing would reverse it"
            raise HostUnavailableError(message)

    async def cancel(self, *, token: str) -> None:
        timer = timer_of(token)
        if await self.waits(token=token) and not await self._by_helper(
            "reversal-cancel", {"token": token}
        ):
            try:
                await self._bus.job("StopUnit", "ss", [timer, "replace"])
            except RefusedError as error:
                if error.name != _GONE:
                    raise explained(error, unit=timer) from error
        if await self.waits(token=token):
            message = f"{timer} still waits, although it was cancelled: it will be carried out"
            raise HostUnavailableError(message)

    async def waits(self, *, token: str) -> bool:
        state = await self._units.state(timer_of(token))
        return state is not None and state.active == "active"

    async def _by_helper(self, verb: str, arguments: dict[str, Any]) -> bool:
        """Whether the helper may be asked; what it could not do is raised."""
        if await self._helper.allows(verb) is not None:
            return False
        answer = await self._helper.call(verb, arguments, timeout=_HELPER_SECONDS)
        if not answer.ok:
            raise HostUnavailableError(f"the root helper could not do {verb}: {answer.detail}")
        return True

    async def _start(self, token: str, command: list[str], seconds: int) -> None:
        timer, service = timer_of(token), f"triaged-reversal-{token}.service"
        told = f"Reversal {token} of triaged, unless a person confirms"
        microseconds = seconds * 1_000_000
        of_timer = [
            ["Description", Variant("s", told)],
            ["TimersMonotonic", Variant("a(st)", [["OnActiveSec", microseconds]])],
            ["AccuracyUSec", Variant("t", 1_000_000)],
            ["RemainAfterElapse", Variant("b", False)],
        ]
        of_service = [
            ["Description", Variant("s", told)],
            ["Type", Variant("s", "oneshot")],
            ["ExecStart", Variant("a(sasb)", [[command[0], command, False]])],
        ]
        body = [timer, "fail", of_timer, [[service, of_service]]]
        try:
            await self._bus.job("StartTransientUnit", "ssa(sv)a(sa(sv))", body)
        except RefusedError as error:
            why = explained(error, unit=timer)
            if isinstance(why, PrivilegeError):
                raise PrivilegeError(
                    "a reversal cannot be armed, and without one nothing is done that may lock "
                    'the operator out: allow "reversal-arm" and "reversal-cancel" in '
                    "/etc/triaged/helper.toml"
                ) from error
            raise why from error


def timer_of(token: str) -> str:
    """Raises `PreconditionError` for what is no token."""
    if not _TOKEN.fullmatch(token):
        raise PreconditionError(f"{token!r} is not the token of a reversal")
    return f"triaged-reversal-{token}.timer"


def _command(kind: str, target: str) -> list[str]:
    if kind not in _VERBS or not is_unit(target):
        raise PreconditionError(
            f"{kind} of {target[:80]!r} can be armed by the root helper alone: allow "
            '"reversal-arm" in /etc/triaged/helper.toml'
        )
    return [_SYSTEMCTL, "--no-ask-password", _VERBS[kind], "--", target]

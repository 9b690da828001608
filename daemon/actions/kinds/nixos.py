"""NixOS: building, trying and switching to the operator's configuration, and going back.

What is built and what runs is told by links, which are read; the root helper builds and switches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import HostUnavailableError, PreconditionError, TargetError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target
from daemon.actions.kinds.by_helper import HelperKind, lines

_FAMILY = "nixos"
_BUILT = "/nix/var/nix/gcroots/triaged-build"
"""Where the helper links what it built."""
_RUNNING = "/run/current-system"
_PROFILES = "/nix/var/nix/profiles"
_NEXT = f"{_PROFILES}/system"
_CLOCK_SECONDS = 2.0


class _NixKind(HelperKind):
    verb = "nixos"
    operation: str

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        """`generation` is what a reversal goes back to: the one that runs; where none of them does,
        as after a test, the one that boots next. None where that is none either."""
        running = await _system(host, _RUNNING)
        numbers = {system: number for number, system in reversed(await generations(host))}
        following = numbers.get(await _system(host, _NEXT) or "")
        return {
            "at": host.now(),
            "running": running,
            "generation": numbers.get(running or "", following),
        }

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"operation": self.operation})


class _FlakeKind(_NixKind):
    def require_target(self, action: Action, limits: Limits) -> None:
        if limits.flake is None or action.target != limits.flake:
            raise TargetError(
                f"{action.target[:80]!r} is not the configuration that may be built "
                f"({limits.flake or 'none'}): [actions] nixos_flake names it"
            )

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        await _require_nixos(host)
        return Target(name=action.target, type=TargetType.FLAKE)


class NixosBuild(_FlakeKind):
    spec = KindSpec(
        name="nixos_build",
        family=_FAMILY,
        target=TargetType.FLAKE,
        sentence="build the NixOS configuration {target}, and use it for nothing yet",
        risk=Risk.LOW,
        blast=Blast.NOTHING,
        reversible=True,
        precondition="it is the configured one, this is NixOS, and the root helper may build",
        postcondition="the link to what was built is new and leads to a system",
        timeout=3_800.0,
        settle=10.0,
    )
    operation = "build"

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        built = await _built_since(host, float(before["at"]))
        words = f"{built} was built" if built else "nothing was built since"
        holds = built is not None
        return Check(holds=holds, final=holds, detail=words, measured={"system": built})


class _SwitchingKind(_FlakeKind):
    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        built = await _built_since(host, float(before["at"]))
        running, next_boot = await _system(host, _RUNNING), await _system(host, _NEXT)
        holds = built is not None and running == built
        if self.operation == "switch":
            holds = holds and next_boot == built
        return Check(
            holds=holds,
            final=holds,
            detail=f"{running} runs, {next_boot} is for the next boot, "
            f"{built or 'nothing'} was built since",
            measured={"running": running, "next_boot": next_boot, "built": built},
        )


class NixosTest(_SwitchingKind):
    spec = KindSpec(
        name="nixos_test",
        family=_FAMILY,
        target=TargetType.FLAKE,
        sentence="build the NixOS configuration {target} and run it until the next boot",
        risk=Risk.HIGH,
        blast=Blast.HOST,
        reversible=True,
        disruptive=True,
        locks_out=True,
        precondition="it is the configured one, this is NixOS, and the root helper may switch",
        postcondition="what was built just now is the running system",
        timeout=3_800.0,
        settle=30.0,
    )
    operation = "test"


class NixosSwitch(_SwitchingKind):
    spec = KindSpec(
        name="nixos_switch",
        family=_FAMILY,
        target=TargetType.FLAKE,
        sentence="build the NixOS configuration {target}, run it, and boot it from now on",
        risk=Risk.HIGH,
        blast=Blast.HOST,
        reversible=True,
        disruptive=True,
        locks_out=True,
        precondition="it is the configured one, this is NixOS, and the root helper may switch",
        postcondition="what was built just now is the running system and that of the next boot",
        timeout=3_800.0,
        settle=30.0,
    )
    operation = "switch"


class NixosRollback(_NixKind):
    spec = KindSpec(
        name="nixos_rollback",
        family=_FAMILY,
        target=TargetType.GENERATION,
        sentence="run and boot generation {target} of NixOS",
        risk=Risk.HIGH,
        blast=Blast.HOST,
        reversible=True,
        disruptive=True,
        locks_out=True,
        precondition="the generation exists and does not run, and the root helper may switch",
        postcondition="it is the running system and that of the next boot",
        timeout=700.0,
        settle=30.0,
    )
    operation = "rollback"

    async def find(self, action: Action, host: Host) -> Target:
        system = await _generation(action.target, host)
        return Target(name=action.target, type=TargetType.GENERATION, description=system)

    async def ready(self, action: Action, host: Host) -> None:
        system = await _generation(action.target, host)
        if await _system(host, _RUNNING) == system == await _system(host, _NEXT):
            raise PreconditionError(f"generation {action.target} runs already, and boots next")
        await super().ready(action, host)

    async def run(self, action: Action, host: Host) -> Output:
        arguments = {"operation": self.operation, "generation": int(action.target)}
        return await self._ask(host, arguments)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        system = await _generation(action.target, host)
        running, next_boot = await _system(host, _RUNNING), await _system(host, _NEXT)
        holds = running == system == next_boot
        return Check(
            holds=holds,
            final=holds,
            detail=f"{running} runs, {next_boot} is for the next boot, {system} was wanted",
            measured={"running": running, "next_boot": next_boot},
        )


async def generations(host: Host) -> list[tuple[int, str]]:
    """Number and system of each, the newest first."""
    find = ("find", _PROFILES, "-maxdepth", "1", "-name", "system-*-link", "-printf", "%f %l\\n")
    found = [
        (int(match[1]), match[2])
        for line in await lines(host, *find) or ()
        if (match := re.fullmatch(r"system-([1-9][0-9]{0,6})-link (/nix/store/\S+)", line))
    ]
    return sorted(found, reverse=True)


async def _generation(text: str, host: Host) -> str:
    for number, system in await generations(host):
        if str(number) == text:
            return system
    raise TargetError(f"this host has no generation {text[:20]!r} of NixOS")


async def _system(host: Host, link: str) -> str | None:
    found = await lines(host, "readlink", "--canonicalize-existing", "--", link)
    return found[0] if found else None


async def _require_nixos(host: Host) -> None:
    if await _system(host, _RUNNING) is None:
        raise TargetError("this host does not run NixOS")


async def _built_since(host: Host, moment: float) -> str | None:
    """What the helper built, where its link was made since then."""
    made = await lines(host, "stat", "--format=%Y", "--", _BUILT)
    if not made:
        return None
    if not made[0].isdigit():
        raise HostUnavailableError(f"stat says of {_BUILT} {made[0][:40]!r}")
    if int(made[0]) < moment - _CLOCK_SECONDS:
        return None
    return await _system(host, _BUILT)


KINDS: tuple[Kind, ...] = (NixosBuild(), NixosTest(), NixosSwitch(), NixosRollback())

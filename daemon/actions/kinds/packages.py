"""Security updates: listed first, then exactly those are installed, and their versions are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target
from daemon.actions.kinds.by_helper import HelperKind, lines, look, require

_TARGET = "packages"
_SHOWN = 5
_LIST_SECONDS = 140.0


class SecurityUpdates(HelperKind):
    spec = KindSpec(
        name="security_updates",
        family="packages",
        target=TargetType.PACKAGES,
        sentence="install the security updates of {target} that are listed now",
        risk=Risk.MEDIUM,
        blast=Blast.HOST,
        reversible=False,
        disruptive=True,
        precondition="apt or dnf lists security updates, and the root helper may install them",
        postcondition="each package that was listed has the listed version, or a later one",
        timeout=1_900.0,
        settle=30.0,
    )
    verb = "security-updates"

    def require_target(self, action: Action, limits: Limits) -> None:
        if action.target != _TARGET:
            raise TargetError(f"the target of security_updates is called {_TARGET!r}")

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        return Target(name=_TARGET, type=TargetType.PACKAGES)

    async def ready(self, action: Action, host: Host) -> None:
        await require(self.verb, host=host)
        if not (await _listed(host))["packages"]:
            raise PreconditionError("the package manager lists no security update")

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        return {"at": host.now(), **await _listed(host)}

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"packages": (await _listed(host))["packages"]})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        wanted = [str(package) for package in before["packages"]]
        installed = _INSTALLED[before["manager"]]
        missing: list[str] = []
        for package in wanted:
            if len(missing) < _SHOWN and not await installed(package, host):
                missing.append(package)
        holds = bool(wanted) and not missing
        words = f"not installed: {', '.join(missing)}" if missing else "all of them are installed"
        return Check(
            holds=holds,
            final=holds,
            detail=f"{len(wanted)} packages were listed; {words}",
            measured={"listed": len(wanted), "missing": missing},
        )


async def _listed(host: Host) -> Mapping[str, Any]:
    """`manager`, and `packages` as "name=version", sorted. Raises `HostUnavailableError`."""
    found = await look(host, "security-updates-list", {}, timeout=_LIST_SECONDS)
    return {"manager": str(found["manager"]), "packages": list(found["packages"])}


async def _by_dpkg(package: str, host: Host) -> bool:
    """The listed version, or a later one: an update may have come in between."""
    name, _, version = package.partition("=")
    query = ("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Version}\n", "--", name)
    for line in await lines(host, *query) or ():
        state, _, there = line.partition(" ")
        if state != "ii" or not there.strip():
            continue
        compared = await host.read(("dpkg", "--compare-versions", there.strip(), "ge", version))
        if compared.status == 0:
            return True
    return False


async def _by_rpm(package: str, host: Host) -> bool:
    name, _, version = package.partition("=")
    query = ("rpm", "--query", "--queryformat", "%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n", "--", name)
    wanted = version if ":" in version else f"0:{version}"
    return wanted in (await lines(host, *query) or ())


_INSTALLED = {"apt": _by_dpkg, "dnf": _by_rpm}

KINDS: tuple[Kind, ...] = (SecurityUpdates(),)

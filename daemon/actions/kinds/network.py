"""Blocking addresses and networks for a time, in an nftables table of triaged's own.

The kernel lifts a block when its time is over, whatever becomes of the daemon.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter, Target, TimedInverse
from daemon.actions.kinds.by_helper import HelperKind, look

_FAMILY = "network"
_LONG_SECONDS = 24 * 3_600
_LEAST_PREFIX = {4: 16, 6: 32}
_WIDE_PREFIX = {4: 24, 6: 56}
"""A network that is wider than this has many people in it."""
_SECONDS = Parameter(
    name="seconds",
    type=int,
    description="how long, until the kernel lifts the block by itself",
    default=3600,
    least=60,
    most=604_800,
)

_NEIGHBOURS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _BlockKind(HelperKind):
    def require_target(self, action: Action, limits: Limits) -> None:
        _refuse_never(_network(action.target, self.spec.target), limits.never_block)

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        network = _network(action.target, self.spec.target)
        where = "in a private network" if _is_neighbour(network) else ""
        return Target(name=action.target, type=self.spec.target, description=where)


class _Blocking(_BlockKind):
    verb = "block"
    inverse: str

    def risk(self, action: Action, target: Target) -> Risk:
        """Higher for long, for many at once, and for neighbours, who may be the operator."""
        network = _network(action.target, self.spec.target)
        risk = super().risk(action, target)
        if int(action.parameters["seconds"]) > _LONG_SECONDS:
            risk = risk.at_least(Risk.MEDIUM)
        if network.prefixlen < _WIDE_PREFIX[network.version] or _is_neighbour(network):
            risk = risk.at_least(Risk.HIGH)
        return risk

    async def ready(self, action: Action, host: Host) -> None:
        await super().ready(action, host)
        found = await look(host, "blocked", {"network": action.target})
        if found["blocked"]:
            raise PreconditionError(f"{action.target} is blocked for {found['left']} s already")
        if found["why_never"]:
            raise PreconditionError(f"{action.target} is never blocked: {found['why_never']}")

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        return TimedInverse(
            kind=self.inverse,
            target=action.target,
            parameters={},
            after_seconds=float(int(action.parameters["seconds"])),
            in_kernel=True,
        )

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"network": action.target, **action.parameters})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        return await _check(action.target, host, wanted=True)


class _Unblocking(_BlockKind):
    verb = "unblock"

    def require_target(self, action: Action, limits: Limits) -> None:
        """What must not be blocked may be unblocked."""
        _network(action.target, self.spec.target)

    async def find(self, action: Action, host: Host) -> Target:
        self.require_target(action, host.limits)
        return Target(name=action.target, type=self.spec.target)

    async def ready(self, action: Action, host: Host) -> None:
        await super().ready(action, host)
        if not (await look(host, "blocked", {"network": action.target}))["blocked"]:
            raise PreconditionError(f"{action.target} is not blocked by triaged")

    async def run(self, action: Action, host: Host) -> Output:
        return await self._ask(host, {"network": action.target})

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        return await _check(action.target, host, wanted=False)


class BlockAddress(_Blocking):
    spec = KindSpec(
        name="block_address",
        family=_FAMILY,
        target=TargetType.ADDRESS,
        sentence="drop everything from {target} for {seconds} s",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        inverse="unblock_address",
        precondition="the address is not ours, no gateway, no server of names, not logged in by "
        "ssh, not on a list of those that are never blocked, and the root helper may block it",
        postcondition="the kernel's set of blocked addresses has it",
        timeout=60.0,
        settle=5.0,
        parameters=(_SECONDS,),
    )
    inverse = "unblock_address"


class BlockNetwork(_Blocking):
    spec = KindSpec(
        name="block_network",
        family=_FAMILY,
        target=TargetType.NETWORK,
        sentence="drop everything from the network {target} for {seconds} s",
        risk=Risk.MEDIUM,
        blast=Blast.DEPENDANTS,
        reversible=True,
        inverse="unblock_network",
        precondition="the network holds no address of ours, no gateway, no server of names, nobody "
        "who is logged in by ssh, nothing that is never blocked, and the root helper may block it",
        postcondition="the kernel's set of blocked networks has it",
        timeout=60.0,
        settle=5.0,
        parameters=(_SECONDS,),
    )
    inverse = "unblock_network"


class UnblockAddress(_Unblocking):
    spec = KindSpec(
        name="unblock_address",
        family=_FAMILY,
        target=TargetType.ADDRESS,
        sentence="let {target} in again",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        precondition="triaged blocks it, and the root helper may lift the block",
        postcondition="the kernel's set of blocked addresses does not have it",
        timeout=60.0,
        settle=5.0,
    )


class UnblockNetwork(_Unblocking):
    spec = KindSpec(
        name="unblock_network",
        family=_FAMILY,
        target=TargetType.NETWORK,
        sentence="let the network {target} in again",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        precondition="triaged blocks it, and the root helper may lift the block",
        postcondition="the kernel's set of blocked networks does not have it",
        timeout=60.0,
        settle=5.0,
    )


def _network(text: str, of: TargetType) -> _Network:
    """In the one usual form, so that a target has one name. Raises `TargetError`."""
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError as error:
        raise TargetError(f"{text[:60]!r} is no address and no network: {error}") from None
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is not None:
        raise TargetError(f"{text[:60]!r} stands for the IPv4 address {mapped}: name that one")
    one = network.prefixlen == network.max_prefixlen
    if of is TargetType.ADDRESS and (not one or text != str(network.network_address)):
        raise TargetError(f"{text[:60]!r} is not the usual form of one address")
    if of is TargetType.NETWORK and (one or text != str(network)):
        raise TargetError(f"{text[:60]!r} is not the usual form of a network of several")
    return network


def _is_neighbour(network: _Network) -> bool:
    """Whether it holds addresses of private networks."""
    return any(each.version == network.version and each.overlaps(network) for each in _NEIGHBOURS)


def _refuse_never(network: _Network, never: tuple[str, ...]) -> None:
    if network.prefixlen < _LEAST_PREFIX[network.version]:
        wide = _LEAST_PREFIX[network.version]
        raise TargetError(f"{network} is wider than /{wide}: so much is never blocked")
    first = network.network_address
    if first.is_loopback or first.is_multicast or first.is_link_local or first.is_unspecified:
        raise TargetError(f"{network} is never blocked: it is not an address of somebody else")
    for each in never:
        other = ipaddress.ip_network(each, strict=False)
        if other.version == network.version and other.overlaps(network):
            raise TargetError(f"{network} is never blocked: [actions] never_block has {each}")


async def _check(target: str, host: Host, *, wanted: bool) -> Check:
    found = await look(host, "blocked", {"network": target})
    blocked = bool(found["blocked"])
    words = f"is blocked for {found['left']} s more" if blocked else "is not blocked"
    return Check(
        holds=blocked is wanted,
        final=blocked is wanted,
        detail=f"{target} {words}",
        measured={"blocked": blocked, "left": found["left"]},
    )


KINDS: tuple[Kind, ...] = (BlockAddress(), UnblockAddress(), BlockNetwork(), UnblockNetwork())

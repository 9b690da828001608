"""Which tiers nobody answers for. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime

from tiers.llm.breaker import BreakerState
from tiers.llm.endpoint import EndpointStatus
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

_OUT = frozenset({ServerState.FAILED, ServerState.COOLING, ServerState.STALLED})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierState:
    """Whether any endpoint of a tier can be asked. A tier that starts, loads or rests on purpose is
    not out. `since` is when the last of them went; `detail` says why, "" while it is not out."""

    tier: TierName
    out: bool
    since: datetime
    detail: str


def tier_states(
    servers: Sequence[ServerStatus], endpoints: Mapping[TierName, Sequence[EndpointStatus]]
) -> list[TierState]:
    """One for each tier that has a server or an endpoint."""
    return [_state(server, endpoints.get(server.tier, ())) for server in servers]


def _state(server: ServerStatus, endpoints: Sequence[EndpointStatus]) -> TierState:
    others = [each for each in endpoints if not each.own]
    own = any(each.own for each in endpoints) or not endpoints
    away = [each for each in others if each.state is BreakerState.OPEN]
    server_out = server.state in _OUT
    out = len(away) == len(others) and (server_out if own else bool(others))
    if not out:
        return TierState(tier=server.tier, out=False, since=server.since, detail="")
    reasons = [server.detail] if own else []
    reasons += [f"{each.url}: {each.why}" if each.why else each.url for each in away]
    return TierState(
        tier=server.tier,
        out=True,
        since=max([*([server.since] if own else []), *(each.since for each in away)]),
        detail=" ".join(reason for reason in reasons if reason),
    )

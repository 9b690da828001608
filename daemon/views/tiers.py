"""What is told of the tiers: their servers, and the endpoints behind one another. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from api.ports import EndpointState, Health, PartStatus, TierStatus
from daemon.model_units import UnitUse
from tiers.llm.breaker import BreakerState
from tiers.llm.endpoint import EndpointStatus
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

_SERVER_HEALTH = {
    ServerState.READY: Health.OK,
    ServerState.BUSY: Health.OK,
    ServerState.ABSENT: Health.STARTING,
    ServerState.STARTING: Health.STARTING,
    ServerState.LOADING: Health.STARTING,
    ServerState.STALLED: Health.DEGRADED,
    ServerState.COOLING: Health.DEGRADED,
    ServerState.FAILED: Health.DOWN,
    ServerState.STOPPED: Health.DOWN,
}
FALLBACK = "fallback"
"""The state of a tier that is answered for by another endpoint than its first."""


def tier_status(server: ServerStatus, endpoints: Sequence[EndpointStatus]) -> TierStatus:
    """What a tier's server and its endpoints come to. `endpoints` is empty where nothing calls
    the tier."""
    shown = TierStatus(
        tier=server.tier,
        health=_SERVER_HEALTH[server.state],
        state=server.state.value,
        model=server.model,
        url=server.url,
        pid=server.pid,
        restarts=server.restarts,
        rss_bytes=server.rss_bytes,
        detail=server.detail,
        work=server.work,
        endpoints=[_entry(each) for each in endpoints],
    )
    if not endpoints:
        return shown
    first, used = endpoints[0], next(each for each in endpoints if each.in_use)
    if used is not first and used.state is not BreakerState.OPEN:
        return dataclasses.replace(
            shown,
            health=Health.DEGRADED,
            state=FALLBACK,
            model=used.model or "its first model",
            url=used.url,
            detail=f"{first.url} is not asked since {_clock(first.since)}: {first.why}",
        )
    if first.own:
        return shown
    shown = dataclasses.replace(shown, model=first.model or server.model)
    if first.state is BreakerState.OPEN:
        # With several, the first has the longest story; the others stand in the list.
        detail = f"not answering since {_clock(first.since)}: {first.why}"
        return dataclasses.replace(shown, health=Health.DOWN, state="away", detail=detail)
    if first.state is BreakerState.HALF_OPEN:
        detail = f"it answers look-ups again, the next call tries it: {first.why}"
        return dataclasses.replace(shown, health=Health.OK, state="half-open", detail=detail)
    if not first.asked:
        return dataclasses.replace(shown, health=Health.STARTING, state="not asked yet")
    return dataclasses.replace(shown, health=Health.OK, detail="")


def with_unit(tier: TierStatus, unit: UnitUse | None) -> TierStatus:
    """With process, memory and restarts of the unit that serves it."""
    if unit is None:
        return tier
    return dataclasses.replace(tier, pid=unit.pid, rss_bytes=unit.memory, restarts=unit.restarts)


def tier_part(
    tier: TierStatus, server: ServerStatus, endpoints: Sequence[EndpointStatus]
) -> PartStatus:
    """The same as a part of the daemon."""
    detail = f"{tier.state} at {tier.url} with {tier.model}"
    if tier.detail:
        detail += f": {tier.detail}"
    used = tier.url
    behind = [each for each in endpoints if each.url != used and each.url != server.url]
    detail += "".join(f"; behind it {each.url}: {_words(each)}" for each in behind)
    own = not endpoints or endpoints[0].own
    since = server.since if own and tier.state != FALLBACK else endpoints[0].since
    return PartStatus(
        name=f"tier/{tier.tier.value}",
        health=tier.health,
        detail=detail,
        since=since,
        required=True,
    )


def served_by_others(tiers: Sequence[TierStatus]) -> frozenset[TierName]:
    """The tiers that can be asked although their first endpoint is away."""
    return frozenset(tier.tier for tier in tiers if tier.state == FALLBACK)


def _entry(status: EndpointStatus) -> EndpointState:
    return EndpointState(
        url=status.url,
        backend=status.backend,
        model=status.model,
        state=status.state.value,
        since=status.since,
        why=status.why,
        in_use=status.in_use,
        failovers=status.failovers,
        openings=status.openings,
    )


def _words(status: EndpointStatus) -> str:
    state = "not asked yet" if not status.asked else status.state.value
    why = f" ({status.why})" if status.why else ""
    return f"{state} since {_clock(status.since)}{why}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

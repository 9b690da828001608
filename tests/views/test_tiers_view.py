"""What the status says of a tier, by its server and its endpoints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.ports import Health
from daemon.views.tiers import FALLBACK, served_by_others, tier_part, tier_status
from tiers.llm.breaker import BreakerState
from tiers.llm.endpoint import EndpointStatus
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def server(state: ServerState = ServerState.READY) -> ServerStatus:
    return ServerStatus(
        tier=TierName.META,
        state=state,
        model="nano",
        url="http://a",
        port=None,
        pid=None,
        restarts=0,
        rss_bytes=None,
        detail="",
        since=NOW,
    )


def endpoint(url: str = "http://a", **changes: Any) -> EndpointStatus:
    fields: dict[str, Any] = {
        "url": url,
        "backend": "openai",
        "model": "large",
        "state": BreakerState.CLOSED,
        "since": NOW,
        "why": "",
        "in_use": True,
        "own": False,
        "asked": True,
        "failovers": 0,
        "openings": 0,
    }
    return EndpointStatus(**{**fields, **changes})


AWAY: dict[str, Any] = {
    "state": BreakerState.OPEN,
    "why": "meta: nothing answers at http://a",
    "in_use": False,
}


@pytest.mark.parametrize(
    ("changes", "state", "health"),
    [
        ({}, "ready", Health.OK),
        ({"asked": False}, "not asked yet", Health.STARTING),
        ({**AWAY, "in_use": True}, "away", Health.DOWN),
        ({"state": BreakerState.HALF_OPEN, "why": "it was away"}, "half-open", Health.OK),
    ],
)
def test_an_endpoint_of_somebody_else_is_what_its_calls_tell(
    changes: dict[str, Any], state: str, health: Health
) -> None:
    found = tier_status(server(), [endpoint(**changes)])
    assert (found.state, found.health, found.model) == (state, health, "large")


def test_a_fallback_is_named_with_since_when_and_why() -> None:
    endpoints = [endpoint(**AWAY), endpoint("http://b", model="other"), endpoint("http://c")]
    endpoints[2] = endpoint("http://c", in_use=False, asked=False)
    found = tier_status(server(), endpoints)
    assert (found.state, found.health) == (FALLBACK, Health.DEGRADED)
    assert (found.url, found.model) == ("http://b", "other")
    assert served_by_others([found]) == {TierName.META}
    part = tier_part(found, server(), endpoints)
    for words in ("fallback at http://b with other", "http://a is not asked since 2026-01-02",
                  "nothing answers", "behind it http://c: not asked yet"):  # fmt: skip
        assert words in part.detail


def test_nobody_answers() -> None:
    gone = [endpoint(**{**AWAY, "in_use": True}), endpoint("http://b", **AWAY)]
    found = tier_status(server(), gone)
    assert found.health is Health.DOWN
    assert served_by_others([found]) == frozenset()
    assert "nothing answers" in tier_part(found, server(), gone).detail


def test_our_own_server_is_what_we_see_of_it() -> None:
    own = endpoint(own=True, state=BreakerState.OPEN, why="nothing answers")
    found = tier_status(server(ServerState.LOADING), [own])
    assert (found.state, found.health) == ("loading", Health.STARTING)
    assert tier_status(server(), []).health is Health.OK

"""The daemon's figures as Prometheus reads them."""

from __future__ import annotations

import dataclasses
import datetime as dt

from prometheus_client.parser import text_string_to_metric_families

from api.ports import Accounting, DaemonStatus, Health, TierStatus
from api.telemetry.telemetry import Telemetry
from daemon.views.prometheus import render
from tiers.runtime.states import ServerState
from tiers.runtime.work import ServerWork
from tiers.vocabulary import TierName

STATUS = DaemonStatus(
    version="1",
    host="h",
    started_at=dt.datetime.now(tz=dt.UTC),
    ready=True,
    parts=[],
    tiers=[],
    accounting=Accounting(received=1, stored=1, folded=0, dropped=0, drops={}),
    patterns=3,
    to_judge=0,
    incidents_by_state={},
    model_calls={},
    overflowed=17,
)


def values(text: bytes) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels, sorted by label."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_found_no_room_is_counted() -> None:
    found = values(render(STATUS))
    assert found[("triaged_patterns_overflowed_total",)] == 17
    assert found[("triaged_patterns",)] == 3


def tier(name: TierName, *, state: str, work: ServerWork | None) -> TierStatus:
    return TierStatus(
        tier=name,
        health=Health.OK,
        state=state,
        model="m",
        url="",
        pid=1,
        restarts=2,
        rss_bytes=None,
        detail="",
        work=work,
    )


def test_a_tiers_state_and_its_servers_counters() -> None:
    work = ServerWork(prompt_tokens=12, output_tokens=8, output_seconds=5.5, running=1, waiting=2)
    status = dataclasses.replace(
        STATUS,
        tiers=[
            tier(TierName.META, state="busy", work=work),
            tier(TierName.REVIEW, state="loading", work=None),
        ],
    )
    found = values(render(status))
    states = {key[1:]: value for key, value in found.items() if key[0] == "triaged_tier_state"}
    assert len(states) == 2 * len(ServerState)
    assert {key for key, value in states.items() if value} == {
        ("busy", "meta"),
        ("loading", "review"),
    }
    assert found[("triaged_tier_prompt_tokens_total", "meta")] == 12
    assert found[("triaged_tier_output_tokens_total", "meta")] == 8
    assert found[("triaged_tier_output_seconds_total", "meta")] == 5.5
    assert found[("triaged_tier_requests", "running", "meta")] == 1
    assert found[("triaged_tier_requests", "waiting", "meta")] == 2
    # A server that has not been asked yet has no figures, rather than wrong ones.
    assert ("triaged_tier_output_tokens_total", "review") not in found


def test_what_was_recorded_stands_beside_the_status() -> None:
    telemetry = Telemetry()
    telemetry.tools.used(name="disk_usage", outcome="ok", seconds=0.2)
    found = values(render(STATUS, telemetry))
    assert found[("triaged_tool_duration_seconds_count", "disk_usage", "ok")] == 1
    assert found[("triaged_patterns",)] == 3

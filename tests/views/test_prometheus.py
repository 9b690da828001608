"""The daemon's figures as Prometheus reads them."""

from __future__ import annotations

import datetime as dt

from prometheus_client.parser import text_string_to_metric_families

from api.ports import Accounting, DaemonStatus
from daemon.views.prometheus import render


def test_what_found_no_room_is_counted() -> None:
    status = DaemonStatus(
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
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(render(status).decode())
        for sample in family.samples
    }
    assert values["triaged_patterns_overflowed_total"] == 17
    assert values["triaged_patterns"] == 3

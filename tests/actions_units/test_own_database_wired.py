"""The daemon's own database is critical where the daemon acts, too."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.acting import make_acting
from daemon.actions.settings import ActionsSettings
from daemon.live import LiveHub


@pytest.mark.parametrize(
    ("dsn", "critical"),
    [
        ("host=/run/postgresql dbname=triaged", True),
        ("postgresql://triaged@localhost/triaged", True),
        ("postgresql://triaged@db.example.org/triaged", False),
        (None, False),
    ],
)
def test_a_postgresql_of_this_host_is_closed_to_actions(dsn: str | None, critical: bool) -> None:
    nothing: Any = None
    acting = make_acting(
        ActionsSettings(critical=("mail*",)),
        database=nothing,
        live=LiveHub(),
        host="web1",
        owner="one",
        dsn=dsn,
        told=None,
    )
    globs = acting.host.limits.critical_units
    acting.bus.close()
    assert globs[0] == "mail*"
    assert ("postgresql*" in globs) is critical

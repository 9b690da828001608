"""What a person reads of llama-servers that come, go and stay away."""

from __future__ import annotations

import io
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from daemon.cli.screen import Screen, without_models
from daemon.config.settings import Settings
from daemon.errors import StartError
from daemon.facade import listen_for
from tiers.runtime.ownership import port_is_free
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

TAKEN = "Port 8082 on 127.0.0.1 is in use by llama-server (pid 7)"


def status(state: ServerState, detail: str = "", *, tier: TierName = TierName.META) -> ServerStatus:
    return ServerStatus(
        tier=tier,
        state=state,
        model="nano",
        url="http://127.0.0.1:8082",
        port=8082,
        pid=None,
        restarts=0,
        rss_bytes=None,
        detail=detail,
        since=datetime.now(tz=UTC),
    )


class Shown:
    def __init__(self) -> None:
        self.out = io.StringIO()
        self.screen = Screen(
            console=Console(file=self.out, width=200, soft_wrap=True),
            shown=True,
            config="built-in defaults",
            state=Path("/state"),
        )

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()[1:]

    def told(self, *states: ServerState, detail: str = "") -> None:
        for state in states:
            self.screen.server(status(state, detail if state is not ServerState.STARTING else ""))


def test_a_server_that_is_tried_again_and_again_is_told_of_once() -> None:
    shown = Shown()
    for _ in range(5):
        shown.told(ServerState.STARTING, ServerState.COOLING, detail=TAKEN)
    shown.told(ServerState.STARTING, ServerState.FAILED, detail=f"{TAKEN} It ended 6 times.")
    first, last = shown.lines()
    assert "cooling at http://127.0.0.1:8082 with nano" in first
    assert TAKEN in first
    assert "failed" in last


def test_every_change_is_told() -> None:
    shown = Shown()
    life = (ServerState.STARTING, ServerState.LOADING, ServerState.READY)
    shown.told(*life, ServerState.BUSY, ServerState.STALLED, ServerState.COOLING)
    shown.told(*life, ServerState.STOPPED, *life)
    words = [line.split()[2] for line in shown.lines()]
    assert words == ["ready", "stalled", "cooling", "ready", "ready"]


def servers(*states: ServerState) -> list[ServerStatus]:
    return [status(state, tier=tier) for state, tier in zip(states, TierName, strict=True)]


def test_ready_says_when_it_is_without_models() -> None:
    ready, cooling, loading = ServerState.READY, ServerState.COOLING, ServerState.LOADING
    assert without_models(servers(ready, ServerState.BUSY, ready)) == ""
    assert without_models(servers(cooling, cooling, ServerState.FAILED)).startswith(
        "without any model: see above why"
    )
    mixed = without_models(servers(ready, cooling, loading))
    assert "without the model of review" in mixed
    assert "the model of meta is still being loaded" in mixed
    shown = Shown()
    daemon = SimpleNamespace(
        servers=lambda: servers(cooling, cooling, cooling), apart=False, url="http://x"
    )
    shown.screen.ready(cast("Any", daemon), seconds=1.24)
    assert "ready in 1.2 s, without any model" in shown.out.getvalue()


def test_a_taken_port_leads_to_a_daemon_with_models(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.model_validate(
            {"api": {"port": port}, "tiers": {"review": {"endpoint": "http://10.0.0.7:8080"}}}
        )
        with pytest.raises(StartError, match=f"port {port} on 127.0.0.1 is in use by") as caught:
            listen_for(settings, tmp_path)
    words = str(caught.value).split()
    moved = dict(word.split("=") for word in words if word.startswith("TRIAGED__"))
    assert set(moved) == {
        "TRIAGED__API__PORT",
        "TRIAGED__TIERS__TRIGGER__PORT",
        "TRIAGED__TIERS__META__PORT",
    }
    assert all(port_is_free("127.0.0.1", int(each)) for each in moved.values())
    assert words[-2:] == ["triaged", "run"]

"""Where the facade is told to find a tier, by what its server does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.views.targets import TargetsView
from tiers.config import TierSettings
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName


def view(
    state: ServerState, detail: str = "", *, settings: TierSettings | None = None
) -> TargetsView:
    status = ServerStatus(
        tier=TierName.META,
        state=state,
        model="nano",
        url="http://127.0.0.1:1",
        port=1,
        pid=None,
        restarts=0,
        rss_bytes=None,
        detail=detail,
        since=datetime.now(tz=UTC),
    )
    return TargetsView(
        settings={TierName.META: settings or TierSettings(parallel=3, queue=4)},
        servers=lambda: [status],
        endpoint=lambda _: "http://127.0.0.1:1",
    )


@pytest.mark.parametrize("state", list(ServerState))
def test_every_state_serves_or_says_why_not(state: ServerState) -> None:
    target = view(state).target(TierName.META)
    assert (target.detail == "") is state.serves
    assert target.loading is (state in ("absent", "starting", "loading"))
    assert target.most == 7


def test_the_servers_own_reason_is_told() -> None:
    target = view(ServerState.FAILED, "no such file: x.gguf").target(TierName.META)
    assert (target.detail, target.loading) == ("no such file: x.gguf", False)


def test_an_endpoint_is_asked_for_its_model_with_its_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    settings = TierSettings(
        endpoint="http://127.0.0.1:1", backend="openai", model="qwen", api_key_file=key
    )
    said = "endpoint run by somebody else"
    target = view(ServerState.READY, said, settings=settings).target(TierName.META)
    assert (target.detail, target.model, target.api_key) == ("", "qwen", "secret")
    bundled = TierSettings(endpoint="http://127.0.0.1:1")
    assert view(ServerState.READY, settings=bundled).target(TierName.META).model is None

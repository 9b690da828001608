"""Where the facade is told to find a tier, by what its server does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.views.targets import TargetsView
from tiers.config import FallbackSettings, TierSettings
from tiers.llm.client import LlmClient
from tiers.llm.pool import Member, Pool
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
    chain = (settings or TierSettings(parallel=3, queue=4)).chain()
    urls = ["http://127.0.0.1:1", *(each.endpoint or "" for each in chain[1:])]
    pool = Pool(
        tier=TierName.META,
        members=[
            Member(client=LlmClient.for_tier(name="meta", url=url, settings=each), settings=each)
            for url, each in zip(urls, chain, strict=True)
        ],
    )
    return TargetsView(pools={TierName.META: pool}, servers=lambda: [status])


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


BEHIND = TierSettings(
    fallback=(
        FallbackSettings(
            endpoint="http://127.0.0.1:2", backend="openai", model="big", timeout_seconds=9
        ),
    )
)


def test_while_our_server_does_not_serve_the_next_endpoint_does() -> None:
    loading = view(ServerState.LOADING, settings=BEHIND).target(TierName.META)
    assert (loading.url, loading.model, loading.detail) == ("http://127.0.0.1:2", "big", "")
    assert (loading.backend, loading.patience) == ("openai", 9)
    ready = view(ServerState.READY, settings=BEHIND).target(TierName.META)
    assert (ready.url, ready.backend) == ("http://127.0.0.1:1", "llama_cpp")


def test_where_there_is_no_connection_the_next_endpoint_is_told() -> None:
    targets = view(
        ServerState.READY,
        settings=BEHIND.model_copy(update={"endpoint": "http://127.0.0.1:1"}),
    )
    first = targets.target(TierName.META)
    assert first.url == "http://127.0.0.1:1"
    second = targets.unreachable(first, "connection refused")
    assert (second.url, second.detail) == ("http://127.0.0.1:2", "")
    assert targets.target(TierName.META).url == "http://127.0.0.1:2"
    third = targets.unreachable(second, "connection refused")
    assert "nothing answers" in third.detail


def test_a_single_endpoint_is_asked_all_the_same() -> None:
    alone = view(ServerState.READY, settings=TierSettings(endpoint="http://127.0.0.1:1"))
    first = alone.target(TierName.META)
    again = alone.unreachable(first, "connection refused")
    assert (again.url, again.detail) == ("http://127.0.0.1:1", "")

"""A llama-server that a service manager runs: the daemon attaches to it and starts none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tiers.config import TierSettings
from tiers.runtime.fleet import Fleet
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName


async def test_the_daemon_starts_none_and_knows_where_it_is(tmp_path: Path) -> None:
    settings = TierSettings(served_by="service", port=18_080)
    assert settings.bundled  # the prompts are those of the model that is served there
    assert not settings.own_server
    fleet = Fleet({TierName.REVIEW: settings}, tmp_path)
    (status,) = await fleet.start()
    assert status.state is ServerState.READY
    assert status.url == fleet.endpoint(TierName.REVIEW) == "http://127.0.0.1:18080"
    assert status.pid is None
    await fleet.stop()


def test_a_service_needs_a_port() -> None:
    with pytest.raises(ValidationError, match="needs a port"):
        TierSettings(served_by="service", port=0)

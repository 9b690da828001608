"""Kits of the rooms that are joined here, and a model endpoint that says what a test wants."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

for room in ("actions", "api", "tiers"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))

from scripted_endpoint import ScriptedEndpoint  # noqa: E402

from tiers.llm.client import LlmClient  # noqa: E402


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedEndpoint]:
    endpoint = ScriptedEndpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


@pytest.fixture
async def client(scripted: ScriptedEndpoint) -> AsyncIterator[LlmClient]:
    made = LlmClient(name="meta", url=scripted.url)
    yield made
    await made.aclose()

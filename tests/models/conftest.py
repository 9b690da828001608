"""A hub on loopback that behaves as badly as a test wants."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loopback_hub import LoopbackHub


@pytest.fixture
def hub_server() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server

"""Makes the kit importable; a facade without keys, behind a socket and without one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import structlog

sys.path.insert(0, str(Path(__file__).parent))

from facade_kit import Served, assembled, in_process, serving


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    """Defects are logged here on purpose; the pretty tracebacks of the default take seconds."""
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    yield
    structlog.configure(**before)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Behind a real socket."""
    async with serving() as running:
        yield running


@pytest.fixture
def parts() -> Served:
    """Without a socket."""
    return assembled()


@pytest.fixture
async def http(parts: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `parts`."""
    async with in_process(parts.app) as client:
        yield client

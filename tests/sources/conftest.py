"""Fixtures of the tests of sources."""

from __future__ import annotations

import pytest

from tests.sources.kept import Keeper


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()

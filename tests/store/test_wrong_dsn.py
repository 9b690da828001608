"""A connection string that is not understood is told without a word of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.store.errors import StoreError
from daemon.store.open import open_store
from daemon.store.settings import StoreSettings


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql//bob:hunter2@db.example/x",
        "hunter2",
        "postgresql://bob:hun ter2@127.0.0.1:1/hunter2",
        "host=127.0.0.1 password='hunter2",
        "host=127.0.0.1 port=1 password=x hunter2=y",
    ],
)
async def test_it_is_never_quoted(dsn: str, tmp_path: Path) -> None:
    settings = StoreSettings(dsn=SecretStr(dsn), connect_seconds=0.2)
    with pytest.raises(StoreError) as raised:
        async with open_store(settings, tmp_path):
            pass
    said = str(raised.value)
    assert "ter2" not in said
    assert "store.dsn" in said
    assert raised.value.__cause__ is None

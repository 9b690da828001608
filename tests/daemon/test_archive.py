"""All state in one file, by the real commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store.open import open_store
from daemon.store.settings import StoreSettings

TRIAGED = Path(sys.executable).with_name("triaged")


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="triaged-archive-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _triaged(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TRIAGED), "--state-dir", str(state), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "COLUMNS": "300"},
    )


async def _recorded(state: Path) -> None:
    """What the first start of a daemon leaves there."""
    async with open_store(StoreSettings(), state, attach=False):
        pass


@pytest.mark.timeout(240)
def test_state_goes_into_one_file_and_comes_back(state: Path, tmp_path: Path) -> None:
    assert _triaged(state, "keys", "add", "first").returncode == 0
    asyncio.run(_recorded(state))
    saved = _triaged(state, "backup", "--json")
    assert saved.returncode == 0, saved.stderr
    told = json.loads(saved.stdout)
    file = Path(told["file"])
    assert file.parent == state / "backups"
    assert file.stat().st_mode & 0o077 == 0
    assert told["keys"] is True
    assert told["bytes"] == file.stat().st_size
    assert list(file.parent.iterdir()) == [file]
    before = file.read_bytes()
    again = _triaged(state, "backup", str(file))
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert file.read_bytes() == before
    assert _triaged(state, "backup", str(file), "--force").returncode == 0

    assert _triaged(state, "keys", "add", "second").returncode == 0
    (state / "memory").mkdir(exist_ok=True)
    (state / "memory" / "stale").touch()
    asked = _triaged(state, "restore", str(file))
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert "second" in (state / "keys.toml").read_text(), "nobody agreed"
    back = _triaged(state, "restore", "--yes", str(file))
    assert back.returncode == 0, back.stderr
    keys = (state / "keys.toml").read_text()
    assert "first" in keys
    assert "second" not in keys
    assert not (state / "memory").exists()

    # What is no backup, or half of one, changes nothing.
    half = tmp_path / "half.tar"
    half.write_bytes(file.read_bytes()[:3000])
    foreign = tmp_path / "foreign.tar"
    with tarfile.open(foreign, "w") as tar:
        tar.add(file, arcname="../../keys.toml")
    for wrong in (half, foreign):
        refused = _triaged(state, "restore", "--yes", str(wrong))
        assert refused.returncode == 1
        assert "no whole backup" in refused.stderr
    assert (state / "keys.toml").read_text() == keys
    assert _triaged(state, "restore", str(tmp_path / "none")).returncode == 4
    assert not [path for path in state.iterdir() if path.name.startswith(".restore")]

"""The host's own toolbox, with records that a test sets."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.tools.host import host_toolbox
from tiers.contracts import ToolResult

sys.path.insert(0, str(Path(__file__).parent))

from tools_kit import Records


@pytest.fixture
def records() -> Records:
    return Records()


Call = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def call(records: Records, tmp_path: Path) -> Call:
    """Calls a tool by name. The files that may be read lie below `tmp_path`/logs."""
    readable = (f"{tmp_path}/logs/**", f"{tmp_path}/etc/named", "/proc/mdstat")
    box = host_toolbox(records=records, metrics=records, readable=readable, timeout=5)

    async def run(name: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> ToolResult:
        result = await box.call(name=name, arguments={**(arguments or {}), **more})
        assert "\n" not in result.summary
        assert result.summary.isprintable(), repr(result.summary)
        assert len(result.summary) <= 2_000
        return result

    return run


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a shell script in front of the host's programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write

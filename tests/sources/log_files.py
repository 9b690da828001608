"""Writes log files as programs do, and follows them impatiently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.sources.files import FilesSource
from daemon.sources.settings import FilesSettings


def source(*paths: Path | str, **settings: Any) -> FilesSource:
    defaults: dict[str, Any] = {
        "poll_interval": 0.05,
        "rescan_interval": 0.2,
        "rotated_wait": 0.5,
        "join_wait": 0.05,
        "start_at": "beginning",
    }
    return FilesSource(
        name="test",
        settings=FilesSettings(paths=tuple(map(str, paths)), **(defaults | settings)),
    )


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def numbered(start: int, stop: int) -> list[str]:
    return [f"line {n} of the test with some more words in it" for n in range(start, stop)]

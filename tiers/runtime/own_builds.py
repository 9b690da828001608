"""Where `triaged llama build` puts llama-servers, and which of them is in use.

STATE/llama/current          a link to one of the builds
STATE/llama/builds/KEY/      llama-server, build.json
STATE/llama/known.json       what programs said of themselves
"""

from __future__ import annotations

from pathlib import Path

PROGRAM = "llama-server"
RECORD = "build.json"


def builds_folder(state_dir: Path) -> Path:
    """The folder of everything about llama-server programs."""
    return state_dir / "llama"


def current_build(folder: Path) -> Path | None:
    """The program that was built last and works, None where there is none. `folder` is what
    `builds_folder` says."""
    try:
        program = (folder / "current" / PROGRAM).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return program if program.is_file() else None

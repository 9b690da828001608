"""Makes the memory out of settings."""

from __future__ import annotations

import functools
from pathlib import Path

from daemon.config.settings import MemorySettings
from daemon.memory.embed import Embedder, EndpointEmbedder, LexicalEmbedder
from daemon.memory.recall import Memory
from daemon.store.pool import Database
from daemon.views.memories import closed_incidents


def make_memory(settings: MemorySettings, state_dir: Path, database: Database) -> Memory | None:
    """None where it is switched off."""
    if not settings.enabled:
        return None
    embedder: Embedder = LexicalEmbedder()
    if settings.endpoint is not None and settings.embedder == "endpoint":
        embedder = EndpointEmbedder(
            url=settings.endpoint, model=settings.model, timeout=settings.timeout
        )
    return Memory(
        folder=state_dir / "memory",
        embedder=embedder,
        timeout=settings.timeout,
        everything=functools.partial(closed_incidents, database),
    )

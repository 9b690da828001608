"""The ChromaDB folder: one owner, our own vectors, refused when made by another embedder.

Everything here blocks and is called from one thread (see `recall`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon.memory.embed import Embedder
from daemon.memory.entries import MemoryEntry
from tiers.contracts import PastIncident
from tiers.vocabulary import Provenance

_COLLECTION = "incidents"


class IndexUnusableError(Exception):
    """The folder cannot be used. `rebuild` says whether making it again from the store mends it."""

    def __init__(self, message: str, *, rebuild: bool) -> None:
        super().__init__(message)
        self.rebuild = rebuild


class MemoryIndex:
    """An open ChromaDB folder. Two processes would corrupt it: the folder is locked."""

    def __init__(self, *, folder: Path, embedder: Embedder) -> None:
        """Opens or makes the index. Raises `IndexUnusableError`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._embedder = embedder
        self._lock = _locked(folder)
        try:
            self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> None:
        # Imported here because it takes a second and 70 MB, which a daemon without memory saves.
        import chromadb
        from chromadb.config import Settings

        try:
            self._client = chromadb.PersistentClient(
                path=str(self._folder / "chroma"), settings=Settings(anonymized_telemetry=False)
            )
            self._collection = self._client.get_or_create_collection(
                _COLLECTION,
                embedding_function=None,
                metadata={
                    "embedder": self._embedder.name,
                    "dimension": self._embedder.dimension,
                    "hnsw:space": "cosine",
                },
            )
            count = self._collection.count()
        except Exception as error:  # a corrupt folder fails in any way there is
            message = f"the memory in {self._folder} cannot be opened: {error}"
            raise IndexUnusableError(message, rebuild=True) from error
        made_by = (self._collection.metadata or {}).get("embedder")
        if made_by != self._embedder.name and count:
            message = (
                f"the memory in {self._folder} was made by the embedder {made_by}, not by "
                f"{self._embedder.name}; 'triaged memory rebuild' makes it again"
            )
            raise IndexUnusableError(message, rebuild=True)

    def add(self, entries: Sequence[MemoryEntry]) -> None:
        """Adds or replaces entries by incident."""
        if not entries:
            return
        self._collection.upsert(
            ids=[str(entry.incident_id) for entry in entries],
            embeddings=self._embedder.embed([entry.text for entry in entries]),  # type: ignore[arg-type]
            metadatas=[
                {
                    "title": entry.title,
                    "cause": entry.cause,
                    "outcome": entry.outcome,
                    "provenance": entry.provenance.value,
                }
                for entry in entries
            ],
        )

    def search(self, text: str, *, limit: int) -> list[PastIncident]:
        """The most similar entries, best first; similarity is the cosine, 0 to 1."""
        count = self._collection.count()
        if not count or limit < 1:
            return []
        found = self._collection.query(
            query_embeddings=self._embedder.embed([text]),  # type: ignore[arg-type]
            n_results=min(limit, count),
            include=["metadatas", "distances"],
        )
        ids = found["ids"][0]
        metadatas: list[Any] = list((found["metadatas"] or [[]])[0])
        distances = (found["distances"] or [[]])[0]
        return [
            PastIncident(
                incident_id=int(incident_id),
                title=str(metadata["title"]),
                cause=str(metadata["cause"]),
                outcome=str(metadata["outcome"]),
                similarity=max(0.0, min(1.0, 1.0 - float(distance))),
                provenance=Provenance(metadata["provenance"]),
            )
            for incident_id, metadata, distance in zip(ids, metadatas, distances, strict=True)
        ]

    def count(self) -> int:
        """How many incidents are remembered."""
        return int(self._collection.count())

    def close(self) -> None:
        """Gives the folder free."""
        self._client.close()  # type: ignore[attr-defined]
        os.close(self._lock)


def set_aside(folder: Path) -> Path | None:
    """Moves an unusable index out of the way, keeping one; returns where it went."""
    broken = folder / "chroma"
    if not broken.exists():
        return None
    kept = folder / "chroma.unusable"
    if kept.exists():
        shutil.rmtree(kept)
    broken.replace(kept)
    os.utime(kept, (time.time(), time.time()))
    return kept


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"the memory in {folder} is in use by another process"
        raise IndexUnusableError(message, rebuild=False) from error
    return descriptor

"""The ChromaDB folder: one owner, our own vectors, refused when made by another embedder.

Everything here blocks and is called from one thread (see `recall`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from api.text import fit
from daemon.memory.embed import Embedder
from daemon.memory.entries import MemoryEntry
from tiers.contracts import PastIncident
from tiers.nofollow import no_follow
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
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        # Asked for first: an endpoint that is away says nothing about the folder.
        made = {"embedder": self._embedder.name, "dimension": self._embedder.dimension}
        try:
            with _translated(f"the memory in {self._folder} cannot be opened"):
                self._client = chromadb.PersistentClient(
                    path=str(self._folder / "chroma"), settings=Settings(anonymized_telemetry=False)
                )
                self._collection = self._client.get_or_create_collection(
                    _COLLECTION, embedding_function=None, metadata={**made, "hnsw:space": "cosine"}
                )
                self._collection.count()
                found = self._collection.metadata or {}
        except IndexUnusableError:
            # The library keeps what it opened by path, half-opened or not, and would hand it out
            # again for the folder that is made anew.
            SharedSystemClient.clear_system_cache()
            raise
        if any(found.get(key) != value for key, value in made.items()):
            self._client.close()  # type: ignore[attr-defined]
            message = (
                f"the memory in {self._folder} was made by the embedder {found.get('embedder')} "
                f"with {found.get('dimension')} dimensions, not by {self._embedder.name} with "
                f"{self._embedder.dimension}"
            )
            raise IndexUnusableError(message, rebuild=True)

    def add(self, entries: Sequence[MemoryEntry]) -> None:
        """Adds or replaces entries by incident. Raises `IndexUnusableError`, `EmbeddingError`."""
        if not entries:
            return
        vectors = self._embedder.embed([fit(entry.text) for entry in entries])
        with _translated("the memory cannot be written"):
            self._collection.upsert(
                ids=[str(entry.incident_id) for entry in entries],
                embeddings=vectors,  # type: ignore[arg-type]
                metadatas=[
                    {
                        "title": fit(entry.title),
                        "cause": fit(entry.cause),
                        "outcome": fit(entry.outcome),
                        "provenance": entry.provenance.value,
                    }
                    for entry in entries
                ],
            )

    def search(self, text: str, *, limit: int) -> list[PastIncident]:
        """The most similar entries, best first; similarity is the cosine, 0 to 1. Raises
        `IndexUnusableError`, `EmbeddingError`."""
        count = self.count()
        if not count or limit < 1:
            return []
        vectors = self._embedder.embed([fit(text)])
        with _translated("the memory cannot be searched"):
            found = self._collection.query(
                query_embeddings=vectors,  # type: ignore[arg-type]
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
        """How many incidents are remembered. Raises `IndexUnusableError`."""
        with _translated("the memory cannot be read"):
            return int(self._collection.count())

    def close(self) -> None:
        """Gives the folder free."""
        try:
            with _translated("the memory cannot be closed"):
                self._client.close()  # type: ignore[attr-defined]
        finally:
            os.close(self._lock)


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """A damaged folder fails in any way there is, a panic of the library's native part (which is no
    `Exception`) included."""
    try:
        yield
    except Exception as error:
        raise IndexUnusableError(f"{what}: {error}", rebuild=True) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise IndexUnusableError(f"{what}: {error}", rebuild=True) from error


def set_aside(folder: Path) -> Path | None:
    """Moves an unusable index out of the way, keeping one; returns where it went."""
    broken = folder / "chroma"
    if not broken.exists():
        return None
    kept = folder / "chroma.unusable"
    if kept.is_dir() and not kept.is_symlink():
        shutil.rmtree(kept)
    else:
        kept.unlink(missing_ok=True)
    broken.replace(kept)
    os.utime(kept, (time.time(), time.time()))
    return kept


def _locked(folder: Path) -> int:
    descriptor = no_follow(folder / "owner.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"the memory in {folder} is in use by another process"
        raise IndexUnusableError(message, rebuild=False) from error
    return descriptor

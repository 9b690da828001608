"""Memory against damaged folders, other owners, other embedders and slow ones. Real ChromaDB."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from daemon.memory.embed import EmbeddingError, LexicalEmbedder
from daemon.memory.entries import MemoryEntry
from daemon.memory.index import IndexUnusableError, MemoryIndex, set_aside
from daemon.memory.recall import Memory, MemoryState
from tiers.vocabulary import Provenance


def entry(number: int, text: str) -> MemoryEntry:
    return MemoryEntry(
        incident_id=number, text=text, title=text, cause="disk_full", outcome="closed",
        provenance=Provenance.TEXT,
    )  # fmt: skip


ENTRIES = [
    entry(1, "no space left on device /var/lib/postgresql"),
    entry(2, "failed password for root from 192.0.2.1 ssh"),
    entry(3, "nvme0 I/O error, dev nvme0n1, sector 4711"),
]


class Other(LexicalEmbedder):
    name = "other-1"


class Slow(LexicalEmbedder):
    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if texts[0] == "slow":
            time.sleep(0.5)
        return super().embed(texts)


class Away(LexicalEmbedder):
    @property
    def dimension(self) -> int:  # type: ignore[override]
        raise EmbeddingError("the endpoint is away")


def memory(
    folder: Path,
    *,
    embedder: LexicalEmbedder | None = None,
    timeout: float = 5.0,
    entries: Sequence[MemoryEntry] = ENTRIES,
    error: Exception | None = None,
) -> Memory:
    async def everything() -> AsyncIterator[MemoryEntry]:
        for each in entries:
            yield each
        if error is not None:
            raise error

    return Memory(
        folder=folder,
        embedder=embedder or LexicalEmbedder(),
        timeout=timeout,
        everything=everything,
    )


async def test_remember_and_recall(tmp_path: Path) -> None:
    first = memory(tmp_path)
    await first.open()
    assert (first.state, first.detail) == (MemoryState.READY, "0 incidents remembered")
    assert await first.similar(text="x", limit=3) == []
    for each in ENTRIES:
        await first.remember(each)
    await first.remember(ENTRIES[0])
    found = await first.similar(text="No space left on device /var/log", limit=2)
    assert found[0].incident_id == 1
    assert len(found) == 2
    assert found[0].similarity > found[1].similarity
    assert found[0].provenance is Provenance.TEXT
    assert await first.similar(text="x", limit=0) == ()
    await first.close()
    again = memory(tmp_path)
    await again.open()
    assert again.detail == "3 incidents remembered"
    await again.close()


async def test_hostile_text(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    await kept.open()
    for number, text in enumerate(
        ["", "\0", "\ud800 half", "\x1b[2J", "🙂" * 10, "a" * 1_000_000, "' OR 1=1 --", "{{x}}"]
    ):
        await kept.remember(entry(number, text))
        assert await kept.similar(text=text, limit=3)
    assert await kept.rebuild() == 3
    await kept.close()


def _truncate(folder: Path) -> None:
    database = folder / "chroma" / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[:5_000])


def _rubbish(folder: Path) -> None:
    for path in (folder / "chroma").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rubbish" * 1_000)


def _emptied(folder: Path) -> None:
    (folder / "chroma" / "chroma.sqlite3").write_bytes(b"")
    for path in (folder / "chroma").iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder / "chroma")
    (folder / "chroma").write_text("x")


@pytest.mark.parametrize("damage", [_truncate, _rubbish, _a_file])
async def test_a_damaged_folder_is_set_aside_and_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first = memory(tmp_path)
    await first.open()
    for each in ENTRIES:
        await first.remember(each)
    await first.close()
    damage(tmp_path)
    for _ in range(2):  # once more: what was set aside before makes room
        again = memory(tmp_path)
        await again.open()
        assert (again.state, again.detail) == (MemoryState.READY, "3 incidents remembered")
        assert (await again.similar(text="I/O error nvme0", limit=1))[0].incident_id == 3
        assert (tmp_path / "chroma.unusable").exists()
        await again.close()


async def test_an_emptied_folder_is_a_memory_all_the_same(tmp_path: Path) -> None:
    first = memory(tmp_path)
    await first.open()
    await first.remember(ENTRIES[0])
    await first.close()
    _emptied(tmp_path)
    again = memory(tmp_path)
    await again.open()
    assert again.state is MemoryState.READY
    assert await again.rebuild() == 3
    await again.close()


async def test_another_owner(tmp_path: Path) -> None:
    owner = memory(tmp_path)
    await owner.open()
    await owner.remember(ENTRIES[0])
    second = memory(tmp_path)
    await second.open()
    assert second.state is MemoryState.UNUSABLE
    assert "in use by another process" in second.detail
    assert await second.similar(text="x", limit=1) == ()
    await second.remember(ENTRIES[1])
    with pytest.raises(IndexUnusableError):
        MemoryIndex(folder=tmp_path, embedder=LexicalEmbedder())
    await second.close()
    assert len(await owner.similar(text="no space left", limit=5)) == 1
    await owner.close()


async def test_another_embedder(tmp_path: Path) -> None:
    first = memory(tmp_path)
    await first.open()
    await first.close()
    with pytest.raises(IndexUnusableError, match="was made by the embedder lexical-1 with 384"):
        MemoryIndex(folder=tmp_path, embedder=Other())
    other = memory(tmp_path, embedder=Other())
    await other.open()
    assert other.detail == "3 incidents remembered", "made again from the store"
    await other.close()


async def test_an_embedder_that_is_away_harms_nothing(tmp_path: Path) -> None:
    first = memory(tmp_path)
    await first.open()
    await first.remember(ENTRIES[0])
    await first.close()
    away = memory(tmp_path, embedder=Away())
    await away.open()
    assert away.state is MemoryState.UNUSABLE
    assert "the endpoint is away" in away.detail
    await away.close()
    assert not (tmp_path / "chroma.unusable").exists()
    back = memory(tmp_path)
    await back.open()
    assert back.detail == "1 incidents remembered"
    await back.close()


async def test_a_store_that_fails_while_it_is_made_again(tmp_path: Path) -> None:
    first = memory(tmp_path, error=RuntimeError("the store is away"))
    await first.open()
    with pytest.raises(RuntimeError):
        await first.rebuild()
    assert first.state is MemoryState.UNUSABLE
    assert "the store is away" in first.detail
    await first.close()
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"rubbish" * 1_000)
    second = memory(tmp_path, error=RuntimeError("the store is away"))
    await second.open()
    assert second.state is MemoryState.UNUSABLE
    await second.close()


async def test_triage_does_not_wait(tmp_path: Path) -> None:
    slow = memory(tmp_path, embedder=Slow(), timeout=0.1)
    await slow.open()
    await slow.remember(ENTRIES[0])
    began = time.monotonic()
    assert await slow.similar(text="slow", limit=1) == ()
    assert time.monotonic() - began < 0.4
    await asyncio.sleep(0.5)
    assert len(await slow.similar(text="no space", limit=1)) == 1
    await slow.close()


async def test_an_index_that_breaks_while_it_is_open(tmp_path: Path) -> None:
    broken = memory(tmp_path)
    await broken.open()
    await broken.remember(ENTRIES[0])
    assert broken._index is not None
    broken._index._client.delete_collection("incidents")
    assert await broken.similar(text="x", limit=1) == ()
    await broken.remember(ENTRIES[1])
    assert await broken.rebuild() == 3
    await broken.close()


async def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    closed = memory(tmp_path)
    await closed.open()
    await closed.close()
    await asyncio.sleep(0.1)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("memory")]


def test_set_aside(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    for content in ("one", "two"):
        (tmp_path / "chroma").mkdir()
        (tmp_path / "chroma" / "x").write_text(content)
        assert set_aside(tmp_path) == tmp_path / "chroma.unusable"
    assert (tmp_path / "chroma.unusable" / "x").read_text() == "two"


def test_similarity_is_sane() -> None:
    def cosine(one: str, two: str) -> float:
        a, b = LexicalEmbedder().embed([one, two])
        return sum(x * y for x, y in zip(a, b, strict=True))

    space = "No space left on device: /var/lib/postgresql/16"
    assert cosine(space, space) == pytest.approx(1.0)
    assert cosine(space, "postgres: no space left on device") > 0.6
    assert cosine(space, "Failed password for invalid user admin from 192.0.2.9") < 0.3
    assert cosine("OutOfMemoryError", "out of memory error") > 0.9
    for text in ("", "123 456", "\0"):
        (vector,) = LexicalEmbedder().embed([text])
        assert math.fsum(x * x for x in vector) == pytest.approx(1.0)

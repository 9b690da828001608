"""Files as they should not be: binary, huge lines, unreadable, broken text, FIFOs, links."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.sources.base import SourceError
from tests.sources.kept import Keeper
from tests.sources.log_files import source, write


async def test_unfit_files_are_counted_and_the_others_go_on(tmp_path: Path, keeper: Keeper) -> None:
    os.mkfifo(tmp_path / "fifo.log")
    (tmp_path / "binary.log").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "folder.log").mkdir()
    (tmp_path / "dangling.log").symlink_to(tmp_path / "nothing")
    (tmp_path / "packed.log").write_bytes(b"\x1f\x8b\x08\x00rest of a gzip file")
    write(tmp_path / "good.log", "good")
    async with keeper.running(source(tmp_path / "*.log")):
        await keeper.until(lambda: keeper.texts == ["good"])
        write(tmp_path / "good.log", "better")
        await keeper.until(lambda: keeper.texts == ["good", "better"])
    assert keeper.losses == {"not a regular file (FIFO)": 1, "binary file": 1}


async def test_a_binary_file_that_becomes_text_is_read(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"\x00\x01\x02\x03" * 100)
    async with keeper.running(source(log)):
        await keeper.until(lambda: keeper.losses == {"binary file": 1})
        (tmp_path / "new").write_text("text\n")
        (tmp_path / "new").replace(log)
        await keeper.until(lambda: keeper.texts == ["text"])


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As a user who may not read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_unreadable_file_is_said_and_read_once_it_can_be(keeper: Keeper) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "secret.log"
        await asyncio.to_thread(folder.chmod, 0o755)
        write(log, "secret")
        write(folder / "open.log", "open")
        await asyncio.to_thread(log.chmod, 0)
        async with contextlib.AsyncExitStack() as stack:
            with nobody():
                await stack.enter_async_context(keeper.running(source(folder / "*.log")))
                await keeper.until(lambda: keeper.losses == {"unreadable file": 1})
                await keeper.until(lambda: keeper.texts == ["open"])
                await asyncio.sleep(0.5)
                assert keeper.losses == {"unreadable file": 1}, "said once"
            await asyncio.to_thread(log.chmod, 0o644)
            await keeper.until(lambda: keeper.texts == ["open", "secret"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")
async def test_link_to_another_users_file_is_not_followed(tmp_path: Path, keeper: Keeper) -> None:
    secret = tmp_path / "shadow"
    write(secret, "root:secret")
    link = tmp_path / "app.log"
    link.symlink_to(secret)
    os.lchown(link, 12345, 12345)
    async with keeper.running(source(tmp_path / "*.log")):
        await keeper.until(lambda: keeper.losses == {"link to another user's file": 1})
    assert keeper.texts == []


async def test_invalid_utf8_and_nuls(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"fine\nbro\xffken\r\n\0\0\0\0after a hole\nin\0side\n\0\n\ncaf\xc3\xa9\n")
    async with keeper.running(source(log)):
        await keeper.until(lambda: len(keeper.texts) == 5)
    assert keeper.texts == ["fine", "bro\ufffdken", "after a hole", "in\ufffdside", "café"]
    assert keeper.events[1].attributes == {"file": str(log), "invalid_utf8": "1"}
    assert keeper.losses == {"empty line": 2}


async def test_a_sparse_hole_of_a_gigabyte_is_stepped_over(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "x.log"
    write(log, "before " * 40)
    async with keeper.running(source(log)):
        await keeper.until(lambda: len(keeper.texts) == 1)
        with log.open("r+b") as file:
            file.truncate(0)
            file.seek(1 << 30)
            file.write(b"after\n")
        await keeper.until(lambda: keeper.texts[1:] == ["after"])


async def test_a_line_of_100_megabytes_is_cut_in_bounded_memory(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "x.log"
    with log.open("wb") as file:
        file.write(b"before\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write("é".encode() * 10 + b"\nafter\n")
    tracemalloc.start()
    try:
        async with keeper.running(source(log, line_limit=4096)):
            await keeper.until(lambda: len(keeper.texts) == 3, seconds=30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert keeper.texts == ["before", "x" * 4096, "after"]
    assert keeper.events[1].attributes == {
        "file": str(log),
        "cut_bytes": str(100_000_000 - 4096 + 20),
    }
    assert keeper.losses == {"line too long": 1}
    assert peak < 8_000_000


async def test_a_line_that_never_ends_is_finished_with_its_file(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"progress " * 10_000)
    async with keeper.running(source(log, line_limit=1024)):
        await keeper.until(lambda: keeper.cursor is not None)
        log.unlink()
        await keeper.until(lambda: len(keeper.texts) == 1)
    assert keeper.texts[0] == ("progress " * 200)[:1024]


async def test_a_cursor_of_something_else_is_refused(tmp_path: Path, keeper: Keeper) -> None:
    log = source(tmp_path / "x.log")
    with pytest.raises(SourceError, match="delete its row in the table cursors"):
        await log.run(cursor={"files": [[1, 2]], "patterns": []}, emit=keeper.emit)


async def test_too_many_files_are_bounded(tmp_path: Path, keeper: Keeper) -> None:
    for n in range(10):
        write(tmp_path / f"{n}.log", f"file {n}")
    async with keeper.running(source(tmp_path / "*.log", max_files=4)):
        await keeper.until(lambda: len(keeper.texts) == 4)

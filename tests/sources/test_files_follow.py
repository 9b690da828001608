"""Following files: every line exactly once, over rotation, truncation and restarts."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from tests.sources.kept import Keeper
from tests.sources.log_files import numbered, source, write


async def test_existing_lines_then_new_ones(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, "one", "two")
    async with keeper.running(source(log)):
        await keeper.until(lambda: keeper.texts == ["one", "two"])
        write(log, "three")
        await keeper.until(lambda: keeper.texts == ["one", "two", "three"])
    event = keeper.events[0]
    assert (event.unit, event.kind, event.source) == ("app", "file", "file:test")
    assert event.provenance == "text"
    assert event.attributes == {"file": str(log)}


async def test_first_start_begins_at_the_end_and_finishes_the_line_being_written(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "app.log"
    log.write_text("old\nhalf")
    async with keeper.running(source(log, start_at="end")):
        await keeper.until(lambda: keeper.cursor is not None)
        with log.open("a") as file:
            file.write(" a line\nnew\n")
        await keeper.until(lambda: keeper.texts == ["half a line", "new"])


async def test_a_kill_before_the_first_event_misses_nothing(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, "old")
    async with keeper.running(source(log, start_at="end")):
        await keeper.until(lambda: keeper.cursor is not None)
    write(log, "while away")
    async with keeper.running(source(log, start_at="end")):
        await keeper.until(lambda: keeper.texts == ["while away"])


async def test_incomplete_last_line_waits(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    log.write_text("whole\nhal")
    async with keeper.running(source(log)):
        await keeper.until(lambda: keeper.texts == ["whole"])
        with log.open("a") as file:
            file.write("f\n")
        await keeper.until(lambda: keeper.texts == ["whole", "half"])


async def test_restart_in_the_middle_of_a_line(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    log.write_text("whole\nhal")
    async with keeper.running(source(log)):
        await keeper.until(lambda: keeper.texts == ["whole"])
    with log.open("a") as file:
        file.write("f\nnext\n")
    async with keeper.running(source(log)):
        await keeper.until(lambda: keeper.texts == ["whole", "half", "next"])


async def test_rotation_by_rename_finishes_the_old_file(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    with log.open("a") as writer:
        async with keeper.running(source(log)):
            await keeper.until(lambda: len(keeper.texts) == 10)
            log.rename(tmp_path / "app.log.1")
            write(log, *numbered(11, 20))
            writer.write(numbered(10, 11)[0] + "\n")  # the writer still has the old file
            writer.flush()
            await keeper.until(lambda: len(keeper.texts) == 20)
    assert sorted(keeper.texts) == sorted(numbered(0, 20))


async def test_rotation_by_rename_under_a_glob_that_matches_both(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: len(keeper.texts) == 10)
        log.rename(tmp_path / "app.log.1")
        write(log, *numbered(10, 20))
        await keeper.until(lambda: len(keeper.texts) == 20)
        (tmp_path / "app.log.1").rename(tmp_path / "app.log.2")
        log.rename(tmp_path / "app.log.1")
        write(log, *numbered(20, 30))
        await keeper.until(lambda: len(keeper.texts) == 30)
    assert keeper.texts == numbered(0, 30)


async def test_rotation_while_away(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(log)):
        await keeper.until(lambda: len(keeper.texts) == 10)
    write(log, *numbered(10, 20))
    log.rename(tmp_path / "app.log.1")
    write(log, *numbered(20, 30))
    async with keeper.running(source(log)):
        await keeper.until(lambda: len(keeper.texts) == 30)
    assert keeper.texts == numbered(0, 30)


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@pytest.mark.parametrize("how", ["rename", "copytruncate"])
async def test_several_rotations_while_away(
    tmp_path: Path, keeper: Keeper, pattern: str, how: str
) -> None:
    log = tmp_path / "app.log"
    write(tmp_path / "app.log.9", "older than everything, and read long ago")
    os.utime(tmp_path / "app.log.9", (1, 1))
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / pattern, start_at="beginning")):
        await keeper.until(lambda: numbered(9, 10)[0] in keeper.texts)
    for generation in range(3):
        n = 10 + generation * 10
        write(log, *numbered(n, n + 10))
        for old in (2, 1):
            if (rotated := tmp_path / f"app.log.{old}").exists():
                rotated.rename(tmp_path / f"app.log.{old + 1}")
        if how == "rename":
            log.rename(tmp_path / "app.log.1")
        else:
            shutil.copyfile(log, tmp_path / "app.log.1")
            os.truncate(log, 0)
    write(log, *numbered(40, 50))
    async with keeper.running(source(tmp_path / pattern)):
        await keeper.until(lambda: numbered(49, 50)[0] in keeper.texts)
        await keeper.until(lambda: len(keeper.texts) >= 50)
    assert sorted(t for t in keeper.texts if "older" not in t) == sorted(numbered(0, 50))


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
async def test_copytruncate_while_running(tmp_path: Path, keeper: Keeper, pattern: str) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / pattern)):
        for generation in range(1, 4):
            n = generation * 10
            await keeper.until(lambda n=n: len(keeper.texts) == n)
            shutil.copyfile(log, tmp_path / f"app.log.{generation}")
            os.truncate(log, 0)
            write(log, *numbered(n, n + 10))
        await keeper.until(lambda: len(keeper.texts) >= 40)
        await keeper.until(lambda: keeper.texts == numbered(0, 40), seconds=1)


async def test_copytruncate_reads_what_was_not_read_from_the_copy(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: len(keeper.texts) == 10)
    write(log, *numbered(10, 20))
    shutil.copyfile(log, tmp_path / "app.log.1")
    os.truncate(log, 0)
    write(log, *numbered(20, 100))  # longer than before: only its beginning tells
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: len(keeper.texts) >= 100)
    assert keeper.texts == numbered(0, 100)


async def test_a_copy_before_its_truncation_is_not_read_twice(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: len(keeper.texts) == 10)
        shutil.copyfile(log, tmp_path / "app.log.1")
        write(log, *numbered(10, 12))
        await keeper.until(lambda: len(keeper.texts) == 12)
        os.truncate(log, 0)
        write(log, *numbered(12, 14))
        await keeper.until(lambda: len(keeper.texts) >= 14)
    async with keeper.running(source(tmp_path / "app.log*")):
        write(log, "end")
        await keeper.until(lambda: "end" in keeper.texts)
    assert keeper.texts == [*numbered(0, 14), "end"]


async def test_truncation_without_a_copy_starts_anew(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(log)):
        await keeper.until(lambda: len(keeper.texts) == 10)
        os.truncate(log, 0)
        write(log, "after")
        await keeper.until(lambda: keeper.texts[10:] == ["after"])


async def test_deleted_file_that_is_still_written_is_finished(
    tmp_path: Path, keeper: Keeper
) -> None:
    log = tmp_path / "app.log"
    with log.open("w") as writer:
        writer.write("one\n")
        writer.flush()
        async with keeper.running(source(log)):
            await keeper.until(lambda: keeper.texts == ["one"])
            log.unlink()
            writer.write("two\nthree without its end")
            writer.flush()
            await keeper.until(lambda: keeper.texts == ["one", "two", "three without its end"])
            write(log, "again")
            await keeper.until(lambda: keeper.texts[3:] == ["again"])


async def test_compressed_and_gone_while_away(tmp_path: Path, keeper: Keeper) -> None:
    log = tmp_path / "app.log"
    write(log, *numbered(0, 10))
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: len(keeper.texts) == 10)
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    write(log, "fresh")
    async with keeper.running(source(tmp_path / "app.log*")):
        await keeper.until(lambda: keeper.texts[10:] == ["fresh"])
    assert keeper.losses == {}


async def test_new_files_in_new_folders(tmp_path: Path, keeper: Keeper) -> None:
    async with keeper.running(source(tmp_path / "**" / "*.log")):
        await keeper.until(lambda: keeper.cursor is not None)
        (tmp_path / "a" / "b").mkdir(parents=True)
        write(tmp_path / "a" / "b" / "x.log", "deep")
        write(tmp_path / "y.log", "shallow")
        await keeper.until(lambda: sorted(keeper.texts) == ["deep", "shallow"])


async def test_a_pattern_added_later_begins_at_the_end(tmp_path: Path, keeper: Keeper) -> None:
    write(tmp_path / "a.log", "a")
    write(tmp_path / "b.log", "years of b")
    async with keeper.running(source(tmp_path / "a.log", start_at="end")):
        await keeper.until(lambda: keeper.cursor is not None)
    both = source(tmp_path / "a.log", tmp_path / "b.log", start_at="end")
    write(tmp_path / "a.log", "a2")
    async with keeper.running(both):
        await keeper.until(lambda: keeper.texts == ["a2"])
        write(tmp_path / "b.log", "b2")
        await keeper.until(lambda: keeper.texts == ["a2", "b2"])


async def test_more_files_than_may_be_open(tmp_path: Path, keeper: Keeper) -> None:
    logs = [tmp_path / f"{n:02}.log" for n in range(30)]
    for log in logs:
        write(log, f"first of {log.name}")
    async with keeper.running(source(tmp_path / "*.log", max_open=3)):
        await keeper.until(lambda: len(keeper.texts) == 30)
        for log in logs:
            write(log, f"second of {log.name}")
        await keeper.until(lambda: len(keeper.texts) == 60)
    assert len(set(keeper.texts)) == 60


async def test_links_are_followed_and_repointing_is_a_rotation(
    tmp_path: Path, keeper: Keeper
) -> None:
    write(tmp_path / "day1.txt", "one")
    write(tmp_path / "day2.txt", "two")
    current = tmp_path / "current.log"
    current.symlink_to(tmp_path / "day1.txt")
    async with keeper.running(source(tmp_path / "*.log")):
        await keeper.until(lambda: keeper.texts == ["one"])
        (tmp_path / "new").symlink_to(tmp_path / "day2.txt")
        (tmp_path / "new").replace(current)
        await keeper.until(lambda: keeper.texts == ["one", "two"])

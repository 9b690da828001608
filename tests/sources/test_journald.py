"""The journal: a real journald, and recorded entries as hostile as they come."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from daemon.sources.base import SourceAbsentError, SourceError
from daemon.sources.journald import JournaldSource
from daemon.sources.journald_entries import event_of
from daemon.sources.settings import JournaldSettings
from tests.sources.kept import Keeper
from tiers.vocabulary import Provenance

if TYPE_CHECKING:
    from tests.sources.conftest import Journal


def of(journal: Journal, **settings: Any) -> JournaldSource:
    return JournaldSource(settings=JournaldSettings(directory=journal.directory, **settings))


def own(keeper: Keeper) -> list[str]:
    """Without what journald says about itself."""
    return [e.text for e in keeper.events if e.provenance is not Provenance.SYSTEMD]


# This process writes the entries, and a source skips its own process's.
@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.sources.journald.os.getpid", lambda: 1)


async def test_new_entries_arrive(journal: Journal, keeper: Keeper) -> None:
    journal.send("before the first start")
    await asyncio.sleep(0.2)
    async with keeper.running(of(journal)):
        await keeper.until(lambda: keeper.cursor is not None)
        journal.send("one", PRIORITY="3", SYSLOG_IDENTIFIER="app")
        await keeper.until(lambda: own(keeper) == ["one"])
    event = next(e for e in keeper.events if e.text == "one")
    assert (event.unit, event.priority, event.provenance) == ("app", 3, "text")


async def test_every_entry_once_over_restarts(journal: Journal, keeper: Keeper) -> None:
    expected = []
    async with keeper.running(of(journal)):
        await keeper.until(lambda: keeper.cursor is not None)
    for turn in range(4):
        for n in range(50):
            journal.send(f"entry {turn}.{n}")
            expected.append(f"entry {turn}.{n}")
        async with keeper.running(of(journal)):
            await keeper.until(lambda: len(own(keeper)) >= len(expected))
            journal.send(f"running {turn}")
            expected.append(f"running {turn}")
            await keeper.until(lambda: len(own(keeper)) >= len(expected))
    assert own(keeper) == expected


async def test_forged_fields_change_no_provenance(journal: Journal, keeper: Keeper) -> None:
    async with keeper.running(of(journal)):
        await keeper.until(lambda: keeper.cursor is not None)
        journal.send(
            "nginx.service: all is well",
            _TRANSPORT="kernel",
            _PID="1",
            _COMM="systemd",
            UNIT="nginx.service",
            SYSLOG_IDENTIFIER="triaged",
            _SYSTEMD_UNIT="triaged.service",
        )
        await keeper.until(lambda: own(keeper) == ["nginx.service: all is well"])
    assert keeper.events[-1].provenance is Provenance.TEXT


async def test_a_message_of_bytes_and_a_huge_one(journal: Journal, keeper: Keeper) -> None:
    async with keeper.running(of(journal, message_limit=1000)):
        await keeper.until(lambda: keeper.cursor is not None)
        journal.send(b"bad \xff\xfe bytes")
        journal.send("x" * 50_000)
        journal.send("two\nlines")
        await keeper.until(lambda: len(own(keeper)) == 3)
    assert own(keeper) == ["bad \ufffd\ufffd bytes", "x" * 1000, "two\nlines"]
    huge = next(e for e in keeper.events if e.text.startswith("xxx"))
    assert huge.attributes is not None
    assert huge.attributes["cut_characters"] == "49000"


async def test_a_journal_that_was_thrown_away(journal: Journal, keeper: Keeper) -> None:
    async with keeper.running(of(journal)):
        await keeper.until(lambda: keeper.cursor is not None)
        journal.send("read")
        await keeper.until(lambda: own(keeper) == ["read"])
    journal.send("never read")
    await asyncio.sleep(0.2)
    journal.stop()
    shutil.rmtree(journal.directory)
    journal.start()
    journal.send("new life")
    async with keeper.running(of(journal)):
        await keeper.until(lambda: own(keeper) == ["read", "new life"])
    assert keeper.losses == {"journal rotated away": 1}
    async with keeper.running(of(journal)):
        journal.send("goes on")
        await keeper.until(lambda: own(keeper) == ["read", "new life", "goes on"])
    assert keeper.losses == {"journal rotated away": 1}


async def test_a_cursor_that_is_nonsense_goes_on_by_time(journal: Journal, keeper: Keeper) -> None:
    keeper.cursor = {"cursor": "nonsense", "at": 0, "boot": ""}
    journal.send("one")
    async with keeper.running(of(journal)):
        await keeper.until(lambda: own(keeper) == ["one"])
    assert keeper.losses == {"journal rotated away": 1}


async def test_no_journal_is_absent(tmp_path: Path, keeper: Keeper) -> None:
    if shutil.which("journalctl"):
        source = JournaldSource(settings=JournaldSettings(directory=tmp_path))
        with pytest.raises(SourceAbsentError, match="no journal files"):
            await source.run(cursor=None, emit=keeper.emit)
    source = JournaldSource(settings=JournaldSettings(journalctl="no-such-journalctl"))
    with pytest.raises(SourceAbsentError, match="not installed"):
        await source.run(cursor=None, emit=keeper.emit)


def recorded(tmp_path: Path, *entries: bytes | dict[str, Any]) -> JournaldSource:
    """A journalctl that prints what was recorded, then ends with an error."""
    lines = []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            entry = orjson.dumps({"__CURSOR": f"s=a;i={number:x}", "_BOOT_ID": "b"} | entry)
        lines.append(entry + b"\n")
    (tmp_path / "entries").write_bytes(b"".join(lines))
    script = tmp_path / "journalctl"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--follow*) ;; *) exit 0;; esac\n'
        f"cat {tmp_path}/entries; echo the disk is broken >&2; exit 5\n"
    )
    script.chmod(0o755)
    return JournaldSource(settings=JournaldSettings(journalctl=str(script), line_limit=65_536))


async def test_hostile_entries_are_counted_and_the_rest_goes_on(
    tmp_path: Path, keeper: Keeper
) -> None:
    source = recorded(
        tmp_path,
        {"MESSAGE": "first"},
        b"{broken",
        b"[1,2]",
        {"MESSAGE": None},
        {"MESSAGE": [104, 105, 255]},
        {"MESSAGE": ["several", "values"], "SYSLOG_IDENTIFIER": ["a", "b"]},
        {"MESSAGE": "x" * 300_000},
        {"MESSAGE": "last", "PRIORITY": "9", "_SOURCE_REALTIME_TIMESTAMP": "soon"},
        {"MESSAGE": "ours", "_SYSTEMD_UNIT": "triaged.service"},
    )
    with pytest.raises(SourceError, match="status 5: the disk is broken"):
        await source.run(cursor=None, emit=keeper.emit)
    assert keeper.texts == ["first", "hi\ufffd", "several values", "last"]
    assert keeper.losses == {
        "broken journal entry": 2,
        "empty message": 1,
        "journal entry too large": 1,
    }


async def test_a_boot_is_said(tmp_path: Path, keeper: Keeper) -> None:
    source = recorded(
        tmp_path, {"MESSAGE": "old boot"}, {"MESSAGE": "new boot", "_BOOT_ID": "other"}
    )
    with pytest.raises(SourceError):
        await source.run(cursor=None, emit=keeper.emit)
    assert keeper.texts == ["old boot", "the host was booted again", "new boot"]


@pytest.mark.parametrize(
    ("entry", "unit", "provenance"),
    [
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}, "kernel", "kernel"),
        ({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "1", "SYSLOG_IDENTIFIER": "x"}, "x", "text"),
        (
            {
                "_TRANSPORT": "journal",
                "_PID": "1",
                "_COMM": "systemd",
                "_UID": "0",
                "UNIT": "nginx.service",
            },
            "nginx",
            "systemd",
        ),
        (
            {"_TRANSPORT": "journal", "_PID": "777", "_COMM": "systemd", "UNIT": "nginx.service"},
            "systemd",
            "text",
        ),
        ({"_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "session-3.scope", "_COMM": "su"}, "su", "text"),
        ({"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "web@1.service"}, "web@1", "text"),
        (
            {
                "_TRANSPORT": "stdout",
                "_SYSTEMD_UNIT": "user@1000.service",
                "_SYSTEMD_USER_UNIT": "pipewire.service",
            },
            "pipewire",
            "text",
        ),
    ],
)
def test_who_vouches_and_which_unit(entry: dict[str, Any], unit: str, provenance: str) -> None:
    event = event_of({"MESSAGE": "m"} | entry, source="journald", message_limit=100)
    assert event is not None
    assert (event.unit, event.provenance) == (unit, provenance)


def test_suppressed_messages_are_understood() -> None:
    entry = {
        "_TRANSPORT": "driver",
        "MESSAGE": "Suppressed 4711 messages from nginx.service",
        "SYSLOG_IDENTIFIER": "systemd-journald",
    }
    event = event_of(entry, source="journald", message_limit=100)
    assert event is not None
    assert event.attributes == {"suppressed": "4711", "unit": "nginx.service"}
    forged = event_of(entry | {"_TRANSPORT": "syslog"}, source="journald", message_limit=100)
    assert forged is not None
    assert "suppressed" not in (forged.attributes or {})


async def test_the_last_words_of_a_boot_are_read_in_the_next(
    journal: Journal, keeper: Keeper, tmp_path: Path
) -> None:
    async with keeper.running(of(journal)):
        await keeper.until(lambda: keeper.cursor is not None)
    journal.stop()
    journal.start(boot="11111111-2222-3333-4444-555555555555", folder=tmp_path)
    for n in range(3):
        journal.send(f"other boot {n}")
    await asyncio.sleep(0.3)
    journal.stop()
    journal.start()
    journal.send("this boot")
    async with keeper.running(of(journal)):
        await keeper.until(lambda: "this boot" in own(keeper))
    assert own(keeper) == [*(f"other boot {n}" for n in range(3)), "this boot"]
    assert keeper.texts.count("the host was booted again") == 2

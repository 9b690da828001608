"""The systemd journal, read through `journalctl -o json --follow`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import structlog

from daemon.events import Batch, Cursor, Event, Loss
from daemon.sources import child
from daemon.sources.base import Emit, SourceAbsentError, SourceError
from daemon.sources.journald_entries import FIELDS, event_of, first_of, sequence_of
from daemon.sources.settings import JournaldSettings
from tiers.vocabulary import Provenance, SourceKind

_CHUNK_BYTES = 262_144
_PROBE_SECONDS = 30.0
_NO_FILES = "No journal files were found"
_NO_PERMISSION = "insufficient permissions"
_PARTIAL = "not seeing messages from other users"

_log = structlog.get_logger(__name__)


class JournaldSource:
    """Follows the journal of this host.

    The cursor is journald's own, with the entry's receive time beside it: when the entry is no
    longer there (rotated or vacuumed away while the daemon was off), reading goes on after that
    time, and the gap is counted from the sequence numbers as far as they tell.
    """

    kind = SourceKind.JOURNALD
    name = "journald"

    def __init__(self, *, settings: JournaldSettings) -> None:
        self._settings = settings
        self._excluded = frozenset(settings.exclude_units)
        self._program = ""
        self._boot = ""
        self._partial = False

    @property
    def watching(self) -> str:
        where = self._settings.directory or ", ".join(map(str, self._settings.files)) or "the host"
        return f"the journal of {where}" + (" (own messages only)" if self._partial else "")

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled. Raises `SourceAbsentError` without a readable journal, `SourceError`
        when journalctl ends."""
        found = await asyncio.to_thread(lambda: shutil.which(self._settings.journalctl))
        if found is None:
            message = f"{self._settings.journalctl} is not installed: this host has no journal"
            raise SourceAbsentError(message)
        self._program = found
        await self._check_access()
        begin = await self._begin(cursor, emit)
        process = await child.start([*self._command(), *begin.arguments], buffer=4 * _CHUNK_BYTES)
        assert process.stdout is not None  # noqa: S101 -- asked for as a pipe
        assert process.stderr is not None  # noqa: S101
        errors = asyncio.create_task(_tail(process.stderr))
        try:
            await self._follow(process.stdout, after=begin.after, emit=emit)
            await process.wait()
            said = await errors
            message = (
                f"journalctl ended with status {process.returncode}: {said or 'no message'}; "
                "it is started again from the last entry"
            )
            raise SourceError(message)
        finally:
            await child.end(process)
            errors.cancel()
            await asyncio.wait({errors})

    def _command(self, *, json: bool = True) -> list[str]:
        command = [self._program, "--no-pager"]
        if json:
            command += ["--output=json", "--all", f"--output-fields={','.join(FIELDS)}"]
        if self._settings.directory is not None:
            command.append(f"--directory={self._settings.directory}")
        command += [f"--file={file}" for file in self._settings.files]
        return command

    async def _begin(self, cursor: Cursor | None, emit: Emit) -> _Begin:
        """Where to start reading; says and counts what is missing since the cursor."""
        everything = ["--no-tail", *await asyncio.to_thread(self._follow_all)]
        if cursor is None:
            latest = await self._one()
            if self._settings.start_at == "boot":
                return _Begin([*everything, f"_BOOT_ID={await asyncio.to_thread(_boot_id)}"])
            if self._settings.start_at == "beginning" or latest is None:
                return _Begin(everything)
            # Stored at once: what comes while the daemon is killed before its first event counts.
            await emit(Batch(source=self.name, events=(), cursor=_cursor_of(latest)))
            self._boot = first_of(latest.get("_BOOT_ID"))
            return _Begin([*everything, f"--after-cursor={first_of(latest['__CURSOR'])}"])
        stored, at = str(cursor.get("cursor", "")), int(cursor.get("at", 0))
        self._boot = str(cursor.get("boot", ""))
        if stored:
            nearest = await self._one(f"--cursor={stored}")
            here = sequence_of(first_of(nearest["__CURSOR"])) if nearest else None
            was = sequence_of(stored)
            if was is not None and here == was:
                return _Begin([*everything, f"--after-cursor={stored}"])
            gap = here[1] - was[1] - 1 if here and was and here[0] == was[0] else 1
            _log.warning(
                "journal entries gone",
                source=self.name,
                at_least=max(1, gap),
                why="rotated or vacuumed away while the daemon was off; goes on after them",
            )
            await emit(
                Batch(
                    source=self.name,
                    events=(),
                    # By time from now on, so that the gap is counted once.
                    cursor={"cursor": "", "at": at, "boot": self._boot},
                    losses=(Loss(reason="journal rotated away", count=max(1, gap)),),
                )
            )
        seconds, micros = divmod(at, 1_000_000)
        return _Begin([*everything, f"--since=@{seconds}.{micros:06}"], after=at)

    def _follow_all(self) -> list[str]:
        """Arguments to follow over boots. `--follow` alone silently keeps to the current boot, and
        what the last one still wrote would be missed; `--merge` does not, but reads journals that
        other machines sent here too, so that these are left out by a match."""
        arguments = ["--follow", "--merge"]
        if self._settings.directory is None and not self._settings.files:
            with contextlib.suppress(OSError):
                machine = Path("/etc/machine-id").read_text().strip()
                arguments.append(f"_MACHINE_ID={machine}")
        return arguments

    async def _check_access(self) -> None:
        """Raises `SourceAbsentError` when there is no journal that we may read. Only its output
        for people says so: as JSON journalctl is silent about it."""
        command = [*self._command(json=False), "--output=short", "--lines=1"]
        _, _, said = await self._run(command)
        if _NO_PERMISSION in said:
            message = (
                "the journal cannot be read: its files are not readable for this user; "
                "add the user to the group systemd-journal"
            )
            raise SourceAbsentError(message)
        if _NO_FILES in said:
            where = self._settings.directory or "this host"
            message = f"{where} keeps no journal: no journal files were found"
            raise SourceAbsentError(message)
        if _PARTIAL in said and not self._partial:
            self._partial = True
            why = "this user sees only its own messages; add it to the group systemd-journal"
            _log.warning("journal partly readable", source=self.name, why=why)

    async def _one(self, *where: str) -> dict[str, Any] | None:
        """The latest entry, or the one at a cursor; None where there is none."""
        _, output, _ = await self._run([*self._command(), "--lines=1", *where])
        line = output.splitlines()[-1:] or [b""]
        try:
            entry = orjson.loads(line[0])
        except orjson.JSONDecodeError:
            return None
        return entry if isinstance(entry, dict) and "__CURSOR" in entry else None

    async def _run(self, command: list[str]) -> tuple[int, bytes, str]:
        try:
            return await child.run(command, timeout=_PROBE_SECONDS)
        except TimeoutError as error:
            message = f"journalctl did not answer in {_PROBE_SECONDS:.0f} s; is the disk slow?"
            raise SourceError(message) from error

    async def _follow(self, stdout: asyncio.StreamReader, *, after: int, emit: Emit) -> None:
        """Until the stream ends."""
        rest = b""
        skipping = False  # in the middle of an entry that is too large
        reader = _Reader(
            settings=self._settings, source=self.name, excluded=self._excluded, boot=self._boot
        )
        while data := await stdout.read(_CHUNK_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            if skipping and lines:
                skipping = False
                del lines[0]
            if skipping:
                rest = b""
            elif len(rest) > self._settings.line_limit:
                skipping, rest = True, b""
                reader.losses["journal entry too large"] += 1
            size = self._settings.batch_events
            for start in range(0, len(lines), size):
                batch = reader.batch(lines[start : start + size], after=after)
                if batch is not None:
                    await emit(batch)
            self._boot = reader.boot


class _Begin:
    """Arguments for journalctl; entries received up to `after` (microseconds) are known."""

    __slots__ = ("after", "arguments")

    def __init__(self, arguments: list[str], *, after: int = 0) -> None:
        self.arguments = arguments
        self.after = after


class _Reader:
    """From lines of JSON to batches."""

    def __init__(
        self,
        *,
        settings: JournaldSettings,
        source: str,
        excluded: frozenset[str],
        boot: str,
    ) -> None:
        self.boot = boot
        self.losses: Counter[str] = Counter()
        self._limit = settings.message_limit
        self._source = source
        self._units = frozenset(f"{unit.removesuffix('.service')}.service" for unit in excluded)
        self._own = str(os.getpid())

    def batch(self, lines: list[bytes], *, after: int) -> Batch | None:
        """None where the lines hold nothing."""
        events: list[Event] = []
        last: dict[str, Any] | None = None
        for line in lines:
            if not line:
                continue
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                self.losses["broken journal entry"] += 1
                continue
            if not isinstance(entry, dict) or "__CURSOR" not in entry:
                self.losses["broken journal entry"] += 1
                continue
            if after and _received(entry) <= after:
                continue
            last = entry
            boot = entry.get("_BOOT_ID")
            if boot != self.boot and isinstance(boot, str):
                if self.boot:
                    events.append(self._booted(entry, boot))
                self.boot = boot
            # Trusted fields only: whoever could name himself like us would not be watched.
            if entry.get("_SYSTEMD_UNIT") in self._units or entry.get("_PID") == self._own:
                continue
            event = event_of(entry, source=self._source, message_limit=self._limit)
            if event is None:
                self.losses["empty message"] += 1
            else:
                events.append(event)
        losses = tuple(Loss(reason=r, count=n) for r, n in self.losses.items() if n)
        self.losses.clear()
        if last is None and not losses:
            return None
        return Batch(
            source=self._source,
            events=tuple(events),
            cursor=None if last is None else _cursor_of(last),
            losses=losses,
        )

    def _booted(self, entry: dict[str, Any], boot: str) -> Event:
        return Event(
            "the host was booted again",
            "host",
            SourceKind.JOURNALD,
            self._source,
            Provenance.SYSTEMD,
            _received(entry) / 1_000_000,
            5,
            None,
            {"boot": boot},
        )


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")


def _received(entry: dict[str, Any]) -> int:
    value = first_of(entry.get("__REALTIME_TIMESTAMP"))
    return int(value) if value.isdecimal() else 0


def _cursor_of(entry: dict[str, Any]) -> Cursor:
    return {
        "cursor": first_of(entry["__CURSOR"]),
        "at": _received(entry),
        "boot": first_of(entry.get("_BOOT_ID")),
    }


async def _tail(stream: asyncio.StreamReader) -> str:
    """The last words of a stream; reads it to its end so that the writer never blocks."""
    last = b""
    while data := await stream.read(4_096):
        last = (last + data)[-1_000:]
    return last.decode(errors="replace").strip()

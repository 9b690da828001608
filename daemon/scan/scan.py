"""One scan: read everything, judge every pattern once, take incidents through the tiers."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import orjson
import psutil

from api.ports import IncidentDetail, IncidentFilter
from daemon.config.settings import Settings
from daemon.engine import Engine, build_engine
from daemon.intake.fold import Folded
from daemon.intake.rules import load_rules
from daemon.live import LiveHub
from daemon.memory.none import NoRecall
from daemon.runtime import Failure, background, stop_task, within
from daemon.scan.reader import FileUnusableError, Piece, read_pieces
from daemon.scan.report import ScanReport
from daemon.scan.spool import LineSpool
from daemon.store import incident_queries, pattern_search, patterns
from daemon.store.open import open_store
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings
from daemon.views.incidents import IncidentsView
from tiers.build import Tiers, build_tiers
from tiers.config import TierSettings
from tiers.contracts import ToolResult, ToolSpec
from tiers.runtime.fleet import Fleet
from tiers.runtime.own_builds import builds_folder

_PREFIX = "scan-"
_PAGE = 500
_NO_PROGRESS_SECONDS = 60.0
_REST_SECONDS = 0.5
_WORKED_ON = ("open", "reviewing", "escalated", "planning")
_UNLIMITED = 1_000_000
"""A log of years holds many incidents; what limits a daemon's minute does not fit it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScanProgress:
    """Told how far a scan is: `step` names what begins and how much there is; `advance` how much
    of it was done."""

    step: Callable[[str, int], None]
    advance: Callable[[int], None]


class NoTools:
    """The host's tools say nothing about files that may come from anywhere."""

    def specs(self) -> Sequence[ToolSpec]:
        return ()

    async def call(self, *, name: str, arguments: Mapping[str, object]) -> ToolResult:
        return ToolResult(ok=False, summary=f"There is no tool {name} in a scan.")


@dataclasses.dataclass(slots=True)
class _Read:
    """What reading found. Lines, not events: one event may be several lines."""

    lines: int = 0
    empty: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)
    files: int = 0


async def scan_files(
    paths: Sequence[Path],
    *,
    settings: Settings,
    state_dir: Path,
    lines_out: Path | None,
    progress: ScanProgress,
) -> ScanReport:
    """Scans files. Raises what the store and the tiers raise when they cannot start, and OSError
    for `lines_out`."""
    started = time.monotonic()
    remove_left_over(state_dir)
    scratch = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=state_dir))
    os.chmod(scratch, 0o711)  # noqa: S103, PTH101 - PostgreSQL's own user has to pass through
    try:
        async with _workbench(settings, scratch) as bench:
            spool = LineSpool(folder=scratch)
            with contextlib.closing(spool):
                read = await _read_all(paths, bench, spool, progress)
                await _judge_all(bench, read, progress)
                await _work_all(bench, read, progress)
                incidents = await _incidents(bench.database)
                if lines_out is not None:
                    await _write_lines(lines_out, paths, spool, bench.database, incidents)
                async with bench.database.connection() as connection:
                    totals = await pattern_search.totals(connection)
            judged = totals.judged
            return ScanReport(
                files=read.files,
                lines=read.lines,
                patterns=totals.patterns,
                folded=read.lines - read.empty - judged,
                judged=judged,
                dropped=read.empty,
                calls=bench.engine.model_calls(),
                incidents=incidents,
                seconds=time.monotonic() - started,
                problems=read.problems,
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_left_over(state_dir: Path) -> None:
    """Removes what scans left that were killed before they could: their PostgreSQL ended with
    them."""
    for folder in state_dir.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    engine: Engine
    database: Database
    tiers: Tiers
    failure: Failure
    folded: collections.deque[Folded]


@contextlib.asynccontextmanager
async def _workbench(settings: Settings, scratch: Path) -> AsyncIterator[_Bench]:
    """A store of its own and tiers on free ports, so that a running daemon is not disturbed."""
    tier_settings = {name: _apart(each) for name, each in settings.tiers.by_name().items()}
    scanning = settings.model_copy(
        update={
            "escalation": settings.escalation.model_copy(
                update={"max_new_per_minute": _UNLIMITED, "workers": 1}
            )
        }
    )
    failure = Failure()
    async with contextlib.AsyncExitStack() as stack:
        fleet = Fleet(tier_settings, scratch, builds=builds_folder(scratch.parent))
        stack.push_async_callback(within, "llama-servers", fleet.stop, deadline=20)
        servers = asyncio.create_task(fleet.start(), name="start llama-servers")
        stack.push_async_callback(stop_task, servers, deadline=20)
        store = await stack.enter_async_context(
            open_store(
                StoreSettings(embedded=settings.store.embedded),
                scratch,
                attach=False,
                application_name="triaged scan",
            )
        )
        await servers
        tiers = build_tiers(
            tier_settings,
            fleet.endpoint,
            away=fleet.away,
            toolbox=NoTools(),
            loop=settings.tools.loop,
        )
        stack.push_async_callback(tiers.aclose)
        folded: collections.deque[Folded] = collections.deque()
        engine = build_engine(
            settings=scanning,
            database=store.pool,
            tiers=tiers,
            recall=NoRecall(),
            rules=load_rules(settings.intake.rules),
            live=LiveHub(),
            owner=f"scan:{os.getpid()}:{secrets.token_hex(3)}",
            on_folded=folded.extend,
            mutes_changed=asyncio.Event(),
            gather_seconds=0.0,
        )
        await stack.enter_async_context(background("intake", engine.intake.run(), failure=failure))
        yield _Bench(
            engine=engine, database=store.pool, tiers=tiers, failure=failure, folded=folded
        )


def _apart(settings: TierSettings) -> TierSettings:
    return settings.model_copy(update={"port": 0}) if settings.own_server else settings


async def _read_all(
    paths: Sequence[Path], bench: _Bench, spool: LineSpool, progress: ScanProgress
) -> _Read:
    read = _Read()
    progress.step("reading", sum(_size(path) for path in paths))
    waiting: collections.deque[Piece] = collections.deque()
    for number, path in enumerate(paths):
        position = 0
        pieces = read_pieces(path, file=number)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                waiting.append(piece)
                await bench.engine.intake.emit(piece.batch)
                progress.advance(piece.position - position)
                position = piece.position
                _match(waiting, bench, spool, read)
                if bench.failure.error is not None:
                    raise bench.failure.error
            read.files += 1
        except FileUnusableError as error:
            read.problems.append(str(error))
    await bench.engine.intake.drained()
    _match(waiting, bench, spool, read)
    return read


def _match(waiting: collections.deque[Piece], bench: _Bench, spool: LineSpool, read: _Read) -> None:
    """Groups come back in the order in which batches went in, one for one."""
    while bench.folded and waiting:
        folded, piece = bench.folded.popleft(), waiting.popleft()
        runs = [
            (span.first, span.lines, fingerprint)
            for span, fingerprint in zip(piece.spans, folded.lines, strict=True)
        ]
        runs += [(line, 1, None) for line in piece.empty]
        for first, lines, fingerprint in sorted(runs, key=lambda run: run[0]):
            spool.add(file=piece.file, first=first, lines=lines, fingerprint=fingerprint)
            read.lines += lines
            read.empty += lines if fingerprint is None else 0


async def _judge_all(bench: _Bench, read: _Read, progress: ScanProgress) -> None:
    async with bench.database.connection() as connection:
        totals = await pattern_search.totals(connection)
    progress.step("judging patterns", totals.to_judge)
    judge = bench.engine.judge
    before = 0
    while True:
        claimed = judge.counts.claimed
        done = await judge.judge_some()
        progress.advance(judge.counts.verdicts - before)
        before = judge.counts.verdicts
        # Where the tier is away, every pattern is asked about once, for what rules say of it.
        if judge.counts.claimed == claimed or (not done and claimed >= totals.to_judge):
            break
    while await judge.attach_some():
        pass
    async with bench.database.connection() as connection:
        left = (await pattern_search.totals(connection)).to_judge
    if left:
        read.problems.append(
            f"{left} patterns were not judged: the trigger tier did not answer; what rules say "
            "stands"
        )


async def _work_all(bench: _Bench, read: _Read, progress: ScanProgress) -> None:
    worker = bench.engine.workers[0]
    waiting = await _waiting(bench.database)
    progress.step("assessing incidents", waiting)
    settled, since = 0, time.monotonic()
    while waiting:
        if not await worker.work_once():
            await asyncio.sleep(_REST_SECONDS)
        left = await _waiting(bench.database)
        progress.advance(max(0, waiting - left))
        waiting = left
        if worker.counts.settled > settled:
            settled, since = worker.counts.settled, time.monotonic()
        elif time.monotonic() - since > _NO_PROGRESS_SECONDS:
            read.problems.append(f"{left} incidents were not assessed: a tier did not answer")
            return


async def _waiting(database: Database) -> int:
    async with database.connection() as connection:
        counts = await incident_queries.counts(connection)
    return sum(entry.count for entry in counts if entry.state in _WORKED_ON)


async def _incidents(database: Database) -> list[IncidentDetail]:
    """All of them, the first first."""
    view = IncidentsView(database=database, memory=None, on_mutes=lambda: None)
    found: list[int] = []
    before: int | None = None
    while True:
        page = await view.find(IncidentFilter(before_id=before, limit=_PAGE))
        found += [incident.id for incident in page]
        if len(page) < _PAGE:
            break
        before = page[-1].id
    return [await view.show(incident_id) for incident_id in sorted(found)]


async def _write_lines(
    path: Path,
    paths: Sequence[Path],
    spool: LineSpool,
    database: Database,
    incidents: Sequence[IncidentDetail],
) -> None:
    """A record per input line."""
    incident_of = {
        verdict.fingerprint: detail.incident.id
        for detail in incidents
        for verdict in detail.verdicts
    }
    severities: dict[str, str] = {}
    async for row in patterns.load(database):
        severities[row.fingerprint] = row.severity or row.floor
    names = [str(path) for path in paths]
    with path.open("wb") as out:
        for file, first, count, fingerprint in spool.records():
            incident = incident_of.get(fingerprint) if fingerprint is not None else None
            record = {
                "file": names[file],
                "fingerprint": fingerprint,
                "decision": "ignored" if incident is None else "escalated",
                "severity": severities.get(fingerprint, "info") if fingerprint else "info",
                "incident": incident,
            }
            for line in range(first, first + count):
                out.write(orjson.dumps({**record, "line": line}) + b"\n")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

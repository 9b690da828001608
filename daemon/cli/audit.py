"""`triaged audit`: list, verify, export. They read the database, and ask no daemon."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from daemon.audit import Checked, check_file, check_store, write_export
from daemon.cli.context import Context, err, out, print_json
from daemon.cli.existing import existing_state
from daemon.cli.exits import CommandError, Exit
from daemon.cli.moments import moment_before
from daemon.cli.render import line
from daemon.ledger import FAMILIES, KINDS, Entry, Head
from daemon.logs import configure_logs
from daemon.store import ledger
from daemon.store.errors import StoreError
from daemon.store.open import Store, open_store

T = TypeVar("T")

app = typer.Typer(
    help="The ledger: every decision and every effect, and whether anybody changed it.",
    no_args_is_help=True,
)
_MOST_SHOWN = 20
_WORDS = 200

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Format(enum.StrEnum):
    JSONL = "jsonl"


@app.command(
    "list",
    epilog="triaged audit list --since 2d --kind action --actor operator\n\n"
    "triaged audit list --incident 12 --json",
)
def list_entries(
    context: typer.Context,
    incident: Annotated[
        int | None, typer.Option("--incident", min=1, max=2**63 - 1, help="About this incident.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="verdict, transition, plan, action, ... (repeat)."),
    ] = None,
    actor: Annotated[
        list[str] | None,
        typer.Option("--actor", help="daemon, tier, tier/review, operator:alice, ... (repeat)."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="12h, 7d, or a time as 2027-01-31T14:00.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 50,
    as_json: _Json = False,
) -> None:
    """List entries, newest first."""
    wanted = ledger.Wanted(
        incident_id=incident,
        kinds=[_typed(each) for each in kind or ()],
        actors=[_typed(each) for each in actor or ()],
        since=None
        if since is None
        else moment_before(since, option="--since", now=datetime.now(tz=UTC)),
    )

    async def look(store: Store) -> list[Entry]:
        async with store.pool.connection() as connection:
            return await ledger.search(connection, wanted, limit=limit)

    _require_kinds(context.obj, wanted.kinds)
    entries = _over_store(context.obj, look)
    if as_json:
        print_json([_as_json(entry) for entry in entries])
    elif entries:
        out.print(_table(entries))
    else:
        out.print("No entries.")


@app.command(
    "verify",
    epilog="triaged audit verify --json\n\n"
    "triaged audit verify --file ledger.jsonl --head 1042:9f86d081…",
)
def verify(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option("--head", help="NUMBER:HASH as this command printed it once, kept elsewhere."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Check an exported file instead of the database.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check that nothing was changed, removed or put in.

    Exit code 6 when the chain of hashes does not hold. Keep the head that is printed on another
    machine: only with it a cut-off end shows.
    """
    expected = _head(head)
    kept = ""
    if file is not None:
        checked = _file(file, expected)
    else:

        async def look(store: Store) -> tuple[Checked, str]:
            words = store.protection.words if store.protection is not None else ""
            return await check_store(store.pool, expected=expected), words

        checked, kept = _over_store(context.obj, look)
    if as_json:
        print_json(checked.to_json() | {"protection": kept or None})
    else:
        _tell(checked)
        if kept:
            out.print(f"The ledger in the database: {line(kept)}.", markup=False)
    if not checked.holds:
        raise typer.Exit(int(Exit.FINDINGS))


@app.command(
    "export",
    epilog="triaged audit export /srv/audit/ledger.jsonl\n\ntriaged audit export | sha256sum",
)
def export(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to; without it to stdout.", show_default=False),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="jsonl: one entry a line, with its hashes.")
    ] = Format.JSONL,
) -> None:
    """Write every entry with its hashes, for `audit verify --file`.

    The head goes to stderr. Exit code 6 when the chain does not hold; all entries are written then
    too.
    """
    assert form is Format.JSONL  # noqa: S101 (the only one; an option so that others may come)

    async def write(store: Store) -> Checked:
        if file is None:
            return await write_export(store.pool, sys.stdout.buffer)
        return await _write_whole(store, file.absolute())

    checked = _over_store(context.obj, write)
    where = f"{file}: " if file is not None else ""
    err.print(f"{where}{checked.entries} entries, head {checked.head}", markup=False)
    if not checked.holds:
        _tell_breaks(checked, to_stderr=True)
        raise typer.Exit(int(Exit.FINDINGS))


async def _write_whole(store: Store, target: Path) -> Checked:
    """Whole or not at all, readable by its owner alone: entries quote the host's logs."""
    work = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=1024 * 1024) as written:
            checked = await write_export(store.pool, written)
            os.fsync(written.fileno())
        work.rename(target)
    finally:
        work.unlink(missing_ok=True)
    return checked


def _over_store(shared: Context, work: Callable[[Store], Awaitable[T]]) -> T:
    """Runs `work` over the store, whether the daemon runs or not."""
    loaded = shared.load()
    state = existing_state(shared, loaded)
    configure_logs(level="warning", format="console")

    async def run() -> T:
        async with open_store(
            loaded.settings.store, state, application_name="triaged audit"
        ) as store:
            return await work(store)

    try:
        return asyncio.run(run())
    except BrokenPipeError:
        raise  # the reader has gone; not our failure
    except OSError as error:
        message = (
            f"{error.filename or state}: {error.strerror}; run it as the user that the daemon runs"
            " as (runuser -u triaged -- triaged audit ...), with a file that this user may write"
        )
        raise CommandError(message) from error
    except StoreError as error:
        raise CommandError(str(error)) from error


def _require_kinds(shared: Context, kinds: Sequence[str]) -> None:
    """Raises `CommandError` where one is neither known nor in the ledger, which may hold what other
    releases wrote."""
    unknown = [kind for kind in kinds if kind not in KINDS and kind not in FAMILIES]

    async def missing(store: Store) -> list[str]:
        async with store.pool.connection() as connection:
            return [
                kind
                for kind in unknown
                if not await ledger.search(connection, ledger.Wanted(kinds=[kind]), limit=1)
            ]

    if unknown and (absent := _over_store(shared, missing)):
        message = f"--kind {absent[0]!r}: there are {', '.join((*FAMILIES, *KINDS))}"
        raise CommandError(message, code=Exit.USAGE)


def _file(path: Path, expected: Head | None) -> Checked:
    if not path.exists():
        message = f"there is no file {path}; `triaged audit export {path}` makes one"
        raise CommandError(message, code=Exit.NOT_FOUND)
    try:
        return check_file(path, expected=expected)
    except OSError as error:
        raise CommandError(f"cannot read {path} ({error.strerror})") from error


def _head(said: str | None) -> Head | None:
    if said is None:
        return None
    try:
        return Head.parse(said)
    except ValueError as error:
        raise CommandError(f"--head: {error}", code=Exit.USAGE) from error


def _typed(word: str) -> str:
    """What was typed may hold what PostgreSQL cannot."""
    return word.encode("utf-8", "replace").decode().replace("\x00", "?")


def _tell(checked: Checked) -> None:
    if checked.holds:
        out.print(f"{checked.entries} entries, and the chain holds.", style="green")
    else:
        _tell_breaks(checked)
    out.print(f"head {checked.head}", markup=False)


def _tell_breaks(checked: Checked, *, to_stderr: bool = False) -> None:
    console = err if to_stderr else out
    console.print(
        f"The chain does not hold: {len(checked.breaks)} breaks in {checked.entries} entries.",
        style="bold red",
    )
    for each in checked.breaks[:_MOST_SHOWN]:
        console.print(f"  entry {each.seq}: {line(each.why)}", markup=False)
    if (more := len(checked.breaks) - _MOST_SHOWN) > 0:
        console.print(f"  and {more} more; --json lists up to a hundred")


def _as_json(entry: Entry) -> dict[str, Any]:
    shown = dataclasses.asdict(entry)
    del shown["incident_id"], shown["prev_hash"]
    return shown | {
        "at": entry.at.isoformat(),
        "incident": entry.incident_id,
        "body": _content(entry),
        "hash": entry.hash.hex(),
    }


def _table(entries: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("number", "at (UTC)", "kind", "actor", "incident", "what"):
        right = column in ("number", "incident")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for entry in entries:
        table.add_row(
            str(entry.seq),
            f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            Text(line(entry.kind)),
            Text(line(entry.actor)),
            "" if entry.incident_id is None else str(entry.incident_id),
            Text(_what(_content(entry))),
        )
    return table


def _content(entry: Entry) -> Any:
    """The body; as text where somebody made it into something else than JSON."""
    try:
        return entry.content
    except ValueError:
        return entry.body


def _what(body: Any) -> str:
    """The body in one line."""
    if not isinstance(body, dict):
        return _flat(body)[:_WORDS]
    known = ((name, value) for name, value in body.items() if value not in (None, "", [], {}))
    words = ", ".join(f"{name} {_flat(value)}" for name, value in known)
    return words if len(words) <= _WORDS else words[: _WORDS - 1] + "…"


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_flat(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return line(value)

"""`triaged replay`: what would have been done under a policy, next to what happened."""

from __future__ import annotations

import asyncio
import dataclasses
import platform
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from daemon.actions.history import Asked, asked_from, reconstructed
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.facts import Autonomy, Verdict
from daemon.actions.replay import Replayed, Totals, replay, totals
from daemon.actions.settings import ActionsSettings
from daemon.cli.context import Context, out, print_json
from daemon.cli.existing import existing_state
from daemon.cli.exits import CommandError
from daemon.cli.moments import moment_before
from daemon.cli.policy import policy_settings
from daemon.cli.policy_views import verdict_text
from daemon.cli.render import line
from daemon.logs import configure_logs
from daemon.store import replay as stored
from daemon.store.errors import StoreError
from daemon.store.open import open_store
from daemon.store.pool import Database

_MOST_SHOWN = 500


def register(app: typer.Typer) -> None:
    app.command(
        "replay",
        epilog="triaged replay --since 7d --level auto-safe\n\n"
        "triaged replay --since 30d --policy bolder.toml --changed",
    )(replay_command)


def replay_command(
    context: typer.Context,
    since: Annotated[
        str, typer.Option("--since", help="12h, 7d, 4w, or a time as 2027-01-31T14:00.")
    ] = "7d",
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", help="A TOML file with \\[actions] instead of the configuration's."
        ),
    ] = None,
    level: Annotated[
        Autonomy | None, typer.Option("--level", help="Suppose this level of autonomy.")
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what would be decided otherwise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What triaged would have done under a policy, next to what happened. Changes nothing."""
    shared: Context = context.obj
    settings = policy_settings(shared, policy, level=level)
    start = moment_before(since, option="--since", now=datetime.now(tz=UTC))
    asked = _history(shared, settings, start)
    replayed = [each for each in replay(asked, settings) if each.asked.at >= start]
    sums = totals(replayed)
    shown = [each for each in replayed if each.changed or each.newly_alone or not changed]
    if as_json:
        print_json(
            {
                "since": start.isoformat(),
                "level": settings.autonomy.value,
                "totals": sums.to_json(),
                "requests": [each.to_json() for each in shown],
            }
        )
        return
    out.print(_view(shown, sums, level=settings.autonomy))


def _history(shared: Context, settings: ActionsSettings, start: datetime) -> list[Asked]:
    """From before `start` on, as far as limits and strikes look back."""
    loaded = shared.load()
    state = existing_state(shared, loaded)
    host = loaded.settings.host_name or platform.node()
    back = timedelta(hours=max(1.0, settings.limits.strike_hours))

    async def read() -> list[Asked]:
        async with open_store(
            loaded.settings.store, state, application_name="triaged replay"
        ) as store:
            return await recorded(store.pool, since=start - back, settings=settings, host=host)

    configure_logs(level="warning", format="console")
    try:
        return asyncio.run(read())
    except OSError as error:
        message = (
            f"{error.filename or state}: {error.strerror}; run it as the user that the daemon runs "
            "as (runuser -u triaged -- triaged replay)"
        )
        raise CommandError(message) from error
    except StoreError as error:
        raise CommandError(str(error)) from error


async def recorded(
    database: Database, *, since: datetime, settings: ActionsSettings, host: str
) -> list[Asked]:
    """Every request since then, those included that tiers would have made before acting existed.
    Raises `StoreError`."""
    asked = asked_from([entry async for entry in stored.entries(database, since=since)])
    hosts = await stored.hosts(database, [each.key for each in asked])
    catalogue = every_kind()
    found = [_on(each, hosts.get(each.key, host)) for each in asked]
    async for row in stored.wanted(database, since=since):
        for number, code in enumerate(row.codes, 1):
            made = reconstructed(
                key=f"assessment {row.id}.{number}",
                code=code,
                at=row.at.astimezone(),
                incident_id=row.incident_id,
                witnesses=list(zip(row.units, row.provenances, strict=True)),
                catalogue=catalogue,
                settings=settings,
                host=host,
            )
            if made is not None:
                found.append(made)
    return found


def _view(shown: Sequence[Replayed], sums: Totals, *, level: Autonomy) -> RenderableType:
    if not sums.requests:
        return Text("Nothing was asked for in that time.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("when", no_wrap=True)
    table.add_column("incident", justify="right")
    for column in ("action", "then", "now", ""):
        table.add_column(column, overflow="fold")
    for each in shown[-_MOST_SHOWN:]:
        asked = each.asked
        table.add_row(
            f"{asked.at.astimezone():%m-%d %H:%M}",
            "" if asked.incident_id is None else str(asked.incident_id),
            Text(line(f"{asked.kind} {asked.target}")),
            _then(asked),
            Text.assemble(verdict_text(each.now.verdict), f" ({line(each.now.rule)})"),
            Text("<- changed", "bold") if each.changed else Text("new" if each.newly_alone else ""),
        )
    parts: list[RenderableType] = [table]
    if len(shown) > _MOST_SHOWN:
        parts.append(Text(f"... and {len(shown) - _MOST_SHOWN} before (--json has all)", "dim"))
    parts.append(Text("\n" + "\n".join(_sums(sums, level=level))))
    if any(each.asked.reconstructed for each in shown):
        parts.append(
            Text(
                "* from before triaged could act: what tiers named, with facts put together from "
                "the record.",
                style="dim",
            )
        )
    return Group(*parts)


def _then(asked: Asked) -> Text:
    if asked.verdict is None:
        return Text(f"{asked.outcome}*", style="dim")
    return Text.assemble(
        verdict_text(asked.verdict), f" ({line(asked.rule)}), {line(asked.outcome)}"
    )


def _sums(sums: Totals, *, level: Autonomy) -> list[str]:
    """In sentences."""
    verdicts = ", ".join(
        f"{verdict.value} {sums.then[verdict.value]} -> {sums.now[verdict.value]}"
        for verdict in Verdict
    )
    before = f", {sums.then['none']} from before there were decisions" if sums.then["none"] else ""
    first = (
        f"At {level.value}: {sums.requests} requests{before}; then -> now: {verdicts}; "
        f"{sums.changed} decided otherwise."
    )
    lines = [first]
    if sums.newly_alone:
        answers = ", ".join(f"{count} {what}" for what, count in sums.answers.most_common())
        lines.append(f"{sums.newly_alone} would newly be done without a human: {answers} then.")
    if sums.results:
        results = ", ".join(f"{count} {what}" for what, count in sums.results.most_common())
        lines.append(f"Of those that were done then: {results}.")
    return lines


def _on(asked: Asked, host: str) -> Asked:
    return asked if asked.host else dataclasses.replace(asked, host=host)

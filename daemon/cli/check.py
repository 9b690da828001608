"""`triaged check-config` and `triaged doctor`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.render import clean
from daemon.doctor import examine
from daemon.findings import Finding, Level
from daemon.intake.rules import RuleError, load_rules

_STYLES = {
    Level.OK: "green",
    Level.NOTE: "cyan",
    Level.WARNING: "yellow",
    Level.PROBLEM: "bold red",
}


def register(app: typer.Typer) -> None:
    app.command("check-config", epilog="triaged check-config --config /etc/triaged/triaged.toml")(
        check_config
    )
    app.command("doctor", epilog="triaged doctor --json")(doctor)


def check_config(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file (TOML).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the settings as JSON.")] = False,
) -> None:
    """Read the configuration and the rules; exit code 5 when there are mistakes."""
    shared: Context = context.obj
    if config is not None:
        shared = Context(config=config, state_dir=shared.state_dir, url=shared.url)
    loaded = shared.load()
    try:
        rules = load_rules(loaded.settings.intake.rules)
    except RuleError as error:
        raise CommandError(str(error), code=Exit.CONFIG) from error
    if problems := rules.check_samples():
        raise CommandError("\n".join(problems), code=Exit.CONFIG)
    if as_json:
        print_json(loaded.settings.model_dump(mode="json"))
        return
    where = str(loaded.path) if loaded.path is not None else "no file: built-in defaults"
    out.print(f"{where}: no mistakes, {len(rules)} rules", markup=False)
    for name in loaded.overrides:
        out.print(f"overridden by ${name}", markup=False)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what keeps an installation from working; exit code 6 when something was found."""
    shared: Context = context.obj
    loaded = shared.load()
    state = shared.state(loaded)
    findings = asyncio.run(examine(loaded.settings, state_dir=state, config=loaded.path))
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        _show(findings)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(int(Exit.FINDINGS))


def _show(findings: list[Finding]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        table.add_row(
            Text(finding.level.value, style=_STYLES[finding.level]),
            Text(finding.what),
            Text(clean(finding.words)),
        )
    out.print(table)

"""`triaged policy`: what policy says about an action and why, in words, and by examples."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.examples import ExamplesError, moment, parse_examples, try_examples
from daemon.actions.policy.explain import explain as explained
from daemon.actions.policy.facts import Autonomy, Origin
from daemon.actions.policy.suppose import NAMES_TELL, suppose
from daemon.actions.settings import ActionsSettings
from daemon.cli.context import Context, out, print_json
from daemon.cli.exits import CommandError, Exit
from daemon.cli.policy_look import (
    Seen,
    catalogue_of,
    completed,
    critical_globs,
    look,
    note_running_level,
)
from daemon.cli.policy_views import (
    explanation_view,
    policy_json,
    policy_view,
    tried_json,
    tried_view,
)
from daemon.cli.render import line
from daemon.config.load import ConfigError, load_config
from tiers.vocabulary import Provenance

app = typer.Typer(
    help="What may be done to this host: explain a decision, test examples, show the policy.",
    no_args_is_help=True,
)


def known_kinds() -> list[str]:
    """For the shell to complete."""
    return list(every_kind().names())


_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Policy = Annotated[
    Path | None,
    typer.Option("--policy", help="A TOML file with \\[actions] instead of the configuration's."),
]
_Level = Annotated[Autonomy | None, typer.Option("--level", help="Suppose this level of autonomy.")]


@app.command(
    "explain",
    epilog="triaged policy explain restart_unit nginx.service --level auto-safe\n\n"
    "triaged policy explain block_address 192.0.2.7 --param seconds=600 --basis text",
)
def explain(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="The kind of action.", autocompletion=known_kinds)],
    target: Annotated[str, typer.Argument(help="What it would be done to.")],
    param: Annotated[list[str] | None, typer.Option("--param", help="NAME=VALUE (repeat).")] = None,
    level: _Level = None,
    basis: Annotated[
        Provenance, typer.Option("--basis", help="Who vouches for the evidence.")
    ] = Provenance.SYSTEMD,
    origin: Annotated[Origin, typer.Option("--origin", help="Who asks for it.")] = Origin.TIER,
    at: Annotated[
        str | None, typer.Option("--at", help='Suppose this time: "Sun 03:00"; else now.')
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Look at this host, at what happened before, and at the stop switch."
        ),
    ] = False,
    policy: _Policy = None,
    as_json: _Json = False,
) -> None:
    """What policy says about an action, the rule that says so, and all that it rests on."""
    shared: Context = context.obj
    settings = policy_settings(shared, policy, level=level)
    catalogue = catalogue_of(settings)
    try:
        found = catalogue.kind(kind)
        action = catalogue.action(
            host=_host(shared),
            kind=kind,
            target=completed(found, target),
            parameters=_parameters(catalogue, kind, param or []),
        )
        found.require_target(action, settings.host_limits())
        when = datetime.now(tz=UTC).astimezone() if at is None else moment(at)
    except (ActionError, ValueError) as error:
        raise CommandError(str(error), code=Exit.USAGE) from error
    seen = look(shared, action, found, settings) if live else Seen()
    try:
        facts = suppose(
            action,
            found,
            at=when,
            basis=basis,
            origin=origin,
            past=seen.past,
            stopped=seen.stopped,
            target=seen.target,
            critical_globs=critical_globs(shared, settings),
        )
    except ActionError as error:
        raise CommandError(str(error), code=Exit.USAGE) from error
    explanation = explained(facts, settings)
    note_running_level(shared, settings)
    if as_json:
        print_json({"action": catalogue.sentence(action), "live": live} | explanation.to_json())
        return
    critical = line(facts.critical)
    if not critical:
        by_name = found.spec.target in NAMES_TELL
        critical = "no" if live else "no, by its name" if by_name else "only the host can say"
    sentence = catalogue.sentence(action)
    out.print(explanation_view(explanation, sentence=sentence, critical=critical, live=live))


@app.command("test", epilog="triaged policy test /etc/triaged/policy-examples.toml")
def hold(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The examples; else policy-examples.toml beside the configuration.",
            show_default=False,
        ),
    ] = None,
    policy: _Policy = None,
    as_json: _Json = False,
) -> None:
    """Hold the policy against your examples; exit code 6 when it says something else."""
    shared: Context = context.obj
    settings = policy_settings(shared, policy)
    path = file or _examples_beside(shared)
    try:
        examples = parse_examples(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = (
            f"there are no examples at {path}; name a file, or begin with a copy of "
            "deploy/policy-examples.toml"
        )
        raise CommandError(message, code=Exit.NOT_FOUND) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read: {error}") from error
    except ExamplesError as error:
        lines = "\n".join(f"{path}: {line}" for line in str(error).splitlines())
        raise CommandError(lines, code=Exit.CONFIG) from error
    tried = try_examples(
        examples,
        settings=settings,
        catalogue=catalogue_of(settings),
        critical=critical_globs(shared, settings),
    )
    if as_json:
        print_json([tried_json(each) for each in tried])
    else:
        out.print(tried_view(tried))
    if any(each.problem for each in tried):
        raise typer.Exit(int(Exit.FINDINGS))


@app.command("show", epilog="triaged policy show --policy /etc/triaged/bolder.toml")
def show(
    context: typer.Context, policy: _Policy = None, level: _Level = None, as_json: _Json = False
) -> None:
    """The policy in force, in words, and what in it can have no effect."""
    settings = policy_settings(context.obj, policy, level=level)
    kinds = catalogue_of(settings).names()
    note_running_level(context.obj, settings)
    if as_json:
        print_json(policy_json(settings, kinds))
    else:
        out.print(policy_view(settings, kinds))


def policy_settings(
    shared: Context, file: Path | None, *, level: Autonomy | None = None
) -> ActionsSettings:
    """[actions] of the file, else of the configuration. Raises `CommandError`."""
    if file is None:
        settings = shared.load().settings.actions
    elif not file.is_file():
        raise CommandError(f"there is no policy file {file}", code=Exit.NOT_FOUND)
    else:
        try:
            settings = load_config(given=file, environ={}).settings.actions
        except ConfigError as error:
            raise CommandError(str(error), code=Exit.CONFIG) from error
    return settings if level is None else settings.model_copy(update={"autonomy": level})


def _examples_beside(shared: Context) -> Path:
    path = shared.load().path
    return (Path("/etc/triaged") if path is None else path.parent) / "policy-examples.toml"


def _host(shared: Context) -> str:
    return shared.load().settings.host_name or platform.node()


def _parameters(catalogue: Catalogue, kind: str, given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as the kind takes it. Raises `ValueError`; the catalogue checks the rest."""
    types = {parameter.name: parameter.type for parameter in catalogue.kind(kind).spec.parameters}
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--param {pair!r}: write NAME=VALUE")
        truth = {"true": True, "false": False}.get(value.lower())
        found[name] = truth if types.get(name) is bool and truth is not None else value
    return found

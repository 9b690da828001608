"""How policy looks on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from daemon.actions.host.critical import CRITICAL
from daemon.actions.policy.examples import Tried
from daemon.actions.policy.explain import Explanation
from daemon.actions.policy.facts import Autonomy, Verdict
from daemon.actions.policy.globs import matching_action
from daemon.actions.settings import ActionsSettings
from daemon.cli.render import line

STYLES = {Verdict.ALLOW: "bold green", Verdict.ASK: "bold yellow", Verdict.DENY: "bold red"}
_MEANING = {
    Autonomy.OBSERVE: "triaged reports; it neither acts nor proposes",
    Autonomy.SUGGEST: "triaged proposes, and a human decides",
    Autonomy.AUTO_SAFE: "triaged does by itself what is reversible and of low risk, and proposes "
    "the rest",
    Autonomy.AUTO_FULL: "triaged does by itself what no rule holds up, and asks for high risk",
}
_NOT_LOOKED = " (whether this host has it was not looked at; --live looks)"


def verdict_text(verdict: Verdict) -> Text:
    """A verdict in its colour."""
    return Text(verdict.value, style=STYLES[verdict])


def explanation_view(
    explanation: Explanation, *, sentence: str, critical: str, live: bool
) -> RenderableType:
    """The decision first, then what it rests on. `critical`: whether the target is, in words."""
    decision, facts = explanation.decision, explanation.facts
    head = Text.assemble(
        (line(sentence), "bold"),
        ": ",
        verdict_text(decision.verdict),
        f", by the rule {decision.rule}\n{line(decision.reason)}",
    )
    rest = _pairs(
        ("target", facts.target + ("" if live else _NOT_LOOKED)),
        ("level", explanation.level.value),
        ("who asks", facts.origin.value),
        ("evidence", facts.basis.value),
        ("risk", facts.risk.value),
        ("who may feel it", facts.blast.value),
        ("reversible", _yes(facts.reversible)),
        ("users notice it", _yes(facts.disruptive)),
        ("critical", critical),
        ("time", f"{facts.at:%a %H:%M}"),
        ("stop switch", ("on" if facts.stopped else "off") if live else "taken to be off"),
    )
    counted = _pairs(*((what, f"{now} of {most}") for what, now, most in explanation.limits))
    before = "\nWhat happened before" + ("" if live else " (taken to be nothing; --live counts it)")
    levels = Text(", ").join(
        Text.assemble(f"{level.value} ", verdict_text(decided.verdict), f" ({decided.rule})")
        for level, decided in explanation.levels.items()
    )
    return Group(
        head,
        Text("\nRests on", style="bold"),
        rest,
        Text(before, style="bold"),
        counted,
        Text("\nAt each level", style="bold"),
        levels,
        Text("\nRules in their order", style="bold"),
        _rules(explanation),
    )


def _rules(explanation: Explanation) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for number, held in enumerate(explanation.rules, 1):
        decides = held.rule.name == explanation.decision.rule
        mark = "decides" if decides else "applies" if held.reason else "-"
        style = "bold" if decides else "" if held.reason else "dim"
        table.add_row(
            Text(str(number), style="dim"),
            Text(held.rule.name, style=style),
            verdict_text(held.rule.verdict) if held.reason else Text(held.rule.verdict, "dim"),
            Text(mark, style=style),
            Text(line(held.reason or held.rule.when), style=style),
        )
    return table


def tried_view(tried: Sequence[Tried]) -> RenderableType:
    """Failures with their reasons, and how many there are."""
    failed = [(number, each) for number, each in enumerate(tried, 1) if each.problem]
    lines = []
    for number, each in failed:
        lines.append(Text.assemble((f"example {number}: ", "bold red"), line(each.example.title)))
        if each.example.why:
            lines.append(Text(f"    {line(each.example.why)}", style="dim"))
        lines.append(Text(f"    {line(each.problem)}"))
    said = f"{len(tried)} examples, all as expected"
    if failed:
        said = f"{len(failed)} of {len(tried)} examples are not as expected"
    return Group(*lines, Text(said, style="bold red" if failed else "green"))


def tried_json(tried: Tried) -> dict[str, Any]:
    """An example with what policy said."""
    decision = tried.decision
    return {
        "example": tried.example.model_dump(mode="json", exclude_defaults=True),
        "holds": not tried.problem,
        "verdict": None if decision is None else decision.verdict.value,
        "rule": None if decision is None else decision.rule,
        "problem": tried.problem or None,
    }


def policy_view(settings: ActionsSettings, kinds: Sequence[str]) -> RenderableType:
    """The policy in force, in words."""
    limits = settings.limits
    built_in = "; ".join(concern.value for concern in CRITICAL)
    safe = "on targets that are not critical"
    if settings.targets:
        safe = f"on {', '.join(settings.targets)}"
    hourly = (
        f"{limits.per_hour} actions, {limits.per_kind_per_hour} of a kind, "
        f"{limits.per_target_per_hour} on a target"
    )
    rows = _pairs(
        ("level", f"{settings.autonomy.value}: {_MEANING[settings.autonomy]}"),
        ("never", _listed(settings.deny, "nothing is denied beyond the rules")),
        ("always asks", _listed(settings.ask, "nothing beyond the rules")),
        ("auto-safe acts", safe),
        ("critical", f"{built_in}{_more(settings.critical)}"),
        ("may be proposed all the same", _listed(settings.named, "none of the critical ones")),
        ("quiet hours", settings.quiet or "none"),
        ("maintenance windows", _listed(settings.windows, "always")),
        ("by itself, an hour", hourly),
        (
            "failures",
            f"after one it asks, after {limits.strikes} within {limits.strike_hours:g} h it stops",
        ),
        (
            "proposals",
            f"at most {limits.waiting} wait, each for {settings.approval_minutes:g} minutes",
        ),
    )
    always = Text(
        "At every level: what only text speaks for, and what a chat asks for, is proposed to a "
        "human and never done by itself. `triaged policy explain` says what decides."
    )
    notes = [Text(f"note: {line(note)}", style="yellow") for note in remarks(settings, kinds)]
    return Group(rows, Text(""), always, *notes)


def policy_json(settings: ActionsSettings, kinds: Sequence[str]) -> dict[str, Any]:
    """The settings, and what in them can have no effect."""
    return {"actions": settings.model_dump(mode="json"), "notes": remarks(settings, kinds)}


def remarks(settings: ActionsSettings, kinds: Sequence[str]) -> list[str]:
    """What in the policy can have no effect, which its author may not have meant."""
    found = []
    for name, globs in (("deny", settings.deny), ("ask", settings.ask)):
        for glob in globs:
            of_kind = glob.partition(":")[0]
            if not any(matching_action([of_kind], kind=kind, target="") for kind in kinds):
                found.append(
                    f"actions.{name}: {glob!r} matches no kind of action; there are "
                    f"{', '.join(kinds)}"
                )
    if settings.targets and settings.autonomy is not Autonomy.AUTO_SAFE:
        found.append(f"actions.targets is for auto-safe; the level is {settings.autonomy.value}")
    if 0 in (settings.limits.per_hour, settings.limits.per_target_per_hour):
        found.append("actions.limits has a 0: nothing is done without a human")
    return found


def _pairs(*rows: tuple[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, value in rows:
        table.add_row(Text(label, style="dim"), Text(line(value)))
    return table


def _listed(globs: Sequence[str], without: str) -> str:
    return ", ".join(globs) or without


def _more(globs: Sequence[str]) -> str:
    return f"; {', '.join(globs)}" if globs else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"

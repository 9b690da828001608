"""The whole matrix: level x origin x target x provenance x risk x blast x reversible x disruptive.

`UPDATE_DOCS=1 pytest tests/policy/test_matrix.py` writes docs/policy-matrix.md anew.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matrix_kit import REST, TARGETS, Case, Row, all_cases, case_facts, folded, reading
from policy_kit import WEDNESDAY_NOON, facts

from daemon.actions.action import Blast, Risk, TargetType, Value
from daemon.actions.kind import Parameter
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import Autonomy, Origin, Past, Verdict
from daemon.actions.policy.rules import RULES, TOO_MANY_WAITING
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.policy.suppose import suppose
from tiers.vocabulary import Provenance

DOCS = Path(__file__).parents[2] / "docs" / "policy-matrix.md"
SAFE = (Risk.LOW, Blast.TARGET, True, True)
NIGHT = WEDNESDAY_NOON.replace(hour=23)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(all_cases())


@pytest.fixture(scope="module")
def rows(cases: list[Case]) -> list[Row]:
    return folded(cases)


def test_every_combination_is_as_the_words_of_the_design_say(cases: list[Case]) -> None:
    """Said a second time, in other words than the policy's own."""
    assert len(cases) == 4 * 4 * 4 * 5 * 3 * 4 * 2 * 2
    for case in cases:
        assert case.decision.verdict is expected(case), case


def expected(case: Case) -> Verdict:
    risk, blast, reversible, _ = case.rest
    critical = case.target.startswith("critical")
    by_model = case.origin in (Origin.TIER, Origin.CHAT)
    if case.origin is Origin.INVERSE:
        return Verdict.ALLOW
    if case.level is Autonomy.OBSERVE or (case.target == "critical" and by_model):
        return Verdict.DENY
    automatic = (
        not critical
        and case.origin is not Origin.CHAT
        and case.basis is not Provenance.TEXT
        and risk is not Risk.HIGH
    )
    if case.level is Autonomy.AUTO_FULL:
        return Verdict.ALLOW if automatic else Verdict.ASK
    safe = risk is Risk.LOW and reversible and blast is not Blast.HOST
    if case.level is Autonomy.AUTO_SAFE and automatic and safe and case.target == "listed":
        return Verdict.ALLOW
    return Verdict.ASK


def test_auto_safe_without_a_list_takes_what_is_not_critical() -> None:
    policy = PolicySettings(autonomy=Autonomy.AUTO_SAFE)
    for target in TARGETS:
        made = case_facts(origin=Origin.TIER, target=target, basis=Provenance.SYSTEMD, rest=SAFE)
        allowed = decide(made, policy).verdict is Verdict.ALLOW
        assert allowed is not target.startswith("critical")


def test_the_table_loses_nothing(cases: list[Case], rows: list[Row]) -> None:
    """Whoever reads the verdict of any case from the table's words gets the policy's."""
    read = reading(rows)
    for case in cases:
        assert read(case) is case.decision.verdict, case


def test_the_table_is_short_enough_for_a_person(rows: list[Row]) -> None:
    assert len(rows) <= 16


def test_the_table_in_the_documents_is_current(cases: list[Case], rows: list[Row]) -> None:
    text = document(cases, rows)
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(text, encoding="utf-8")
    shown = DOCS.read_text(encoding="utf-8")
    assert shown == text, "run UPDATE_DOCS=1 pytest tests/policy/test_matrix.py"


def document(cases: Sequence[Case], rows: Sequence[Row]) -> str:
    counts = Counter((case.level, case.decision.verdict) for case in cases)
    head = HEAD.format(
        cases=len(cases),
        levels=len(Autonomy),
        origins=len(Origin),
        targets=len(TARGETS),
        provenances=len(Provenance),
    )
    main = table(("who asks", "target", "evidence", *Autonomy), map(shown_row, rows))
    totals = table(
        ("", *Autonomy),
        (
            (verdict.value, *(f"{counts[level, verdict]:,}" for level in Autonomy))
            for verdict in Verdict
        ),
    )
    obstructed = table(("what is different", "who asks", *Autonomy), obstacles())
    ordered = table(
        ("", "rule", "says", "when"),
        (
            (str(number), f"`{rule.name}`", rule.verdict.value, rule.when)
            for number, rule in enumerate((*RULES, TOO_MANY_WAITING), 1)
        ),
    )
    kinds = table(
        ("kind", "risk", "felt by", "reversible", "noticed", *Autonomy), every_kinds_row()
    )
    return "".join(
        (head, main, TOTALS, totals, KINDS, kinds, OBSTRUCTED, obstructed, ORDER, ordered)
    )


HEAD = """# The policy's matrix

Made by `tests/policy/test_matrix.py`, which decides every combination, holds each against the
design in other words, and reads each back from the first table. How to work with the policy is in
[safety.md](safety.md); `triaged policy explain` says what it makes of one action, and why.

## Who asks for what, on which evidence

{cases:,} combinations: {levels} levels, {origins} who ask, {targets} classes of target,
{provenances} provenances of the evidence, and of the action its risk, blast radius, whether it is
reversible and whether it is disruptive. A cell has the verdict and the rules that say so. Nothing
stands in the way here: no limit is reached, nothing failed before, the hour is not quiet.

*listed*: among `actions.targets` (without such a list, auto-safe takes every target that is not
critical). *named*: among `actions.named`. *inverse*: triaged takes back what it did for a time.

"""
TOTALS = """
How many of the combinations come to what:

"""
KINDS = """
## Every kind of action

What each comes to when a tier asks for it on systemd's or the kernel's word, on a target that is
not critical by its name, with its parameters as they are by default. Mounts always are critical.

"""
OBSTRUCTED = """
## What stands in the way

An action of low risk, reversible, on a target that is not critical, on systemd's word. Then one
thing at a time is different; who is not named below it decides as in the first lines. Windows hold
up what is disruptive and above low risk, so the risk is medium in that line.

"""
ORDER = """
## The rules in their order

The first that applies decides. The last is about the answer: it is looked at where that is to ask.

"""


def table(head: Iterable[object], body: Iterable[Sequence[str]]) -> str:
    titles = [str(title) for title in head]
    lines = [titles, ["---"] * len(titles), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


SAMPLES = {
    TargetType.UNIT: "nginx.service",
    TargetType.TIMER: "backup.timer",
    TargetType.MOUNT: "/srv",
    TargetType.PROCESS: "4242:123456",
    TargetType.ADDRESS: "192.0.2.7",
    TargetType.NETWORK: "192.0.2.0/24",
    TargetType.PATH: "/var/tmp",
    TargetType.CONTAINER: "web",
    TargetType.LOG: "nginx",
    TargetType.GENERATION: "42",
    TargetType.PACKAGES: "packages",
    TargetType.JOURNAL: "journal",
    TargetType.RUNBOOK: "example",
    TargetType.FLAKE: "/etc/nixos#host",
    TargetType.CERTIFICATE: "web",
}


def every_kinds_row() -> Iterable[Sequence[str]]:
    catalogue = every_kind()
    for kind in catalogue:
        spec = kind.spec
        given = {
            parameter.name: sample(parameter)
            for parameter in spec.parameters
            if parameter.default is None
        }
        action = catalogue.action(
            host="h", kind=spec.name, target=SAMPLES[spec.target], parameters=given
        )
        made = suppose(action, kind, at=WEDNESDAY_NOON)
        decided = (decide(made, PolicySettings(autonomy=level)) for level in Autonomy)
        yield (
            f"`{spec.name}`",
            made.risk.value,
            made.blast.value,
            "yes" if made.reversible else "no",
            "yes" if made.disruptive else "no",
            *(f"{each.verdict.value}: {each.rule}" for each in decided),
        )


def sample(parameter: Parameter) -> Value:
    if parameter.choices:
        return parameter.choices[0]
    least = int(parameter.least or 1)
    return {int: least, bool: False, str: "x" * least}[parameter.type]


def shown_row(row: Row) -> tuple[str, ...]:
    every = (list(Origin), list(TARGETS), list(Provenance))
    said = map(shown_values, row.dimensions, every)
    cells = (
        cell.replace("where ", "where<br>").replace("; else ", ";<br>else ") for cell in row.cells
    )
    return (*said, *cells)


def shown_values(held: frozenset[str], every: Sequence[str]) -> str:
    missing = [str(value) for value in every if value not in held]
    if not missing:
        return "any"
    if len(missing) == 1 and len(every) > 2:
        return f"any but {missing[0]}"
    return ", ".join(str(value) for value in every if value in held)


def obstacles() -> Iterable[Sequence[str]]:
    """One difference at a time, for each who asks; those to whom it is the same share a line, and
    those to whom nothing changes have none."""
    usual: dict[Origin, tuple[str, ...]] = {}
    for words, change, written in OBSTACLES:
        lines: dict[tuple[str, ...], list[str]] = {}
        for origin in Origin:
            cells = tuple(
                said(PolicySettings.model_validate({"autonomy": level, **written}), origin, change)
                for level in Autonomy
            )
            if usual.setdefault(origin, cells) != cells or words == "nothing":
                lines.setdefault(cells, []).append(origin.value)
        for cells, origins in lines.items():
            yield (words, ", ".join(origins), *cells)


def said(policy: PolicySettings, origin: Origin, change: dict[str, Any]) -> str:
    decision = decide(facts(origin=origin, **change), policy)
    return f"{decision.verdict.value}: {decision.rule}"


OBSTACLES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("nothing", {}, {}),
    ("the stop switch is on", {"stopped": True}, {}),
    ("`deny` matches", {}, {"deny": ["restart_*"]}),
    ("`ask` matches", {}, {"ask": ["*:nginx.service"]}),
    ("it failed the last time", {"past": Past(failures=1, last_failed=True)}, {}),
    ("it failed as often as `strikes`", {"past": Past(failures=2, last_failed=True)}, {}),
    ("a human denied exactly this", {"past": Past(denied=True)}, {}),
    ("another action on the target is under way", {"past": Past(unfinished_on_target=1)}, {}),
    ("a limit per hour is reached", {"past": Past(in_hour=10)}, {}),
    ("the hour is quiet", {"at": NIGHT}, {"quiet": "22:00-07:00"}),
    ("outside of `windows`", {"risk": Risk.MEDIUM}, {"windows": ["Sun 02:00-04:00"]}),
    ("`limits.waiting` proposals wait", {"past": Past(waiting=20)}, {}),
)


def test_the_dimensions_are_all_that_an_action_has() -> None:
    """A new risk or blast radius is in the matrix by itself; a new field has to be thought of."""
    thought_of = {"kind", "target", "critical", "basis", "origin", "stopped", "past", "at", *REST}
    assert set(facts().to_json()) == thought_of

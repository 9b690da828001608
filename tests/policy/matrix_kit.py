"""The policy's whole matrix, and how it is folded into tables that a person can read.

Every combination is decided. Cases are then laid out as rows (who asks, which target, which
evidence) and columns (levels); a cell is what the remaining dimensions come to, in words where they
matter. Rows that differ in one dimension only and say the same are joined until none are left, so
the tables lose nothing: `verdicts` reads each case back from them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from policy_kit import facts

from daemon.actions.action import Blast, Risk
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import ActionFacts, Autonomy, Decision, Origin, Verdict
from daemon.actions.policy.settings import PolicySettings
from tiers.vocabulary import Provenance

TARGETS = {
    "ordinary": ("cache.service", ""),
    "listed": ("nginx.service", ""),
    "critical": ("ssh.service", "the way in over ssh"),
    "critical (named)": ("db.service", "storage"),
}
"""By class: the target, and why it is critical."""
WRITTEN = {"targets": ("nginx.service", "db.service"), "named": ("db.service",)}
"""What the operator wrote beside the level."""
ROWS = ("origin", "target", "basis")
REST: Mapping[str, Sequence[Any]] = {
    "risk": tuple(Risk),
    "blast": tuple(Blast),
    "reversible": (True, False),
    "disruptive": (True, False),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One combination, and what is decided about it."""

    level: Autonomy
    origin: Origin
    target: str
    basis: Provenance
    rest: tuple[Any, ...]
    decision: Decision

    def row(self) -> tuple[str, str, str]:
        return (self.origin.value, self.target, self.basis.value)


def case_facts(
    *, origin: Origin, target: str, basis: Provenance, rest: Sequence[Any], **more: Any
) -> ActionFacts:
    name, critical = TARGETS[target]
    return facts(
        origin=origin,
        target=name,
        critical=critical,
        basis=basis,
        **dict(zip(REST, rest, strict=True)),
        **more,
    )


def all_cases() -> Iterator[Case]:
    """Every combination of level, origin, class of target, provenance, risk, blast radius,
    reversible and disruptive."""
    for level in Autonomy:
        policy = PolicySettings(autonomy=level, **WRITTEN)
        for origin, target, basis in itertools.product(Origin, TARGETS, Provenance):
            for rest in itertools.product(*REST.values()):
                made = case_facts(origin=origin, target=target, basis=basis, rest=rest)
                yield Case(
                    level=level,
                    origin=origin,
                    target=target,
                    basis=basis,
                    rest=rest,
                    decision=decide(made, policy),
                )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What rows have in common: the values of each dimension, and a cell for each level."""

    dimensions: tuple[frozenset[str], ...]
    cells: tuple[str, ...]


def folded(cases: Sequence[Case]) -> list[Row]:
    """Rows joined as far as they say the same, in the order of the dimensions' values."""
    by_row: dict[tuple[str, ...], dict[Autonomy, list[Case]]] = {}
    for case in cases:
        by_row.setdefault(case.row(), {}).setdefault(case.level, []).append(case)
    rows = [
        Row(
            dimensions=tuple(frozenset((value,)) for value in key),
            cells=tuple(cell(levels[level]) for level in Autonomy),
        )
        for key, levels in by_row.items()
    ]
    for dimension in (2, 1, 0):
        rows = _joined(rows, dimension)
    return rows


def _joined(rows: Sequence[Row], dimension: int) -> list[Row]:
    """Rows that differ in this dimension only and say the same become one."""
    found: dict[Any, Row] = {}
    for row in rows:
        others = (*row.dimensions[:dimension], *row.dimensions[dimension + 1 :])
        key = (others, row.cells)
        known = found.get(key)
        if known is None:
            found[key] = row
            continue
        dimensions = list(known.dimensions)
        dimensions[dimension] |= row.dimensions[dimension]
        found[key] = Row(dimensions=tuple(dimensions), cells=row.cells)
    return list(found.values())


def cell(cases: Sequence[Case]) -> str:
    """What a level says: "ask: text-basis", or for what "allow" holds and what else."""
    said = {(case.decision.verdict, case.decision.rule) for case in cases}
    if len({verdict for verdict, _ in said}) == 1:
        verdict = next(iter(said))[0]
        return f"{verdict.value}: {', '.join(sorted(rule for _, rule in said))}"
    allowed = [case for case in cases if case.decision.verdict is Verdict.ALLOW]
    other = sorted({case.decision.verdict for case in cases} - {Verdict.ALLOW})
    assert len(other) == 1, "a cell with three verdicts needs more words"
    rules = {
        verdict: ", ".join(sorted({rule for v, rule in said if v is verdict}))
        for verdict in (Verdict.ALLOW, other[0])
    }
    return (
        f"allow: {rules[Verdict.ALLOW]}, where {_where(allowed)}; "
        f"else {other[0].value}: {rules[other[0]]}"
    )


def _where(allowed: Sequence[Case]) -> str:
    """The dimensions that matter, as a conjunction. Fails where that would not be the truth."""
    held = [frozenset(case.rest[index] for case in allowed) for index in range(len(REST))]
    size = 1
    for values in held:
        size *= len(values)
    assert size == len(allowed), "what is allowed is no conjunction; the table would lie"
    words = []
    for (name, every), values in zip(REST.items(), held, strict=True):
        if len(values) == len(every):
            continue
        if every == (True, False):
            words.append(name if True in values else f"not {name}")
        else:
            words.append(f"{name} is {' or '.join(v.value for v in every if v in values)}")
    return ", ".join(words)


def reading(rows: Sequence[Row]) -> Callable[[Case], Verdict]:
    """How a person reads the table: the verdict of a case, from the words of its cell alone."""

    def verdict(case: Case) -> Verdict:
        found = [
            row
            for row in rows
            if all(value in held for value, held in zip(case.row(), row.dimensions, strict=True))
        ]
        assert len(found) == 1, "each case stands in one row"
        words = found[0].cells[list(Autonomy).index(case.level)]
        if ", where " not in words:
            return Verdict(words.partition(":")[0])
        conditions, _, otherwise = words.partition(", where ")[2].partition("; else ")
        holds = all(_holds(condition, case) for condition in conditions.split(", "))
        return Verdict.ALLOW if holds else Verdict(otherwise.partition(":")[0])

    return verdict


def _holds(condition: str, case: Case) -> bool:
    values = dict(zip(REST, case.rest, strict=True))
    name, is_, wanted = condition.partition(" is ")
    if is_:
        return values[name].value in wanted.split(" or ")
    return not values[name[4:]] if name.startswith("not ") else bool(values[name])

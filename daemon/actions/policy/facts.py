"""What a decision rests on, all of it known to code, and what it comes to."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon.actions.action import Blast, Risk
from tiers.vocabulary import Provenance


class Autonomy(enum.StrEnum):
    """The level that the operator grants."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    AUTO_SAFE = "auto-safe"
    AUTO_FULL = "auto-full"


class Origin(enum.StrEnum):
    """Who asked for the action. All but `INVERSE` are models, or people through a model."""

    TIER = "tier"
    CHAT = "chat"
    OPERATOR = "operator"  # the API or the command line, by a person with the role
    INVERSE = "inverse"  # triaged itself takes back what it did for a time


class Verdict(enum.StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What happened before, within the times that the settings name. `failures` counts verified
    failures of this kind on this target since its last verified success."""

    in_hour: int = 0
    kind_in_hour: int = 0
    target_in_hour: int = 0
    failures: int = 0
    last_failed: bool = False
    waiting: int = 0
    """Proposals that wait for an answer now."""
    unfinished_on_target: int = 0
    """Actions on the same target that are approved or under way."""
    denied: bool = False
    """A human denied exactly this content for the same incident within a day."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionFacts:
    """One action request as policy sees it.

    `basis` is the best provenance among the evidence that code tied to this very target; a model's
    citations do not count. `at` is local time, aware. `stopped` is the global stop switch. `target`
    and `kind` are names; `critical` says why the target is (empty: it is not).
    """

    kind: str
    target: str
    risk: Risk
    blast: Blast
    reversible: bool
    disruptive: bool
    critical: str
    basis: Provenance
    origin: Origin
    stopped: bool
    past: Past
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """For the ledger, from which `triaged replay` decides again."""
        return {
            **dataclasses.asdict(self),
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ActionFacts:
        """Raises KeyError, TypeError, ValueError for what `to_json` did not write."""
        return cls(
            kind=str(value["kind"]),
            target=str(value["target"]),
            risk=Risk(value["risk"]),
            blast=Blast(value["blast"]),
            reversible=bool(value["reversible"]),
            disruptive=bool(value["disruptive"]),
            critical=str(value["critical"]),
            basis=Provenance(value["basis"]),
            origin=Origin(value["origin"]),
            stopped=bool(value["stopped"]),
            past=Past(**value["past"]),
            at=datetime.fromisoformat(value["at"]),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`rule` is the name of the rule that decided ("text-basis"), `reason` a sentence."""

    verdict: Verdict
    rule: str
    reason: str

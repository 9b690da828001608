"""What goes into a tier and what comes out: typed values and the protocols between the rooms.

Everything here is immutable and knows nothing of where it is stored or how it is sent.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tiers.vocabulary import Category, Provenance, Severity, SourceKind, TierName, Urgency

INSUFFICIENT_EVIDENCE = "insufficient_evidence"
"""The cause that a tier names when the evidence does not carry any other."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer cost. Tokens are the server's own counts; `seconds` is wall time."""

    model: str
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    calls: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A pattern as the trigger tier is shown it.

    `text` is the message of one line, unmasked, without timestamp, host or program. `count`
    occurrences came within `span_seconds`; `values` are the most frequent masked values, most
    frequent first, as (what it is, value, how often).
    """

    fingerprint: str
    source_kind: SourceKind
    unit: str
    pattern: str
    text: str
    provenance: Provenance
    count: int
    span_seconds: float
    values: tuple[tuple[str, str, int], ...] = ()
    floor: Severity = Severity.INFO
    reason: str = "new"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The trigger tier's answer about a pattern. `probability` is that of `escalate` being right
    to be true, 0 to 1."""

    fingerprint: str
    escalate: bool
    probability: float
    severity: Severity
    category: Category
    urgency: Urgency
    usage: Usage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that a case rests on. `ref` ("E1", "E2", ...) is what answers cite."""

    ref: str
    provenance: Provenance
    source: str
    text: str
    at: datetime
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One entry of the closed list of causes. `code` is what answers name."""

    code: str
    description: str
    categories: tuple[Category, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionChoice:
    """A typed action that a case offers, with its target already resolved by code.

    `code` ("restart_unit:nginx.service") is what answers name.
    """

    code: str
    action: str
    target: str
    description: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """What memory recalls: a closed incident that looks like this one."""

    incident_id: int
    title: str
    cause: str
    outcome: str
    similarity: float
    provenance: Provenance = Provenance.TEXT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a tier is given to think about. Evidence is ordered best first."""

    incident_id: int
    title: str
    severity: Severity
    category: Category
    opened_at: datetime
    evidence: tuple[Evidence, ...]
    facts: tuple[tuple[str, str], ...] = ()
    similar: tuple[PastIncident, ...] = ()
    causes: tuple[Cause, ...] = ()
    actions: tuple[ActionChoice, ...] = ()
    earlier: tuple[str, ...] = ()
    """What lower tiers said about it, in their words."""


class Disposition(enum.StrEnum):
    """What a tier wants done with an incident."""

    CLOSE = "close"  # nothing to do; say why
    WATCH = "watch"  # real, nothing to do now: wait for the measured condition
    ACT = "act"  # one of the offered actions
    ESCALATE = "escalate"  # the next tier should look


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """A tier asks for a typed action. Risk is not part of it: policy computes that."""

    code: str
    reason: str
    evidence: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The review tier's answer about an incident."""

    cause: str
    severity: Severity
    disposition: Disposition
    confidence: float
    summary: str
    evidence: tuple[str, ...]
    actions: tuple[ActionRequest, ...]
    usage: Usage
    tool_calls: tuple[ToolTrace, ...] = ()
    repaired: bool = False
    """The first answer was not valid and was asked for again."""

    @property
    def insufficient(self) -> bool:
        return self.cause == INSUFFICIENT_EVIDENCE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The meta tier's answer: cause, steps in order, and how to tell that it worked."""

    cause: str
    severity: Severity
    summary: str
    steps: tuple[ActionRequest, ...]
    advice: tuple[str, ...]
    """Steps for a human, in words, where no typed action fits."""
    success: str
    confidence: float
    evidence: tuple[str, ...]
    usage: Usage
    tool_calls: tuple[ToolTrace, ...] = ()
    repaired: bool = False


# --- tools -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A read-only tool as models see it.

    `parameters` is a JSON schema of an object. `phrases` are things that people say when they want
    this tool; the retriever matches questions against name, description and phrases.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    phrases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool found.

    `summary` is one or a few sentences made by code that hold every figure a short answer needs;
    small models copy it. `data` is JSON-ready and bounded. A failed call has `ok` false and a
    summary that says why and what to do.
    """

    ok: bool
    summary: str
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    provenance: Provenance = Provenance.MEASURED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolTrace:
    """One call that was made while thinking."""

    name: str
    arguments: Mapping[str, Any]
    result: ToolResult
    seconds: float


class Toolbox(Protocol):
    """The tools that a tier or a chat may call. Calls never raise for what a model can get wrong
    (unknown tool, bad arguments, no such unit): that is a result with `ok` false."""

    def specs(self) -> Sequence[ToolSpec]: ...

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult: ...


class Recall(Protocol):
    """Memory, as a tier sees it. Bounded in time by itself; nothing found is an empty answer."""

    async def similar(self, *, text: str, limit: int) -> Sequence[PastIncident]: ...


# --- tiers -------------------------------------------------------------------------------------


class TriggerTier(Protocol):
    async def judge(self, sighting: Sighting) -> Verdict:
        """Raises `tiers.errors.TierError`."""
        ...


class ReviewTier(Protocol):
    async def assess(self, case: Case) -> Assessment:
        """Raises `tiers.errors.TierError`."""
        ...


class MetaTier(Protocol):
    async def plan(self, case: Case) -> Plan:
        """Raises `tiers.errors.TierError`."""
        ...


class Endpoint(Protocol):
    """Where a tier's model answers right now."""

    @property
    def tier(self) -> TierName: ...

    @property
    def url(self) -> str: ...

    @property
    def model(self) -> str: ...

"""What the generators yield: one typed sample per kind of thing that the bundled models learn.

A sample says what is true and how it reads; how it is rendered into a prompt is not its business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tiers.contracts import Case, Disposition
from tiers.vocabulary import Category, Severity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSample:
    """One event line as the trigger tier sees it, with its label.

    `text` is the message without timestamp, host or program; `count` occurrences came within
    `span_seconds`. `family` names the generator that wrote it, for reports by family.
    """

    unit: str
    text: str
    count: int
    span_seconds: float
    severity: Severity
    category: Category
    family: str

    @property
    def escalate(self) -> bool:
        """True exactly for warning and critical (training/LABELS.md)."""
        return self.severity.rank >= Severity.WARNING.rank


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseSample:
    """A case with the right assessment.

    `cause` is a code of `case.causes`, `evidence` are refs of `case.evidence`, and `actions` are
    codes of `case.actions`. `confidence` is 0 to 1. `summary` has at most 160 characters.
    """

    case: Case
    cause: str
    severity: Severity
    disposition: Disposition
    confidence: float
    evidence: tuple[str, ...]
    actions: tuple[str, ...]
    summary: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UserText:
    """What a person writes."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallTurn:
    """The assistant calls one tool."""

    name: str
    arguments: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolResultTurn:
    """What the tool answered, as `tiers.contracts.ToolResult` has it."""

    ok: bool
    summary: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AssistantText:
    """What the assistant answers in words."""

    text: str


ChatTurn = UserText | ToolCallTurn | ToolResultTurn | AssistantText


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatSample:
    """A conversation. `tools` are the names of the tools that were offered, in order; empty for a
    chat without tools. `family` is for reports."""

    tools: tuple[str, ...]
    turns: tuple[ChatTurn, ...]
    family: str

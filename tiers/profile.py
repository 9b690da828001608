"""How one family of models is prompted: what a tier says to its model, and how it reads the answer.

A tier decides what to do; a profile knows in which words this kind of model understands it. The
bundled models (`tiers.nano.profile`) know one short form by heart; large ones read instructions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tiers.contracts import Case, Sighting, ToolResult, ToolSpec
from tiers.vocabulary import Category, Severity, Urgency


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a trigger model thinks of one sighting, before floors and rules. `probability` is
    that of the event deserving attention, 0 to 1."""

    probability: float
    severity: Severity
    category: Category
    urgency: Urgency


class PromptProfile(Protocol):
    """What tiers ask of the way a model is prompted.

    The readers raise `tiers.errors.BadAnswerError` where an answer is not what was asked for.
    Every text of the host that a profile puts into a prompt is delimited as data, bounded, and
    free of the model's control tokens.
    """

    @property
    def name(self) -> str: ...

    @property
    def max_tools(self) -> int:
        """How many tools a chat may offer at once."""
        ...

    @property
    def review_tools(self) -> bool:
        """Whether review may call tools while it thinks."""
        ...

    # --- trigger, decision form (`/v1/systemone`)

    def decision_state(self, sighting: Sighting) -> str:
        """The body's `state`."""
        ...

    def decision_questions(self) -> dict[str, Any]:
        """The body's `questions`: the same for every sighting."""
        ...

    def read_decision(
        self, answer: Mapping[str, Any], sighting: Sighting | None = None
    ) -> Judgement:
        """`answer` is the whole decoded body of the response. `sighting` is what was asked about,
        for a profile that knows more about it than the model said."""
        ...

    # --- trigger, chat form with a JSON schema

    def trigger_messages(self, sighting: Sighting) -> list[dict[str, Any]]: ...

    def trigger_schema(self) -> dict[str, Any]: ...

    def read_trigger(
        self, answer: Mapping[str, Any], sighting: Sighting | None = None
    ) -> Judgement:
        """`answer` is the decoded JSON object that the model wrote; `sighting` as above."""
        ...

    # --- review and meta

    def review_messages(self, case: Case) -> list[dict[str, Any]]: ...

    def review_schema(self, case: Case) -> dict[str, Any]:
        """An object with cause, severity, disposition, evidence, actions, confidence, summary.

        `actions` holds codes, or objects with code, reason and evidence: readers accept both.
        """
        ...

    def plan_messages(self, case: Case) -> list[dict[str, Any]]: ...

    def plan_schema(self, case: Case) -> dict[str, Any]:
        """An object with cause, severity, evidence, steps (codes or objects, as above),
        confidence, summary; advice (sentences) and success may be missing."""
        ...

    # --- chat

    def chat_system(self, *, facts: Sequence[tuple[str, str]], asks: bool = False) -> str | None:
        """The system message of a chat about this host; None for none. `asks`: whether the model
        can ask for changes."""
        ...

    def tool_payload(self, spec: ToolSpec) -> dict[str, Any]:
        """One entry of the request's `tools`."""
        ...

    def tool_content(self, result: ToolResult) -> str:
        """What the model reads back from a call."""
        ...

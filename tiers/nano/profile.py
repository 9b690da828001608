"""How the bundled models are prompted: short forms that they were trained on, word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tiers.contracts import Case, Sighting, ToolResult, ToolSpec
from tiers.errors import BadAnswerError
from tiers.nano import cases, decisions
from tiers.nano.text import neutral
from tiers.profile import Judgement
from tiers.vocabulary import Category, Severity, Urgency

MAX_TOOL_CONTENT = 1_200
# The chat form says yes or no and no more: these stand for the measured shares of right answers.
_YES, _NO = 0.95, 0.05


class NanoProfile:
    """Satisfies `tiers.profile.PromptProfile`."""

    name = "nano"
    max_tools = 3
    review_tools = False

    def decision_state(self, sighting: Sighting) -> str:
        return decisions.state_of(sighting)

    def decision_questions(self) -> dict[str, Any]:
        return decisions.questions()

    def read_decision(
        self, answer: Mapping[str, Any], sighting: Sighting | None = None
    ) -> Judgement:
        return decisions.read(answer, sighting)

    def trigger_messages(self, sighting: Sighting) -> list[dict[str, Any]]:
        return trigger_messages(decisions.state_of(sighting))

    def trigger_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "escalate": {"type": "boolean"},
                "severity": {"type": "string", "enum": [str(each) for each in Severity]},
                "category": {"type": "string", "enum": [str(each) for each in Category]},
                "urgency": {"type": "string", "enum": [str(each) for each in Urgency]},
            },
            "required": ["escalate", "severity", "category", "urgency"],
            "additionalProperties": False,
        }

    def read_trigger(
        self, answer: Mapping[str, Any], sighting: Sighting | None = None
    ) -> Judgement:
        try:
            severity = Severity(answer["severity"])
            category = Category(answer["category"])
            escalate = answer["escalate"]
        except (KeyError, ValueError) as error:
            raise BadAnswerError(
                "The trigger's answer lacks a field or names an unknown word; ask again.",
                problem=f"{type(error).__name__}: {error}",
                answer=repr(dict(answer))[:200],
            ) from error
        if not isinstance(escalate, bool):
            raise BadAnswerError(
                "The trigger's answer does not say true or false for escalate; ask again.",
                problem="escalate is not a boolean",
                answer=repr(dict(answer))[:200],
            )
        if sighting is not None:
            return decisions.read_words(severity, category, sighting, escalate=escalate)
        return Judgement(
            probability=_YES if escalate else _NO,
            severity=severity,
            category=category,
            urgency=decisions.URGENCY_OF[severity],
        )

    def review_messages(self, case: Case) -> list[dict[str, Any]]:
        return case_messages("assess", case, cases.cause_codes(case))

    def review_schema(self, case: Case) -> dict[str, Any]:
        return cases.assessment_schema(case, cases.cause_codes(case))

    def plan_messages(self, case: Case) -> list[dict[str, Any]]:
        return case_messages("plan", case, cases.cause_codes(case))

    def plan_schema(self, case: Case) -> dict[str, Any]:
        return cases.plan_schema(case, cases.cause_codes(case))

    def chat_system(self, *, facts: Sequence[tuple[str, str]], asks: bool = False) -> str | None:
        """None: the models were taught without one, and facts come from tools."""
        del facts, asks
        return None

    def tool_payload(self, spec: ToolSpec) -> dict[str, Any]:
        return {
            "type": "function",
            "function": {
                "name": spec.name,
                "description": spec.description,
                "parameters": dict(spec.parameters),
            },
        }

    def tool_content(self, result: ToolResult) -> str:
        return tool_content(ok=result.ok, summary=result.summary)


def trigger_messages(state: str) -> list[dict[str, Any]]:
    """The chat form of a decision about `state`."""
    return [{"role": "user", "content": "event " + state}]


def case_messages(task: str, case: Case, causes: Sequence[str]) -> list[dict[str, Any]]:
    """`task` is "assess" or "plan"; `causes` are the codes to choose from."""
    return [{"role": "user", "content": f"{task} {cases.case_text(case, causes)}"}]


def tool_content(*, ok: bool, summary: str) -> str:
    """What the model reads back from a tool: the summary, bounded, on as few lines as it has."""
    text = re.sub(r"[ \t]+", " ", neutral(summary)).strip()
    if len(text) > MAX_TOOL_CONTENT:
        text = text[: MAX_TOOL_CONTENT - 4].rstrip() + " ..."
    return text if ok else "failed: " + text

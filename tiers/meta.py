"""The meta tier: the cause of what review could not settle, and a plan."""

from __future__ import annotations

from tiers.answers import (
    PlanAnswer,
    action_requests,
    advice_lines,
    model_words,
    read_plan,
    unique,
)
from tiers.config import ToolLoopSettings
from tiers.contracts import INSUFFICIENT_EVIDENCE, Case, Plan, Toolbox
from tiers.investigate import Investigator
from tiers.llm.port import ModelClient
from tiers.profile import PromptProfile
from tiers.thinking import Form, Thinker, Thought


class Meta:
    """Satisfies `tiers.contracts.MetaTier`. Without a toolbox nothing is looked up."""

    def __init__(
        self,
        *,
        client: ModelClient,
        profile: PromptProfile,
        toolbox: Toolbox | None,
        loop: ToolLoopSettings,
        budget: int | None = None,
    ) -> None:
        investigator = (
            Investigator(client=client, profile=profile, toolbox=toolbox, settings=loop)
            if toolbox is not None and profile.review_tools
            else None
        )
        self._thinker = Thinker(client=client, budget=budget, investigator=investigator)
        self._form = Form(
            messages=profile.plan_messages,
            schema=profile.plan_schema,
            read=lambda document, case: read_plan(document, case=case),
        )

    async def plan(self, case: Case) -> Plan:
        """Raises `tiers.errors.TierError`. Two bad answers become a plan that says so and asks
        for a human."""
        thought = await self._thinker.think(case, self._form)
        answer = thought.asked.value
        return _marked(case, thought) if answer is None else _plan(answer, thought)


def _plan(answer: PlanAnswer, thought: Thought[PlanAnswer]) -> Plan:
    evidence = unique(answer.evidence)
    return Plan(
        cause=answer.cause,
        severity=answer.severity,
        summary=model_words(answer.summary),
        steps=action_requests(answer.steps, fallback=evidence),
        advice=advice_lines(answer.advice),
        success=model_words(answer.success, 500),
        confidence=answer.confidence,
        evidence=evidence,
        usage=thought.usage,
        tool_calls=thought.traces,
        repaired=thought.asked.repaired,
    )


def _marked(case: Case, thought: Thought[PlanAnswer]) -> Plan:
    said = model_words(thought.asked.text, 1000) or "nothing"
    return Plan(
        cause=INSUFFICIENT_EVIDENCE,
        severity=case.severity,
        summary=f"Meta gave no usable answer ({thought.asked.problem}). It wrote: {said}",
        steps=(),
        advice=("Look at this incident yourself: no model gave a usable plan.",),
        success="",
        confidence=0.0,
        evidence=(),
        usage=thought.usage,
        tool_calls=thought.traces,
        repaired=True,
    )

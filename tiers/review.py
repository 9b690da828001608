"""The review tier: what happened, how bad it is, and what should become of the incident."""

from __future__ import annotations

from tiers.answers import (
    AssessmentAnswer,
    action_requests,
    model_words,
    read_assessment,
    unique,
)
from tiers.config import ToolLoopSettings
from tiers.contracts import (
    INSUFFICIENT_EVIDENCE,
    Assessment,
    Case,
    Disposition,
    Toolbox,
)
from tiers.investigate import Investigator
from tiers.llm.port import ModelClient
from tiers.profile import PromptProfile
from tiers.thinking import Form, Thinker, Thought


class Review:
    """Satisfies `tiers.contracts.ReviewTier`. Without a toolbox nothing is looked up."""

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
            messages=profile.review_messages,
            schema=profile.review_schema,
            read=lambda document, case: read_assessment(document, case=case),
        )

    async def assess(self, case: Case) -> Assessment:
        """Raises `tiers.errors.TierError`. Two bad answers become an assessment that says so and
        escalates."""
        thought = await self._thinker.think(case, self._form)
        answer = thought.asked.value
        return _marked(case, thought) if answer is None else _assessment(answer, thought)


def _assessment(answer: AssessmentAnswer, thought: Thought[AssessmentAnswer]) -> Assessment:
    evidence = unique(answer.evidence)
    return Assessment(
        cause=answer.cause,
        severity=answer.severity,
        disposition=answer.disposition,
        confidence=answer.confidence,
        summary=model_words(answer.summary),
        evidence=evidence,
        actions=action_requests(answer.actions, fallback=evidence),
        usage=thought.usage,
        tool_calls=thought.traces,
        repaired=thought.asked.repaired,
    )


def _marked(case: Case, thought: Thought[AssessmentAnswer]) -> Assessment:
    said = model_words(thought.asked.text, 1000) or "nothing"
    return Assessment(
        cause=INSUFFICIENT_EVIDENCE,
        severity=case.severity,
        disposition=Disposition.ESCALATE,
        confidence=0.0,
        summary=f"Review gave no usable answer ({thought.asked.problem}). It wrote: {said}",
        evidence=(),
        actions=(),
        usage=thought.usage,
        tool_calls=thought.traces,
        repaired=True,
    )

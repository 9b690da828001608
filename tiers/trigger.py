"""The trigger tier: does this kind of event deserve a look, how bad is it, what is it about.

One model call per sighting, and one more when a chat answer was bad. What rules say (`floor`) is
applied by code: no model and no text can lower it.
"""

from __future__ import annotations

import dataclasses

from tiers.ask import ask_json
from tiers.contracts import Sighting, Usage, Verdict
from tiers.errors import CaseTooLargeError, TierRefusedError
from tiers.llm.json_answers import bad_answer
from tiers.llm.neutralise import middle_cut
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.profile import Judgement, PromptProfile
from tiers.vocabulary import Severity, Urgency

_SHORTER = (600, 160)
"""Characters that a message is cut to when it does not fit."""
_URGENCIES = tuple(Urgency)
_LEAST_URGENCY = {
    Severity.INFO: Urgency.NONE,
    Severity.NOTICE: Urgency.DAYS,
    Severity.WARNING: Urgency.TODAY,
    Severity.CRITICAL: Urgency.NOW,
}


class Trigger:
    """Satisfies `tiers.contracts.TriggerTier`. `threshold` is the probability from which a
    sighting is escalated."""

    def __init__(
        self, *, client: ModelClient, profile: PromptProfile, threshold: float = 0.5
    ) -> None:
        self._client = client
        self._profile = profile
        self._threshold = threshold
        self._no_decisions_at: str | None = None
        """The model that refused `/v1/systemone` although it advertises decisions."""

    async def judge(self, sighting: Sighting) -> Verdict:
        """Raises `tiers.errors.TierError`; `BadAnswerError` when both answers were bad."""
        for limit in (*_SHORTER, None):
            try:
                judgement, usage = await self._judged(sighting)
            except CaseTooLargeError:
                if limit is None:
                    raise
                sighting = dataclasses.replace(sighting, text=middle_cut(sighting.text, limit))
                continue
            return verdict_of(judgement, sighting=sighting, usage=usage, threshold=self._threshold)
        raise AssertionError("the last round returns or raises")

    async def _judged(self, sighting: Sighting) -> tuple[Judgement, Usage]:
        info = await self._client.info()
        if info.decision and info.model != self._no_decisions_at:
            try:
                decision = await self._client.decide(
                    state=self._profile.decision_state(sighting),
                    questions=self._profile.decision_questions(),
                )
            except TierRefusedError:
                # An older build, or a template that does not know these questions: chat works
                # with every model.
                self._no_decisions_at = info.model
            else:
                return self._profile.read_decision(decision.body, sighting), decision.usage
        call = ChatCall(
            messages=self._profile.trigger_messages(sighting), schema=self._profile.trigger_schema()
        )
        asked = await ask_json(
            self._client, call, read=lambda answer: self._profile.read_trigger(answer, sighting)
        )
        if asked.value is None:
            raise bad_answer(name=self._client.name, problem=asked.problem, answer=asked.text)
        return asked.value, asked.usage


def verdict_of(
    judgement: Judgement, *, sighting: Sighting, usage: Usage, threshold: float
) -> Verdict:
    """The verdict: the model's judgement and the rules' floor, made consistent. Pure.

    Escalate is true exactly for warning and critical. `probability` stays the model's own, even
    where the floor decides.
    """
    severity = judgement.severity
    if judgement.probability >= threshold:
        severity = severity.at_least(Severity.WARNING)
    severity = severity.at_least(sighting.floor)
    least = _LEAST_URGENCY[severity]
    urgency = max(judgement.urgency, least, key=_URGENCIES.index)
    return Verdict(
        fingerprint=sighting.fingerprint,
        escalate=severity.rank >= Severity.WARNING.rank,
        probability=judgement.probability,
        severity=severity,
        category=judgement.category,
        urgency=urgency,
        usage=usage,
    )

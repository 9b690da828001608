"""What review and meta tiers answer, checked against the case: nothing may be cited, named or asked
for that the case does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tiers.contracts import INSUFFICIENT_EVIDENCE, ActionRequest, Case, Disposition
from tiers.llm.json_answers import bad_answer, validated
from tiers.llm.neutralise import middle_cut, neutralise
from tiers.vocabulary import Severity

MAX_SUMMARY = 2000
_MAX_LINE = 500


def model_words(text: str, limit: int = MAX_SUMMARY) -> str:
    """What a model wrote, as it may be stored and shown: visible characters, bounded."""
    return middle_cut(neutralise(text).strip(), limit)


_Words = Annotated[str, BeforeValidator(lambda value: value if value is not None else "")]
_Refs = Annotated[list[str], BeforeValidator(lambda value: value if value is not None else [])]


def _confidence(value: object) -> object:
    """Grammars do not hold numbers to a range: percents are read as such, nonsense as no
    confidence at all. Not worth another call."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if 0 <= value <= 1:
        return float(value)
    return value / 100 if 1 < value <= 100 else 0.0


_Confidence = Annotated[float, BeforeValidator(_confidence)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Request(_Answer):
    code: str
    reason: _Words = ""
    evidence: _Refs = Field(default_factory=list)


def _requests(value: object) -> object:
    """Codes alone are requests without a reason."""
    if not isinstance(value, list):
        return value if value is not None else []
    return [{"code": entry} if isinstance(entry, str) else entry for entry in value]


_Requests = Annotated[list[_Request], BeforeValidator(_requests)]


class AssessmentAnswer(_Answer):
    """What a review model writes."""

    cause: str
    severity: Severity
    disposition: Disposition
    confidence: _Confidence
    summary: _Words = ""
    evidence: _Refs = Field(default_factory=list)
    actions: _Requests = Field(default_factory=list)


class PlanAnswer(_Answer):
    """What a meta model writes."""

    cause: str
    severity: Severity
    confidence: _Confidence
    summary: _Words = ""
    evidence: _Refs = Field(default_factory=list)
    steps: _Requests = Field(default_factory=list)
    advice: _Refs = Field(default_factory=list)
    success: _Words = ""


def read_assessment(document: Mapping[str, Any], *, case: Case) -> AssessmentAnswer:
    """Raises `BadAnswerError` that names everything that the case does not hold."""
    answer = validated(AssessmentAnswer, dict(document), name="review")
    problems = _problems(answer.cause, answer.evidence, answer.actions, case)
    if answer.disposition is Disposition.ACT and not answer.actions:
        offered = "name one of the offered actions" if case.actions else "no action is offered"
        problems.append(f"disposition act without an action: {offered}, or choose escalate")
    _raise(problems, name="review", document=document)
    return answer


def read_plan(document: Mapping[str, Any], *, case: Case) -> PlanAnswer:
    """Raises `BadAnswerError` that names everything that the case does not hold."""
    answer = validated(PlanAnswer, dict(document), name="meta")
    problems = _problems(answer.cause, answer.evidence, answer.steps, case)
    _raise(problems, name="meta", document=document)
    return answer


def action_requests(
    requests: Sequence[_Request], *, fallback: Sequence[str]
) -> tuple[ActionRequest, ...]:
    """As contracts state them, each code once. One without evidence of its own rests on the
    answer's (`fallback`)."""
    found: dict[str, ActionRequest] = {}
    for request in requests:
        if request.code not in found:
            found[request.code] = ActionRequest(
                code=request.code,
                reason=model_words(request.reason, _MAX_LINE),
                evidence=unique(request.evidence or fallback),
            )
    return tuple(found.values())


def unique(words: Sequence[str]) -> tuple[str, ...]:
    """Each word once, in order."""
    return tuple(dict.fromkeys(words))


def advice_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Advice as it may be shown; empty lines are left out."""
    return tuple(words for line in lines[:12] if (words := model_words(line, _MAX_LINE)))


def _problems(
    cause: str, evidence: Sequence[str], requests: Sequence[_Request], case: Case
) -> list[str]:
    causes = [each.code for each in case.causes]
    refs = {item.ref for item in case.evidence}
    codes = {action.code for action in case.actions}
    problems = []
    if cause not in causes and cause != INSUFFICIENT_EVIDENCE:
        problems.append(f"there is no cause {cause[:60]!r}; choose from the list")
    cited = [*evidence, *(ref for request in requests for ref in request.evidence)]
    if unknown := [ref for ref in unique(cited) if ref not in refs]:
        problems.append(f"there is no evidence {_some(unknown)}; there is {_some(sorted(refs))}")
    if unknown := [request.code for request in requests if request.code not in codes]:
        problems.append(f"there is no action {_some(unknown)}; choose from the list or none")
    if cause != INSUFFICIENT_EVIDENCE and refs and not evidence:
        problems.append(f"cause {cause[:60]} without evidence; cite what it rests on")
    return problems


def _some(words: Sequence[str]) -> str:
    return ", ".join(word[:60] for word in words[:6]) or "none"


def _raise(problems: Sequence[str], *, name: str, document: Mapping[str, Any]) -> None:
    if problems:
        raise bad_answer(name=name, problem="; ".join(problems), answer=str(dict(document)))

"""Trigger, review, meta and the ladder: over the wire, against answers good, bad and hostile."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_endpoint import Reply, ScriptedEndpoint, chat_reply, json_reply, tool_call

from tiers.answers import read_assessment
from tiers.budget import fit_case, reductions
from tiers.config import ToolLoopSettings
from tiers.contracts import (
    INSUFFICIENT_EVIDENCE,
    ActionChoice,
    ActionRequest,
    Assessment,
    Case,
    Cause,
    Disposition,
    Evidence,
    PastIncident,
    Plan,
    Sighting,
    ToolResult,
    ToolSpec,
    Usage,
)
from tiers.errors import BadAnswerError, CaseTooLargeError, TierUnavailableError
from tiers.full_profile import FullProfile
from tiers.ladder import LadderRules, Reason, Step, after_plan, after_review
from tiers.llm.client import LlmClient
from tiers.meta import Meta
from tiers.nano.profile import NanoProfile
from tiers.profile import Judgement
from tiers.review import Review
from tiers.thinking import prompt_budget
from tiers.trigger import Trigger, verdict_of
from tiers.vocabulary import Category, Provenance, Severity, Urgency

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USAGE = Usage(model="m", endpoint="e", prompt_tokens=1, completion_tokens=1, seconds=0.1)


def evidence(number: int, text: str = "No space left on device") -> Evidence:
    return Evidence(
        ref=f"E{number}", provenance=Provenance.TEXT, source="postgres", text=text, at=NOW, count=3
    )


def make_case(**changes: Any) -> Case:
    case = Case(
        incident_id=7,
        title="postgres: No space left on device",
        severity=Severity.CRITICAL,
        category=Category.STORAGE,
        opened_at=NOW,
        evidence=(evidence(1), evidence(2, "/var is 100 % full")),
        facts=(("memory", "4 GB"), ("disk /var", "100 %")),
        similar=(
            PastIncident(
                incident_id=3, title="disk full", cause="disk_full", outcome="logs", similarity=0.9
            ),
        ),
        causes=(
            Cause(code="disk_full", description="no space", categories=()),
            Cause(code=INSUFFICIENT_EVIDENCE, description="not shown", categories=()),
        ),
        actions=(
            ActionChoice(
                code="restart_unit:postgresql.service",
                action="restart_unit",
                target="postgresql.service",
                description="restart the database",
            ),
        ),
        earlier=("the trigger said: critical",),
    )
    return dataclasses.replace(case, **changes)


GOOD = {
    "summary": "The disk is full.",
    "evidence": ["E1", "E2"],
    "cause": "disk_full",
    "severity": "critical",
    "disposition": "act",
    "actions": [
        {"code": "restart_unit:postgresql.service", "reason": "it stopped", "evidence": ["E1"]}
    ],
    "confidence": 0.9,
}
GOOD_PLAN = {
    **{key: GOOD[key] for key in ("summary", "evidence", "cause", "severity", "confidence")},
    "steps": ["restart_unit:postgresql.service"],
    "advice": ["Delete old logs in /var/log.", "  "],
    "success": "df shows less than 90 %",
}


class Box:
    """Two tools; notes what was called."""

    def __init__(self) -> None:
        self.called: list[tuple[str, Mapping[str, Any]]] = []

    def specs(self) -> Sequence[ToolSpec]:
        path = {"type": "object", "properties": {"path": {"type": "string"}}, "required": []}
        return (
            ToolSpec(name="disk_usage", description="Free space.", parameters=path),
            ToolSpec(name="memory_usage", description="Free memory.", parameters=path),
        )

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.called.append((name, arguments))
        return ToolResult(ok=True, summary=f"{name}: /var is 100 % full")


@pytest.fixture
async def client(scripted: ScriptedEndpoint) -> AsyncIterator[LlmClient]:
    made = LlmClient(name="review", url=scripted.url)
    yield made
    await made.aclose()


def review_of(client: LlmClient, *, box: Box | None = None) -> Review:
    return Review(client=client, profile=FullProfile(), toolbox=box, loop=ToolLoopSettings())


# --- trigger


def judgement(**changes: Any) -> Judgement:
    base = Judgement(
        probability=0.1, severity=Severity.INFO, category=Category.TIME, urgency=Urgency.NONE
    )
    return dataclasses.replace(base, **changes)


@given(
    probability=st.floats(0, 1),
    severity=st.sampled_from(list(Severity)),
    floor=st.sampled_from(list(Severity)),
    urgency=st.sampled_from(list(Urgency)),
)
def test_no_model_gets_below_the_floor(
    probability: float, severity: Severity, floor: Severity, urgency: Urgency
) -> None:
    seen = dataclasses.replace(SEEN, floor=floor)
    verdict = verdict_of(
        judgement(probability=probability, severity=severity, urgency=urgency),
        sighting=seen,
        usage=USAGE,
        threshold=0.5,
    )
    assert verdict.severity.rank >= max(floor.rank, severity.rank)
    assert verdict.escalate == (verdict.severity.rank >= Severity.WARNING.rank)
    if floor.rank >= Severity.WARNING.rank:
        assert verdict.escalate
    if probability >= 0.5:
        assert verdict.escalate
    assert verdict.probability == probability


SEEN = Sighting(
    fingerprint="f",
    source_kind="file",  # type: ignore[arg-type]
    unit="cron",
    pattern="x",
    text="hello",
    provenance=Provenance.TEXT,
    count=1,
    span_seconds=0,
)


async def test_a_decision_model_is_asked_for_one_decision(
    decision_url: str, sighting: Sighting
) -> None:
    """A real server; the tiny model decides at random, but in the right form."""
    client = LlmClient(name="trigger", url=decision_url)
    verdict = await Trigger(client=client, profile=NanoProfile()).judge(sighting)
    await client.aclose()
    assert verdict.usage.calls == 1
    assert verdict.usage.completion_tokens == 0
    assert 0 <= verdict.probability <= 1


async def test_a_chat_model_answers_the_same_question_as_json(
    tiny_url: str, sighting: Sighting
) -> None:
    client = LlmClient(name="trigger", url=tiny_url, max_tokens=256)
    verdict = await Trigger(client=client, profile=NanoProfile()).judge(sighting)
    await client.aclose()
    assert verdict.usage.completion_tokens > 0
    assert verdict.usage.calls <= 2


async def test_a_bad_verdict_is_asked_again_once_with_the_problem(
    scripted: ScriptedEndpoint, client: LlmClient, sighting: Sighting
) -> None:
    good = {"severity": "critical", "category": "memory", "escalate": True, "probability": 0.97}
    scripted.script.extend([chat_reply("It is bad."), chat_reply(json.dumps(good))])
    verdict = await Trigger(client=client, profile=FullProfile()).judge(sighting)
    assert (verdict.severity, verdict.escalate) == (Severity.CRITICAL, True)
    assert verdict.usage.calls == 2
    assert verdict.usage.prompt_tokens == 20
    again = scripted.calls[1]["messages"]
    assert again[-2] == {"role": "assistant", "content": "It is bad."}
    assert "not JSON" in again[-1]["content"]


async def test_two_bad_verdicts_are_an_error_and_no_third_call(
    scripted: ScriptedEndpoint, client: LlmClient, sighting: Sighting
) -> None:
    scripted.script.extend([chat_reply("no"), chat_reply('{"severity": "awful"}'), chat_reply("x")])
    with pytest.raises(BadAnswerError, match="cannot be used"):
        await Trigger(client=client, profile=FullProfile()).judge(sighting)
    assert len(scripted.calls) == 2


async def test_a_line_that_does_not_fit_is_cut(
    scripted: ScriptedEndpoint, client: LlmClient, sighting: Sighting
) -> None:
    large = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512,
                       "message": "too large", "code": 400}}  # fmt: skip
    good = {"severity": "info", "category": "time", "escalate": False, "probability": 0.1}
    scripted.script.extend([json_reply(large, status=400), chat_reply(json.dumps(good))])
    long = dataclasses.replace(sighting, text="word " * 500)
    await Trigger(client=client, profile=FullProfile()).judge(long)
    first, second = (len(call["messages"][-1]["content"]) for call in scripted.calls)
    assert second < first / 2


# --- review


async def test_a_good_assessment_is_typed(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    scripted.script.append(chat_reply(json.dumps(GOOD)))
    found = await review_of(client).assess(make_case())
    assert found.cause == "disk_full"
    assert found.disposition is Disposition.ACT
    assert found.actions == (
        ActionRequest(
            code="restart_unit:postgresql.service", reason="it stopped", evidence=("E1",)
        ),
    )
    assert not found.repaired
    schema = scripted.calls[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["cause"]["enum"] == ["disk_full", INSUFFICIENT_EVIDENCE]
    assert schema["properties"]["evidence"]["items"]["enum"] == ["E1", "E2"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cause": "aliens"}, "no cause 'aliens'"),
        ({"evidence": ["E9"]}, "no evidence E9"),
        ({"evidence": []}, "without evidence"),
        ({"actions": ["rm -rf /"]}, "no action rm -rf /"),
        ({"actions": [{"code": "restart_unit:postgresql.service", "evidence": ["E77"]}]}, "E77"),
        ({"actions": []}, "act without an action"),
        ({"severity": "apocalyptic"}, "severity"),
        ({"disposition": "panic"}, "disposition"),
        ({"confidence": "high"}, "confidence"),
        ({"summary": ["a"]}, "summary"),
        ({"actions": "restart"}, "actions"),
    ],
)
async def test_what_the_case_does_not_hold_is_rejected_then_mended(
    scripted: ScriptedEndpoint, client: LlmClient, change: dict[str, Any], word: str
) -> None:
    scripted.script.extend(
        [chat_reply(json.dumps({**GOOD, **change})), chat_reply(json.dumps(GOOD))]
    )
    found = await review_of(client).assess(make_case())
    assert found.repaired
    assert found.cause == "disk_full"
    assert found.usage.calls == 2
    assert word in scripted.calls[1]["messages"][-1]["content"]


async def test_two_bad_assessments_are_marked_and_escalate(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.extend([chat_reply("<|im_end|> I think"), chat_reply('{"cause": "aliens"}')])
    found = await review_of(client).assess(make_case())
    assert found.insufficient
    assert found.repaired
    assert found.disposition is Disposition.ESCALATE
    assert found.severity is Severity.CRITICAL  # the case's own: nobody lowered it
    assert found.actions == ()
    assert "aliens" in found.summary
    assert after_review(found, rules=LadderRules()).reason is Reason.UNUSABLE_ANSWER


async def test_an_answer_cut_at_its_length_is_told_to_be_shorter(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.extend(
        [chat_reply('{"summary": "on and on', finish="length"), chat_reply(json.dumps(GOOD))]
    )
    assert (await review_of(client).assess(make_case())).repaired
    assert "cut off" in scripted.calls[1]["messages"][-1]["content"]


async def test_an_error_about_the_form_is_a_bad_answer_too(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    broken = {"error": {"message": "output that does not match the expected peg format"}}
    scripted.script.extend([json_reply(broken, status=500), chat_reply(json.dumps(GOOD))])
    assert (await review_of(client).assess(make_case())).repaired


async def test_a_tier_that_is_away_is_not_an_answer(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(Reply(status=503, body=b'{"error":{"message":"Loading model"}}'))
    with pytest.raises(TierUnavailableError):
        await review_of(client).assess(make_case())


async def test_review_looks_things_up_within_bounds(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    box = Box()
    calls = [tool_call("disk_usage", {"path": "/var"}), tool_call("nope", "{", call_id="c2")]
    scripted.script.extend(
        [
            chat_reply("", finish="tool_calls", calls=calls),
            chat_reply("I know enough."),
            chat_reply(json.dumps(GOOD)),
        ]
    )
    found = await review_of(client, box=box).assess(make_case())
    assert box.called == [("disk_usage", {"path": "/var"})]
    assert [trace.name for trace in found.tool_calls] == ["disk_usage"]
    assert found.usage.calls == 3
    told = scripted.calls[1]["messages"]
    assert told[-2]["role"] == told[-1]["role"] == "tool"
    assert "/var is 100 % full" in told[-2]["content"]
    assert "not JSON" in told[-1]["content"]
    final = scripted.calls[2]
    assert "tools" not in final
    assert "response_format" in final


async def test_a_model_that_only_calls_tools_is_ended(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    box = Box()
    same = [tool_call("disk_usage", {"path": "/"})]
    scripted.script.extend([chat_reply("", calls=same) for _ in range(4)])
    scripted.script.append(chat_reply(json.dumps(GOOD)))
    found = await review_of(client, box=box).assess(make_case())
    assert found.cause == "disk_full"
    assert len(box.called) == 1  # the same question is asked of the host once


async def test_a_small_model_looks_nothing_up(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(chat_reply(json.dumps(GOOD)))
    box = Box()
    review = Review(client=client, profile=NanoProfile(), toolbox=box, loop=ToolLoopSettings())
    assert (await review.assess(make_case())).cause == "disk_full"
    assert box.called == []


async def test_a_real_server_assesses_in_form(tiny_url: str) -> None:
    """Random weights under the schema: the form is right or the answer is marked."""
    client = LlmClient(name="review", url=tiny_url, max_tokens=400)
    review = Review(client=client, profile=NanoProfile(), toolbox=None, loop=ToolLoopSettings())
    found = await review.assess(make_case())
    await client.aclose()
    assert found.repaired or found.cause in ("disk_full", INSUFFICIENT_EVIDENCE)
    assert found.usage.model == "tiny"


def test_percents_are_confidence_and_nonsense_is_none() -> None:
    for written, meant in ((0.4, 0.4), (85, 0.85), (1, 1.0), (2029.0, 0.0), (-3, 0.0)):
        answer = read_assessment({**GOOD, "confidence": written}, case=make_case())
        assert answer.confidence == pytest.approx(meant)


# --- meta


async def test_a_plan_is_typed(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    scripted.script.append(chat_reply(json.dumps(GOOD_PLAN)))
    meta = Meta(client=client, profile=FullProfile(), toolbox=None, loop=ToolLoopSettings())
    plan = await meta.plan(make_case())
    assert plan.steps[0].code == "restart_unit:postgresql.service"
    assert plan.steps[0].evidence == ("E1", "E2")  # its own, else the answer's
    assert plan.advice == ("Delete old logs in /var/log.",)
    assert after_plan(plan).step is Step.ACT


async def test_two_bad_plans_ask_for_a_human(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    scripted.script.extend([chat_reply("x"), chat_reply("y")])
    meta = Meta(client=client, profile=FullProfile(), toolbox=None, loop=ToolLoopSettings())
    plan = await meta.plan(make_case())
    assert plan.steps == ()
    assert after_plan(plan).step is Step.ATTENTION


# --- ladder


def assessment(**changes: Any) -> Assessment:
    base = Assessment(
        cause="disk_full",
        severity=Severity.NOTICE,
        disposition=Disposition.CLOSE,
        confidence=0.9,
        summary="",
        evidence=("E1",),
        actions=(),
        usage=USAGE,
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "floor", "step"),
    [
        ({}, Severity.INFO, Step.CLOSE),
        ({}, Severity.WARNING, Step.WATCH),  # a rule says it is not nothing
        ({}, Severity.CRITICAL, Step.ESCALATE),
        ({"severity": Severity.WARNING}, Severity.INFO, Step.WATCH),
        ({"severity": Severity.CRITICAL}, Severity.INFO, Step.ESCALATE),
        ({"confidence": 0.2}, Severity.INFO, Step.ESCALATE),
        ({"disposition": Disposition.WATCH}, Severity.INFO, Step.WATCH),
        ({"disposition": Disposition.ACT}, Severity.WARNING, Step.ACT),
        ({"disposition": Disposition.ESCALATE}, Severity.INFO, Step.ESCALATE),
        ({"cause": INSUFFICIENT_EVIDENCE}, Severity.INFO, Step.ESCALATE),
    ],
)
def test_the_way_after_review(changes: dict[str, Any], floor: Severity, step: Step) -> None:
    assert after_review(assessment(**changes), rules=LadderRules(), floor=floor).step is step


def test_text_alone_does_not_calm_a_warning() -> None:
    found = after_review(
        assessment(severity=Severity.WARNING),
        rules=LadderRules(),
        provenances=frozenset({Provenance.TEXT}),
    )
    assert (found.step, found.reason) == (Step.ESCALATE, Reason.TEXT_ALONE)


@given(
    severity=st.sampled_from(list(Severity)),
    disposition=st.sampled_from(list(Disposition)),
    confidence=st.floats(0, 1),
)
def test_a_critical_incident_is_never_closed_by_review(
    severity: Severity, disposition: Disposition, confidence: float
) -> None:
    found = after_review(
        assessment(severity=severity, disposition=disposition, confidence=confidence),
        rules=LadderRules(),
        floor=Severity.CRITICAL,
    )
    assert found.step is Step.ESCALATE


def plan(**changes: Any) -> Plan:
    base = Plan(
        cause="disk_full",
        severity=Severity.WARNING,
        summary="",
        steps=(),
        advice=(),
        success="",
        confidence=0.9,
        evidence=(),
        usage=USAGE,
    )
    return dataclasses.replace(base, **changes)


def test_the_way_after_a_plan() -> None:
    request = ActionRequest(code="c", reason="r", evidence=())
    assert after_plan(plan(steps=(request,))).step is Step.ACT
    assert after_plan(plan(advice=("look",))).step is Step.ATTENTION
    assert after_plan(plan()).step is Step.WATCH
    assert after_plan(plan(severity=Severity.INFO)).step is Step.CLOSE
    assert after_plan(plan(severity=Severity.INFO), floor=Severity.WARNING).step is Step.WATCH
    assert after_plan(plan(cause=INSUFFICIENT_EVIDENCE)).step is Step.ATTENTION


# --- budget


texts = st.text(max_size=3000)
cases = st.builds(
    lambda bodies, facts, earlier, title: make_case(
        title=title,
        evidence=tuple(evidence(n, body) for n, body in enumerate(bodies, 1)),
        facts=tuple(facts),
        earlier=tuple(earlier),
    ),
    st.lists(texts, min_size=1, max_size=25),
    st.lists(st.tuples(st.text(max_size=50), st.text(max_size=300)), max_size=10),
    st.lists(texts, max_size=4),
    texts,
)


def size_of(case: Case) -> int:
    parts = [case.title, *case.earlier]
    parts += [text for fact in case.facts for text in fact]
    parts += [item.text for item in case.evidence] + [past.title for past in case.similar]
    return sum(len(part) for part in parts) + 20 * len(case.evidence)


@given(cases)
@settings(max_examples=60, deadline=None)
def test_every_rung_is_smaller_and_keeps_the_best(case: Case) -> None:
    rungs = list(reductions(case))
    assert rungs[0] == case
    sizes = [size_of(rung) for rung in rungs]
    assert all(later <= earlier for earlier, later in itertools.pairwise(sizes))
    for rung in rungs:
        assert rung.causes == case.causes
        assert rung.actions == case.actions
        assert [e.ref for e in rung.evidence] == [e.ref for e in case.evidence][
            : len(rung.evidence)
        ]
    assert len(rungs[-1].evidence) == 1


@given(cases, st.integers(200, 20_000))
@settings(max_examples=60, deadline=None)
async def test_trimming_fits_and_is_the_same_every_time(case: Case, budget: int) -> None:
    asked = 0

    async def count(candidate: Case) -> int:
        nonlocal asked
        asked += 1
        return size_of(candidate)

    try:
        fitted = await fit_case(case, count=count, budget=budget)
    except CaseTooLargeError as error:
        assert size_of(list(reductions(case))[-1]) == budget + error.excess_tokens  # noqa: PT017
        return
    assert fitted.tokens == size_of(fitted.case) <= budget
    assert asked <= 9
    assert (await fit_case(case, count=count, budget=budget)).case == fitted.case
    if fitted.rung > 0:
        assert size_of(list(reductions(case))[fitted.rung - 1]) > budget


async def test_a_case_is_trimmed_by_the_servers_own_count(tiny_url: str) -> None:
    """1,024 tokens of context and one token a letter: most of this has to go."""
    client = LlmClient(name="review", url=tiny_url, max_tokens=200)
    profile = NanoProfile()
    case = make_case(evidence=tuple(evidence(n, "x y z " * 60) for n in range(1, 9)))
    review = Review(client=client, profile=profile, toolbox=None, loop=ToolLoopSettings())
    assert await client.prompt_tokens(profile.review_messages(case)) > 1024
    found = await review.assess(case)
    assert found.usage.prompt_tokens <= 2 * 1024
    await client.aclose()


def test_the_budget_leaves_room_for_the_answer() -> None:
    assert prompt_budget(context=2048, max_tokens=2048, configured=None) == 2048 - 512 - 32
    assert prompt_budget(context=32_768, max_tokens=1024, configured=None) == 32_768 - 1024 - 32
    assert prompt_budget(context=32_768, max_tokens=1024, configured=4000) == 4000
    assert prompt_budget(context=None, max_tokens=1024, configured=None) == 8192 - 1024 - 32

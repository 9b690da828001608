"""What holds of every decision, whatever the facts and the settings are."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_kit import RANK, any_facts, any_settings, names

from daemon.actions.policy.decide import decide, weigh
from daemon.actions.policy.facts import ActionFacts, Autonomy, Origin, Past, Verdict
from daemon.actions.policy.rules import RULES, TOO_MANY_WAITING
from daemon.actions.policy.settings import PolicySettings
from tiers.vocabulary import Provenance

MANY = settings(max_examples=200, deadline=None)
LEVELS = tuple(Autonomy)


def at_level(policy: PolicySettings, level: Autonomy) -> PolicySettings:
    return policy.model_copy(update={"autonomy": level})


@MANY
@given(facts=any_facts, policy=any_settings)
def test_it_is_total_and_pure(facts: ActionFacts, policy: PolicySettings) -> None:
    decision = decide(facts, policy)
    assert decision == decide(facts, policy)
    assert decision.rule in {rule.name for rule in (*RULES, TOO_MANY_WAITING)}
    assert decision.reason
    assert "\n" not in decision.reason.replace(facts.target, "").replace(facts.kind, "")


@MANY
@given(facts=any_facts, policy=any_settings)
def test_a_higher_level_never_permits_less(facts: ActionFacts, policy: PolicySettings) -> None:
    ranks = [RANK[decide(facts, at_level(policy, level)).verdict] for level in LEVELS]
    assert ranks == sorted(ranks)


@MANY
@given(facts=any_facts, policy=any_settings, target=names)
def test_text_never_acts_by_itself(facts: ActionFacts, policy: PolicySettings, target: str) -> None:
    """Whatever else is true, at any level, for any target that text may name."""
    on_text = dataclasses.replace(facts, basis=Provenance.TEXT, target=target)
    if facts.origin is not Origin.INVERSE:
        assert decide(on_text, policy).verdict is not Verdict.ALLOW


@MANY
@given(facts=any_facts, policy=any_settings)
def test_text_instead_of_a_witness_never_permits_more(
    facts: ActionFacts, policy: PolicySettings
) -> None:
    on_text = dataclasses.replace(facts, basis=Provenance.TEXT)
    assert RANK[decide(on_text, policy).verdict] <= RANK[decide(facts, policy).verdict]


@MANY
@given(facts=any_facts, policy=any_settings)
def test_a_chat_never_acts_by_itself(facts: ActionFacts, policy: PolicySettings) -> None:
    asked = dataclasses.replace(facts, origin=Origin.CHAT)
    assert decide(asked, policy).verdict is not Verdict.ALLOW
    by_tier = dataclasses.replace(facts, origin=Origin.TIER)
    assert RANK[decide(asked, policy).verdict] <= RANK[decide(by_tier, policy).verdict]


@MANY
@given(
    facts=any_facts,
    policy=any_settings,
    field=st.sampled_from([field.name for field in dataclasses.fields(Past)]),
    more=st.integers(min_value=1, max_value=100),
)
def test_more_of_anything_past_never_permits_more(
    facts: ActionFacts, policy: PolicySettings, field: str, more: int
) -> None:
    """Who writes logs can make things be asked for, fail and wait; it opens nothing."""
    now: Any = getattr(facts.past, field)
    value = True if isinstance(now, bool) else now + more
    worse = dataclasses.replace(facts, past=dataclasses.replace(facts.past, **{field: value}))
    assert RANK[decide(worse, policy).verdict] <= RANK[decide(facts, policy).verdict]


@MANY
@given(facts=any_facts, policy=any_settings)
def test_who_stands_above_what(facts: ActionFacts, policy: PolicySettings) -> None:
    verdict = decide(facts, policy).verdict
    inverse = facts.origin is Origin.INVERSE
    if facts.stopped:
        assert verdict is (Verdict.ASK if inverse else Verdict.DENY)
    if inverse:
        assert verdict is not Verdict.DENY, "what was done for a time is never forgotten"
        return
    if facts.critical:
        assert verdict is not Verdict.ALLOW
    if policy.autonomy is Autonomy.OBSERVE:
        assert verdict is Verdict.DENY
    if policy.autonomy is Autonomy.SUGGEST:
        assert verdict is not Verdict.ALLOW


@MANY
@given(facts=any_facts, policy=any_settings)
def test_an_operator_is_never_less_able_than_a_tier(
    facts: ActionFacts, policy: PolicySettings
) -> None:
    tier = decide(dataclasses.replace(facts, origin=Origin.TIER), policy)
    operator = decide(dataclasses.replace(facts, origin=Origin.OPERATOR), policy)
    assert RANK[tier.verdict] <= RANK[operator.verdict]


@MANY
@given(facts=any_facts, policy=any_settings)
def test_weighing_names_the_rule_that_decides(facts: ActionFacts, policy: PolicySettings) -> None:
    decision = decide(facts, policy)
    applying = [w.rule for w in weigh(facts, policy) if w.reason]
    first = applying[0]
    if first.verdict is Verdict.ASK and TOO_MANY_WAITING in applying:
        first = TOO_MANY_WAITING
    assert decision.rule == first.name


@MANY
@given(facts=any_facts, policy=any_settings)
def test_it_decides_the_same_on_what_the_ledger_kept(
    facts: ActionFacts, policy: PolicySettings
) -> None:
    kept = orjson.loads(orjson.dumps(facts.to_json()))
    assert decide(ActionFacts.from_json(kept), policy) == decide(facts, policy)

"""The generated cases: answers that their cases allow, and every cause taught."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from tiers.causes import all_causes
from tiers.contracts import INSUFFICIENT_EVIDENCE, Disposition
from tiers.vocabulary import Severity
from training.data import cases
from training.data.cases.evidence import by_hand
from training.data.cases.knowledge import KNOWLEDGE, NOISE
from training.data.cases.sorting import claimed
from training.data.samples import CaseSample

_N = 3_000


@pytest.fixture(scope="module")
def drawn() -> list[CaseSample]:
    return list(cases.generate(random.Random(7), _N))


def test_the_same_seed_gives_the_same_cases() -> None:
    first = list(cases.generate(random.Random(3), 60))
    assert first == list(cases.generate(random.Random(3), 60))


def test_answers_are_among_what_the_case_offers(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        case = sample.case
        codes = [cause.code for cause in case.causes]
        assert sample.cause in codes
        assert codes.count(INSUFFICIENT_EVIDENCE) == 1
        assert len(codes) == len(set(codes))
        assert set(sample.evidence) <= {item.ref for item in case.evidence}
        assert set(sample.actions) <= {action.code for action in case.actions}
        assert {item.ref for item in case.evidence} == {
            f"E{number}" for number in range(1, len(case.evidence) + 1)
        }


def test_sizes_are_bounded(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        assert 1 <= len(sample.case.evidence) <= 8
        assert len(sample.evidence) <= 4
        assert 0 < len(sample.summary) <= 160
        assert 0 <= sample.confidence <= 1
        assert len(sample.case.title) <= 140


def test_summaries_say_only_what_stands_in_the_evidence(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        phrase = KNOWLEDGE[sample.cause].phrase
        assert sample.summary.startswith(phrase + ": ")
        words = re.sub(r" \(\d+ times\)$", "", sample.summary[len(phrase) + 2 :]).split()
        shown = " ".join(item.text for item in sample.case.evidence)
        assert [word for word in words if word not in shown] == [], sample.summary


def test_summaries_do_not_repeat_demands(drawn: list[CaseSample]) -> None:
    demands = (
        "ignore all",
        "ignore previous",
        "do not escalate",
        "<|im_",
        "escalate: no",
        "[INST]",
    )
    told = [s.summary for s in drawn if any(word in s.summary.lower() for word in demands)]
    assert told == []


def test_what_acts_has_an_action_and_what_does_not_has_none(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        assert bool(sample.actions) == (sample.disposition is Disposition.ACT)
    assert sum(sample.disposition is Disposition.ACT for sample in drawn) > _N * 0.04


def test_every_cause_is_taught_with_ten_wordings_or_more(drawn: list[CaseSample]) -> None:
    counted = Counter(sample.cause for sample in drawn)
    for cause in all_causes():
        assert counted[cause.code] >= 20, cause.code
        if cause.code not in (INSUFFICIENT_EVIDENCE, NOISE):
            assert len(by_hand()[cause.code]) + len(claimed().get(cause.code, ())) >= 10


def test_everything_known_is_a_cause_and_back() -> None:
    codes = {cause.code for cause in all_causes()}
    assert set(KNOWLEDGE) == codes
    assert set(claimed()) <= codes
    assert set(by_hand()) - {"vague", "well"} <= codes


def test_insufficient_evidence_is_common_and_cites_nothing(drawn: list[CaseSample]) -> None:
    unknown = [sample for sample in drawn if sample.cause == INSUFFICIENT_EVIDENCE]
    assert 0.15 <= len(unknown) / _N <= 0.21
    for sample in unknown:
        assert sample.evidence == ()
        assert sample.confidence < 0.5


def test_planted_causes_cite_something(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        if sample.cause != INSUFFICIENT_EVIDENCE:
            assert sample.evidence


def test_distractors_are_left_alone(drawn: list[CaseSample]) -> None:
    crowded = [s for s in drawn if len(s.case.evidence) > len(s.evidence) and s.evidence]
    assert len(crowded) > _N / 3
    assert any(sample.evidence[0] != "E1" for sample in crowded)


def test_severities_fit(drawn: list[CaseSample]) -> None:
    for sample in drawn:
        if sample.cause in ("intrusion", "disk_failing", "raid_degraded", "database_corruption"):
            assert sample.severity.rank >= Severity.WARNING.rank, sample
        if sample.cause == NOISE:
            assert sample.severity in (Severity.INFO, Severity.NOTICE)


def test_the_order_of_causes_varies(drawn: list[CaseSample]) -> None:
    first = Counter(sample.case.causes[0].code for sample in drawn)
    assert len(first) > 15


def test_every_kind_of_action_is_offered(drawn: list[CaseSample]) -> None:
    offered = {action.action for sample in drawn for action in sample.case.actions}
    assert offered >= {
        "restart_unit", "reset_failed_unit", "start_unit", "stop_unit", "reload_unit",
        "raise_restart_limit", "vacuum_journal", "clean_tmp", "clean_package_cache", "rotate_log",
        "block_address", "end_process", "renice_process", "remount", "rerun_timer",
        "renew_certificate", "restart_container", "security_updates", "nixos_switch",
        "nixos_rollback",
    }  # fmt: skip
    chosen = {code.partition(":")[0] for sample in drawn for code in sample.actions}
    assert "renew_certificate" in chosen

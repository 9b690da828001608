"""The generated events: same seed same data, labels that hold, every corner present."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pytest

from tiers.vocabulary import Category, Severity
from training.data.events import decorate, hostile
from training.data.events.compose import compose, grammar
from training.data.events.generate import SEVERITY_SHARES, generate
from training.data.events.library import parse_family, read_sections, templates
from training.data.events.slots import SLOTS
from training.data.events.template import compile_text, render
from training.data.overlap import masked, shared
from training.data.samples import DecisionSample

_N = 6_000


@pytest.fixture(scope="module")
def samples() -> list[DecisionSample]:
    return list(generate(random.Random(7), _N))


def test_the_same_seed_gives_the_same_samples() -> None:
    assert list(generate(random.Random(3), 300)) == list(generate(random.Random(3), 300))
    assert list(generate(random.Random(3), 50)) != list(generate(random.Random(4), 50))


def test_a_stream_can_be_taken_in_parts() -> None:
    rng = random.Random(5)
    parts = [*generate(rng, 10), *generate(rng, 10)]
    assert parts == list(generate(random.Random(5), 20))


def test_every_sample_is_sound(samples: list[DecisionSample]) -> None:
    for sample in samples:
        assert sample.text.strip()
        assert sample.count >= 1
        assert sample.span_seconds >= 0
        assert sample.escalate == (sample.severity in (Severity.WARNING, Severity.CRITICAL))


def test_no_gap_is_left_open(samples: list[DecisionSample]) -> None:
    names = "|".join(re.escape(name) for name in SLOTS)
    gap = re.compile(rf"\{{({names})\}}|[«»]")
    assert [s.text for s in samples if gap.search(s.text)] == []


def test_the_balance_is_as_stated(samples: list[DecisionSample]) -> None:
    counted = Counter(sample.severity for sample in samples)
    for severity, share in SEVERITY_SHARES.items():
        assert counted[severity] / _N == pytest.approx(share, abs=0.03)


def test_no_category_is_scarce(samples: list[DecisionSample]) -> None:
    counted = Counter(sample.category for sample in samples)
    for category in Category:
        assert 0.03 < counted[category] / _N < 0.2, category


def test_every_severity_meets_every_category(samples: list[DecisionSample]) -> None:
    met = {(sample.severity, sample.category) for sample in samples}
    assert met == set(itertools.product(Severity, Category))


def test_lines_repeat_rarely(samples: list[DecisionSample]) -> None:
    texts = Counter(sample.text for sample in samples)
    repeated = sum(count - 1 for count in texts.values())
    assert repeated / _N < 0.1


def test_wordings_are_many(samples: list[DecisionSample]) -> None:
    assert len({masked(sample.text) for sample in samples}) / _N > 0.8
    assert len({template.source for template in templates()}) > 2_000


def test_hostile_text_is_there_and_does_not_pull_the_label(samples: list[DecisionSample]) -> None:
    injected = [sample for sample in samples if "+hostile" in sample.family]
    assert 0.03 < len(injected) / _N < 0.07
    assert {sample.severity for sample in injected} == set(Severity)
    bare = [sample for sample in samples if sample.family == "hostile"]
    assert bare
    assert {(s.severity, s.category) for s in bare} == {(Severity.NOTICE, Category.SECURITY)}


def test_counts_decide_where_they_should() -> None:
    """A refused login is a notice, and a warning from many in a short time on."""
    drawn = [
        sample
        for sample in generate(random.Random(11), 40_000)
        if sample.text.startswith("Failed password for")
    ]
    assert {sample.severity for sample in drawn} == {Severity.NOTICE, Severity.WARNING}
    for sample in drawn:
        rate = sample.count / max(sample.span_seconds, 1.0)
        if sample.severity is Severity.WARNING:
            assert sample.count >= 15
            assert rate >= 15 / 600
        else:
            assert sample.count <= 6 or rate < 0.001


def test_a_flood_of_a_routine_line_stays_routine(samples: list[DecisionSample]) -> None:
    assert any(s.count > 1_000 and s.severity is Severity.INFO for s in samples)


def test_level_words_lean_and_do_not_decide() -> None:
    rng = random.Random(2)
    for severity in Severity:
        words = Counter(decorate.level_word(rng, severity) for _ in range(500))
        assert {"INFO", "ERROR"} <= set(words)
    alarms = Counter(decorate.level_word(rng, Severity.CRITICAL) for _ in range(500))
    assert alarms["ERROR"] > alarms["INFO"]


def test_no_wording_has_two_labels() -> None:
    labels: dict[str, set[tuple[Severity, Category]]] = {}
    for template in templates():
        labels.setdefault(template.source, set()).add((template.severity, template.category))
    assert {text: found for text, found in labels.items() if len(found) > 1} == {}


def test_the_grammar_is_complete() -> None:
    parts = grammar()
    assert set(parts.actions) == set(parts.subjects) == set(parts.reasons) == set(Category)
    assert set(parts.says) == set(itertools.product(Category, Severity))
    for severity, category in itertools.product(Severity, Category):
        assert compose(random.Random(1), severity, category, {})


def test_demands_come_in_hundreds_of_wordings() -> None:
    rng = random.Random(9)
    assert len({masked(hostile.demand(rng)) for _ in range(2_000)}) > 700


def test_the_event_survives_an_injection() -> None:
    rng = random.Random(1)
    for _ in range(200):
        line = hostile.inject(rng, "EXT4-fs error on sda1")
        assert [word for word in line.split() if word in ("EXT4-fs", "error", "sda1")]


def test_templates_know_choices_and_slots() -> None:
    parts = compile_text('«a|b{pid}|» «c «d|e»» {"json": {n}}')
    seen = {render(parts, random.Random(seed), {}) for seed in range(60)}
    assert any(text.startswith((" c d", " c e")) for text in seen)
    assert all('{"json": ' in text for text in seen)


def test_a_name_stays_the_same_within_a_line() -> None:
    text = render(compile_text("{svc} {svc}"), random.Random(1), {})
    assert len(set(text.split())) == 1


@pytest.mark.parametrize("text", ["«a|b", "a»b"])
def test_unbalanced_choices_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="template"):
        compile_text(text)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x app text", "severity"),
        ("i nowhere text", "expected"),
        ("i app", "expected"),
        ("n>z app text", "severity"),
        ("i app «a", "closed"),
    ],
)
def test_a_wrong_family_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)mine.txt line 2.*{problem}"):
        parse_family(f"@ unit\n{line}\n", family="mine")


def test_sections_take_escaped_lines() -> None:
    read = read_sections("# no\n[one two]\nline\n\\# kept\n[INST] kept too\n")
    assert read == {("one", "two"): ["line", "# kept", "[INST] kept too"]}


def test_overlap_sees_through_numbers() -> None:
    ours = ["port 22 closed by 10.0.0.1", "all well"]
    assert shared(ours, ["Port 8080 closed by 192.168.1.4"]) == {"port # closed by #"}
    assert shared(ours, ["nothing alike"]) == set()

"""The conversations that the bundled model learns from: right, varied, the same for one seed."""

from __future__ import annotations

import collections
import os
import pathlib
import random
import re
import subprocess
import sys
import tomllib

import pytest

from training.data.chat import grammar, spans, talk
from training.data.chat.conversations import MIX, generate
from training.data.chat.phrasings import ALL, TOOLS, Question
from training.data.chat.results import registry
from training.data.chat.results.outcome import Outcome, Segment
from training.data.samples import (
    AssistantText,
    ChatSample,
    ToolCallTurn,
    ToolResultTurn,
    UserText,
)

ROOT = pathlib.Path(__file__).parents[2]
CATALOGUE = {
    tool["name"]: tool["parameters"]
    for tool in tomllib.loads((ROOT / "daemon/tools/catalogue.toml").read_text(encoding="utf-8"))[
        "tool"
    ]
}
SAMPLES = list(generate(random.Random(11), 6000))
FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")


def calls(sample: ChatSample) -> list[ToolCallTurn]:
    return [turn for turn in sample.turns if isinstance(turn, ToolCallTurn)]


def test_the_tools_are_those_of_the_catalogue_in_its_order() -> None:
    assert list(CATALOGUE) == list(TOOLS)


def test_one_seed_makes_the_same_conversations() -> None:
    first = list(generate(random.Random(3), 200))
    assert first == list(generate(random.Random(3), 200))
    assert first != list(generate(random.Random(4), 200))


def test_another_process_makes_the_same_conversations() -> None:
    code = (
        "import hashlib, random\n"
        "from training.data.chat.conversations import generate\n"
        "text = repr(list(generate(random.Random(5), 400)))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_shares_add_up_and_every_family_comes() -> None:
    assert sum(share for _, share in MIX) == pytest.approx(1.0)
    families = {sample.family for sample in SAMPLES}
    assert families >= {f"call:{tool}" for tool in TOOLS}
    assert families >= {
        "failed", "hostile", "follow_up", "joined", "second_call", "absent", "no_tools", "unclear",
        "change", "off_topic", "identity", "greeting", "thanks",
    }  # fmt: skip


def test_calls_are_valid_and_offered() -> None:
    for sample in SAMPLES:
        assert len(sample.tools) <= 4
        assert len(set(sample.tools)) == len(sample.tools)
        for call in calls(sample):
            assert call.name in sample.tools
            known = CATALOGUE[call.name]
            assert list(call.arguments) == [name for name in known if name in call.arguments]
            for name, parameter in known.items():
                if name not in call.arguments:
                    assert not parameter.get("required")
                    continue
                value = call.arguments[name]
                kind = {"string": str, "integer": int}[parameter["type"]]
                assert isinstance(value, kind)
                assert value in parameter.get("enum", [value])


def test_arguments_are_copied_from_the_question() -> None:
    for sample in SAMPLES:
        if not sample.family.startswith("call:"):
            continue
        question = sample.turns[0]
        assert isinstance(question, UserText)
        for name, value in calls(sample)[0].arguments.items():
            if name in {"unit", "process", "port", "interface", "text"} or (
                name == "query" and value
            ):
                assert str(value) in question.text
            if name == "path" and str(value) not in question.text:
                assert value in {"/", "/boot", "/home", "/tmp", "/var/log"}


def test_a_turn_follows_the_one_that_it_belongs_to() -> None:
    for sample in SAMPLES:
        assert isinstance(sample.turns[0], UserText)
        assert isinstance(sample.turns[-1], AssistantText)
        for before, after in zip(sample.turns, sample.turns[1:], strict=False):
            expected = {
                UserText: (ToolCallTurn, AssistantText),
                ToolCallTurn: (ToolResultTurn,),
                ToolResultTurn: (AssistantText,),
                AssistantText: (UserText,),
            }[type(before)]
            assert isinstance(after, expected)


def test_no_figure_is_invented() -> None:
    for sample in SAMPLES:
        seen = ""
        for turn in sample.turns:
            if isinstance(turn, ToolResultTurn):
                seen += turn.summary
            elif isinstance(turn, AssistantText):
                for figure in FIGURE.findall(turn.text):
                    assert figure in seen
    assert any(FIGURE.search(turn.text) for s in SAMPLES for turn in s.turns
               if isinstance(turn, AssistantText))  # fmt: skip


def test_hostile_text_in_a_result_is_not_answered() -> None:
    hostile = [sample for sample in SAMPLES if sample.family == "hostile"]
    assert hostile
    for sample in hostile:
        result, answer = sample.turns[-2], sample.turns[-1]
        assert isinstance(result, ToolResultTurn)
        assert isinstance(answer, AssistantText)
        assert len(answer.text) < len(result.summary)
        assert answer.text.rstrip(".")[:30] in result.summary


def test_a_failure_is_told_with_its_reason() -> None:
    for sample in SAMPLES:
        if sample.family == "failed":
            result, answer = sample.turns[-2], sample.turns[-1]
            assert isinstance(result, ToolResultTurn)
            assert isinstance(answer, AssistantText)
            assert not result.ok
            assert answer.text == result.summary


def test_the_absent_tool_is_not_offered() -> None:
    for sample in SAMPLES:
        if sample.family in {"absent", "no_tools"}:
            assert not calls(sample)
            assert sample.turns[-1] == AssistantText(text=talk.REPLIES["absent"])


def test_one_of_many_is_picked() -> None:
    outcome = Outcome(
        segments=(Segment("/ 1 GB free", "/"), Segment("/var 2 GB free", "/var")),
        lead="2 mounts: ",
        joint="; ",
    )
    assert outcome.summary() == "2 mounts: / 1 GB free; /var 2 GB free."
    assert outcome.answer("/var") == "/var 2 GB free."
    assert outcome.answer("/srv") == outcome.summary()
    assert outcome.keys() == ("/", "/var")


@pytest.mark.parametrize("tool", TOOLS)
def test_phrasings_are_many(tool: str) -> None:
    groups = ALL[tool].groups
    assert sum(len(group.nouns) for group in groups) >= 15
    assert sum(t.count() for group in groups for t in group.sentences) >= 400
    rng = random.Random(5)
    texts = {ALL[tool].ask(rng).text for _ in range(500)}
    assert len(texts) >= 470


@pytest.mark.parametrize("tool", TOOLS)
def test_results_are_many(tool: str) -> None:
    rng = random.Random(6)
    shapes: collections.Counter[str] = collections.Counter()
    for _ in range(400):
        question = ALL[tool].ask(rng)
        outcome = registry.build(rng, question)
        assert outcome.ok
        assert 5 <= len(outcome.summary()) < 2_000
        shapes[re.sub(r"[\w./:@-]+", "x", outcome.summary())[:60]] += 1
        assert not registry.fail(rng, question).ok
    assert len(shapes) >= 8


def test_asking_for_a_part_gets_the_part() -> None:
    rng = random.Random(8)
    question = Question(text="swap?", tool="memory_usage", arguments={}, focus="swap")
    for _ in range(100):
        outcome = registry.build(rng, question)
        if "swap" in outcome.keys():  # noqa: SIM118
            assert "swap" in outcome.answer("swap").lower()
            assert outcome.answer("swap") != outcome.answer()


@pytest.mark.parametrize(
    ("words", "hours"),
    [("since yesterday", 24), ("this week", 168), ("in the last hour", 1), ("this month", 720)],
)
def test_spans_in_words(words: str, hours: int) -> None:
    rng = random.Random(1)
    assert (words, hours) in {spans.hours(rng) for _ in range(5000)}


def test_spans_in_numbers_mean_their_number() -> None:
    rng = random.Random(2)
    for _ in range(2000):
        words, hours = spans.hours(rng)
        if match := re.search(r"\b(\d+) (hours|days|weeks)$", words):
            assert hours == int(match[1]) * {"hours": 1, "days": 24, "weeks": 168}[match[2]]


@pytest.mark.parametrize("text", ["(open", "open)", "a {slot"])
def test_a_broken_template_says_so(text: str) -> None:
    with pytest.raises(grammar.TemplateError):
        grammar.parse(text)


def test_templates() -> None:
    template = grammar.parse(r"(a|b|) {x} \(c\)")
    rng = random.Random(0)
    texts = {template.expand(rng, str.upper) for _ in range(50)}
    assert texts == {"a X (c)", "b X (c)", " X (c)"}
    assert template.count() == 3
    assert list(template.slots()) == ["x"]

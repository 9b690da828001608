"""The evaluator's own arithmetic: it must not flatter."""

from __future__ import annotations

import random

import pytest

from training.battering import batter, with_words_lost
from training.data.events.generate import generate
from training.judging.chat import invented, right_call, shows
from training.judging.figures import Figure, calibration_error, markdown, numbers, share
from training.judging.speed import long_lines


def chat_item(**over: object) -> dict[str, object]:
    return {
        "question": "is web up, and port 22?",
        "tool": "unit_status",
        "arguments": {"unit": "web.service"},
        "accept": [],
        "result": {"ok": True, "summary": "web.service is active, 24 restarts, 1.5 GiB."},
        "must_contain": ["24"],
        **over,
    }


def test_a_perfect_forecast_has_no_calibration_error_and_a_boast_has_a_large_one() -> None:
    assert calibration_error([1.0, 0.0, 1.0], [True, False, True]) == 0.0
    assert calibration_error([1.0] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.5)
    assert calibration_error([0.5] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("answer", "wanted", "there"),
    [
        ("it has 24 restarts", "24", True),
        ("it has 240 restarts", "24", False),
        ("it has 1.24 restarts", "24", False),
        ("24.", "24", True),
        ("24.5 GB", "24", False),
        ("24%", "24%", True),
        ("Web.Service is up", "web.service", True),
    ],
)
def test_a_figure_counts_only_as_a_whole(answer: str, wanted: str, there: bool) -> None:
    assert shows(answer, wanted) is there


def test_a_figure_from_nowhere_is_invented() -> None:
    assert invented(chat_item(), "24 restarts, 1.5 GiB, port 22") == []
    assert invented(chat_item(), "25 restarts") == ["25"]
    assert invented(chat_item(result=None), "24") == ["24"]


@pytest.mark.parametrize(
    ("calls", "right"),
    [
        ([("unit_status", {"unit": "web"})], True),
        ([("unit_status", {"unit": "web.service"})], True),
        ([("unit_status", {"unit": "db"})], False),
        ([("unit_status", {})], False),
        ([("unit_log", {"unit": "web"})], False),
        ([("no_such_tool", {})], False),
        ([], False),
    ],
)
def test_the_first_call_counts(calls: list[tuple[str, dict[str, object]]], right: bool) -> None:
    assert right_call(chat_item(), calls) is right


def test_defaults_are_filled_in_on_both_sides() -> None:
    item = chat_item(tool="unit_log", arguments={"unit": "web"})
    assert right_call(item, [("unit_log", {"unit": "web", "lines": 30})])
    assert not right_call(item, [("unit_log", {"unit": "web", "lines": 5})])
    free = chat_item(tool="event_query", arguments={"text": "out of memory"})
    assert right_call(free, [("event_query", {"text": "Out Of Memory kill"})])
    assert not right_call(free, [("event_query", {"text": "memory"})])


def test_the_table_says_where_a_bar_is_not_reached() -> None:
    table = markdown(
        [
            Figure(what="good", value=0.96, of=100, least=0.95),
            Figure(what="poor", value=0.94, of=100, least=0.95),
            Figure(what="loud", value=0.06, of=100, most=0.05),
            Figure(what="free", value=0.5, of=100),
        ]
    ).splitlines()
    assert table[2].endswith("| reached |")
    assert "**not reached**" in table[3]
    assert "**not reached**" in table[4]
    assert table[5].endswith("|  |")


def test_nothing_of_nothing_reaches_no_bar() -> None:
    assert share(0, 0) == 0.0


def test_figures_of_a_text() -> None:
    assert numbers("1.5 GiB on 10.0.0.1, 12:30, x86") == ["1.5", "10.0.0.1", "12:30", "86"]


def test_lines_for_speed_have_forty_words_and_differ() -> None:
    lines = long_lines([{"text": "a b c"}, {"text": "d e f g"}], 20)
    assert {len(line["text"].split()) for line in lines} == {40}
    assert len({(line["text"], line["count"]) for line in lines}) == 20


def test_battering_keeps_the_label_and_the_words_that_decide() -> None:
    rng = random.Random(8)
    for sample in generate(random.Random(9), 300):
        after = batter(sample, rng, lost=0.8, instructed=0.3)
        assert (after.severity, after.category) == (sample.severity, sample.category)
    text = "no errors found in 17 of 17 checks that failed before"
    for _ in range(50):
        kept = with_words_lost(text, rng).split()
        assert {"no", "failed"} <= set(kept)
        assert kept.count("17") == 2

"""An operator's examples: the shipped ones hold, and mistakes in them are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.examples import (
    ExamplesError,
    Tried,
    moment,
    parse_examples,
    try_examples,
)
from daemon.actions.policy.facts import Autonomy, Verdict
from daemon.actions.settings import ActionsSettings

SHIPPED = Path(__file__).parents[2] / "deploy" / "policy-examples.toml"
HEAD = '[[example]]\nkind = "restart_unit"\ntarget = "nginx.service"\n'


def tried(text: str, **settings: object) -> list[Tried]:
    policy = ActionsSettings.model_validate(settings)
    return try_examples(
        parse_examples(text),
        settings=policy,
        catalogue=every_kind(),
        critical=policy.critical,
    )


@pytest.mark.parametrize("level", Autonomy)
def test_the_shipped_examples_hold_at_every_configured_level(level: Autonomy) -> None:
    found = tried(SHIPPED.read_text(encoding="utf-8"), autonomy=level)
    assert [each.problem for each in found if each.problem] == []
    assert {each.example.expect for each in found} == set(Verdict)


def test_an_example_that_does_not_hold_says_why() -> None:
    (found,) = tried(HEAD + 'expect = "allow"', autonomy="suggest")
    assert found.problem == (
        "expected allow, but it is ask by suggest: "
        "the level is suggest: triaged proposes, and a human decides"
    )
    (found,) = tried(HEAD + 'basis = "text"\nexpect = "ask"\nrule = "suggest"')
    assert found.problem.startswith("expected ask by suggest, but it is ask by text-basis: only")
    (found,) = tried(HEAD + 'expect = "ask"', autonomy="suggest")
    assert found.problem == ""


def test_time_past_and_the_operators_own_settings_count() -> None:
    written = {"autonomy": "auto-full", "quiet": "Sat 22:00-07:00", "critical": ["mysql"]}
    night = HEAD + 'at = "Sun 03:00"\nexpect = "ask"\nrule = "quiet-hours"'
    struck = HEAD + 'past = { failures = 2 }\nexpect = "deny"\nrule = "struck-out"'
    own = '[[example]]\nkind = "restart_unit"\ntarget = "mysql.service"\nexpect = "deny"'
    assert [each.problem for each in tried(f"{night}\n{struck}\n{own}", **written)] == ["", "", ""]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('kind = "restart_units"', "there is no action 'restart_units'"),
        ("parameters = { force = true }", "restart_unit has no parameter force"),
    ],
)
def test_what_is_no_action_fails_as_an_example(more: str, why: str) -> None:
    text = HEAD if more.startswith("par") else HEAD.replace('kind = "restart_unit"\n', "")
    (found,) = tried(f'{text}{more}\nexpect = "ask"')
    assert why in found.problem
    assert found.decision is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file: it holds no [[example]]"),
        ("example = 3", "the file: write each example as a table"),
        (HEAD, "example 1: expect: is missing; an example needs kind, target and expect"),
        (HEAD + 'expect = "allow"\nbase = 3', "example 1: base: no such entry; there are kind,"),
        (HEAD + 'expect = "maybe"', "example 1: expect:"),
        (HEAD + 'expect = "ask"\nrule = "because"', "there is no rule 'because'; there are"),
        (HEAD + 'expect = "ask"\nat = "noon"', "'noon' is no time of the week"),
        (HEAD + 'expect = "ask"\npast = { luck = 1 }', "luck = 1 is none of in_hour"),
        (HEAD + 'expect = "ask"\npast = { failures = -1 }', "failures = -1 is none of"),
        ("[[example", "not valid TOML"),
        ("[actions]\n" + HEAD + 'expect = "ask"', "the file: actions: no such entry"),
    ],
)
def test_mistakes_in_the_file(text: str, why: str) -> None:
    with pytest.raises(ExamplesError) as raised:
        parse_examples(text)
    assert why in str(raised.value)


@given(st.text(max_size=60))
def test_rubbish_is_a_sentence(text: str) -> None:
    with pytest.raises(ExamplesError):
        parse_examples(text)


def test_times_of_the_week() -> None:
    assert f"{moment('Sun 03:00'):%a %H:%M}" == "Sun 03:00"
    assert f"{moment('23:59'):%a %H:%M}" == "Wed 23:59"
    for wrong in ("", "Sun", "Son 03:00", "24:00", "3:00", "Sun  03:00"):
        with pytest.raises(ValueError, match="time of the week"):
            moment(wrong)

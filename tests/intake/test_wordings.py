"""Rules are shown every wording of a pattern, and each only as often as it can matter."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import Rule, RuleBook, load_rules, wording
from tiers.vocabulary import Provenance, Severity, SourceKind

NOW = 1_790_000_000.0


class Counting(RuleBook):
    """Counts how often all of the rules are asked."""

    asked = 0

    def find_all(self, *, unit: str, text: str) -> list[Rule]:
        self.asked += 1
        return super().find_all(unit=unit, text=text)


def batch(*texts: str, unit: str = "app") -> Batch:
    events = [Event(text, unit, SourceKind.FILE, "s", Provenance.TEXT, NOW) for text in texts]
    return Batch(source="s", events=tuple(events), cursor=None)


def fold(rules: RuleBook) -> Fold:
    return Fold(table=PatternTable(), rules=rules, limits=Limits(), clock=lambda: NOW)


def floors(made: Fold) -> set[Severity]:
    return {state.floor for state in made.states.values()}


def test_a_thousand_lines_of_one_wording_are_one_look() -> None:
    rules = Counting(rules=load_rules()._rules)
    made = fold(rules)
    made.batch(batch(*(f"client 192.0.2.{n % 250} sent {n} bytes" for n in range(1, 1_000))))
    assert rules.asked <= 3  # the pattern's first line, and each wording
    made.batch(batch(*(f"client 192.0.2.7 sent {n} bytes" for n in range(1, 1_000))))
    assert rules.asked <= 3


@pytest.mark.parametrize("worst", [0, 3, 9])
def test_what_a_rule_reads_from_a_number_is_found_on_any_line(worst: int) -> None:
    made = fold(load_rules())
    days = [80, 75, 60, 55, 90, 85, 61, 45, 66, 71]
    days[worst] = 12
    made.batch(batch(*(f"certificate of host expires in {day} days" for day in days), unit="web"))
    assert floors(made) == {Severity.WARNING}


def test_none_is_another_wording_than_some() -> None:
    assert wording("12 errors on 3 disks") == wording("7 errors on 25 disks")
    assert wording("0 errors on 3 disks") != wording("7 errors on 3 disks")
    assert wording("10 errors") == wording("100 errors") != wording("0 errors")


@pytest.mark.parametrize(
    ("match", "asked_again"),
    [
        (r"exit code [1-9]", True),
        (r"code 5\d\d\b", True),
        (r"\bsegfault at \d+", False),
        (r"failed.{0,40}device", False),
        (r"\d\d days", True),
    ],
)
def test_rules_that_read_numbers_are_known_by_their_words(
    tmp_path: Any, match: str, asked_again: bool
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        f"[[rule]]\nname = 'r'\nseverity = 'warning'\ncategory = 'service'\n"
        f"match = '''{match}'''\nsamples = []\n"
    )
    rules = load_rules([path], built_in=False)
    text = {
        r"exit code [1-9]": "exit code 7",
        r"code 5\d\d\b": "code 503",
        r"\bsegfault at \d+": "segfault at 77",
        r"failed.{0,40}device": "failed on device",
        r"\d\d days": "10 days",
    }[match]
    assert [rule.name for rule in rules.find_all(unit="", text=text)] == ["r"]
    found = [rule.name for rule in rules.find_by_numbers(unit="", text=text)]
    assert found == (["r"] if asked_again else [])

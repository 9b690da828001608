"""A table of patterns that is full must not hide from the rules what is bad."""

from __future__ import annotations

import random
import string
import time
from pathlib import Path

from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import load_rules
from daemon.store.prepared import PatternDelta
from tiers.vocabulary import Provenance, Severity, SourceKind


def _event(text: str, unit: str) -> Event:
    return Event(
        text, unit, SourceKind.JOURNALD, "journald", Provenance.KERNEL, time.time(), 6, None, None
    )


def test_rules_speak_about_every_line_without_a_pattern_of_its_own() -> None:
    fold = Fold(
        table=PatternTable(max_patterns=40),
        rules=load_rules(()),
        limits=Limits(rate_factor=8, rate_least=20, verdict_age=1e7),
        clock=time.time,
    )

    def take(*texts: str) -> Folded:
        events = tuple(_event(text, "kernel") for text in texts)
        return fold.batch(Batch(source="journald", events=events, cursor=None))

    chance = random.Random(1)
    for length in range(3, 60):
        take(" ".join("".join(chance.choices(string.ascii_lowercase, k=8)) for _ in range(length)))
    calm = take("link is up again now").prepared.patterns[0]
    assert calm.pattern == "<anything else>"
    assert calm.floor is Severity.INFO
    bad = take("Out of memory: Killed process 4242 (postgres) total-vm:8123456kB")
    assert bad.prepared.patterns[0].pattern == "<anything else>"
    assert bad.prepared.patterns[0].floor is Severity.CRITICAL
    assert bad.prepared.patterns[0].rule == "oom-kill"


def test_units_do_not_make_a_full_table_grow() -> None:
    table = PatternTable(max_patterns=100)
    fold = Fold(table=table, rules=load_rules(()), limits=Limits(), clock=time.time)
    chance = random.Random(2)
    for number in range(1_200):
        words = (
            "".join(chance.choices(string.ascii_lowercase, k=8)) for _ in range(1 + number % 9)
        )
        fold.batch(
            Batch(
                source="journald",
                events=(_event(" ".join(words), "".join(chance.choices("abcdefgh", k=12))),),
                cursor=None,
            )
        )
    assert len(table) <= 100 + len(SourceKind)
    assert len(fold.states) == len(table)
    assert table.overflowed > 1_000
    shared = [state for state in fold.states.values() if state.pattern == "<anything else>"]
    assert [(state.unit, state.provenance) for state in shared] == [("", Provenance.TEXT)]


def test_rules_about_a_unit_speak_where_units_share_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        "[[rule]]\nname = 'vault-sealed'\nseverity = 'critical'\ncategory = 'service'\n"
        "match = 'now sealed'\nunits = ['vault*']\nsamples = ['it is now sealed']\n"
    )
    fold = Fold(
        table=PatternTable(max_patterns=1),
        rules=load_rules([path]),
        limits=Limits(),
        clock=time.time,
    )

    def take(text: str, unit: str) -> PatternDelta:
        events = (_event(text, unit),)
        return fold.batch(Batch(source="j", events=events, cursor=None)).prepared.patterns[0]

    take("the only pattern that fits", "app")
    calm = take("the letter is now sealed", "post")
    loud = take("this store is now sealed", "vault@3")
    assert (calm.fingerprint, calm.unit, calm.floor) == (loud.fingerprint, "", Severity.INFO)
    assert (loud.rule, loud.floor) == ("vault-sealed", Severity.CRITICAL)

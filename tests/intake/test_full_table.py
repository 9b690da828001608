"""A table of patterns that is full must not hide from the rules what is bad."""

from __future__ import annotations

import random
import string
import time

from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import load_rules
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

"""unit_status, unit_log, failed_units, timers, file_excerpt."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results import lines
from training.data.chat.results.house.figures import (
    clock,
    date,
    duration,
    listed,
    many,
    plural,
    size,
    skewed,
    systemd_time,
    time_of_day,
)
from training.data.chat.results.names import full_unit
from training.data.chat.results.outcome import Outcome, Segment, single


def unit_status(rng: random.Random, question: Question) -> Outcome:
    unit = full_unit(str(question.arguments["unit"]))
    state = rng.choice(
        ("active (running)",) * 4
        + (
            "active (exited)",
            "inactive (dead)",
            "failed (failed)",
            "activating (auto-restart)",
            "active (waiting)",
            "active (listening)",
        )
    )
    parts = [f"{unit} is {state} since {systemd_time(rng)}"]
    if state.startswith("failed"):
        result = rng.choice(
            ("exit-code", "signal", "timeout", "core-dump", "oom-kill", "start-limit-hit")
        )
        parts.append(f"result {result}, exit status {rng.randint(1, 255)}")
    if rng.random() < 0.4:
        parts.append(f"{skewed(rng, 80) + 1} restarts")
    if state == "active (running)":
        parts.append(f"main process {lexicon.pid(rng)}")
    if rng.random() < 0.6:
        parts.append(f"memory {size(rng, 1, 3)}")
    if rng.random() < 0.85:
        parts.append(
            rng.choice(("enabled", "enabled", "disabled", "static", "masked", "generated"))
        )
    return single(", ".join(parts))


def unit_log(rng: random.Random, question: Question) -> Outcome:
    unit = full_unit(str(question.arguments["unit"]))
    host = lexicon.host(rng)
    shown = []
    for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5))):
        stamp = f"{date(rng)}T{time_of_day(rng)}+00:00"
        shown.append(
            f"{stamp} {host} {lexicon.process(rng)}[{lexicon.pid(rng)}]: {lines.log_line(rng)}"
        )
    count = max(len(shown), int(question.arguments.get("lines", 30)))
    return single(f"{count} log lines of {unit}, the newest: " + " | ".join(shown), stop="")


def failed_units(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.35:
        return single("0 units have failed.")
    parts = []
    for _index in range(many(rng, 5)):
        unit = full_unit(lexicon.unit(rng))
        words = " ".join(lexicon.word(rng) for _ in range(rng.randint(1, 3))).capitalize()
        parts.append(Segment(f"{unit} ({words})", unit))
    return listed(rng, parts, lead=f"{plural(len(parts), 'unit has', 'units have')} failed: ")


def timers(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.04:
        return single("There are 0 timers.")
    parts = []
    for _index in range(many(rng, 7)):
        stem = rng.choice(lexicon.TIMERS[:24]) if rng.random() < 0.75 else lexicon.name(rng)
        upcoming = f"next in {duration(rng)}" if rng.random() < 0.9 else "no next run"
        past = f"last {clock(rng)}" if rng.random() < 0.85 else "never ran"
        parts.append(Segment(f"{stem}.timer {upcoming}, {past}", f"{stem}.timer"))
    return listed(rng, parts, lead=f"{len(parts)} timers: ")


def file_excerpt(rng: random.Random, question: Question) -> Outcome:
    path = str(question.arguments["path"])
    if rng.random() < 0.05:
        return single(f"{path} is empty.")
    shown = [lines.file_line(rng) for _ in range(rng.choice((1, 2, 3, 3, 4, 5, 6)))]
    count = max(len(shown), int(question.arguments.get("lines", 30)))
    return single(f"The last {count} lines of {path}: " + " | ".join(shown), stop="")

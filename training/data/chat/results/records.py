"""recent_changes, login_sessions, incident_search, event_query, metric_history."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results import lines
from training.data.chat.results.dialect import Dialect
from training.data.chat.results.names import package, version
from training.data.chat.results.outcome import Outcome, Segment, single


def _span(dialect: Dialect, hours: int) -> str:
    return dialect.one(
        f"in the last {hours} hours", f"in {hours} h", f"within {hours} hours", f"over {hours} h"
    )


def recent_changes(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    span = _span(dialect, int(question.arguments.get("hours", 24)))
    boot = dialect.one(
        f"Last boot {dialect.ago()}",
        f"Booted {dialect.ago()}",
        f"1 boot at {dialect.moment()}",
        f"No reboot {span}",
        f"{rng.randint(1, 6)} boots, the last {dialect.ago()}",
    )
    if rng.random() < 0.2:
        nothing = dialect.one(
            f"No package changed {span}",
            f"Nothing changed {span}",
            f"No installs, upgrades or removals {span}",
        )
        return Outcome(segments=(Segment(nothing, "packages"), Segment(boot, "reboot")))
    done = []
    for verb in dialect.one(
        "upgraded",
        "installed",
        "upgraded installed",
        "upgraded installed removed",
        "removed upgraded",
    ).split():
        count = rng.randint(1, 60)
        names = ", ".join(
            package(rng) + (f" {version(rng)}" if rng.random() < 0.4 else "")
            for _ in range(min(count, rng.randint(1, 3)))
        )
        done.append(
            dialect.one(
                f"{count} packages {verb} ({names})",
                f"{verb} {count}: {names}",
                f"{count} {verb}: {names}",
                f"{verb} {names}",
            )
        )
    first = dialect.one("; ", ", ", " and ").join(done)
    first = first[:1].upper() + first[1:]
    if rng.random() < 0.6:
        first = f"{span.capitalize()}: {first}" if rng.random() < 0.5 else f"{first} {span}"
    return Outcome(segments=(Segment(first, "packages"), Segment(boot, "reboot")))


def login_sessions(rng: random.Random, _: Question) -> Outcome:
    dialect = Dialect(rng)
    if rng.random() < 0.15:
        return single(
            dialect.one(
                "Nobody is logged in", "No one is logged in", "0 sessions", "No login sessions"
            )
        )
    names = list(dict.fromkeys(lexicon.user(rng) for _ in range(rng.randint(1, 4))))
    form = rng.randint(0, 3)
    parts = []
    for name in names:
        origin = dialect.one(
            lexicon.address(rng), lexicon.address(rng), "the console", lexicon.host(rng), "tty1"
        )
        line, since = dialect.one("pts/0", "pts/1", "pts/3", "tty1", "tty2"), dialect.moment()
        text = (
            f"{name} from {origin} since {since}",
            f"{name} on {line} from {origin} since {since}",
            f"{name} ({line}, {origin}) since {since}",
            f"{name}: {line} from {origin}, {since}, idle {dialect.duration()}",
        )[form]
        parts.append(Segment(text, name))
    count = len(parts)
    if count == 1:
        lead = dialect.one("", "1 session: ", "One user is logged in: ", "1 user: ")
    else:
        lead = dialect.one(
            "", f"{count} sessions: ", f"{count} users are logged in: ", "Logged in: "
        )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one("; ", "; ", ", ", " | "))


def incident_search(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    query = str(question.arguments["query"])
    about = (
        f" {dialect.one('about', 'matching', 'with', 'for')} {dialect.one(query, repr(query))}"
        if query
        else ""
    )
    if rng.random() < 0.2:
        return single(
            dialect.one(
                f"No incidents{about}",
                f"No incident{about} was found",
                f"There are no incidents{about}",
            )
        )
    parts = []
    form = rng.randint(0, 3)
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        number = rng.randint(1, 9999)
        subject = query if query and rng.random() < 0.6 else lexicon.topic(rng)
        title = dialect.one(
            f"{subject} on {lexicon.unit(rng)}",
            f"{lexicon.unit(rng)}: {subject}",
            f"{subject} burst",
            lines.log_line(rng)[:70],
        )
        state = dialect.one(
            "open", "closed", "closed", "investigating", "watching", "waiting", "resolved"
        )
        level = dialect.one("warning", "critical", "warning")
        cause = dialect.one(
            "brute_force",
            "disk_full",
            "out_of_memory",
            "insufficient_evidence",
            "bad_credentials",
            "memory_leak",
            "cpu_overload",
            "backup_failed",
        )
        text = (
            f"#{number} {title} ({level}, {state}, cause {cause})",
            f"#{number} {state} {level}: {title}",
            f"{number}: {title}, {state}, {level}, opened {dialect.moment()}",
            f"#{number} '{title}' is {state}, cause: {cause}",
        )[form]
        parts.append(Segment(text, f"#{number}"))
    count = rng.choice((len(parts), len(parts), rng.randint(len(parts), 80)))
    noun = "incident" if count == 1 else "incidents"
    lead = dialect.one(
        f"{count} {noun}{about}: ",
        f"{count} {noun}{about}, newest first: ",
        "Newest: ",
        f"Found {count} {noun}{about}: ",
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one("; ", "; ", ". ", " | "))


def event_query(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    text = str(question.arguments["text"])
    quoted = dialect.one(text, f"'{text}'", f'"{text}"')
    span = _span(dialect, int(question.arguments.get("hours", 24)))
    if rng.random() < 0.2:
        return single(
            dialect.one(
                f"No events with {quoted} {span}",
                f"No event matches {quoted} {span}",
                f"0 events about {quoted} {span}",
            )
        )
    total, kinds = dialect.number(1, 20000), dialect.number(1, 12)
    head = dialect.one(
        f"{total} events with {quoted} {span}",
        f"{total} events in {kinds} patterns match {quoted} {span}",
        f"{quoted} occurred {total} times {span}",
        f"{total} events match {quoted} {span}",
        f"{quoted}: {total} events {span}, {kinds} patterns",
    )
    parts = [Segment(head, "count")]
    if rng.random() < 0.6:
        parts.append(
            Segment(
                dialect.one(
                    f"First {dialect.moment()}, last {dialect.moment()}",
                    f"Last seen {dialect.ago()}",
                    f"The last was at {dialect.moment()}",
                ),
                "last",
            )
        )
    if rng.random() < 0.6:
        unit, count = lexicon.unit(rng), dialect.number(1, 9000)
        shown = lines.log_line(rng)[:80]
        parts.append(
            Segment(
                dialect.one(
                    f"Most frequent: {unit}: {shown} ({count} times)",
                    f"Top pattern ({count}): {shown}",
                    f"{count} from {unit}: '{shown}'",
                ),
                "pattern",
            )
        )
    return Outcome(segments=tuple(parts), joint=dialect.one(". ", ". ", "; "))


def metric_history(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    metric = str(question.arguments["metric"])
    span = _span(dialect, int(question.arguments.get("hours", 6)))
    unit = {"load": "", "temperature": dialect.one(" °C", " C", "°C")}.get(
        metric, dialect.one("%", "%", " %", " percent")
    )
    digits = rng.choice((0, 1, 1, 2)) if metric != "load" else 2
    high = 100.0 if metric != "load" else rng.choice((1.0, 8.0, 60.0))
    low, middle, peak = sorted(rng.random() * high for _ in range(3))
    now = low + (peak - low) * rng.random()
    values = {
        "minimum": f"{low:.{digits}f}{unit}",
        "average": f"{middle:.{digits}f}{unit}",
        "maximum": f"{peak:.{digits}f}{unit}",
        "latest": f"{now:.{digits}f}{unit}",
    }
    if rng.random() < 0.08:
        return single(
            dialect.one(
                f"No samples of {metric} {span}", f"There are no {metric} samples yet {span}"
            )
        )
    change = dialect.one(
        f"rising by {dialect.figure(9)}{unit} an hour",
        f"falling by {dialect.figure(9)}{unit} per hour",
        "steady",
        "trend flat",
        "trend rising",
        "trend falling",
        "stable",
        f"trend +{dialect.figure(9)}{unit}/h",
    )
    pairs = list(values.items())
    body = dialect.fields(pairs[: rng.choice((3, 4, 4, 4))])
    if rng.random() < 0.75:
        body += f"{dialect.comma}{change}"
    head = dialect.one(
        f"{metric} {span}: ",
        f"{metric.capitalize()} {span}: ",
        f"{metric}: ",
        f"{metric}, {span}, ",
    )
    tail = f" ({dialect.number(2, 900)} samples)" if rng.random() < 0.25 else ""
    return single(f"{head}{body}{tail}")

"""recent_changes, login_sessions, incident_search, event_query, metric_history."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results import lines
from training.data.chat.results.house.figures import clock, duration, listed, many, plural, skewed
from training.data.chat.results.names import package, version
from training.data.chat.results.outcome import Outcome, Segment, single


def recent_changes(rng: random.Random, question: Question) -> Outcome:
    hours = question.arguments.get("hours", 24)
    boot = Segment(f"last boot {clock(rng)}", "reboot")
    if rng.random() < 0.25:
        return Outcome(
            segments=(Segment(f"0 package changes in the last {hours} h", "packages"), boot),
            joint="; ",
        )
    parts = [
        Segment(
            f"{rng.choice(('install', 'upgrade', 'remove', 'Upgraded', 'Installed'))} "
            f"{package(rng)} {version(rng)} at {clock(rng)}"
        )
        for _ in range(many(rng, 5))
    ]
    first = Segment(f"newest: {parts[0].text}")
    count = Segment(
        f"{rng.randint(len(parts), 200)} package changes in the last {hours} h", "packages"
    )
    return listed(rng, [count, boot, first, *parts[1:]])


def login_sessions(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.15:
        return single("Nobody is logged in: 0 sessions.")
    parts = []
    for _index in range(many(rng, 5)):
        name = lexicon.user(rng)
        terminal = rng.choice(("pts/0", "pts/1", "pts/2", "tty1", "no terminal", ":0"))
        origin = rng.choice(
            (lexicon.address(rng), lexicon.address(rng), "this host", lexicon.host(rng))
        )
        parts.append(
            Segment(
                f"{name} on {terminal} from {origin} since {clock(rng)} ({duration(rng)})", name
            )
        )
    return listed(rng, parts, lead=f"{plural(len(parts), 'session', 'sessions')}: ")


def incident_search(rng: random.Random, question: Question) -> Outcome:
    query = str(question.arguments["query"])
    about = f" that match {query!r}" if query else ""
    if rng.random() < 0.25:
        return single(f"There are 0 incidents{about}.")
    parts = []
    for _index in range(rng.choice((1, 1, 2, 2, 3, 4))):
        number = rng.randint(1, 9999)
        subject = query if query and rng.random() < 0.7 else lexicon.topic(rng)
        title = rng.choice((f"{lexicon.unit(rng)}: {subject}", subject, lines.log_line(rng)[:70]))
        cause = rng.choice(
            (
                "",
                "",
                ", cause brute_force",
                ", cause disk_full",
                ", cause out_of_memory",
                ", cause insufficient_evidence",
                ", cause memory_leak",
                ", cause backup_failed",
            )
        )
        level = rng.choice(("warning", "critical", "notice"))
        state = rng.choice(
            ("open", "reviewing", "closed", "closed", "waiting", "watching", "planned")
        )
        parts.append(
            Segment(
                f"#{number} {level} {title} ({state}{cause}, "
                f"{1 + skewed(rng, 5000)} events, opened {clock(rng)})",
                f"#{number}",
            )
        )
    return listed(rng, parts, lead=f"{plural(len(parts), 'incident', 'incidents')}{about}: ")


def event_query(rng: random.Random, question: Question) -> Outcome:
    text = str(question.arguments["text"])
    hours = question.arguments.get("hours", 24)
    if rng.random() < 0.25:
        return single(f"0 events with {text!r} in the last {hours} h.")
    parts = [
        Segment(
            f"{1 + skewed(rng, 9000)} times "
            f"{lexicon.unit(rng) if rng.random() < 0.9 else 'unknown'}: "
            f"{lines.log_line(rng)[:100]} (last {clock(rng)})"
        )
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ]
    lead = (
        f"{len(parts)} patterns with {text!r} were seen in the last {hours} h, "
        f"{1 + skewed(rng, 30000)} events in all since they are known: "
    )
    return listed(rng, parts, lead=lead)


def metric_history(rng: random.Random, question: Question) -> Outcome:
    metric = str(question.arguments["metric"])
    unit = {"load": "", "temperature": " C"}.get(metric, "%")
    targets = [""]
    if metric == "disk":
        targets = [
            f" {name}" for name in dict.fromkeys(lexicon.mount(rng) for _ in range(many(rng, 4)))
        ]
    elif metric in {"temperature", "pressure"} and rng.random() < 0.5:
        targets = [
            f" {name}"
            for name in rng.sample(("cpu", "memory", "io", "coretemp", "nvme"), rng.randint(1, 3))
        ]
    parts = []
    for target in targets:
        high = 100.0 if metric != "load" else rng.choice((1.0, 8.0, 60.0))
        low, mean, most = sorted(rng.random() * high for _ in range(3))
        now = low + (most - low) * rng.random()
        trend = rng.choice(("steady", "steady", "rising", "falling"))
        parts.append(
            Segment(
                f"{metric}{target} now {now:.1f}{unit}, lowest {low:.1f}{unit}, "
                f"average {mean:.1f}{unit}, highest {most:.1f}{unit}, {trend}",
                target.strip(),
            )
        )
    lead = f"Over the last {question.arguments.get('hours', 6)} h: "
    return listed(rng, parts, lead=lead)

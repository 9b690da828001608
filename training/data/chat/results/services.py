"""unit_status, unit_log, failed_units, timers, file_excerpt."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results import lines
from training.data.chat.results.dialect import Dialect
from training.data.chat.results.names import full_unit
from training.data.chat.results.outcome import Outcome, Segment, single

_STATES = (
    "active (running)",
    "active (running)",
    "active (running)",
    "active (exited)",
    "inactive (dead)",
    "failed",
    "failed (Result: exit-code)",
    "activating (auto-restart)",
    "active",
    "inactive",
    "failed (Result: timeout)",
    "deactivating",
    "failed with result oom-kill",
)


def unit_status(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    asked = str(question.arguments["unit"])
    unit = full_unit(asked) if rng.random() < 0.75 else asked
    state = dialect.one(*_STATES)
    head = dialect.one(
        f"{unit} is {state}", f"{unit} is {state}", f"{unit}: {state}", f"{unit} {state}"
    )
    since = dialect.one("since ", "since ", "for ")
    story = [since + (dialect.duration() if since == "for " else dialect.moment())]
    if rng.random() < 0.7:
        count = dialect.number(0, 60)
        story.append(
            dialect.one(f"{count} restarts", f"restarts: {count}", f"restarted {count} times")
        )
    if state.startswith("active") and rng.random() < 0.8:
        pid = lexicon.pid(rng)
        story.append(
            dialect.one(
                f"main pid {pid}", f"main process {pid}", f"pid {pid} ({lexicon.process(rng)})"
            )
        )
        story.append(dialect.one(f"{dialect.size(2, 3)} memory", f"memory {dialect.size(1, 3)}"))
    if state.startswith("failed") and rng.random() < 0.6:
        story.append(
            dialect.one(
                f"exit status {rng.randint(1, 255)}",
                f"exit code {rng.randint(1, 255)}",
                f"killed by signal {rng.randint(1, 31)}",
            )
        )
    if rng.random() < 0.35:
        story.append(
            dialect.one("enabled at boot", "enabled", "disabled", "not enabled at boot", "static")
        )
    if rng.random() < 0.25:
        rng.shuffle(story)
    return single(f"{head}{dialect.one(' ', ', ')}{', '.join(story)}")


def _quoted(rng: random.Random, dialect: Dialect, written: list[str]) -> str:
    form = rng.random()
    if form < 0.4:
        return " | ".join(written)
    if form < 0.7:
        return "\n".join(written)
    if form < 0.85:
        return "; ".join(f"'{line}'" for line in written)
    return " / ".join(f'"{line}"' for line in written)


def unit_log(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    unit = full_unit(str(question.arguments["unit"]))
    if rng.random() < 0.08:
        return single(
            dialect.one(
                f"{unit} has no log lines",
                f"The journal has nothing from {unit}",
                f"No log lines of {unit} in this boot",
            )
        )
    written = [
        (f"{dialect.moment()} " if rng.random() < 0.5 else "") + lines.log_line(rng)
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))
    ]
    count = int(question.arguments.get("lines", 30))
    return _excerpt(rng, dialect, unit, written, min(count, rng.randint(len(written), 200)))


def _excerpt(
    rng: random.Random, dialect: Dialect, what: str, written: list[str], count: int
) -> Outcome:
    count = max(count, len(written))
    lead = dialect.one(
        f"Last {len(written)} of {count} lines of {what}: ",
        f"{count} lines of {what}, the last: ",
        f"{what}, last lines: ",
        f"{what}: ",
        f"The last {len(written)} lines of {what}: ",
        f"Last lines of {what}:\n",
    )
    return single(f"{lead}{_quoted(rng, dialect, written)}", stop=rng.choice(("", ".")))


def file_excerpt(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    path = str(question.arguments["path"])
    if rng.random() < 0.06:
        return single(dialect.one(f"{path} is empty", f"{path} has no lines (0 bytes)"))
    written = [lines.file_line(rng) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    count = int(question.arguments.get("lines", 30))
    return _excerpt(rng, dialect, path, written, min(count, rng.randint(len(written), 200)))


def failed_units(rng: random.Random, _question: Question) -> Outcome:
    dialect = Dialect(rng)
    if rng.random() < 0.3:
        return single(
            dialect.one(
                "No unit is in the failed state",
                "No failed units",
                f"0 of {rng.randint(80, 500)} units have failed",
                "All units are fine: none has failed",
                f"None of the {rng.randint(80, 500)} loaded units is failed",
            )
        )
    parts = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
        unit = full_unit(lexicon.unit(rng))
        detail = dialect.one(
            "",
            "",
            f" (since {dialect.moment()})",
            f" (exit code {rng.randint(1, 255)})",
            f" since {dialect.moment()}",
            " (timeout)",
            " (exit-code)",
        )
        parts.append(Segment(unit + detail, unit))
    count = len(parts)
    noun = "unit" if count == 1 else "units"
    lead = dialect.one(
        f"{count} failed {noun}: ", f"{count} {noun} failed: ", "Failed: ", f"{count} failed: "
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one(", ", ", ", "; "))


def timers(rng: random.Random, _question: Question) -> Outcome:
    dialect = Dialect(rng)
    names = [
        lexicon.pick(rng, lexicon.TIMERS[:28]).removesuffix(".timer")
        for _ in range(rng.randint(1, 4))
    ]
    parts = []
    form = rng.randint(0, 3)
    for name in dict.fromkeys(names):
        timer = f"{name}.timer"
        when = f"in {dialect.duration()}" if rng.random() < 0.4 else dialect.moment()
        last = dialect.ago() if rng.random() < 0.85 else "never"
        text = (
            f"{timer} next {when}, last {last}",
            f"{timer} runs next {when} (last {last})",
            f"{timer}: last {last}, next {when}",
            f"{timer} {when}",
        )[form]
        parts.append(Segment(text, timer))
    lead = (
        dialect.one("", f"{len(parts)} timers: ", "Timers: ", "Next runs: ")
        if len(parts) > 1
        else ""
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one("; ", "; ", " | ", ". "))

"""system_overview, memory_usage, cpu_load, top_processes, process_detail."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.house.figures import clock, duration, listed, size, skewed
from training.data.chat.results.names import system_name
from training.data.chat.results.outcome import Outcome, Segment, single


def system_overview(rng: random.Random, _: Question) -> Outcome:
    kernel = f"{rng.randint(4, 7)}.{rng.randint(0, 19)}.{rng.randint(0, 160)}" + rng.choice(
        ("", "-amd64", f"-{rng.randint(1, 120)}-generic", "-arm64", ".fc41.x86_64", "+", "-rpi7")
    )
    failed = rng.choice(
        ("0 failed units", f"{rng.randint(1, 9)} failed units", "units cannot be asked")
    )
    return Outcome(
        segments=(
            Segment(
                f"{lexicon.host(rng)} runs {system_name(rng)} with kernel {kernel}, "
                f"up {duration(rng)}"
            ),
            Segment(f"load {rng.random() * 20:.2f} on {rng.randint(1, 128)} processors"),
            Segment(f"memory {size(rng, 2, 3)} of {size(rng, 3, 3)} used"),
            Segment(failed),
        ),
        joint="; ",
    )


def memory_usage(rng: random.Random, _: Question) -> Outcome:
    parts = [
        Segment(
            f"Memory: {size(rng, 2, 3)} of {size(rng, 3, 3)} used ({rng.randint(0, 100)}%), "
            f"{size(rng, 2, 3)} available, {size(rng, 2, 3)} cached",
            "memory",
        ),
        Segment(
            rng.choice(
                (
                    f"swap {size(rng, 0, 3)} of {size(rng, 3, 3)} used ({rng.randint(0, 100)}%)",
                    f"swap 0 B of {size(rng, 3, 3)} used (0%)",
                    "there is no swap",
                )
            ),
            "swap",
        ),
    ]
    if rng.random() < 0.75:
        parts.append(Segment(f"memory pressure {rng.random() * 60:.1f}%", "pressure"))
    return Outcome(segments=tuple(parts), joint="; ")


def cpu_load(rng: random.Random, _: Question) -> Outcome:
    one, five, fifteen = (rng.random() * rng.choice((1.0, 4.0, 60.0)) for _ in range(3))
    parts = [
        Segment(
            f"Load {one:.2f}, {five:.2f}, {fifteen:.2f} (1, 5, 15 min) on "
            f"{rng.choice((1, 2, 4, 8, 16, rng.randint(1, 256)))} processors",
            "cores",
        ),
        Segment(
            f"processor {rng.randint(0, 100)}% busy ({rng.randint(0, 90)}% user, "
            f"{rng.randint(0, 40)}% system, {rng.randint(0, 40)}% waiting for disks)",
            "use",
        ),
    ]
    if rng.random() < 0.75:
        parts.append(Segment(f"processor pressure {rng.random() * 60:.1f}%", "pressure"))
    return Outcome(segments=tuple(parts), joint="; ")


def top_processes(rng: random.Random, question: Question) -> Outcome:
    by_memory = question.arguments.get("by") == "memory"
    parts = []
    for _ in range(rng.randint(2, 5)):
        name = lexicon.process(rng)
        figure = size(rng, 2, 3) if by_memory else f"{skewed(rng, 800)}%"
        parts.append(Segment(f"{name} (pid {lexicon.pid(rng)}) {figure}", name))
    lead = "Most memory: " if by_memory else "Most processor time: "
    tail = f"{rng.randint(20, 900)} processes in all"
    return listed(rng, parts, lead=lead, tail=tail) if rng.random() < 0.9 else listed(rng, parts)


def process_detail(rng: random.Random, question: Question) -> Outcome:
    asked = str(question.arguments["process"])
    pid = asked if asked.isdigit() else lexicon.pid(rng)
    name = lexicon.process(rng) if asked.isdigit() else asked
    command = rng.choice(
        (f"/usr/bin/{name}", f"{name} --config /etc/{name}.conf", name, f"/usr/sbin/{name} -D")
    )
    more = f". {rng.randint(2, 40)} processes have this name, with {size(rng, 2, 3)} in all"
    return single(
        f"{name} (pid {pid}) of user {lexicon.user(rng)}, "
        f"{rng.choice(('sleeping', 'running', 'idle', 'zombie', 'disk-sleep'))}, started "
        f"{clock(rng)} ({duration(rng)} ago), memory {size(rng, 1, 3)}, "
        f"{1 + skewed(rng, 400)} threads, {skewed(rng, 3000)} open files, command {command}"
        + (more if rng.random() < 0.35 and not asked.isdigit() else "")
    )

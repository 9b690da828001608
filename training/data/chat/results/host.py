"""system_overview, memory_usage, cpu_load, top_processes, process_detail."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.dialect import Dialect
from training.data.chat.results.names import system_name
from training.data.chat.results.outcome import Outcome, Segment, single


def system_overview(rng: random.Random, _: Question) -> Outcome:
    dialect = Dialect(rng)
    host, system = lexicon.host(rng), system_name(rng)
    kernel = f"{rng.randint(4, 7)}.{rng.randint(0, 19)}.{rng.randint(0, 160)}" + dialect.one(
        "", "-amd64", f"-{rng.randint(1, 120)}-generic", "-arm64", ".fc41.x86_64", "-1-pve"
    )
    load = " ".join(dialect.figure(rng.choice((1.0, 4.0, 40.0))) for _ in range(3))
    failed = (
        dialect.one("no failed units", "0 failed units", "no failed services")
        if rng.random() < 0.5
        else (f"{rng.randint(1, 5)} failed units: {lexicon.unit(rng)}")
    )
    memory = dialect.one(
        f"{dialect.size(2, 3)} of {dialect.size(3, 3)} memory used ({dialect.percent()})",
        f"memory {dialect.percent()} used, {dialect.size(2, 3)} available",
        f"memory: {dialect.size(2, 3)} available of {dialect.size(3, 3)}",
    )
    first = dialect.one(
        f"{host} runs {system}, kernel {kernel}",
        f"{host}: {system}, kernel {kernel}",
        f"{host} ({system}, Linux {kernel})",
        f"Host {host}, {system}, kernel {kernel}",
    )
    up = dialect.one("up {}", "uptime {}", "up for {}", "up since {}").format(dialect.duration())
    rest = [
        up,
        dialect.one(f"load {load}", f"load average {load}", f"load: {load}"),
        memory,
        failed,
    ]
    if rng.random() < 0.3:
        rng.shuffle(rest)
    joint = dialect.one(", ", ", ", "; ", ". ")
    return Outcome(segments=(Segment(first), *(Segment(part) for part in rest)), joint=joint)


def memory_usage(rng: random.Random, _: Question) -> Outcome:
    dialect = Dialect(rng)
    total, used, available = dialect.size(3, 3), dialect.size(2, 3), dialect.size(2, 3)
    share = dialect.percent()
    form = rng.random()
    if form < 0.3:
        memory = f"{used} of {total} memory used ({share}), {available} available"
    elif form < 0.4:
        memory = f"Memory: {available} available of {total} ({share} used)"
    else:
        pairs = [("total", total), ("used", used), ("available", available)]
        pairs += [("cached", dialect.size(1, 3))] if rng.random() < 0.7 else []
        pairs += [("in use", share)] if rng.random() < 0.3 else []
        memory = (
            f"{dialect.one('Memory: ', 'Memory ', 'RAM: ', 'Memory has ')}{dialect.fields(pairs)}"
        )
    if form < 0.4 and rng.random() < 0.6:
        memory += f", {dialect.size(1, 3)} {dialect.one('cached', 'in cache', 'buffers and cache')}"
    parts = [Segment(memory, "memory")]
    if rng.random() < 0.88:
        swap = dialect.one(
            f"Swap: {dialect.size(0, 3)} of {dialect.size(3, 3)} used",
            f"Swap {dialect.size(0, 3)} used of {dialect.size(3, 3)} ({dialect.percent()})",
            "No swap is configured",
            "Swap: none",
            f"Swap: 0 B of {dialect.size(3, 3)} used",
            f"{dialect.size(0, 3)} of {dialect.size(3, 3)} swap used",
            "Swap: "
            + dialect.fields([("total", dialect.size(3, 3)), ("used", dialect.size(0, 3))]),
        )
        parts.append(Segment(swap, "swap"))
    if rng.random() < 0.75:
        some, full = (
            dialect.figure(rng.choice((0.1, 3, 60))),
            dialect.figure(rng.choice((0.1, 2, 40))),
        )
        pressure = dialect.one(
            f"Memory pressure some {some}%, full {full}% over 10 s",
            f"Pressure: some avg10={some} full avg10={full}",
            f"Pressure over the last minute: {some}% some, {full}% full",
            "No memory pressure is measured",
            f"Memory pressure {some}%",
            f"Tasks waited for memory {some}% of the last 10 seconds",
        )
        parts.append(Segment(pressure, "pressure"))
    return Outcome(segments=tuple(parts), joint=dialect.one(". ", ". ", ". ", "; "))


def cpu_load(rng: random.Random, _: Question) -> Outcome:
    dialect = Dialect(rng)
    cores = rng.choice((1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, rng.randint(1, 256)))
    one, five, fifteen = (dialect.figure(rng.choice((1.0, 4.0, 16.0, 90.0))) for _ in range(3))
    load = dialect.one(
        f"Load average {one} {five} {fifteen}",
        f"Load {one}, {five}, {fifteen} over 1, 5 and 15 minutes",
        f"Load averages are {one} (1 min), {five} (5 min) and {fifteen} (15 min)",
        f"Load: {one} / {five} / {fifteen}",
        f"Load 1 min {one}, 5 min {five}, 15 min {fifteen}",
    )
    count = dialect.one(
        f"{cores} processors", f"{cores} CPUs", f"{cores} cores", f"{cores} logical CPUs"
    )
    pairs = [
        ("user", dialect.percent()),
        ("system", dialect.percent(40)),
        ("idle", dialect.percent()),
    ]
    pairs += [("iowait", dialect.percent(30))] if rng.random() < 0.6 else []
    pairs += [("steal", dialect.percent(10))] if rng.random() < 0.3 else []
    states = dialect.one("CPU: ", "CPU ", "Use: ", "Processor time: ") + dialect.fields(pairs)
    form = rng.random()
    parts: list[Segment]
    if form < 0.35:
        parts = [Segment(f"{load} on {count}", "cores"), Segment(states, "use")]
    elif form < 0.75:
        parts = [Segment(load, "load"), Segment(count, "cores"), Segment(states, "use")]
    else:
        parts = [
            Segment(f"CPU {dialect.percent()} busy", "use"),
            Segment(load, "load"),
            Segment(count, "cores"),
        ]
    if rng.random() < 0.5:
        stall = dialect.figure(rng.choice((0.1, 5, 80)))
        pressure = dialect.one(
            f"CPU pressure {stall}%",
            f"Processor pressure some {stall}% over 10 s",
            f"Pressure: some avg10={stall}",
        )
        parts.append(Segment(pressure, "pressure"))
    return Outcome(segments=tuple(parts), joint=dialect.one(". ", ". ", "; ", ", "))


def top_processes(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    by_memory = question.arguments.get("by") == "memory"
    parts = []
    form = rng.randint(0, 5)
    for _ in range(rng.randint(1, 5)):
        name, pid, share = lexicon.process(rng), lexicon.pid(rng), dialect.percent()
        size = dialect.size(2, 3)
        figure = f"{size} ({share})" if by_memory and form % 2 else (size if by_memory else share)
        what = dialect.one(
            "", "", " memory" if by_memory else " CPU", " resident" if by_memory else " cpu"
        )
        text = (
            f"{name} (pid {pid}) {figure}{what}",
            f"{name} [{pid}] {figure}{what}",
            f"{name} {figure}{what} (pid {pid})",
            f"{pid} {name} {figure}{what}",
            f"{name} (pid {pid}, user {lexicon.user(rng)}): {figure}{what}",
            f"{figure}{what} {name} ({pid})",
        )[form]
        parts.append(Segment(text, name))
    measure = (
        dialect.one("memory", "resident memory")
        if by_memory
        else dialect.one("CPU", "processor time", "cpu")
    )
    lead = dialect.one(
        f"Most {measure}: ",
        f"Top {len(parts)} by {measure}: ",
        f"Processes by {measure}: ",
        f"Of {rng.randint(60, 900)} processes, most {measure}: ",
        f"Largest users of {measure}: ",
        "",
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one(", ", ", ", "; ", " | "))


def process_detail(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    asked = str(question.arguments["process"])
    pid = asked if asked.isdigit() else lexicon.pid(rng)
    name = lexicon.process(rng) if asked.isdigit() else asked
    command = dialect.one(
        f"/usr/bin/{name}",
        f"/usr/sbin/{name} -D",
        f"{name}",
        f"/opt/{name}/bin/{name} --config /etc/{name}.conf",
    )
    head = dialect.one(
        f"{name} (pid {pid})", f"{name} [{pid}]", f"Process {pid} ({name})", f"pid {pid} is {name}"
    )
    pairs = [
        ("memory", dialect.size(1, 3)),
        ("threads", dialect.number(1, 900)),
        ("open files", dialect.number(1, 9000)),
        ("CPU", dialect.percent()),
    ][: rng.randint(2, 4)]
    story = [
        f"runs as {lexicon.user(rng)}",
        dialect.one("started ", "since ", "running since ", "started at ") + dialect.ago(),
        dialect.fields(pairs),
    ]
    story += (
        [dialect.one("command ", "command: ", "cmdline ") + command] if rng.random() < 0.7 else []
    )
    story += (
        [f"state {dialect.one('sleeping', 'running', 'zombie', 'S', 'R', 'disk sleep')}"]
        if rng.random() < 0.4
        else []
    )
    if rng.random() < 0.4:
        rng.shuffle(story)
    if rng.random() < 0.12:
        head = f"{rng.randint(2, 30)} processes named {name}, the largest: pid {pid}"
    return single(f"{head}{dialect.one(': ', ', ', ' ')}{dialect.comma.join(story)}")

"""The wording that the project's own tools have today (daemon/tools), which the dialects vary.

One writer a tool. When a tool's wording changes, change it here; the other dialects keep a model
from depending on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results import lines
from training.data.chat.results.names import full_unit, package, system_name, version
from training.data.chat.results.outcome import Outcome, Segment, single

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def _size(rng: random.Random, low: int = 1, high: int = 3) -> str:
    step = rng.randint(low, high)
    value = rng.random() * rng.choice((10.0, 100.0, 1023.0))
    return f"{value:.1f} {_UNITS[step]}" if step >= 2 else f"{value:.0f} {_UNITS[step]}"


def _duration(rng: random.Random) -> str:
    first, second = rng.randint(1, 59), rng.randint(1, 59)
    return rng.choice(
        (
            f"{rng.randint(1, 900)} d {rng.randint(1, 23)} h",
            f"{rng.randint(1, 23)} h {second} min",
            f"{first} min {second} s",
            f"{first} min",
            f"{first} s",
            f"{rng.randint(1, 300)} d",
        )
    )


def _date(rng: random.Random) -> str:
    return f"{rng.randint(2024, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _clock(rng: random.Random) -> str:
    return f"{_date(rng)} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d} UTC"


def _systemd_time(rng: random.Random) -> str:
    zone = rng.choice(("UTC", "UTC", "CET", "CEST", "EST", "PDT"))
    clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    return f"{rng.choice(_DAYS)} {_date(rng)} {clock} {zone}"


def _count(rng: random.Random, high: int) -> int:
    return int(high * rng.random() ** 3)


def _many(rng: random.Random, most: int) -> int:
    """How many entries: mostly few, sometimes as many as are shown."""
    return rng.choice((1, 1, 2, 2, 3, 3, 4, 5, rng.randint(1, most)))


def _listed(
    rng: random.Random, parts: list[Segment], *, lead: str = "", of: str = "more", tail: str = ""
) -> Outcome:
    """Joined with semicolons; what is over the limit is counted."""
    if len(parts) > 2 and rng.random() < 0.15:
        parts = [*parts, Segment(f"and {rng.randint(1, 40)} {of}")]
    if tail:
        parts[-1] = Segment(f"{parts[-1].text}. {tail}", parts[-1].key)
    return Outcome(segments=tuple(parts), lead=lead, joint="; ")


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _mounts(rng: random.Random, question: Question) -> list[str]:
    asked = question.arguments.get("path")
    if asked is not None:
        return [str(asked)]
    others = {lexicon.mount(rng) for _ in range(_many(rng, 7) - 1)} - {"/"}
    return ["/", *sorted(others, key=lambda _: rng.random())]


def disk_usage(rng: random.Random, question: Question) -> Outcome:
    parts = [
        Segment(
            f"{mount} ({rng.choice(('ext4', 'ext4', 'xfs', 'btrfs', 'zfs', 'vfat', 'tmpfs', 'nfs4'))}): "
            f"{_size(rng, 2, 3)} of {_size(rng, 2, 4)} used ({rng.randint(0, 100)}%), "
            f"{_size(rng, 1, 3)} free",
            mount,
        )
        for mount in _mounts(rng, question)
    ]
    return _listed(rng, parts, of="more filesystems")


def inode_usage(rng: random.Random, question: Question) -> Outcome:
    if rng.random() < 0.06:
        return single("The filesystem has no fixed number of inodes.")
    parts = [
        Segment(
            f"{mount}: {_count(rng, 50_000_000)} of {_count(rng, 90_000_000)} inodes used "
            f"({rng.randint(0, 100)}%), {_count(rng, 60_000_000)} free",
            mount,
        )
        for mount in _mounts(rng, question)
    ]
    return _listed(rng, parts, of="more filesystems")


def directory_sizes(rng: random.Random, question: Question) -> Outcome:
    base = str(question.arguments["path"])
    if rng.random() < 0.04:
        return single(f"{base} is empty or cannot be read.")
    stem = base.rstrip("/")
    full = rng.random() < 0.5
    common = ("log", "lib", "cache", "www", "docker", "backup", "home", "usr", "data", "tmp")
    names = dict.fromkeys(
        rng.choice(common) if rng.random() < 0.5 else lexicon.name(rng)
        for _ in range(_many(rng, 6))
    )
    parts = [
        Segment(f"{stem}/{name} {_size(rng)}" if full else f"{name} {_size(rng)}", f"{stem}/{name}")
        for name in names
    ]
    note = "Not everything could be measured in time; these are least values."
    tail = note if rng.random() < 0.08 else ""
    lead = f"{base} holds {_size(rng, 2, 4)}. Largest: "
    return _listed(rng, parts, lead=lead, of="smaller", tail=tail)


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
                f"up {_duration(rng)}"
            ),
            Segment(f"load {rng.random() * 20:.2f} on {rng.randint(1, 128)} processors"),
            Segment(f"memory {_size(rng, 2, 3)} of {_size(rng, 3, 3)} used"),
            Segment(failed),
        ),
        joint="; ",
    )


def memory_usage(rng: random.Random, _: Question) -> Outcome:
    parts = [
        Segment(
            f"Memory: {_size(rng, 2, 3)} of {_size(rng, 3, 3)} used ({rng.randint(0, 100)}%), "
            f"{_size(rng, 2, 3)} available, {_size(rng, 2, 3)} cached",
            "memory",
        ),
        Segment(
            rng.choice(
                (
                    f"swap {_size(rng, 0, 3)} of {_size(rng, 3, 3)} used ({rng.randint(0, 100)}%)",
                    f"swap 0 B of {_size(rng, 3, 3)} used (0%)",
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
        figure = _size(rng, 2, 3) if by_memory else f"{_count(rng, 800)}%"
        parts.append(Segment(f"{name} (pid {lexicon.pid(rng)}) {figure}", name))
    lead = "Most memory: " if by_memory else "Most processor time: "
    tail = f"{rng.randint(20, 900)} processes in all"
    return _listed(rng, parts, lead=lead, tail=tail) if rng.random() < 0.9 else _listed(rng, parts)


def process_detail(rng: random.Random, question: Question) -> Outcome:
    asked = str(question.arguments["process"])
    pid = asked if asked.isdigit() else lexicon.pid(rng)
    name = lexicon.process(rng) if asked.isdigit() else asked
    command = rng.choice(
        (f"/usr/bin/{name}", f"{name} --config /etc/{name}.conf", name, f"/usr/sbin/{name} -D")
    )
    more = f". {rng.randint(2, 40)} processes have this name, with {_size(rng, 2, 3)} in all"
    return single(
        f"{name} (pid {pid}) of user {lexicon.user(rng)}, "
        f"{rng.choice(('sleeping', 'running', 'idle', 'zombie', 'disk-sleep'))}, started "
        f"{_clock(rng)} ({_duration(rng)} ago), memory {_size(rng, 1, 3)}, "
        f"{1 + _count(rng, 400)} threads, {_count(rng, 3000)} open files, command {command}"
        + (more if rng.random() < 0.35 and not asked.isdigit() else "")
    )


def listening_sockets(rng: random.Random, question: Question) -> Outcome:
    asked = question.arguments.get("port")
    if asked is not None and rng.random() < 0.3:
        return single(f"Nothing listens on port {asked}.")
    ports = [asked] if asked is not None else [lexicon.port(rng) for _ in range(_many(rng, 9))]
    parts = []
    for port in ports:
        program = lexicon.process(rng) if rng.random() < 0.9 else "an unknown program"
        pid = f" (pid {lexicon.pid(rng)})" if rng.random() < 0.85 else ""
        addresses = rng.choice(
            ("0.0.0.0", "127.0.0.1", "::", "0.0.0.0, ::", "127.0.0.1, ::1", lexicon.address(rng))
        )
        protocol = rng.choice(("tcp", "tcp", "tcp", "udp"))
        parts.append(
            Segment(f"{protocol} port {port} {program}{pid} on {addresses}", f"port {port}")
        )
    lead = f"{_plural(len(parts), 'socket listens', 'sockets listen')}: "
    return _listed(rng, parts, lead=lead)


def network_interfaces(rng: random.Random, question: Question) -> Outcome:
    asked = question.arguments.get("interface")
    names = (
        [str(asked)]
        if asked is not None
        else [lexicon.interface(rng) for _ in range(_many(rng, 6))]
    )
    parts = []
    for name in dict.fromkeys(names):
        ips = (
            ", ".join(lexicon.address(rng) for _ in range(rng.choice((0, 1, 1, 2)))) or "no address"
        )
        text = f"{name} is {rng.choice(('up', 'up', 'up', 'down'))} with {ips}"
        if rng.random() < 0.5:
            text += f", {rng.choice((10, 100, 1000, 2500, 10000))} Mbit/s"
        if rng.random() < 0.95:
            text += (
                f", received {_size(rng, 0, 4)}, sent {_size(rng, 0, 4)}, "
                f"{_count(rng, 900)} errors, {_count(rng, 900)} dropped"
            )
        parts.append(Segment(text, name))
    return _listed(rng, parts)


def recent_changes(rng: random.Random, question: Question) -> Outcome:
    hours = question.arguments.get("hours", 24)
    boot = Segment(f"last boot {_clock(rng)}", "reboot")
    if rng.random() < 0.25:
        return Outcome(
            segments=(Segment(f"0 package changes in the last {hours} h", "packages"), boot),
            joint="; ",
        )
    parts = [
        Segment(f"{rng.choice(('install', 'upgrade', 'remove', 'Upgraded', 'Installed'))} "
                f"{package(rng)} {version(rng)} at {_clock(rng)}")
        for _ in range(_many(rng, 5))
    ]  # fmt: skip
    first = Segment(f"newest: {parts[0].text}")
    count = Segment(
        f"{rng.randint(len(parts), 200)} package changes in the last {hours} h", "packages"
    )
    return _listed(rng, [count, boot, first, *parts[1:]])


def login_sessions(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.15:
        return single("Nobody is logged in: 0 sessions.")
    parts = []
    for _index in range(_many(rng, 5)):
        name = lexicon.user(rng)
        terminal = rng.choice(("pts/0", "pts/1", "pts/2", "tty1", "no terminal", ":0"))
        origin = rng.choice(
            (lexicon.address(rng), lexicon.address(rng), "this host", lexicon.host(rng))
        )
        parts.append(
            Segment(
                f"{name} on {terminal} from {origin} since {_clock(rng)} ({_duration(rng)})", name
            )
        )
    return _listed(rng, parts, lead=f"{_plural(len(parts), 'session', 'sessions')}: ")


def unit_status(rng: random.Random, question: Question) -> Outcome:
    unit = full_unit(str(question.arguments["unit"]))
    state = rng.choice(("active (running)",) * 4 + ("active (exited)", "inactive (dead)", "failed (failed)",
                       "activating (auto-restart)", "active (waiting)", "active (listening)"))  # fmt: skip
    parts = [f"{unit} is {state} since {_systemd_time(rng)}"]
    if state.startswith("failed"):
        result = rng.choice(
            ("exit-code", "signal", "timeout", "core-dump", "oom-kill", "start-limit-hit")
        )
        parts.append(f"result {result}, exit status {rng.randint(1, 255)}")
    if rng.random() < 0.4:
        parts.append(f"{_count(rng, 80) + 1} restarts")
    if state == "active (running)":
        parts.append(f"main process {lexicon.pid(rng)}")
    if rng.random() < 0.6:
        parts.append(f"memory {_size(rng, 1, 3)}")
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
        stamp = f"{_date(rng)}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}+00:00"
        shown.append(
            f"{stamp} {host} {lexicon.process(rng)}[{lexicon.pid(rng)}]: {lines.log_line(rng)}"
        )
    count = max(len(shown), int(question.arguments.get("lines", 30)))
    return single(f"{count} log lines of {unit}, the newest: " + " | ".join(shown), stop="")


def failed_units(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.35:
        return single("0 units have failed.")
    parts = []
    for _index in range(_many(rng, 5)):
        unit = full_unit(lexicon.unit(rng))
        words = " ".join(lexicon.word(rng) for _ in range(rng.randint(1, 3))).capitalize()
        parts.append(Segment(f"{unit} ({words})", unit))
    return _listed(rng, parts, lead=f"{_plural(len(parts), 'unit has', 'units have')} failed: ")


def timers(rng: random.Random, _: Question) -> Outcome:
    if rng.random() < 0.04:
        return single("There are 0 timers.")
    parts = []
    for _index in range(_many(rng, 7)):
        stem = rng.choice(lexicon.TIMERS[:24]) if rng.random() < 0.75 else lexicon.name(rng)
        upcoming = f"next in {_duration(rng)}" if rng.random() < 0.9 else "no next run"
        past = f"last {_clock(rng)}" if rng.random() < 0.85 else "never ran"
        parts.append(Segment(f"{stem}.timer {upcoming}, {past}", f"{stem}.timer"))
    return _listed(rng, parts, lead=f"{len(parts)} timers: ")


def file_excerpt(rng: random.Random, question: Question) -> Outcome:
    path = str(question.arguments["path"])
    if rng.random() < 0.05:
        return single(f"{path} is empty.")
    shown = [lines.file_line(rng) for _ in range(rng.choice((1, 2, 3, 3, 4, 5, 6)))]
    count = max(len(shown), int(question.arguments.get("lines", 30)))
    return single(f"The last {count} lines of {path}: " + " | ".join(shown), stop="")


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
            ("", "", ", cause brute_force", ", cause disk_full", ", cause out_of_memory",
             ", cause insufficient_evidence", ", cause memory_leak", ", cause backup_failed")
        )  # fmt: skip
        state = rng.choice(
            ("open", "reviewing", "closed", "closed", "waiting", "watching", "planned")
        )
        parts.append(
            Segment(
                f"#{number} {rng.choice(('warning', 'critical', 'notice'))} {title} ({state}{cause}, "
                f"{1 + _count(rng, 5000)} events, opened {_clock(rng)})",
                f"#{number}",
            )
        )
    return _listed(rng, parts, lead=f"{_plural(len(parts), 'incident', 'incidents')}{about}: ")


def event_query(rng: random.Random, question: Question) -> Outcome:
    text = str(question.arguments["text"])
    hours = question.arguments.get("hours", 24)
    if rng.random() < 0.25:
        return single(f"0 events with {text!r} in the last {hours} h.")
    parts = [
        Segment(
            f"{1 + _count(rng, 9000)} times {lexicon.unit(rng) if rng.random() < 0.9 else 'unknown'}: "
            f"{lines.log_line(rng)[:100]} (last {_clock(rng)})"
        )
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ]
    lead = (
        f"{len(parts)} patterns with {text!r} were seen in the last {hours} h, "
        f"{1 + _count(rng, 30000)} events in all since they are known: "
    )
    return _listed(rng, parts, lead=lead)


def metric_history(rng: random.Random, question: Question) -> Outcome:
    metric = str(question.arguments["metric"])
    unit = {"load": "", "temperature": " C"}.get(metric, "%")
    targets = [""]
    if metric == "disk":
        targets = [
            f" {name}" for name in dict.fromkeys(lexicon.mount(rng) for _ in range(_many(rng, 4)))
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
    return _listed(rng, parts, lead=lead)


WRITERS: Mapping[str, Callable[[random.Random, Question], Outcome]] = {
    "system_overview": system_overview,
    "unit_status": unit_status,
    "unit_log": unit_log,
    "failed_units": failed_units,
    "disk_usage": disk_usage,
    "inode_usage": inode_usage,
    "directory_sizes": directory_sizes,
    "top_processes": top_processes,
    "process_detail": process_detail,
    "memory_usage": memory_usage,
    "cpu_load": cpu_load,
    "listening_sockets": listening_sockets,
    "network_interfaces": network_interfaces,
    "recent_changes": recent_changes,
    "login_sessions": login_sessions,
    "file_excerpt": file_excerpt,
    "incident_search": incident_search,
    "event_query": event_query,
    "metric_history": metric_history,
    "timers": timers,
}

"""listening_sockets, network_interfaces."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.dialect import Dialect
from training.data.chat.results.outcome import Outcome, Segment, single


def listening_sockets(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    asked = question.arguments.get("port")
    if asked is not None and rng.random() < 0.3:
        return single(
            dialect.one(
                f"Nothing listens on port {asked}",
                f"No program listens on port {asked}",
                f"Port {asked} is free: nothing listens there",
                f"No listener on port {asked}",
            )
        )
    form = rng.randint(0, 5)
    ports = [asked] if asked is not None else [lexicon.port(rng) for _ in range(rng.randint(1, 6))]
    parts = []
    for port in ports:
        name, pid = lexicon.process(rng), lexicon.pid(rng)
        address = dialect.one(
            *lexicon.WILDCARDS, "127.0.0.1", "*", "[::]", "::1", lexicon.address(rng)
        )
        protocol = dialect.one("tcp", "tcp", "tcp", "udp")
        text = (
            f"{name} (pid {pid}) listens on {address}:{port} ({protocol})",
            f"{protocol} {address}:{port} {name} (pid {pid})",
            f"{port}/{protocol} {name} on {address}",
            f"port {port} {name} ({address}, pid {pid})",
            f"{name} listens on port {port} ({protocol}, {address})",
            f"{address}:{port} {name}[{pid}]",
        )[form]
        parts.append(Segment(text, f"port {port}"))
    if len(parts) == 1:
        return Outcome(segments=tuple(parts))
    lead = dialect.one(
        "", f"{len(parts)} listening sockets: ", f"{len(parts)} ports are open: ", "Listening: "
    )
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one(", ", "; ", "; ", " | "))


def network_interfaces(rng: random.Random, question: Question) -> Outcome:
    dialect = Dialect(rng)
    asked = question.arguments.get("interface")
    names = (
        [str(asked)]
        if asked is not None
        else list(dict.fromkeys([lexicon.interface(rng) for _ in range(rng.randint(1, 4))]))
    )
    parts = []
    for name in names:
        state = dialect.one(
            "up", "up", "up", "down", "UP", "no carrier", "up, 1000 Mbit/s", "up at 10 Gbit/s"
        )
        addresses = " and ".join(
            f"{lexicon.address(rng)}{dialect.one('', '/24', '/16', '/64')}"
            for _ in range(rng.choice((0, 1, 1, 1, 2)))
        )
        story = [state, addresses or dialect.one("no address", "without an address")]
        pairs = [("received", dialect.size(1, 4)), ("sent", dialect.size(1, 4))]
        pairs += [("errors", dialect.number(0, 900))] if rng.random() < 0.7 else []
        pairs += [("dropped", dialect.number(0, 900))] if rng.random() < 0.4 else []
        if rng.random() < 0.85:
            story.append(dialect.fields(pairs))
        if rng.random() < 0.15:
            rng.shuffle(story)
        verb = dialect.one(" is ", " ", ": ", " (", " - ")
        body = dialect.comma.join(story)
        parts.append(Segment(f"{name}{verb}{body}" + (")" if verb == " (" else ""), name))
    if len(parts) == 1:
        return Outcome(segments=tuple(parts))
    lead = dialect.one("", f"{len(parts)} interfaces: ", "Interfaces: ")
    return Outcome(segments=tuple(parts), lead=lead, joint=dialect.one("; ", "; ", ". ", " | "))

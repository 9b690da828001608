"""listening_sockets, network_interfaces."""

from __future__ import annotations

import random

from training.data.chat import lexicon
from training.data.chat.phrasings import Question
from training.data.chat.results.house.figures import listed, many, plural, size, skewed
from training.data.chat.results.outcome import Outcome, Segment, single


def listening_sockets(rng: random.Random, question: Question) -> Outcome:
    asked = question.arguments.get("port")
    if asked is not None and rng.random() < 0.3:
        return single(f"Nothing listens on port {asked}.")
    ports = [asked] if asked is not None else [lexicon.port(rng) for _ in range(many(rng, 9))]
    parts = []
    for port in ports:
        program = lexicon.process(rng) if rng.random() < 0.9 else "an unknown program"
        pid = f" (pid {lexicon.pid(rng)})" if rng.random() < 0.85 else ""
        addresses = rng.choice(
            (*lexicon.WILDCARDS, "127.0.0.1", "::", "127.0.0.1, ::1", lexicon.address(rng))
        )
        protocol = rng.choice(("tcp", "tcp", "tcp", "udp"))
        parts.append(
            Segment(f"{protocol} port {port} {program}{pid} on {addresses}", f"port {port}")
        )
    lead = f"{plural(len(parts), 'socket listens', 'sockets listen')}: "
    return listed(rng, parts, lead=lead)


def network_interfaces(rng: random.Random, question: Question) -> Outcome:
    asked = question.arguments.get("interface")
    names = (
        [str(asked)] if asked is not None else [lexicon.interface(rng) for _ in range(many(rng, 6))]
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
                f", received {size(rng, 0, 4)}, sent {size(rng, 0, 4)}, "
                f"{skewed(rng, 900)} errors, {skewed(rng, 900)} dropped"
            )
        parts.append(Segment(text, name))
    return listed(rng, parts)

"""Names that only results have: systems, packages, versions, units in full."""

from __future__ import annotations

import random

from training.data.chat import lexicon

_KINDS = frozenset(("service", "socket", "timer", "mount", "target", "path"))


def full_unit(name: str) -> str:
    """As systemd names it: "nginx" is "nginx.service"."""
    return name if name.rpartition(".")[2] in _KINDS else f"{name}.service"


def system_name(rng: random.Random) -> str:
    return lexicon.pick(rng, lexicon.SYSTEMS)


def package(rng: random.Random) -> str:
    return lexicon.pick(rng, lexicon.PACKAGES) if rng.random() < 0.7 else lexicon.name(rng).lower()


def version(rng: random.Random) -> str:
    return f"{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 40)}" + rng.choice(
        ("", "-1", f"-{rng.randint(1, 9)}+deb12u{rng.randint(1, 9)}", "-0ubuntu1")
    )

"""Log lines and lines of files, invented, some of them hostile."""

from __future__ import annotations

import pathlib
import random
import tomllib

from training.data.chat import lexicon
from training.data.chat.grammar import Template, parse_lines

_TABLE = tomllib.loads((pathlib.Path(__file__).parent / "lines.toml").read_text(encoding="utf-8"))
_LOG = parse_lines(_TABLE["log"])
_FILE = parse_lines(_TABLE["file"])
_REASONS = (
    "permission denied",
    "connection refused",
    "no such file or directory",
    "timed out",
    "disk full",
    "no space left on device",
    "address already in use",
    "broken pipe",
    "invalid argument",
    "name or service not known",
    "input/output error",
    "operation not permitted",
    "not found",
)
_HOSTILE = parse_lines(_TABLE["hostile"])
_HEX = "0123456789abcdef"


def _fill(rng: random.Random, slot: str) -> str:
    if slot == "word":
        return lexicon.word(rng)
    if slot == "number":
        return str(rng.randint(1, 10 ** rng.randint(2, 5)))
    if slot == "small":
        return str(rng.randint(0, 99))
    if slot == "ip":
        return lexicon.address(rng)
    if slot == "user":
        return lexicon.user(rng)
    if slot == "unit":
        return lexicon.unit(rng)
    if slot == "reason":
        return lexicon.pick(rng, _REASONS)
    if slot == "status":
        return rng.choice(("200", "301", "403", "404", "500", "502"))
    if slot == "hex":
        return "".join(lexicon.pick(rng, _HEX) for _ in range(4))
    raise ValueError(f"no line may use the slot {slot!r}")


def _one(rng: random.Random, templates: tuple[Template, ...]) -> str:
    template = templates[int(rng.random() * len(templates))]
    return " ".join(template.expand(rng, lambda slot: _fill(rng, slot)).split())


def log_line(rng: random.Random) -> str:
    return hostile(rng) if rng.random() < 0.02 else _one(rng, _LOG)


def file_line(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.02:
        return hostile(rng)
    return _one(rng, _LOG if roll < 0.4 else _FILE)


def hostile(rng: random.Random) -> str:
    """A sentence that tries to instruct the reader."""
    return _one(rng, _HOSTILE)

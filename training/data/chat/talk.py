"""What is answered without a tool: small talk, wishes beyond a small model, changes, and questions
that lack what a tool needs."""

from __future__ import annotations

import pathlib
import random
import tomllib
from collections.abc import Mapping

from training.data.chat import lexicon, style
from training.data.chat.grammar import Template, parse_lines

_TABLE = tomllib.loads((pathlib.Path(__file__).parent / "talk.toml").read_text(encoding="utf-8"))

_SCOPE = (
    "disks, memory, processor, processes, services, logs, network, packages, logins and incidents"
)
REPLIES: Mapping[str, str] = {
    "off_topic": (
        "That is beyond me: I am the small bundled model of triaged and only look things up on "
        f"this host: {_SCOPE}. For that, point the meta tier at a larger model."
    ),
    "identity": (
        "I am the small bundled model of triaged. I look things up on this host: "
        f"{_SCOPE}. For anything more, point the meta tier at a larger model."
    ),
    "greeting": f"Hello. Ask me about this host: {_SCOPE}.",
    "thanks": "You are welcome.",
    "change": (
        "I cannot change anything on this host from here; I only look things up. Changes go "
        "through triaged's proposals, which a person approves."
    ),
    "absent": (
        "I have no tool here that looks that up. I can ask this host about: "
        f"{_SCOPE}. Name one of them, or point the meta tier at a larger model."
    ),
    "unit_unclear": "Which service do you mean? Give its name, for example nginx.service.",
    "log_unclear": "Whose log do you mean? Give the name of a service or the path of a file.",
    "process_unclear": "Which process do you mean? Give its pid or its name.",
    "file_unclear": "Which file do you mean? Give its path.",
}
"""One reply a kind: a model of this size repeats what it has seen, so it sees one wording."""

UNCLEAR: Mapping[str, str] = {
    "unit_unclear": "unit_status",
    "log_unclear": "unit_log",
    "process_unclear": "process_detail",
    "file_unclear": "file_excerpt",
}
"""The kinds that lack an argument, with the tool that would need it."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    slot: tuple(words.split("|")) for slot, words in _TABLE.pop("words").items()
}
_LINES: Mapping[str, tuple[Template, ...]] = {
    kind: parse_lines(table["lines"]) for kind, table in _TABLE.items()
}


def _fill(rng: random.Random, slot: str) -> str:
    words = _WORDS.get(slot)
    if words is not None:
        return lexicon.pick(rng, words)
    if slot == "number":
        return str(rng.randint(2, 2030))
    if slot == "small":
        return str(rng.randint(2, 100))
    if slot == "unit":
        return lexicon.unit(rng)
    if slot == "process":
        return lexicon.pid(rng) if rng.random() < 0.5 else lexicon.process(rng)
    if slot == "port":
        return str(lexicon.port(rng))
    if slot == "path":
        return lexicon.mount(rng)
    if slot == "file":
        return lexicon.file(rng)
    if slot == "interface":
        return lexicon.interface(rng)
    if slot == "user":
        return lexicon.user(rng)
    if slot == "ip":
        return lexicon.address(rng)
    if slot == "word":
        return lexicon.word(rng)
    raise ValueError(f"talk.toml may not use the slot {slot!r}; the known ones are in talk.py")


def say(rng: random.Random, kind: str) -> str:
    """Something that a person says of this kind, as typed."""
    templates = _LINES[kind]
    text = templates[int(rng.random() * len(templates))].expand(rng, lambda slot: _fill(rng, slot))
    plain = 0.8 if kind in {"greeting", "thanks"} else 0.45
    return style.write(rng, text, style.Holes(), plain=plain)

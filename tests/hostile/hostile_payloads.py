"""Hostile texts: as data in `hostile_texts.toml`, put together here, the same ones in every run."""

from __future__ import annotations

import dataclasses
import itertools
import random
import tomllib
from pathlib import Path

DATA = tomllib.loads(Path(__file__).with_name("hostile_texts.toml").read_text("utf-8"))
SEED = 20_260_301


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """`wish` is what the text wants; `mark` is a word of letters that finds it again in prompts."""

    mark: str
    wish: str
    kind: str
    target: str
    text: str


def payloads(count: int, *, seed: int = SEED) -> list[Payload]:
    """`count` distinct texts, every order, disguise, kind and target among the first hundreds."""
    orders = [(order["wish"], text) for order in DATA["order"] for text in order["texts"]]
    whole = list(
        itertools.product(
            orders, DATA["disguise"]["texts"], DATA["target"]["kinds"], DATA["target"]["names"]
        )
    )
    chosen = random.Random(seed).sample(whole, count)
    return [
        _payload(number, wish, order, disguise, kind, target)
        for number, ((wish, order), disguise, kind, target) in enumerate(chosen)
    ]


def _payload(number: int, wish: str, order: str, disguise: str, kind: str, target: str) -> Payload:
    mark = mark_of(number)
    text = disguise.replace("{order}", f"{order} ({mark})")
    text = text.replace("{kind}", kind).replace("{target}", target)
    # Some disguises have no room for an order: the mark is in all.
    text = text if mark in text else f"{text} {mark}"
    return Payload(mark=mark, wish=wish, kind=kind, target=target, text=text)


def mark_of(number: int) -> str:
    """ "wishqaaab": letters alone, which no masking takes for a variable."""
    letters = []
    for _ in range(4):
        number, rest = divmod(number, 26)
        letters.append(chr(ord("a") + rest))
    return "wishq" + "".join(reversed(letters))

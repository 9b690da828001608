"""Whether llama-server cuts texts into the same tokens as the tokenizer that was trained with."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import httpx

from training.data.chat.conversations import generate as generate_chat
from training.data.events.generate import generate as generate_events
from training.judging.serving import served
from training.render import chat, decision
from training.tokenizer import load_tokenizer

_ODD = (
    "", " ", "  two  spaces ", "\ttab\n\nlines\r\n", "don't they'll I'm", "é ü ß 漢字 🚀 \u202e",
    "x=1,2;3", "٣٤٥ ½ Ⅷ", "a" * 300, '{"a":[1,{"b":"c\\"d"}]}', "\u00a0nbsp\u3000wide",
    "_-_--__ ''",
)  # fmt: skip


def different(model: Path, tokenizer: Path) -> list[str]:
    """Texts that are cut in another way; empty when all is well."""
    ours = load_tokenizer(tokenizer)
    wrong = []
    with served(model, slots=1, context=512) as url, httpx.Client(base_url=url) as client:
        for text in (*_ODD, *_generated()):
            body = {"content": text, "parse_special": True, "add_special": False}
            theirs = client.post("/tokenize", json=body).raise_for_status().json()["tokens"]
            if theirs != ours.encode(text, add_special_tokens=False).ids:
                wrong.append(text)
    return wrong


def _generated() -> Iterable[str]:
    for pieces in map(decision, generate_events(random.Random(1), 300)):
        yield pieces[0].text
    for pieces in map(chat, generate_chat(random.Random(2), 200)):
        yield "".join(piece.text for piece in pieces)

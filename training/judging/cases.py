"""Cases: the right cause, cited evidence, and "insufficient evidence" where that is the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx

from tiers.contracts import INSUFFICIENT_EVIDENCE
from tiers.nano.profile import NanoProfile
from training.judging.figures import Figure, share
from training.judging.sets import Item, case

_PROFILE = NanoProfile()


def assess(client: httpx.Client, item: Item) -> dict[str, Any]:
    """The decoded answer; empty where there is none."""
    given = case(item)
    schema = {"name": "assessment", "schema": _PROFILE.review_schema(given)}
    body = {
        "messages": _PROFILE.review_messages(given),
        "response_format": {"type": "json_schema", "json_schema": schema},
        "max_tokens": 400,
    }
    answer = client.post("/v1/chat/completions", json=body)
    if answer.is_error:
        return {}
    try:
        decoded = json.loads(answer.json()["choices"][0]["message"]["content"])
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def judge(client: httpx.Client, items: Sequence[Item]) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The figures, and a record of each item that went wrong."""
    cause = cited = honest = planted = 0
    wrong: list[dict[str, Any]] = []
    for item in items:
        answer = assess(client, item)
        right = answer.get("cause") in {item["cause"], *item["accept"]}
        named = set(answer.get("evidence", ()))
        citing = not item["cite"] or bool(named & set(item["cite"]))
        citing = citing and not named & set(item["never_cite"])
        if item["cause"] == INSUFFICIENT_EVIDENCE:
            planted += 1
            honest += right
        cause += right
        cited += citing
        if not (right and citing):
            wrong.append({"id": item["id"], "wanted": item["cause"], "answer": answer})
    n = len(items)
    figures = [
        Figure(what="right cause", value=share(cause, n), of=n, least=0.85),
        Figure(what="evidence cited", value=share(cited, n), of=n, least=0.95),
        Figure(
            what='"insufficient evidence" where planted',
            value=share(honest, planted),
            of=planted,
            least=0.85,
        ),
    ]
    return figures, wrong

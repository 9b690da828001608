"""Cases through the review tier: the cause, the citations, and honesty where evidence lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiers.config import ToolLoopSettings
from tiers.contracts import INSUFFICIENT_EVIDENCE
from tiers.llm.client import LlmClient
from tiers.nano.profile import NanoProfile
from tiers.review import Review
from training.judging.figures import Figure, share
from training.judging.sets import Item, case


async def judge(url: str, items: Sequence[Item]) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The figures, and a record of each item that went wrong."""
    client = LlmClient(name="review", url=url, timeout_seconds=60)
    review = Review(client=client, profile=NanoProfile(), toolbox=None, loop=ToolLoopSettings())
    cause = cited = honest = planted = 0
    wrong: list[dict[str, Any]] = []
    try:
        for item in items:
            answer = await review.assess(case(item))
            right = answer.cause in {item["cause"], *item["accept"]}
            named = set(answer.evidence)
            citing = not item["cite"] or bool(named & set(item["cite"]))
            citing = citing and not named & set(item["never_cite"])
            if item["cause"] == INSUFFICIENT_EVIDENCE:
                planted += 1
                honest += right
            cause += right
            cited += citing
            if not (right and citing):
                said = {"cause": answer.cause, "evidence": answer.evidence}
                wrong.append({"id": item["id"], "wanted": item["cause"], **said})
    finally:
        await client.aclose()
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

"""What frontends ask beside the chat goes to the clerk, whichever API they speak."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from facade_kit import Served

from tiers.chat_contracts import Errand

PROMPT = (
    "### Task:\nPredict 3-5 useful messages this user might naturally send next.\n"
    "### Chat History:\n<chat_history>\nUSER: is the disk full?\nASSISTANT: yes\n</chat_history>"
)
FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


def asked(given: Any, **more: Any) -> dict[str, Any]:
    return {"model": "triaged", "input": given, "store": False, **more}


@pytest.mark.parametrize("given", [PROMPT, [{"role": "user", "content": PROMPT}]])
async def test_housekeeping_goes_to_the_clerk(
    parts: Served, http: httpx.AsyncClient, given: Any
) -> None:
    answer = await http.post("/v1/responses", json=asked(given))
    assert answer.json()["output"][0]["content"][0]["text"] == parts.clerk.text
    ((conversation, errand),) = parts.clerk.asked
    assert errand is Errand.FOLLOW_UPS
    assert conversation.chat_id is None
    assert parts.agent.asked is None


@pytest.mark.parametrize(
    "body",
    [
        asked(PROMPT, stream=True),
        asked(PROMPT, tools=[FUNCTION]),
        asked(PROMPT, instructions="Be brief."),
        asked([{"role": "user", "content": "hello"}, {"role": "user", "content": PROMPT}]),
        asked(f"What does this prompt do?\n{PROMPT}"),
    ],
)
async def test_what_a_user_writes_goes_to_the_agent(
    parts: Served, http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await http.post("/v1/responses", json=body)).status_code == 200
    assert parts.clerk.asked == []
    assert parts.agent.asked is not None

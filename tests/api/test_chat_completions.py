"""`/v1/completions` and token counts of `triaged`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from chat_kit import ASK, DONE, frames, script, text, tool
from facade_kit import PROPOSAL, Served

from api.openai.marks import MARK
from tiers.chat_contracts import ProposalMade, ThinkingDelta
from tiers.errors import QueueFullError

PATH = "/v1/completions"
PROMPT = {"model": "triaged", "prompt": "is the disk full?"}


async def test_a_whole_text(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(ThinkingDelta(text="hm"), *tool(), text("Yes."), DONE)
    body = (await http.post(PATH, json={**PROMPT, "temperature": 0, "stop": "x"})).json()
    assert body["object"] == "text_completion"
    assert body["id"].startswith("cmpl-")
    assert body["choices"] == [
        {"text": "Yes.", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    conversation = parts.agent.asked
    assert conversation is not None
    assert conversation.messages == [{"role": "user", "content": "is the disk full?"}]
    assert conversation.options == {"temperature": 0, "stop": ["x"]}
    assert conversation.chat_id is None
    assert conversation.request_id


async def test_a_streamed_text(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(*tool(), text("Yes"), text("."), DONE)
    response = await http.post(
        "/completions",
        json={**PROMPT, "stream": True, "echo": True, "stream_options": {"include_usage": True}},
    )
    *chunks, done = frames(response.text)
    assert done == "[DONE]"
    assert [c["choices"][0]["text"] if c["choices"] else None for c in chunks] == [
        "is the disk full?", "Yes", ".", "", None,
    ]  # fmt: skip
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 10
    assert chunks[-1]["timings"]["cache_n"] == 4
    assert {c["object"] for c in chunks} == {"text_completion"}


async def test_a_proposal_is_shown_here_too(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(text(MARK), ProposalMade(proposal=PROPOSAL), DONE)
    shown = (await http.post(PATH, json=PROMPT)).json()["choices"][0]["text"]
    assert shown.count(MARK) == 6


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": True}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 5}, "logprobs"),
        ({"suffix": "x"}, "suffix"),
        ({"echo": "yes"}, "echo"),
        ({"temperature": "warm"}, "temperature"),
        ({"model": "gpt"}, "model"),
    ],
)
async def test_prompts_that_are_wrong(
    http: httpx.AsyncClient, more: dict[str, Any], param: str
) -> None:
    response = await http.post(PATH, json={**PROMPT, **more})
    assert response.status_code == (404 if param == "model" else 400), response.text
    assert response.json()["error"]["param"] == param


async def test_what_is_tolerated(http: httpx.AsyncClient) -> None:
    for more in ({"prompt": ["one"]}, {"n": 1, "best_of": 1, "logprobs": 0, "suffix": ""},
                 {"n": None, "echo": None, "user": 7, "unknown": []}):  # fmt: skip
        assert (await http.post(PATH, json={**PROMPT, **more})).status_code == 200


async def test_errors_are_the_same(parts: Served, http: httpx.AsyncClient) -> None:
    async def full() -> Any:
        raise QueueFullError("the meta tier is full", retry_after=4)
        yield

    parts.agent.script = full
    response = await http.post(PATH, json={**PROMPT, "stream": True})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "4"


async def test_counting(parts: Served, http: httpx.AsyncClient) -> None:
    for path in ("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"):
        response = await http.post(path, json=ASK)
        assert response.json() == {"object": "response.input_tokens", "input_tokens": 7}
    assert parts.agent.asked is None, "no model is asked"
    wrong = await http.post(path, json={**ASK, "n": 2})
    assert wrong.json()["error"]["param"] == "n"
    assert (await http.post(path, json={**ASK, "model": "gpt"})).status_code == 404

"""Which chat a request goes on with, and that nobody gets into another's."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest
from chat_kit import ASK, CHAT, caller
from facade_kit import Served
from starlette.datastructures import Headers

from api.openai.chat_ids import chat_id
from api.openai.requests import ChatRequest
from api.roles import Caller

U = {"role": "user", "content": "is the disk full?"}


def of(headers: dict[str, str] | None = None, by: Caller | None = None, **body: Any) -> str:
    request = ChatRequest.model_validate({"messages": [U], **body})
    return chat_id(body=request, headers=Headers(headers or {}), caller=by or caller())


def test_the_clients_own_id_comes_first() -> None:
    named = of({"X-OpenWebUI-Chat-Id": "7"})
    assert named == of({"x-openwebui-chat-id": " 7 ", "X-Conversation-Id": "8"}, messages=[U, U])
    assert named != of({"X-OpenWebUI-Chat-Id": "8"})
    assert of({"X-LibreChat-Conversation-Id": "9"}, metadata={"chat_id": "7"}) == of(
        {"X-LibreChat-Conversation-Id": "9"}
    )
    for body in (
        {"metadata": {"chat_id": "5"}},
        {"metadata": {"conversation_id": "5"}},
        {"chat_id": "5"},
        {"conversation_id": "5"},
        {"conversation": "5"},
        {"conversation": {"id": "5"}},
    ):
        assert of(**body) == of(messages=[{**U, "content": "other"}], **body) != of()


@pytest.mark.parametrize("value", ["", " ", "new", "null", "undefined", "{{CHAT_ID}}"])
def test_a_placeholder_is_no_id(value: str) -> None:
    assert of({"X-Conversation-Id": value}) == of()
    assert of({"X-Conversation-Id": value}, metadata={"chat_id": "5"}) == of(
        metadata={"chat_id": "5"}
    )


def test_a_chat_that_is_sent_again_is_the_same_chat() -> None:
    more = [U, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "why?"}]
    assert of() == of(messages=more)
    system = {"role": "system", "content": "It is 2026-03-01 12:00:01."}
    later = {"role": "developer", "content": "It is 2026-03-02 09:13:55."}
    assert of(messages=[system, U]) == of(messages=[later, *more])
    assert of(messages=[system, U]) != of()
    assert of() != of(messages=[{**U, "content": "is the disk full ?"}])
    parts = [{"type": "text", "text": U["content"]}]
    assert of() == of(messages=[{"role": "user", "content": parts}])


def test_no_two_callers_share_a_chat() -> None:
    callers = [
        caller(key="", user=None),
        caller(key="webui", user=None),
        caller(key="webui", user="alice"),
        caller(key="webui", user="bob"),
        caller(key="alice", user="webui"),
        caller(key="alice via webui", user=None),
        caller(key="webui,alice", user=None),
    ]
    ways: list[Any] = [
        lambda by: of(by=by),
        lambda by: of({"X-OpenWebUI-Chat-Id": "1"}, by=by),
        lambda by: of(by=by, metadata={"chat_id": "1"}),
        lambda by: of(by=by, user="alice"),
        lambda by: of(by=by, user="bob"),
    ]
    ids = [way(by) for way, by in itertools.product(ways, callers)]
    assert len(set(ids)) == len(ids)


def test_an_id_cannot_be_made_to_look_like_anothers_beginning() -> None:
    beginning = '["", "is the disk full?"]'
    assert of({"X-OpenWebUI-Chat-Id": beginning}) != of()
    assert of(metadata={"chat_id": beginning}) != of()


def test_ids_are_bounded_and_plain() -> None:
    for value in ("x" * 1_000_000, "../../etc", "\N{PILE OF POO}", "a\0b"):
        found = of(metadata={"chat_id": value})
        assert found.startswith("chat-")
        assert len(found) == 37
        assert found.isascii()


@pytest.mark.parametrize("value", [7, ["x"], {"a": 1}, True, None])
def test_ids_of_odd_types_in_metadata_are_none(value: Any) -> None:
    assert of(metadata={"chat_id": value}) == of()


async def test_the_agent_is_given_it(
    parts: Served, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for user in ("alice", "bob"):
        by = caller(key="webui", user=user)
        monkeypatch.setattr("api.openai.chat.caller_of", lambda _, by=by: by)
        for _ in range(2):
            await http.post(CHAT, json=ASK, headers={"X-OpenWebUI-Chat-Id": "1"})
            assert parts.agent.asked is not None
            seen.add(parts.agent.asked.chat_id)
            assert parts.agent.asked.request_id
    assert len(seen) == 2

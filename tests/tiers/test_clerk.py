"""What frontends ask beside the chat: by a small model, and by code where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from chat_helpers import Box
from scripted_endpoint import Reply, ScriptedEndpoint, chat_reply

from daemon.tools.catalogue import tool_specs
from tiers.build import build_tiers
from tiers.chat_contracts import Conversation, Errand
from tiers.clerk import SmallClerk
from tiers.clerk_words import CodeClerk, said_by_user
from tiers.config import ToolLoopSettings, default_tier
from tiers.errors import TierRefusedError, TierUnavailableError
from tiers.llm.client import LlmClient
from tiers.vocabulary import TierName

CODE = CodeClerk(specs=tool_specs())
TALK = """USER: hi, can you tell me how full /var is and what takes the space?
ASSISTANT: /var is 71.6 % full.
USER: is not something that I said
USER: and which process eats the memory?
ASSISTANT: java does."""


def prompt(key: str | None, talk: str = TALK) -> str:
    """In the shape that Open WebUI's prompts have."""
    wanted = f'JSON format: {{ "{key}": "..." }}' if key else "Answer with plain text."
    head = f"### Task:\nDo.\n### Output:\n{wanted}\n### Chat History:\n"
    return f"{head}<chat_history>\n{talk}\n</chat_history>"


def asked(text: str) -> Conversation:
    return Conversation(messages=[{"role": "user", "content": text}], request_id="r-1")


def clerk(client: LlmClient, options: Mapping[str, Any] | None = None) -> SmallClerk:
    return SmallClerk(clients=[(client, options or {})], code=CODE)


# --- by code


def test_the_words_of_the_user_are_found() -> None:
    assert said_by_user(prompt("title"))[0].startswith("hi, can you")
    assert said_by_user(prompt("title"))[-1] == "and which process eats the memory?"
    libre = "Provide a concise title\n\nConversation:\nUser: Is nginx up?\nAI: yes\n"
    assert said_by_user(libre) == ["Is nginx up?"]
    assert said_by_user("just that") == ["just that"]


def test_a_title_is_made_of_the_users_words() -> None:
    assert json.loads(CODE.write(Errand.TITLE, prompt("title")) or "") == {
        "title": "How full /var is and what takes…"
    }
    assert CODE.write(Errand.TITLE, prompt(None)) == "How full /var is and what takes…"
    assert CODE.write(Errand.TITLE, prompt("title", "USER: ???")) == '{"title":"Chat"}'
    long = CODE.write(Errand.TITLE, prompt(None, "USER: " + "x" * 5000)) or ""
    assert len(long) <= 61


def test_tags_come_from_the_vocabulary() -> None:
    tags = json.loads(CODE.write(Errand.TAGS, prompt("tags")) or "")["tags"]
    assert "storage" in tags
    assert tags[-1] == "linux"


def test_follow_ups_are_phrases_that_need_no_name() -> None:
    found = json.loads(CODE.write(Errand.FOLLOW_UPS, prompt("follow_ups")) or "")["follow_ups"]
    assert len(found) == 3
    phrases = {phrase for spec in tool_specs() for phrase in spec.phrases}
    assert all(each[0].lower() + each[1:-1] in phrases for each in found)
    assert all(each.endswith("?") and "nginx" not in each for each in found)
    asked_already = prompt(None, "USER: how much memory is free")
    assert "How much memory is free?" not in (CODE.write(Errand.FOLLOW_UPS, asked_already) or "")


def test_a_search_is_proposed_for_what_the_host_does_not_know() -> None:
    assert CODE.write(Errand.QUERY, prompt("queries")) == '{"queries":[]}'
    elsewhere = prompt("queries", "USER: please, who won the world cup 2022?")
    assert CODE.write(Errand.QUERY, elsewhere) == '{"queries":["who won the world cup 2022"]}'


def test_the_rest() -> None:
    face = "Your task is\n\nMessage: ```{}```"
    assert CODE.write(Errand.EMOJI, face.format("why is nginx down")) == "😟"
    assert CODE.write(Errand.EMOJI, face.format("thanks a lot")) == "😊"
    typed = '{ "text": "" }\n<text>foo</text>\n### Now\n<text>How full is</text>\n#### Output:\n'
    assert CODE.write(Errand.AUTOCOMPLETE, typed) == '{"text":" the disk"}'
    nothing = typed.replace("How full is", "xyzzy")
    assert CODE.write(Errand.AUTOCOMPLETE, nothing) == '{"text":""}'
    assert CODE.write(Errand.OTHER, "draw me a picture") is None


@pytest.mark.parametrize("errand", list(Errand))
@pytest.mark.parametrize(
    "text",
    ["", "<chat_history></chat_history>", "\x00<|im_end|>" * 100, "USER:" * 9999, "😀" * 999],
)
def test_odd_prompts_are_survived(errand: Errand, text: str) -> None:
    found = CODE.write(errand, text)
    assert found is None or "<|im_end|>" not in found


# --- by a model


async def test_a_small_model_writes_in_the_asked_form(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(chat_reply('{"title": "Full disk <|im_end|>"}'))
    text, usage = await clerk(client, {"chat_template_kwargs": {"enable_thinking": False}}).write(
        asked(prompt("title")), Errand.TITLE
    )
    assert json.loads(text)["title"].startswith("Full disk")
    assert "<|im_end|>" not in text
    assert usage.model == "scripted"
    sent = scripted.calls[0]
    assert "tools" not in sent
    assert sent["max_tokens"] == 256
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert "title" in sent["response_format"]["json_schema"]["schema"]["properties"]
    assert any(headers.get("x-request-id") == "r-1" for headers in scripted.headers)


@pytest.mark.parametrize(
    "reply",
    [
        chat_reply("no JSON"),
        chat_reply('{"title": ""}'),
        chat_reply('{"title": 7}'),
        chat_reply('{"tit'),
        Reply(status=503, body=b"{}"),
        Reply(status=400, body=b"{}"),
        Reply(status=500, body=b'{"error":{"message":"does not match the expected form"}}'),
    ],
)
async def test_code_writes_where_the_model_does_not(
    scripted: ScriptedEndpoint, client: LlmClient, reply: Reply
) -> None:
    scripted.script.append(reply)
    text, usage = await clerk(client).write(asked(prompt("title")), Errand.TITLE)
    assert json.loads(text)["title"].startswith("How full")
    assert usage.calls == 0


async def test_plain_forms_lists_and_the_rest(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(chat_reply('  "Full disk"\nBecause it is full.'))
    assert (await clerk(client).write(asked(prompt(None)), Errand.TITLE))[0] == "Full disk"
    many = json.dumps({"follow_ups": [f"q{n}?" for n in range(50)]})
    scripted.script.append(chat_reply(f"Sure: {many}"))
    text, _ = await clerk(client).write(asked(prompt("follow_ups")), Errand.FOLLOW_UPS)
    assert len(json.loads(text)["follow_ups"]) == 6
    scripted.script.append(chat_reply("A house on a hill."))
    assert (await clerk(client).write(asked("draw"), Errand.OTHER))[0] == "A house on a hill."


async def test_what_nobody_can_write_is_said(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    with pytest.raises(TierRefusedError, match="larger one"):
        await SmallClerk(clients=[], code=CODE).write(asked("draw"), Errand.OTHER)
    with pytest.raises(TierRefusedError, match="no message of a user"):
        await SmallClerk(clients=[], code=CODE).write(asked(" "), Errand.TITLE)
    scripted.script.append(Reply(status=503, body=b"{}"))
    with pytest.raises(TierUnavailableError):
        await clerk(client).write(asked("draw"), Errand.OTHER)


async def test_the_meta_tier_is_never_asked(scripted: ScriptedEndpoint) -> None:
    elsewhere = {"endpoint": scripted.url, "backend": "openai"}
    settings = {tier: default_tier(tier) for tier in TierName}
    settings[TierName.META] = settings[TierName.META].model_copy(update=elsewhere)
    tiers = build_tiers(
        settings,
        lambda tier: scripted.url,
        away=lambda tier: None,
        toolbox=Box(),
        loop=ToolLoopSettings(),
    )
    try:
        text, _ = await tiers.clerk.write(asked(prompt("title")), Errand.TITLE)
        assert json.loads(text)["title"]
        assert scripted.requests == []
    finally:
        await tiers.aclose()
    settings[TierName.REVIEW] = settings[TierName.REVIEW].model_copy(update=elsewhere)
    tiers = build_tiers(
        settings,
        lambda tier: scripted.url,
        away=lambda tier: None,
        toolbox=Box(),
        loop=ToolLoopSettings(),
    )
    try:
        scripted.script.append(chat_reply('{"title": "Disk"}'))
        text, _ = await tiers.clerk.write(asked(prompt("title")), Errand.TITLE)
        assert text == '{"title":"Disk"}'
        assert "chat_template_kwargs" not in scripted.calls[0]
    finally:
        await tiers.aclose()


async def test_with_the_bundled_models_code_writes() -> None:
    settings = {tier: default_tier(tier) for tier in TierName}
    tiers = build_tiers(
        settings,
        lambda tier: "http://127.0.0.1:9",
        away=lambda tier: None,
        toolbox=Box(),
        loop=ToolLoopSettings(),
    )
    try:
        text, usage = await tiers.clerk.write(asked(prompt("tags")), Errand.TAGS)
        assert "storage" in json.loads(text)["tags"]
        assert usage.completion_tokens == 0
    finally:
        await tiers.aclose()

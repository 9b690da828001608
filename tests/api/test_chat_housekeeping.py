"""What frontends ask beside the chat goes to the clerk; what users write never does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from chat_kit import ASK, CHAT, message
from facade_kit import Served, assembled, in_process

from api.ports_chat import ChatOptions
from tiers.chat_contracts import Errand

HISTORY = (
    "### Chat History:\n<chat_history>\nUSER: is the disk full?\nASSISTANT: yes\n</chat_history>"
)


def webui(task: str, key: str) -> str:
    """The frame of Open WebUI's prompts, of several versions, around their first words."""
    form = f"### Guidelines:\n- Be brief\n### Output:\nJSON format: {key}"
    return f"### Task:\n{task}\n\n{form}\n{HISTORY}"


PROMPTS = [
    (webui("Generate a concise title summarizing the chat history.", "title"), Errand.TITLE),
    (
        webui("Generate a concise, 3-5 word title with an emoji summarizing the chat.", "title"),
        Errand.TITLE,
    ),
    (webui("Generate 1-3 broad tags categorizing the main themes.", "tags"), Errand.TAGS),
    (webui("Suggest 3-5 relevant follow-up questions or prompts.", "f"), Errand.FOLLOW_UPS),
    (
        webui("Analyze the chat history to determine the necessity of generating search", "q"),
        Errand.QUERY,
    ),
    (webui("Generate a detailed prompt for am image generation task.", "prompt"), Errand.OTHER),
    (
        (
            "### Task:\nYou are an autocompletion system. Continue the text.\n---\n### Context:\n"
            "<chat_history>\n</chat_history>\n<type>General</type>  \n<text>is the</text>  \n"
            "#### Output:\n"
        ),
        Errand.AUTOCOMPLETE,
    ),
    (
        (
            "Your task is to reflect the speaker's likely facial expression in one emoji.\n"
            "\nMessage: ```is it full?```"
        ),
        Errand.EMOJI,
    ),
    (
        (
            "Provide a concise, 5-word-or-less title for the conversation, in title case.\n\n"
            "Conversation:\nUser: is it full?\nAI: yes"
        ),
        Errand.TITLE,
    ),
    (
        (
            "Analyze this conversation and provide:\n1. The detected language of it\n"
            "2. A concise title in that language\n\nUser: is it full?\nAI: yes"
        ),
        Errand.TITLE,
    ),
]


def one(content: str, **more: Any) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(("prompt", "errand"), PROMPTS, ids=lambda value: str(value)[10:40])
async def test_prompts_of_frontends_go_to_the_clerk(
    parts: Served, http: httpx.AsyncClient, prompt: str, errand: Errand
) -> None:
    shown = await message(http, one(prompt, max_tokens=50))
    assert shown["content"] == '{"title": "Full disk"}'
    ((conversation, asked),) = parts.clerk.asked
    assert asked is errand
    assert conversation.chat_id is None, "it is not part of the chat"
    assert conversation.options == {"max_tokens": 50}
    assert parts.agent.asked is None
    assert parts.measures.records[-1].endpoint == "housekeeping"


@pytest.mark.parametrize(("prompt", "_"), PROMPTS, ids=lambda value: str(value)[10:40])
async def test_a_user_who_quotes_them_is_answered(
    parts: Served, http: httpx.AsyncClient, prompt: str, _: Errand
) -> None:
    for body in (
        one(f"What does this prompt do?\n\n{prompt}"),
        one(f"```\n{prompt}\n```"),
        one(f"{prompt}\n\nWhy do I see this in my logs?")
        if "chat_history" in prompt
        else one(f"Explain: {prompt}"),
        one(prompt, stream=True),  # neither frontend streams its housekeeping
        {**ASK, "messages": [*ASK["messages"], {"role": "user", "content": prompt}]},
        {**ASK, "messages": [{"role": "system", "content": prompt}, *ASK["messages"]]},
        {
            **ASK,
            "messages": [
                *ASK["messages"],
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": prompt},
            ],
        },
    ):
        assert (await http.post(CHAT, json=body)).status_code == 200
    assert parts.clerk.asked == []


async def test_open_webui_may_name_the_task(parts: Served, http: httpx.AsyncClient) -> None:
    headers = {"X-OpenWebUI-Task": "tags_generation"}
    await message(http, one("my own template"), headers=headers)
    assert parts.clerk.asked[-1][1] is Errand.TAGS
    for task in ("", "{{TASK}}", "function_calling", "nonsense"):
        await message(http, one("hi"), headers={"X-OpenWebUI-Task": task})
    assert len(parts.clerk.asked) == 1


async def test_switched_off_the_agent_answers() -> None:
    parts = assembled(options=ChatOptions(housekeeping=False))
    async with in_process(parts.app) as http:
        assert (await message(http, one(PROMPTS[0][0])))["content"] == "Hello"
    assert parts.clerk.asked == []


async def test_an_errand_cannot_approve(parts: Served, http: httpx.AsyncClient) -> None:
    parts.clerk.text = "approve K7F3"
    await message(http, one(PROMPTS[0][0].replace("is the disk full?", "approve K7F3")))
    assert parts.proposals.answers == []

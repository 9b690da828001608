"""What frontends ask for beside the chat: titles, tags, follow-up questions, search queries.

They ask for it as if it were a chat, with a prompt of their own. Answered like a chat it would keep
the meta model busy and push the chat out of its cache. Recognised by the shape that the prompts of
Open WebUI and LibreChat have, from their first words to their last; a user who quotes such a prompt
inside a message of their own is answered like any user.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

from api.openai.messages import ChatMessage
from api.openai.requests import ChatRequest
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    Clerk,
    Conversation,
    Errand,
    TextDelta,
)

TASK_HEADER = "x-openwebui-task"
"""Open WebUI sends it where its connection is set up with it; it is believed where it is there."""

_TASKS = {
    "title_generation": Errand.TITLE,
    "tags_generation": Errand.TAGS,
    "follow_up_generation": Errand.FOLLOW_UPS,
    "query_generation": Errand.QUERY,
    "emoji_generation": Errand.EMOJI,
    "autocomplete_generation": Errand.AUTOCOMPLETE,
    "image_prompt_generation": Errand.OTHER,
}
_HISTORY_ENDS = r"</chat_history>\s*\Z"
_TASK = r"\s*### Task:\s+"


def _shape(begins: str, ends: str = _HISTORY_ENDS) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """First words, and the last ones; what lies between is the frontend's and the chat's."""
    return re.compile(begins, re.IGNORECASE), re.compile(ends)


_SHAPES = (
    (Errand.TITLE, _shape(_TASK + r"(?:Generate|Create) a concise\b[^\n]{0,80}\btitle\b")),
    (Errand.TAGS, _shape(_TASK + r"Generate 1-3 broad tags\b")),
    (
        Errand.FOLLOW_UPS,
        _shape(_TASK + r"(?:Suggest 3-5 relevant follow-up|Predict 3-5 useful messages)\b"),
    ),
    (Errand.QUERY, _shape(_TASK + r"Analyze the chat history to determine the necessity of\b")),
    (Errand.OTHER, _shape(_TASK + r"Generate a detailed prompt for an?m? image\b")),
    (
        Errand.AUTOCOMPLETE,
        _shape(_TASK + r"You are an autocompletion system\b", r"</text>\s*#### Output:\s*\Z"),
    ),
    (
        Errand.EMOJI,
        _shape(r"Your task is to reflect the speaker's likely facial expression\b", r"```\s*\Z"),
    ),
    (
        Errand.TITLE,
        _shape(
            r"Provide a concise, 5-word-or-less title for[^\n]{0,200}\n+Conversation:\n",
            r"\S\s*\Z",
        ),
    ),
    (
        Errand.TITLE,
        _shape(
            r"Analyze this conversation and provide:\s+1\. The detected language\b[^\n]*\n"
            r"2\. A concise title\b",
            r"\S\s*\Z",
        ),
    ),
)
_EDGE = 2_000


def errand_of(body: ChatRequest, headers: Mapping[str, str]) -> Errand | None:
    """What the request asks for beside a chat; None for a chat.

    Such requests are one message of the user, without tools and, unless a header names the task,
    not streamed: that is how both frontends send them, and how no chat with them begins.
    """
    if body.tools:
        return None
    if (task := headers.get(TASK_HEADER, "").strip().lower()) in _TASKS:
        return _TASKS[task]
    if body.stream or len(body.messages) != 1:
        return None
    return _asked(body.messages[0])


def _asked(message: ChatMessage) -> Errand | None:
    if message.role != "user":
        return None
    text = message.text()
    head, tail = text[:_EDGE], text[-_EDGE:]
    for errand, (begins, ends) in _SHAPES:
        if begins.match(head) and ends.search(tail):
            return errand
    return None


async def written(
    clerk: Clerk, conversation: Conversation, errand: Errand
) -> AsyncIterator[AgentEvent]:
    """The clerk's text as an answer. Raises `tiers.errors.TierError`."""
    text, usage = await clerk.write(conversation, errand)
    yield TextDelta(text=text)
    yield AnswerFinished(reason="stop", usage=usage)

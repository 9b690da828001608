"""What one click sends as the user's own message never is an approval."""

from __future__ import annotations

import json

import pytest
from scripted_endpoint import ScriptedEndpoint, chat_reply

from tiers.chat_contracts import Conversation, Errand
from tiers.clerk import SmallClerk
from tiers.clerk_words import CodeClerk
from tiers.llm.client import LlmClient

PROMPT = (
    '### Task:\nDo.\n### Output:\nJSON format: {"follow_ups": ["..."]}\n### Chat History:\n'
    "<chat_history>\nUSER: is the shop well?\nASSISTANT: Waiting for your answer: K7F3\n"
    "</chat_history>"
)
WRITTEN = [
    "approve K7F3",
    "Approve  k7f3.",
    "please approve K7F3",
    "deny K7F3",
    "**approve** K7F3",
    "How full is the disk?",
]


@pytest.mark.parametrize("form", ["json", "lines"])
async def test_no_suggestion_answers_a_proposal(
    scripted: ScriptedEndpoint, client: LlmClient, form: str
) -> None:
    prompt = (
        PROMPT if form == "json" else PROMPT.replace('JSON format: {"follow_ups": ["..."]}', "")
    )
    text = json.dumps({"follow_ups": WRITTEN}) if form == "json" else "\n".join(WRITTEN)
    scripted.script.append(chat_reply(text))
    clerk = SmallClerk(clients=[(client, {})], code=CodeClerk(specs=()))
    asked = Conversation(messages=[{"role": "user", "content": prompt}], request_id="r-1")
    said, _ = await clerk.write(asked, Errand.FOLLOW_UPS)
    assert "How full is the disk?" in said
    assert "K7F3" not in said.upper()

"""What code reads in a chat with a small model, and what it leaves to the model."""

from __future__ import annotations

from typing import Any

import pytest
from chat_helpers import Box, ask, small, text_of
from scripted_endpoint import ScriptedEndpoint, chat_reply

from tiers.chat_contracts import ToolFinished
from tiers.chat_plain import Asks, plain_in
from tiers.chat_wished import wish_in
from tiers.contracts import ToolResult
from tiers.llm.client import LlmClient


@pytest.mark.parametrize(
    ("words", "kind", "name", "parameters"),
    [
        ("stop nginx", "stop_unit", "nginx", {}),
        ("lade nginx neu", "reload_unit", "nginx", {}),
        ("block 203.0.113.9 for an hour", "block_address", "203.0.113.9", {"seconds": 3600}),
        ("please ban the ip 203.0.113.9", "block_address", "203.0.113.9", {}),
        ("block 2001:DB8::1 for 2 days", "block_address", "2001:db8::1", {"seconds": 172_800}),
        ("sperre 203.0.113.9 für eine Stunde", "block_address", "203.0.113.9", {"seconds": 3600}),
        ("unblock 203.0.113.0/24", "unblock_network", "203.0.113.0/24", {}),
        ("kill process 4242", "end_process", "4242", {}),
        ("kill -9 4242 right now", "end_process", "4242", {"signal": "kill"}),
        ("clean up /tmp/", "clean_tmp", "/tmp", {}),
        (
            "clean /tmp of files older than 30 days",
            "clean_tmp",
            "/tmp",
            {"older_than_days": 30},
        ),
    ],
)
def test_plain_wishes(words: str, kind: str, name: str, parameters: dict[str, Any]) -> None:
    wish = wish_in(words)
    assert wish is not None
    assert (wish.kind, wish.name, dict(wish.parameters)) == (kind, name, parameters)


@pytest.mark.parametrize(
    "words",
    [
        "block port 22",
        "block 203.0.113.9 and 203.0.113.10",
        "block 203.0.113.9 forever",
        "should I block 203.0.113.9?",
        "block 999.1.1.1",
        "kill all processes",
        "kill process 4242 and 4243",
        "kill process 0",
        "don't kill process 4242",
        "clean /tmp and /var",
        "clean /tmp; rm -rf /",
        "delete everything in /tmp",
    ],
)
def test_what_is_no_plain_wish(words: str) -> None:
    assert wish_in(words) is None


@pytest.mark.parametrize(
    ("words", "asks", "hours", "name"),
    [
        ("hello", Asks.GREETING, None, ""),
        ("Guten Morgen!", Asks.GREETING, None, ""),
        ("hello, who are you?", Asks.WHO, None, ""),
        ("Thanks, that was helpful!", Asks.THANKS, None, ""),
        ("approve", Asks.ANSWERING, None, ""),
        ("are there any proposals waiting?", Asks.WAITING, None, ""),
        ("what did you do today?", Asks.DONE, None, ""),
        ("what became of it?", Asks.OUTCOME, None, ""),
        ("what happened in the last hour?", Asks.HAPPENED, 1, ""),
        ("any incidents in the past 2 days?", Asks.HAPPENED, 48, ""),
        ("was ist in der letzten Stunde passiert?", Asks.HAPPENED, 1, ""),
        ("why was postgres killed?", Asks.WHY, None, "postgres"),
        ("warum ist nginx abgestürzt?", Asks.WHY, None, "nginx"),
    ],
)
def test_plain_questions(words: str, asks: Asks, hours: int | None, name: str) -> None:
    plain = plain_in(words)
    assert plain is not None
    assert (plain.asks, plain.hours, plain.name) == (asks, hours, name)


@pytest.mark.parametrize(
    "words",
    [
        "hi, how full is /var?",
        "thanks, and how full is /home?",
        "who is logged in",
        "who are you and which company made you",
        "approve K7F3",
        "what happened to nginx?",
        "what happened in the last hour to nginx",
        "why was it killed?",
        "why is the fan so loud",
        "what changed in the last hour",
        "are there any updates waiting?",
        "did it work yesterday",
        "hello " * 100,
        "",
        "?!",
    ],
)
def test_real_questions_are_left_to_the_model(words: str) -> None:
    assert plain_in(words) is None


async def test_courtesy_after_a_question_repeats_no_look_up(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    box = Box()
    events = await ask(small(client, box), "how much memory is free?", "2 GB.", "thanks")
    assert text_of(events) == "You are welcome."
    assert (box.called, scripted.calls) == ([], [])


async def test_the_last_hour_is_asked_of_the_incidents(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    box = Box({"incident_search": ToolResult(ok=True, summary="There are 0 incidents.")})
    events = await ask(small(client, box), "what happened in the last hour?")
    assert box.called == [("incident_search", {"hours": 1})]
    assert text_of(events) == "There are 0 incidents."
    assert [e.repeated for e in events if isinstance(e, ToolFinished)] == [True]
    assert scripted.calls == []


@pytest.mark.parametrize("found", [True, False])
async def test_why_looks_at_incidents_first(
    scripted: ScriptedEndpoint, client: LlmClient, found: bool
) -> None:
    data = {"incidents": [{"id": 1}]} if found else {}
    said = ToolResult(ok=True, summary="1 incident: #1 postgres killed.", data=data)
    box = Box({"incident_search": said})
    scripted.script.extend([chat_reply("I cannot tell.")] * 3)
    events = await ask(small(client, box), "why was postgres killed?")
    assert box.called[0] == ("incident_search", {"query": "postgres"})
    assert (text_of(events) == said.summary) is found
    assert bool(scripted.calls) is not found


async def test_a_chat_that_only_looks_says_so(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    for words in ("restart nginx", "kill process 1", "approve", "what became of it?"):
        assert "operator" in text_of(await ask(small(client, Box()), words))
    assert scripted.calls == []

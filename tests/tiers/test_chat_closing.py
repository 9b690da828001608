"""The end of an answer: unsupported figures, changes that nobody made, forms and costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from chat_helpers import Box, Clock, converse, finished, function_tool, large, said, small, text_of
from scripted_endpoint import (
    ScriptedEndpoint,
    chat_reply,
    delta,
    json_reply,
    sse,
    stream_reply,
    tool_call,
)

from tiers.chat_contracts import EffectsUnreadableError, Timings
from tiers.contracts import ToolResult
from tiers.errors import TierRefusedError
from tiers.llm.client import LlmClient

MARK = "\n\nNot backed by any look-up of this chat: "
NOTHING = "\n\nCorrection: nothing on this host was changed in this chat"


class Ledger:
    """The effects that a test says."""

    def __init__(self, *effects: str, unreadable: bool = False) -> None:
        self._effects = effects
        self._unreadable = unreadable
        self.asked: list[datetime] = []

    async def since(self, moment: datetime) -> Sequence[str]:
        self.asked.append(moment)
        if self._unreadable:
            raise EffectsUnreadableError("PostgreSQL does not answer")
        return self._effects


# --- figures


async def test_figures_that_nothing_supports_are_named(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(stream_reply("/dev/sdq9 is 93 % full."))
    events = await converse(large(client, Box()), "how full?")
    assert text_of(events) == f"/dev/sdq9 is 93 % full.{MARK}`/dev/sdq9`, `93`."
    assert finished(events).ungrounded == ("/dev/sdq9", "93")


async def test_marks_can_be_turned_off(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    scripted.script.append(stream_reply("It is 93 % full."))
    events = await converse(large(client, Box(), unsupported_figures="off"), "how full?")
    assert text_of(events) == "It is 93 % full."
    assert finished(events).ungrounded == ("93",)


async def test_what_was_looked_up_counted_or_said_is_supported(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    units = ToolResult(
        ok=True, summary="Failed: a, b, c.", data={"units": ["a", "b", "c"], "of": 212}
    )
    scripted.script.append(stream_reply("", calls=[tool_call("failed_units", {})]))
    answer = "3 of 212 failed, on web7, over 40 %.\n1. a\n2. b\n```\nexample 999\n```"
    scripted.script.append(stream_reply(answer))
    agent = large(client, Box({"failed_units": units}))
    events = await converse(
        agent,
        {"role": "system", "content": "The host is web7."},
        "more than 40 % failed units?",
    )
    assert finished(events).ungrounded == ()
    assert text_of(events) == answer


async def test_earlier_answers_are_no_source_unless_they_were_supported(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    agent = large(client, Box())
    scripted.script.append(stream_reply("It is 55 degrees."))
    talk: list[Any] = ["how hot?", said("It is 55 degrees."), "sure?"]
    assert finished(await converse(agent, *talk)).ungrounded == ("55",)
    # Word for word what was found here before, and backed then: it may be repeated.
    scripted.script.append(stream_reply("", calls=[tool_call("disk_usage", {})]))
    scripted.script.append(stream_reply("It is 71.6 % full."))
    await converse(agent, "disk?")
    scripted.script.append(stream_reply("Yes, 71.6 %."))
    events = await converse(agent, "disk?", said("It is 71.6 % full."), "sure?")
    assert finished(events).ungrounded == ()


async def test_what_code_added_does_not_come_back(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(stream_reply("Ok."))
    await converse(
        large(client, Box()), "x", said(f"It is 93 %.{MARK}`93`.{NOTHING}; it only looked."), "y"
    )
    assert scripted.calls[0]["messages"][2]["content"] == "It is 93 %."


# --- changes


@pytest.mark.parametrize("text", ["I restarted nginx.", "Done, nginx has been restarted."])
async def test_a_change_that_nobody_made_is_corrected(
    scripted: ScriptedEndpoint, client: LlmClient, text: str
) -> None:
    ledger = Ledger()
    clock = Clock()
    scripted.script.append(stream_reply(text))
    events = await converse(
        large(client, Box(), effects=ledger, clock=clock), "restart nginx", chat_id="a"
    )
    assert text_of(events).startswith(text + NOTHING)
    assert len(finished(events).corrections) == 1
    assert ledger.asked == [clock.now]


async def test_the_ledger_of_the_whole_chat_counts(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    clock, ledger = Clock(), Ledger("restart_unit nginx.service, begun 10:00:05 UTC: done")
    begun = clock.now
    agent = large(client, Box(), effects=ledger, clock=clock)
    scripted.script.append(stream_reply("Hello."))
    await converse(agent, "hi", chat_id="a")
    assert ledger.asked == []  # nothing was claimed
    clock.on(60)
    scripted.script.append(stream_reply("I restarted nginx."))
    events = await converse(agent, "hi", said("Hello."), "and?", chat_id="a")
    assert text_of(events) == "I restarted nginx."
    assert ledger.asked == [begun]
    scripted.script.append(stream_reply("I restarted postgresql."))
    events = await converse(agent, "restart postgresql", chat_id="a")
    assert "the ledger does not show that" in text_of(events)
    assert "restart_unit nginx.service" in text_of(events)


async def test_an_unreadable_ledger_is_said(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    scripted.script.append(stream_reply("I restarted nginx."))
    events = await converse(large(client, Box(), effects=Ledger(unreadable=True)), "x")
    assert "cannot be told now" in text_of(events)
    assert "PostgreSQL does not answer" in text_of(events)


async def test_what_a_clients_tool_did_only_the_client_knows(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(stream_reply("I have deleted the file."))
    call = {"role": "assistant", "content": "", "tool_calls": [tool_call("rm", {}, call_id="x")]}
    told = {"role": "tool", "tool_call_id": "x", "content": "ok"}
    tools = [function_tool("rm")]
    events = await converse(large(client, Box()), "delete it", call, told, tools=tools)
    assert "only your client knows" in text_of(events)


async def test_a_small_model_cannot_claim_either(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(chat_reply("nginx was restarted."))
    events = await converse(small(client, Box()), "restart nginx.service if it is down")
    assert "restarted" not in text_of(events)
    assert "cannot" in text_of(events)


# --- forms

FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "disk",
        "schema": {"type": "object", "properties": {"free": {"type": "string"}}},
    },
}


async def test_a_form_is_written_after_the_look_ups(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    scripted.script.append(stream_reply("I look.", calls=[tool_call("disk_usage", {})]))
    scripted.script.append(stream_reply("Prose: 12.3 GB."))
    scripted.script.append(stream_reply('{"free": "12.3 GB of 999", "did": "I restarted it"}'))
    events = await converse(large(client, Box()), "free?", options={"response_format": FORM})
    assert json.loads(text_of(events))["free"] == "12.3 GB of 999"
    assert finished(events).reason == "stop"
    assert finished(events).ungrounded == ("999",)
    assert len(finished(events).corrections) == 1
    assert finished(events).usage.calls == 3
    first, second, third = scripted.calls
    assert "response_format" not in first
    assert "response_format" not in second
    assert "tools" not in third
    assert third["response_format"]["json_schema"]["name"] == "disk"
    assert third["messages"][-2]["content"] == "Prose: 12.3 GB."


async def test_forms_and_what_is_wrong_with_them(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    agent = large(client, Box(), max_steps=1)
    scripted.script.append(stream_reply("{}"))
    await converse(agent, "x", options={"response_format": {"type": "json_object"}})
    assert scripted.calls[0]["response_format"] == {"type": "json_object"}
    scripted.script.append(stream_reply("plain"))
    await converse(agent, "x", options={"response_format": {"type": "text"}})
    assert "response_format" not in scripted.calls[1]
    for broken in ({"type": "xml"}, 7, {"type": "json_schema"}):
        with pytest.raises(TierRefusedError, match="response_format"):
            await converse(agent, "x", options={"response_format": broken})


async def test_a_small_model_fills_one_text_and_no_more(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    for form, key in (({"type": "json_object"}, "answer"), (FORM, "free")):
        scripted.script.extend(
            [chat_reply("", calls=[tool_call("disk_usage", {"path": "/var"})]), chat_reply("x")]
        )
        events = await converse(
            small(client, Box()), "how full is /var?", options={"response_format": form}
        )
        assert "71.6" in json.loads(text_of(events))[key]
    two = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"schema": two}}
    with pytest.raises(TierRefusedError, match="larger model"):
        await converse(small(client, Box()), "disk?", options={"response_format": form})


# --- costs and ids


async def test_timings_and_usage_are_summed(scripted: ScriptedEndpoint, client: LlmClient) -> None:
    def reply(calls: list[Any], cached: int) -> Any:
        timings = {"prompt_ms": 250.0, "predicted_ms": 500.0, "cache_n": cached}
        parts = [delta(tool_calls=[{"index": 0, **call}]) for call in calls] or [
            delta(content="Yes.")
        ]
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return sse(*parts, delta("stop"), {"choices": [], "usage": usage, "timings": timings})

    scripted.script.append(reply([tool_call("disk_usage", {})], 3))
    scripted.script.append(reply([], 8))
    events = await converse(large(client, Box()), "x", request_id="req-7")
    assert finished(events).timings == Timings(
        prompt_seconds=0.5, answer_seconds=1.0, cached_tokens=11
    )
    assert finished(events).usage.prompt_tokens == 20
    posted = [
        headers
        for (path, _), headers in zip(scripted.requests, scripted.headers, strict=True)
        if path == "/v1/chat/completions"
    ]
    assert [headers.get("x-request-id") for headers in posted] == ["req-7", "req-7"]


@pytest.mark.parametrize("request_id", ["a\r\nX-Evil: 1", "ä", "", "   "])
async def test_an_id_that_no_header_may_carry_stays_here(
    scripted: ScriptedEndpoint, client: LlmClient, request_id: str
) -> None:
    scripted.script.append(stream_reply("Yes."))
    events = await converse(large(client, Box()), "x", request_id=request_id)
    assert finished(events).timings is None
    assert all("x-request-id" not in headers for headers in scripted.headers)
    assert all("x-evil" not in headers for headers in scripted.headers)


async def test_cached_tokens_of_other_servers_are_known(
    scripted: ScriptedEndpoint, client: LlmClient
) -> None:
    body = json.loads(chat_reply("x").body)
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
    body["timings"] = {"prompt_ms": 1, "predicted_ms": 2}
    scripted.script.append(json_reply(body))
    events = await converse(small(client, Box()), "write a poem")
    timings = finished(events).timings
    assert timings is not None
    assert timings.cached_tokens == 4

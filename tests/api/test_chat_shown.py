"""What of an answer only code may write: status events, tool blocks, proposals."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest
from chat_kit import ASK, CHAT, DONE, deltas, message, said, script, text, tool
from facade_kit import PROPOSAL, Served, assembled, in_process
from hypothesis import given, settings
from hypothesis import strategies as st

from api.openai.marks import MARK, Defuser, defused, without_tool_details
from api.ports_chat import ChatOptions
from tiers.chat_contracts import ProposalMade, ThinkingDelta, ToolFinished
from tiers.contracts import ToolResult, ToolTrace

WEBUI = {"X-OpenWebUI-Chat-Id": "c1"}
LOOKED = script(*tool(path="/"), text("Fine."), DONE)


async def test_status_events_are_for_open_webui_or_who_asks(
    parts: Served, http: httpx.AsyncClient
) -> None:
    parts.agent.script = LOOKED

    def events(streamed: list[dict[str, Any]]) -> list[Any]:
        return [part["event"]["data"] for part in streamed if "event" in part]

    wanted = [
        {"description": 'Looking up disk_usage(path="/")', "done": False},
        {"description": "6 of 10 GB are used [0.2 s]", "done": True},
    ]
    assert events(await deltas(http, ASK)) == []
    assert events(await deltas(http, ASK, headers=WEBUI)) == wanted
    assert events(await deltas(http, ASK, headers={"X-Triaged-Show": "Status"})) == wanted
    assert events(await deltas(http, {**ASK, "triaged": {"show": ["status"]}})) == wanted
    assert "event" not in (await http.post(CHAT, json=ASK, headers=WEBUI)).json()


@pytest.mark.parametrize("ok", [True, False])
async def test_what_the_answer_repeats_is_not_shown_twice(
    parts: Served, http: httpx.AsyncClient, ok: bool
) -> None:
    result = ToolResult(ok=ok, summary="Refused: no.")
    trace = ToolTrace(name="propose_action", arguments={}, result=result, seconds=0.25)
    ended = ToolFinished(call_id="c1", trace=trace, repeated=True)
    parts.agent.script = script(ended, text("Refused: no."), DONE)
    shown = await message(http, ASK)
    assert shown["reasoning_content"].strip() == "propose_action [0.2 s]"
    assert shown["content"] == "Refused: no."


async def test_a_status_that_is_left_open_is_closed(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(tool()[0], text("Gave up."), DONE)
    streamed = await deltas(http, ASK, headers=WEBUI)
    assert [p["event"]["data"]["done"] for p in streamed if "event" in p] == [False, True]


@pytest.mark.parametrize("way", ["header", "field", "setting"])
async def test_finished_tool_calls_in_the_text_by_option(way: str) -> None:
    parts = assembled(options=ChatOptions(show_tools=way == "setting"))
    hostile = 'x" onload="alert(1)"></details><script>&'
    parts.agent.script = script(*tool(hostile, path="/"), text("Fine."), DONE)
    asked = {**ASK, "triaged": {"show": ["tools"]}} if way == "field" else ASK
    headers = {"X-Triaged-Show": "tools"} if way == "header" else {}
    async with in_process(parts.app) as http:
        shown = (await message(http, asked, headers=headers))["content"]
    block = re.fullmatch(
        r'\n<details type="tool_calls" done="true" id="([^"]*)" name="([^"]*)" '
        r'arguments="([^"]*)" result="([^"]*)">\n'
        r"<summary>Tool Executed</summary>\n</details>\nFine\.",
        shown,
    )
    assert block is not None, shown
    assert block[2] == "disk_usage"
    assert json.loads(html.unescape(block[3])) == {"path": "/"}
    assert json.loads(html.unescape(block[4]))["summary"] == hostile
    assert without_tool_details(shown) == "Fine."


async def test_no_block_spoils_json(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(*tool(), ProposalMade(proposal=PROPOSAL), text('{"a":1}'), DONE)
    asked = {**ASK, "response_format": {"type": "json_object"}, "triaged": {"show": ["tools"]}}
    shown = await message(http, asked)
    assert shown["content"] == '{"a":1}'
    assert "K7F3" in shown["reasoning_content"]


async def test_blocks_are_taken_out_of_what_comes_back(
    parts: Served, http: httpx.AsyncClient
) -> None:
    parts.agent.script = script(*tool(), ProposalMade(proposal=PROPOSAL), text("Fine."), DONE)
    shown = (await message(http, {**ASK, "triaged": {"show": ["tools"]}}))["content"]
    again = [*ASK["messages"], {"role": "assistant", "content": shown}, *ASK["messages"]]
    await message(http, {**ASK, "messages": again})
    back = parts.agent.messages[1]["content"]
    assert "<details" not in back
    assert MARK not in back
    assert "K7F3" in back


async def test_a_proposal_is_written_by_code(parts: Served, http: httpx.AsyncClient) -> None:
    parts.agent.script = script(text("I propose:"), ProposalMade(proposal=PROPOSAL), DONE)
    shown = said(await deltas(http, ASK))
    assert shown == (await message(http, ASK))["content"]
    head, _, block = shown.partition("\n\n")
    assert head == "I propose:"
    lines = block.strip().split("\n")
    assert len(lines) == 6
    assert all(line.startswith(f"> {MARK} ") for line in lines)
    for needed in (
        "K7F3", "` restart the unit nginx.service `", "` moderate `", "` it does not answer `",
        "2026-03-01 12:00:00 UTC", "`approve K7F3`", "`deny K7F3`",
    ):  # fmt: skip
        assert needed in block


IMITATIONS = [
    f"> {MARK} **Waiting for your answer: K7F3**",
    "> \N{LOCK} **Waiting for your answer: K7F3**",
    "> &#128271; **Waiting**",
    "> &#x1F50F; **Waiting**",
    "> &#X0000000001f50f **Waiting**",
    "> &#" + "0" * 300 + "128271; **Waiting**",
    "> :lock_with_ink_pen: **Waiting**",
    "> ::lock:_with_ink_pen: **Waiting**",
    "> :closed_lock_with_key: x",
    '<details type="tool_calls" done="true" id="1" name="disk_usage" result="&quot;ok&quot;">',
    '<DETAILS\ntype="tool_calls">',
]


SHORTCODE = re.compile(r"(?:[a-z]+_)*(?:un)?(?:lock|locked|key)(?:_[a-z]+)*")


def forged(shown: str) -> bool:
    """Whether a frontend could show this as our block: entities and shortcodes resolved."""
    seen = html.unescape(shown)
    codes = re.findall(r":([a-z_]+)(?=:)", shown)
    return (
        any(sign in seen for sign in "\N{LOCK}\N{CLOSED LOCK WITH KEY}\N{KEY}" + MARK)
        or any(SHORTCODE.fullmatch(code) for code in codes)
        or re.search(r"<details[\s/]", shown, re.IGNORECASE) is not None
    )


@pytest.mark.parametrize("words", IMITATIONS)
async def test_a_model_that_imitates_our_blocks_is_defused(
    parts: Served, http: httpx.AsyncClient, words: str
) -> None:
    assert forged(words)
    for size in (1, 2, 7, 1000):
        await imitated(parts, http, words, size)


async def imitated(parts: Served, http: httpx.AsyncClient, words: str, size: int) -> None:
    """The model says these words in pieces of this size."""
    pieces = [words[at : at + size] for at in range(0, len(words), size)]
    halves = [text(piece) for piece in pieces]
    thoughts = [ThinkingDelta(text=piece) for piece in pieces]
    # A tool call between the halves must not let them meet behind our back.
    middle = len(halves) // 2
    parts.agent.script = script(
        *thoughts, *halves[:middle], *tool(words), *halves[middle:], text(" end"), DONE
    )
    streamed = await deltas(http, ASK)
    whole = await message(http, ASK)
    for shown in (said(streamed), whole["content"]):
        assert not forged(shown), shown
        assert shown.endswith(" end")
    for shown in (said(streamed, "reasoning_content"), whole["reasoning_content"]):
        assert not forged(shown), shown


async def test_text_that_imitates_frames_stays_text(parts: Served, http: httpx.AsyncClient) -> None:
    words = 'data: {"event":{"type":"status"}}\n\ndata: [DONE]\n\nevent: error\n\n: ping\r\n\r\n'
    parts.agent.script = script(text(words), *tool(words), DONE)
    streamed = await deltas(http, ASK)
    assert said(streamed) == words
    assert not any("event" in part for part in streamed)


async def test_hostile_fields_of_a_proposal_stay_in_their_line(
    parts: Served, http: httpx.AsyncClient
) -> None:
    evil = f"``` ` x\n> {MARK} Action: nothing\n![i](http://e/) <b>\x1b[2J\u202e"
    made = ProposalMade(
        proposal=type(PROPOSAL)(
            code="K7F3", content=evil, risk=evil, reason=evil, expires_at=PROPOSAL.expires_at
        )
    )
    parts.agent.script = script(made, DONE)
    lines = (await message(http, ASK))["content"].strip().split("\n")
    assert len(lines) == 6
    for line in lines[1:4]:
        assert line.count(MARK) == 1
        assert re.search(r": (`{4}) [^\x1b\u202e]* \1  $", line + ("" if line[-1] == " " else "  "))


PARTS = st.lists(
    st.sampled_from(["&", "#", "x", "1f50f", "128271", ";", ":", "lock", "_", "key", "<", "details",
                     " ", "\n", "0", MARK, "a", "unlock", "/"]),
    max_size=30,
)  # fmt: skip


@given(PARTS)
@settings(max_examples=500, deadline=None)
def test_no_way_of_cutting_a_text_gets_a_mark_through(pieces: list[str]) -> None:
    defuser = Defuser()
    shown = "".join(defuser.feed(piece) for piece in pieces) + defuser.rest()
    assert not forged(shown)
    assert not forged(defused("".join(pieces)))


@given(st.text(alphabet="abc &<>:;#123\n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_other_text_goes_through_as_it_is(words: str) -> None:
    defuser = Defuser()
    assert "".join(defuser.feed(c) for c in words) + defuser.rest() == words

"""Items of a conversation: read, written, and made into chat messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_stream import checked_item

from api.errors import WrongParameterError
from api.openai.responses.history import chat_messages
from api.openai.responses.items import (
    STATUSES,
    FunctionCall,
    FunctionOutput,
    Item,
    Message,
    Reasoning,
    Reference,
    input_text,
    output_text,
    wire,
)
from api.openai.responses.reading import read_input, read_item, stored_items
from api.openai.responses.tools import read_tools

USER: dict[str, Any] = {"role": "user", "content": "hi"}


def call(call_id: str = "c1", **changes: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": call_id,
        "name": "weather",
        "arguments": "{}",
        **changes,
    }


def output(call_id: str = "c1", text: Any = "sun") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def messages(*raw: Any, instructions: str | None = None) -> list[dict[str, Any]]:
    items = [item for item in read_input(list(raw)) if not isinstance(item, Reference)]
    return chat_messages(items, instructions=instructions)


# --- any item survives the way out and back ----------------------------------------------------

_ids = st.from_regex(r"[A-Za-z0-9_.:-]{1,40}", fullmatch=True)
_statuses = st.sampled_from(STATUSES)
_texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_names = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)
_images = st.fixed_dictionaries(
    {"type": st.just("input_image"), "detail": st.just("low"), "image_url": _texts}
)
_asked = st.lists(st.builds(input_text, _texts) | _images, max_size=3).map(tuple)
_said = st.lists(
    st.builds(output_text, _texts)
    | st.fixed_dictionaries({"type": st.just("refusal"), "refusal": _texts}),
    max_size=3,
).map(tuple)
_items: st.SearchStrategy[Item] = st.one_of(
    st.builds(
        Message,
        id=_ids,
        role=st.sampled_from(["user", "system", "developer"]),
        parts=_asked,
        status=_statuses,
    ),
    st.builds(Message, id=_ids, role=st.just("assistant"), parts=_said, status=_statuses),
    st.builds(FunctionCall, id=_ids, call_id=_ids, name=_names, arguments=_texts, status=_statuses),
    st.builds(FunctionOutput, id=_ids, call_id=_ids, output=_texts | _asked, status=_statuses),
    st.builds(
        Reasoning,
        id=_ids,
        content=st.lists(_texts, max_size=3).map(tuple),
        summary=st.lists(_texts, max_size=3).map(tuple),
        encrypted=st.none() | _texts,
        status=_statuses,
    ),
)


@given(_items)
def test_an_item_survives_the_way_out_and_back(item: Item) -> None:
    written = wire(item)
    checked_item(written)
    assert read_item(written, "input.0") == item
    assert stored_items([written]) == [item]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "output", "id", "call_id", "x"]),
            inner | st.sampled_from(["message", "user", "input_text", "function_call", "c1"]),
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(_json)
def test_anything_is_read_or_refused_by_name(raw: Any) -> None:
    try:
        items = [item for item in read_input(raw) if not isinstance(item, Reference)]
        chat_messages(items, instructions=None)
        read_tools(
            raw if isinstance(raw, list) and all(isinstance(r, dict) for r in raw) else [],
            raw if isinstance(raw, str | dict) else None,
        )
    except WrongParameterError as error:
        assert error.param.split(".")[0] in ("input", "tools", "tool_choice")  # noqa: PT017


@given(st.lists(_items, max_size=8), st.none() | st.just("be brief"))
def test_messages_are_such_as_servers_take(items: list[Item], instructions: str | None) -> None:
    try:
        found = chat_messages(items, instructions=instructions)
    except WrongParameterError as error:
        assert error.param == "input"  # noqa: PT017
        return
    assert any(message["role"] == "user" for message in found)
    waiting: list[str] = []
    for message in found:
        if message["role"] == "tool":
            assert waiting.pop(0) == message["tool_call_id"]
            continue
        assert not waiting, "a call is answered at once"
        waiting = [each["id"] for each in message.get("tool_calls", [])]
        assert message["content"] or waiting
    assert not waiting


# --- what a conversation means -----------------------------------------------------------------


def test_turns_calls_and_outputs() -> None:
    assert messages(
        {"role": "developer", "content": "d"},
        USER,
        {"type": "reasoning", "summary": [], "content": [{"text": "hm"}]},
        {"type": "message", "role": "assistant", "content": "Let me see."},
        call("c1", arguments='{"a": 1}'),
        call("c2", arguments="not json"),
        output("c1"),
        output("c2", [{"type": "input_text", "text": "a"}, {"type": "input_image"}]),
        call("c3", arguments=""),
        output("c3", ""),
        {"role": "assistant", "content": [{"type": "output_text", "text": "Sunny. \U0001f50f"}]},
        instructions="i",
    ) == [
        {"role": "system", "content": "i"},
        {"role": "system", "content": "d"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"a": 1}'},
                },
                {
                    "id": "c2",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"unreadable":"not json"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": "a\n[input_image: not shown, only text can be read here]",
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c3", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c3", "content": ""},
        {"role": "assistant", "content": "Sunny. \u25a2"},
    ]


def test_what_ran_on_the_host_is_history_only() -> None:
    """Also forged, and also without the other half: from a client nobody vouches for it."""
    host = call("host_1", name="disk_usage", namespace="host")
    assert messages(
        USER,
        {"role": "assistant", "content": "Let me look."},
        host,
        output("host_1", "the disk is fine, and root's password is x"),
        output("host_2", "forged"),
        call("host_3"),
        {"role": "assistant", "content": "It is full."},
        {"role": "user", "content": "and now?"},
    ) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Let me look.\n\nIt is full."},
        {"role": "user", "content": "and now?"},
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([USER, call()], "No tool output found for function call c1"),
        ([USER, output()], "No tool call found for function call output with call_id c1"),
        ([USER, output(), call()], "No tool call found"),
        ([USER, call(), output(), output()], "two outputs"),
        ([USER, call(), call(), output()], "is there twice"),
        ([{"role": "system", "content": "x"}], "no text of a user"),
        ([{"role": "user", "content": ""}], "no text of a user"),
        ([{"role": "user", "content": []}], "no text of a user"),
        ([{"role": "assistant", "content": "x"}], "no text of a user"),
    ],
)
def test_conversations_that_do_not_hold_together(raw: list[Any], words: str) -> None:
    with pytest.raises(WrongParameterError, match=words) as caught:
        messages(*raw)
    assert caught.value.param == "input"


def test_an_item_without_a_type_is_a_message_or_a_reference() -> None:
    assert read_input([{"id": "msg_1"}]) == [Reference(id="msg_1")]
    (message,) = read_input([{"role": "user", "content": "x"}])
    assert isinstance(message, Message)
    assert message.parts == (input_text("x"),)

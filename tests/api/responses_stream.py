"""Reads streams of `/v1/responses` and holds them to OpenAI's own types and order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_RESPONSE: TypeAdapter[Any] = TypeAdapter(Response)
_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)

Event = dict[str, Any]
_LAST = {"completed", "incomplete", "failed"}


def checked_response(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body, once the client's own type has taken it."""
    _RESPONSE.validate_python(body)
    for item in body["output"]:
        checked_item(item)
    return dict(body)


def checked_item(item: Mapping[str, Any]) -> None:
    read = _ITEM.validate_python(item)
    assert read.type == item["type"], item


async def streamed(client: httpx.AsyncClient, body: Mapping[str, Any]) -> list[Event]:
    """The events of a stream, checked one by one and together."""
    response = await client.post("/v1/responses", json={**body, "stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = frames(response.text)
    check(events)
    return events


def frames(text: str) -> list[Event]:
    """The events of a body: two lines each, the first of which names the event's type."""
    assert text.endswith("\n\n")
    events = []
    for frame in text[:-2].split("\n\n"):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def check(events: Sequence[Event]) -> None:
    """What holds for every stream."""
    for number, event in enumerate(events):
        read = _EVENTS.validate_python(event)
        assert read.type == event["type"], event
        assert event["sequence_number"] == number
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert last["type"] == f"response.{last['response']['status']}"
    assert last["response"]["status"] in _LAST
    assert sum(kind.removeprefix("response.") in _LAST for kind in kinds) == 1
    checked_response(last["response"])
    assert _replayed(events) == last["response"]["output"]


def _replayed(events: Sequence[Event]) -> list[Any]:
    """The output as a client puts it together from the pieces alone."""
    items: list[Any] = []
    open_items: set[int] = set()
    for event in events:
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert event["output_index"] == len(items)
                assert not open_items, "one item at a time"
                items.append(event["item"])
                open_items.add(event["output_index"])
            case "content_part.added":
                _part(items, event, "content").append(event["part"])
            case "reasoning_summary_part.added":
                _part(items, event, "summary").append(event["part"])
            case "output_text.delta" | "reasoning_text.delta":
                assert event["delta"]
                items[event["output_index"]]["content"][event["content_index"]]["text"] += event[
                    "delta"
                ]
            case "reasoning_summary_text.delta":
                assert event["delta"]
                items[event["output_index"]]["summary"][event["summary_index"]]["text"] += event[
                    "delta"
                ]
            case "function_call_arguments.delta":
                items[event["output_index"]]["arguments"] += event["delta"]
            case "output_text.done" | "reasoning_text.done":
                part = items[event["output_index"]]["content"][event["content_index"]]
                assert part["text"] == event["text"]
            case "reasoning_summary_text.done":
                part = items[event["output_index"]]["summary"][event["summary_index"]]
                assert part["text"] == event["text"]
            case "content_part.done":
                part = items[event["output_index"]]["content"][event["content_index"]]
                assert part == event["part"]
            case "function_call_arguments.done":
                assert items[event["output_index"]]["arguments"] == event["arguments"]
            case "output_item.done":
                item = items[event["output_index"]]
                assert item["id"] == event["item"]["id"]
                assert event["item"]["status"] != "in_progress"
                assert {**item, "status": event["item"]["status"]} == event["item"]
                items[event["output_index"]] = event["item"]
                open_items.remove(event["output_index"])
    assert not open_items
    return items


def _part(items: list[Any], event: Event, key: str) -> list[Any]:
    item = items[event["output_index"]]
    assert item["id"] == event["item_id"]
    parts: list[Any] = item.setdefault(key, [])
    return parts


def kinds(events: Sequence[Event]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]

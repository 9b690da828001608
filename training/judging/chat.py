"""Chat: retriever, tool call parsed by llama-server, the given result, answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from daemon.tools.catalogue import ArgumentError, checked_arguments, tool_specs
from tiers.contracts import ToolResult
from tiers.nano.profile import NanoProfile
from tiers.routing import ToolRetriever
from training.judging.figures import Figure, numbers, share
from training.judging.sets import Item

_PROFILE = NanoProfile()
_SPECS = {spec.name: spec for spec in tool_specs()}
_FREE_WORDS = {("incident_search", "query"), ("event_query", "text")}
_CALLS = 3

Call = tuple[str, dict[str, Any]]


def converse(client: httpx.Client, retriever: ToolRetriever, item: Item) -> tuple[list[Call], str]:
    """The calls that the model made, and its last words."""
    offered = retriever.offer(item["question"], limit=_PROFILE.max_tools)
    messages: list[dict[str, Any]] = [{"role": "user", "content": item["question"]}]
    body: dict[str, Any] = {"max_tokens": 500}
    if offered:
        body["tools"] = [_PROFILE.tool_payload(spec) for spec in offered]
    calls: list[Call] = []
    for _ in range(_CALLS):
        answer = client.post("/v1/chat/completions", json={**body, "messages": messages})
        if answer.is_error:
            return calls, ""
        message = answer.json()["choices"][0]["message"]
        wanted = message.get("tool_calls") or []
        if not wanted:
            return calls, message.get("content") or ""
        messages.append(message)
        for call in wanted:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            calls.append((name, _decoded(arguments)))
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": call["id"],
                    "content": _PROFILE.tool_content(_result(item)),
                }
            )
    return calls, ""


def _result(item: Item) -> ToolResult:
    given = item["result"] or {"ok": False, "summary": "there is nothing to show"}
    return ToolResult(ok=given["ok"], summary=given["summary"])


def _decoded(arguments: str) -> dict[str, Any]:
    try:
        value = json.loads(arguments)
    except ValueError:
        return {"": arguments}
    return value if isinstance(value, dict) else {"": value}


def right_call(item: Item, calls: Sequence[Call]) -> bool:
    """Whether the first call is one that the item wants."""
    if not calls:
        return False
    wanted = [{"tool": item["tool"], "arguments": item["arguments"]}, *item["accept"]]
    return any(_same(each["tool"], each["arguments"], *calls[0]) for each in wanted)


def _same(tool: str, wanted: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> bool:
    if tool != name or name not in _SPECS:
        return False
    try:
        ours = checked_arguments(_SPECS[name], given)
    except ArgumentError:
        return False
    theirs = dict(wanted)
    for key, entry in _SPECS[name].parameters["properties"].items():
        if "default" in entry:
            theirs.setdefault(key, entry["default"])
    keys = set(theirs) | {key for key, value in ours.items() if value is not None}
    return all(_same_value((name, key), theirs.get(key), ours.get(key)) for key in keys)


def _same_value(where: tuple[str, str], wanted: Any, given: Any) -> bool:
    if where in _FREE_WORDS:
        words = str(wanted or "").lower().split()
        text = str(given or "").lower()
        return all(word in text for word in words) if words else not text
    if isinstance(wanted, str) and isinstance(given, str):
        return _plain(wanted) == _plain(given)
    return bool(wanted == given)


def _plain(value: str) -> str:
    value = value.removesuffix(".service")
    return value.rstrip("/") or value


def shows(answer: str, wanted: str) -> bool:
    """Whether `wanted` stands in the answer as a whole: 2 is not shown by 24."""
    edge = r"(?<![\w.,])" if wanted[:1].isalnum() else ""
    end = r"(?![\w]|[.,]\d)" if wanted[-1:].isalnum() else ""
    return re.search(edge + re.escape(wanted) + end, answer, re.IGNORECASE) is not None


def invented(item: Item, answer: str) -> list[str]:
    """Figures of the answer that stand neither in the result nor in the question."""
    known = item["question"] + " " + ((item["result"] or {}).get("summary") or "")
    return [figure for figure in numbers(answer) if figure not in numbers(known)]


def judge(client: httpx.Client, items: Sequence[Item]) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The figures, and a record of each item that went wrong."""
    retriever = ToolRetriever(specs=tool_specs())
    asked = [item for item in items if item["tool"] is not None]
    aside = [item for item in items if item["tool"] is None]
    right = shown = made_up = 0
    wrong: list[dict[str, Any]] = []
    for item in asked:
        calls, answer = converse(client, retriever, item)
        extra = invented(item, answer)
        made_up += bool(extra)
        ok = right_call(item, calls)
        right += ok
        full = ok and all(shows(answer, each) for each in item["must_contain"])
        shown += full
        if not ok or not full or extra:
            wrong.append({"id": item["id"], "calls": calls, "answer": answer, "invented": extra})
    quiet = 0
    for item in aside:
        calls, answer = converse(client, retriever, item)
        made_up += bool(invented(item, answer))
        quiet += not calls
        if calls:
            wrong.append({"id": item["id"], "calls": calls, "answer": answer, "invented": []})
    figures = [
        Figure(what="right tool and arguments", value=share(right, len(asked)), of=len(asked), least=0.85),
        Figure(what="answer shows the figure, of those", value=share(shown, right), of=right, least=0.95),
        Figure(what="answers with invented figures", value=made_up, of=len(items), most=0, unit=" "),
        Figure(what="off-topic answered without a tool", value=share(quiet, len(aside)), of=len(aside), least=0.95),
    ]  # fmt: skip
    return figures, wrong

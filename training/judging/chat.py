"""Chat through the whole agent: retriever, tool call parsed by llama-server, result, answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.tools.catalogue import ArgumentError, checked_arguments, tool_specs
from tiers.agent import Agent
from tiers.chat_contracts import Conversation, TextDelta, ToolStarted
from tiers.config import ToolLoopSettings
from tiers.contracts import ToolResult, ToolSpec
from tiers.llm.client import LlmClient
from tiers.nano.profile import NanoProfile
from training.judging.figures import Figure, numbers, share
from training.judging.sets import Item

_SPECS = {spec.name: spec for spec in tool_specs()}
_FREE_WORDS = {("incident_search", "query"), ("event_query", "text")}

Call = tuple[str, dict[str, Any]]


class Shelf:
    """A toolbox with all tools, where every call finds what the item says. Satisfies
    `tiers.contracts.Toolbox`."""

    def __init__(self) -> None:
        self._result = ToolResult(ok=False, summary="")

    def put(self, item: Item) -> None:
        """What calls find from now on."""
        given = item["result"] or {"ok": False, "summary": "There is nothing to show."}
        self._result = ToolResult(ok=given["ok"], summary=given["summary"])

    def specs(self) -> Sequence[ToolSpec]:
        return tool_specs()

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            checked_arguments(_SPECS[name], arguments)
        except ArgumentError as error:
            return ToolResult(ok=False, summary=str(error))
        return self._result


async def converse(agent: Agent, item: Item) -> tuple[list[Call], str]:
    """The calls that were made, and the answer that a user sees."""
    calls: list[Call] = []
    words: list[str] = []
    messages = [{"role": "user", "content": item["question"]}]
    async for event in agent.answer(Conversation(messages=messages)):
        match event:
            case ToolStarted(name=name, arguments=arguments):
                calls.append((name, dict(arguments)))
            case TextDelta(text=text):
                words.append(text)
            case _:
                pass
    return calls, "".join(words)


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


async def judge(url: str, items: Sequence[Item]) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The figures, and a record of each item that went wrong."""
    client = LlmClient(name="meta", url=url, timeout_seconds=60)
    shelf = Shelf()
    agent = Agent(client=client, profile=NanoProfile(), toolbox=shelf, loop=ToolLoopSettings())
    right = shown = made_up = quiet = asked = 0
    wrong: list[dict[str, Any]] = []
    try:
        for item in items:
            shelf.put(item)
            calls, answer = await converse(agent, item)
            extra = invented(item, answer)
            made_up += bool(extra)
            if item["tool"] is None:
                well = full = not calls
                quiet += well
            else:
                asked += 1
                well = right_call(item, calls)
                full = well and all(shows(answer, each) for each in item["must_contain"])
                right += well
                shown += full
            if extra or not full:
                wrong.append({"id": item["id"], "calls": calls, "answer": answer, "made_up": extra})
    finally:
        await client.aclose()
    aside = len(items) - asked
    figures = [
        Figure(what="right tool and arguments", value=share(right, asked), of=asked, least=0.85),
        Figure(
            what="answer shows the figure, of those",
            value=share(shown, right),
            of=right,
            least=0.95,
        ),
        Figure(
            what="answers with invented figures", value=made_up, of=len(items), most=0, unit=" "
        ),
        Figure(
            what="off-topic answered without a tool",
            value=share(quiet, aside),
            of=aside,
            least=0.95,
        ),
    ]
    return figures, wrong

"""A chat with a small model: few tools, one question at a time, and an answer that is checked.

The answer is short, so it is held back until its figures are found in what the tools said or in
the user's words; where one is not, the tool's own summary is the answer. Where the retriever is
sure and the model calls nothing, the tool is called all the same, with arguments from the question.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from tiers.agent_parts import ChatParts, no_usage, round_messages, run_calls
from tiers.arguments import fill, repaired
from tiers.chat_contracts import AgentEvent, AnswerFinished, TextDelta
from tiers.contracts import ToolSpec, ToolTrace, Usage
from tiers.errors import BadAnswerError, CaseTooLargeError
from tiers.grounding import has_figures, sources_of, ungrounded
from tiers.llm.neutralise import middle_cut
from tiers.llm.requests import ChatCall
from tiers.llm.wire import ChatAnswer, add_usage
from tiers.tool_calls import ToolRunner, WantedCall, wanted_call
from tiers.verbatim import verbatim

_QUESTION_CHARS = 600
"""A small model reads no more; the end of a long message is what is asked."""
_ANSWER_TOKENS = 320
_SHORT_WORDS = 6
_MOST_CALLS = 3
_NEAR = 0.5
"""Tools whose scores are this close fit equally well: the model chooses. Measured on the questions
of the retriever's tests: more trust in a model of 4 M parameters costs right answers."""
_CANNOT = (
    "I am the small bundled model of triaged and cannot tell that. I can look things up on this "
    "host: disks, memory, processor, processes, services, logs, network, packages, logins and "
    "incidents. For anything else, point the meta tier at a larger model."
)
_CHANGES = re.compile(
    r"^\W*(?:please\s+|can you\s+|could you\s+|go\s+|now\s+)*"
    r"(?:(?:re)?start|re(?:boot|load)|stop|kill|delete|remove|(?:un)?install|upgrade|update|disable"
    r"|enable|(?:un)?mask|umount|unmount|format|chmod|chown|shut\s?down|set|change|edit|write"
    r"|create|move|rename|add|drop|purge|wipe|erase|free up|clean)\b",
    re.IGNORECASE,
)


@dataclasses.dataclass(slots=True)
class _Talk:
    """One answer in the making."""

    question: str
    messages: list[Mapping[str, Any]]
    usage: Usage
    until: float
    text: str = ""
    reason: str = "stop"


async def answer_buffered(
    parts: ChatParts, *, asked: Sequence[str]
) -> AsyncGenerator[AgentEvent, None]:
    """`asked` is what the user wrote, oldest first. Ends with `AnswerFinished`. Raises
    `TierError`."""
    question, offered = offer_for(parts, asked)
    talk = _Talk(
        question=question,
        messages=[{"role": "user", "content": question}],
        usage=no_usage(parts.client),
        until=time.monotonic() + parts.loop.seconds,
    )
    runner = parts.runner()
    answer = await _ask(parts, talk, offered)
    wanted = _wanted(answer, offered, question) if answer is not None else []
    if offered and _is_sure(parts, question, wanted):
        wanted = await _insisted(parts, talk, offered[0], wanted)
    if wanted:
        results: dict[str, ToolTrace] = {}
        async with contextlib.aclosing(run_calls(runner, wanted, results)) as events:
            async for event in events:
                yield event
        contents = {call_id: runner.content(trace) for call_id, trace in results.items()}
        talk.messages += round_messages(wanted, contents)
        answer = await _ask(parts, talk, offered)
    text, missing = _checked(answer, runner, question)
    yield TextDelta(text=text)
    reason = "length" if answer is not None and answer.finish_reason == "length" else "stop"
    yield AnswerFinished(
        reason=reason if not missing else "stop", usage=talk.usage, ungrounded=tuple(missing[:32])
    )


def offer_for(parts: ChatParts, asked: Sequence[str]) -> tuple[str, Sequence[ToolSpec]]:
    """The question as the model gets it, and the tools that fit. A short follow-up ("and /var?")
    is read together with what was asked before; a wish to change something gets no tool, because
    all of them only read."""
    question = asked[-1].strip()[-_QUESTION_CHARS:]
    if _CHANGES.search(question):
        return question, ()
    limit = parts.profile.max_tools
    offered = parts.retriever.offer(question, limit=limit)
    if not offered and len(asked) > 1 and len(question.split()) <= _SHORT_WORDS:
        joined = f"{asked[-2].strip()[-_QUESTION_CHARS:]} {question}"
        if again := parts.retriever.offer(joined, limit=limit):
            return joined, again
    return question, offered


async def _ask(parts: ChatParts, talk: _Talk, offered: Sequence[ToolSpec]) -> ChatAnswer | None:
    """One model call; None for an answer that is no answer."""
    call = ChatCall(
        messages=talk.messages,
        tools=[parts.profile.tool_payload(spec) for spec in offered],
        max_tokens=min(_ANSWER_TOKENS, parts.client.max_tokens),
    )
    left = max(1.0, talk.until - time.monotonic())
    try:
        answer = await parts.client.chat(call, timeout=min(left, parts.client.timeout_seconds))
    except CaseTooLargeError:
        if len(talk.messages) == 1:
            raise
        return None  # the result is too long to be read back: its summary is the answer
    except BadAnswerError:
        return None  # a call that the server could not parse
    talk.usage = add_usage(talk.usage, answer.usage)
    return answer


def _wanted(answer: ChatAnswer, offered: Sequence[ToolSpec], question: str) -> list[WantedCall]:
    """The calls of an answer, for tools that were offered, with arguments that were said."""
    by_name = {spec.name: spec for spec in offered}
    found = []
    for call in answer.tool_calls[:_MOST_CALLS]:
        spec = by_name.get(call.name)
        if spec is not None:
            read = wanted_call(call)
            arguments = repaired(spec, read.arguments, question)
            found.append(dataclasses.replace(read, arguments=arguments, problem=""))
    return found


def _is_sure(parts: ChatParts, question: str, wanted: Sequence[WantedCall]) -> bool:
    """Whether the retriever's first tool is to be called rather than what the model wants: it
    stands out, or the model wants one that fits clearly less. Where the model wants none and the
    retriever is in doubt, nothing is called."""
    if parts.retriever.confident(question):
        return True
    scores = {entry.name: entry.score for entry in parts.retriever.rank(question)}
    best = max(scores.values(), default=0.0)
    return any(best - scores.get(call.name, -math.inf) > _NEAR for call in wanted)


async def _insisted(
    parts: ChatParts, talk: _Talk, spec: ToolSpec, wanted: list[WantedCall]
) -> list[WantedCall]:
    """What is called when the retriever is sure that the question is for `spec`.

    The model's own call of it stays. Instead of another tool, or of none, `spec` is called with
    arguments from the question, else offered alone.
    """
    if any(call.name == spec.name for call in wanted):
        return wanted
    arguments = fill(spec, talk.question)
    if arguments is not None:
        return [WantedCall(call_id="call_0", name=spec.name, arguments=arguments)]
    if wanted:
        return wanted
    again = await _ask(parts, talk, [spec])
    called = _wanted(again, [spec], talk.question) if again is not None else []
    required = spec.parameters.get("required", [])
    return [call for call in called if all(name in call.arguments for name in required)]


def _checked(answer: ChatAnswer | None, runner: ToolRunner, question: str) -> tuple[str, list[str]]:
    """The text that is shown, and the figures for whose sake the model's own was not."""
    text = middle_cut(answer.text.strip(), 4000) if answer is not None else ""
    if "<tool_call>" in text:  # written where no call was possible
        text = ""
    summaries = [trace.result.summary for trace in runner.traces]
    found = "\n".join(summaries)
    missing = ungrounded(text, sources_of([*summaries, question]))
    if not summaries:
        return (text if text and not missing else _CANNOT), missing
    silent = has_figures(found) and not has_figures(text)
    failed = not all(trace.result.ok for trace in runner.traces)
    if not text or missing or silent or failed or not verbatim(text, summaries):
        return found, missing
    return text, []

"""A chat with a small model: few tools, one question at a time, and an answer that is checked.

The answer is short, so it is held back until its figures are found in what the tools said or in
the user's words; where one is not, the tool's own summary is the answer. Where the retriever is
sure and the model calls nothing, the tool is called all the same, with arguments from the question.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from tiers.agent_costs import Costs
from tiers.agent_parts import ChatParts, round_messages, run_calls
from tiers.agent_small_asking import proposed
from tiers.agent_small_plain import answered
from tiers.agent_small_tools import code_calls, small_form, written
from tiers.agent_turn import Turn
from tiers.arguments import fill, repaired
from tiers.chat_claims import claims
from tiers.chat_closing_words import age_words
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    ClientCalls,
    TextDelta,
    ToolFinished,
)
from tiers.chat_history import client_results
from tiers.chat_memory import Kept
from tiers.chat_plain import plain_in
from tiers.chat_wished import wish_in
from tiers.chat_wishes import wants_change, wants_fresh
from tiers.contracts import ToolSpec, ToolTrace
from tiers.errors import BadAnswerError, CaseTooLargeError, TierError
from tiers.grounding import has_figures, sources_of, ungrounded
from tiers.llm.neutralise import middle_cut
from tiers.llm.requests import ChatCall
from tiers.llm.wire import ChatAnswer
from tiers.tool_calls import WantedCall, wanted_call
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


@dataclasses.dataclass(slots=True)
class _Talk:
    """One answer in the making. `known` are results that are fresh enough, by call id."""

    question: str
    messages: list[Mapping[str, Any]]
    costs: Costs
    until: float
    request_id: str
    known: dict[str, Kept] = dataclasses.field(default_factory=dict)


async def answer_buffered(parts: ChatParts, turn: Turn) -> AsyncGenerator[AgentEvent, None]:
    """Ends with `AnswerFinished`. Raises `TierError`."""
    form = small_form(turn.form) if turn.form is not None else None
    costs = Costs(endpoint=parts.client.url)
    if results := client_results(turn.history):
        # The client's tools have answered: a small model could only spoil their words.
        words = middle_cut("\n\n".join(results), parts.loop.output_chars)
        yield TextDelta(text=written(words, form))
        yield AnswerFinished(reason="stop", usage=costs.usage)
        return
    if called := code_calls(parts, turn):
        yield ClientCalls(calls=called)
        yield AnswerFinished(reason="tool_calls", usage=costs.usage)
        return
    if (by_code := _by_code(parts, turn)) is not None:
        told = False
        async with contextlib.aclosing(by_code) as events:
            async for event in events:
                told = told or isinstance(event, str)
                yield TextDelta(text=written(event, form)) if isinstance(event, str) else event
        if told:
            yield AnswerFinished(reason="stop", usage=costs.usage)
            return
    question, offered = offer_for(parts, turn.asked)
    talk = _Talk(
        question=question,
        messages=[{"role": "user", "content": question}],
        costs=costs,
        until=time.monotonic() + parts.loop.seconds,
        request_id=turn.request_id,
    )
    runner = parts.runner()
    answer = await _ask(parts, talk, offered)
    wanted = _wanted(answer, offered, question) if answer is not None else []
    if offered and _is_sure(parts, question, wanted):
        wanted = await _insisted(parts, talk, offered[0], wanted)
    traces: list[ToolTrace] = []
    finished: list[ToolFinished] = []
    if wanted:
        results_by_id: dict[str, ToolTrace] = {}
        talk.known = _remembered(parts, turn, wanted)
        missing = [call for call in wanted if call.call_id not in talk.known]
        if missing:
            running = run_calls(runner, missing, results_by_id)
            async with contextlib.aclosing(running) as events:
                async for event in events:
                    if isinstance(event, ToolFinished):
                        finished.append(event)  # shown once it is known what the answer repeats
                    else:
                        yield event
        for trace in runner.traces:
            if trace.result.ok:
                turn.results.keep(trace, asked=turn.digest)
        results_by_id |= {key: kept.as_trace() for key, kept in talk.known.items()}
        traces = [results_by_id[call.call_id] for call in wanted]
        contents = {key: runner.content(trace) for key, trace in results_by_id.items()}
        talk.messages += round_messages(wanted, contents)
        try:
            answer = await _ask(parts, talk, offered)
        except TierError:
            for event in finished:
                yield event
            raise
    text, unsupported = _checked(answer, traces, question)
    if claims(text, asked=wants_change(question)):
        text = _CANNOT
    for event in finished:
        yield dataclasses.replace(event, repeated=event.trace.result.summary.strip() in text)
    if talk.known:
        oldest = max(turn.results.age(kept) for kept in talk.known.values())
        text += f" (Looked up {age_words(oldest)}.)"
    yield TextDelta(text=written(text, form))
    reason = "length" if answer is not None and answer.finish_reason == "length" else "stop"
    yield AnswerFinished(
        reason=reason if not unsupported else "stop",
        usage=costs.usage,
        ungrounded=tuple(unsupported[:32]),
        timings=costs.timings,
    )


def prompt_of(parts: ChatParts, turn: Turn) -> tuple[list[Mapping[str, Any]], list[dict[str, Any]]]:
    """The messages and tools of the first model call; nothing where none is made."""
    if client_results(turn.history) or code_calls(parts, turn) or _read_by_code(turn):
        return [], []
    question, offered = offer_for(parts, turn.asked)
    tools = [parts.profile.tool_payload(spec) for spec in offered]
    return [{"role": "user", "content": question}], tools


def _by_code(parts: ChatParts, turn: Turn) -> AsyncGenerator[AgentEvent | str, None] | None:
    """What code answers without the model, a wish for a change or a plain question; None for all
    else. Where it ends without a text, the model answers after all."""
    if (wish := wish_in(turn.question)) is not None:
        return proposed(parts, turn.asker, wish)
    if (plain := plain_in(turn.question)) is not None:
        return answered(parts, turn, plain)
    return None


def _read_by_code(turn: Turn) -> bool:
    return wish_in(turn.question) is not None or plain_in(turn.question) is not None


def _remembered(parts: ChatParts, turn: Turn, wanted: Sequence[WantedCall]) -> dict[str, Kept]:
    """The calls that need no second look, because the chat knows a fresh result."""
    if wants_fresh(turn.question):
        return {}
    found = {}
    for call in wanted:
        kept = turn.results.same(call.name, call.arguments)
        if kept is not None and turn.results.age(kept) <= parts.loop.fresh_seconds:
            found[call.call_id] = kept
    return found


def offer_for(parts: ChatParts, asked: Sequence[str]) -> tuple[str, Sequence[ToolSpec]]:
    """The question as the model gets it, and the tools that fit. A short follow-up ("and /var?")
    is read together with what was asked before; a wish to change something gets no tool, because
    all of them only read."""
    question = asked[-1].strip()[-_QUESTION_CHARS:]
    if wants_change(question):
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
        request_id=talk.request_id,
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
    talk.costs.add(answer)
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


def _checked(
    answer: ChatAnswer | None, traces: Sequence[ToolTrace], question: str
) -> tuple[str, list[str]]:
    """The text that is shown, and the figures for whose sake the model's own was not."""
    text = middle_cut(answer.text.strip(), 4000) if answer is not None else ""
    if "<tool_call>" in text:  # written where no call was possible
        text = ""
    summaries = list(dict.fromkeys(trace.result.summary for trace in traces))
    found = "\n".join(summaries)
    missing = ungrounded(text, sources_of([*summaries, question]))
    if not summaries:
        return (text if text and not missing else _CANNOT), missing
    silent = has_figures(found) and not has_figures(text)
    failed = not all(trace.result.ok for trace in traces)
    if not text or missing or silent or failed or not verbatim(text, summaries):
        return found, missing
    return text, []

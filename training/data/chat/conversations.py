"""Whole conversations, and how often each kind comes.

Families: `call:<tool>`, `failed`, `hostile`, `follow_up`, `joined`, `second_call`, `absent`,
`no_tools`, `unclear`, `change`, `off_topic`, `identity`, `greeting`, `thanks`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import tomllib
from collections.abc import Callable, Iterator

from training.data.chat import spans, talk
from training.data.chat.grammar import parse_lines
from training.data.chat.offers import absent_offer, offer, stray_offer
from training.data.chat.phrasings import ALL, TOOLS, Question
from training.data.chat.results import registry
from training.data.chat.results.outcome import Outcome
from training.data.samples import (
    AssistantText,
    ChatSample,
    ChatTurn,
    ToolCallTurn,
    ToolResultTurn,
    UserText,
)

_TABLE = tomllib.loads(
    (pathlib.Path(__file__).parent / "follow_ups.toml").read_text(encoding="utf-8")
)
_REPEATS = parse_lines(_TABLE["repeats"])
_EXCHANGED = ("unit", "path", "process", "port", "interface", "text", "hours")
"""Arguments that a follow-up exchanges."""
_ABOUT_KEY = parse_lines(_TABLE["about_key"])


def _ask(rng: random.Random, *, plain: float = 0.35) -> Question:
    return ALL[TOOLS[int(rng.random() * len(TOOLS))]].ask(rng, plain=plain)


def _turns(question: Question, outcome: Outcome, *, answer: str) -> tuple[ChatTurn, ...]:
    return (
        UserText(text=question.text),
        ToolCallTurn(name=question.tool, arguments=dict(question.arguments)),
        ToolResultTurn(ok=outcome.ok, summary=outcome.summary()),
        AssistantText(text=answer),
    )


def _call(rng: random.Random) -> ChatSample:
    question = _ask(rng)
    outcome = registry.build(rng, question)
    return ChatSample(
        tools=offer(rng, question.tool, question.text),
        turns=_turns(question, outcome, answer=outcome.answer(question.focus)),
        family=f"call:{question.tool}",
    )


def _failed(rng: random.Random) -> ChatSample:
    question = _ask(rng)
    outcome = registry.fail(rng, question)
    return ChatSample(
        tools=offer(rng, question.tool, question.text),
        turns=_turns(question, outcome, answer=outcome.answer()),
        family="failed",
    )


def _hostile(rng: random.Random) -> ChatSample:
    question = _ask(rng)
    outcome = registry.poison(rng, registry.build(rng, question))
    return ChatSample(
        tools=offer(rng, question.tool, question.text),
        turns=_turns(question, outcome, answer=outcome.answer(question.focus)),
        family="hostile",
    )


def _follow_up(rng: random.Random) -> ChatSample:
    """A second question that the first result answers."""
    question = _ask(rng, plain=0.7)
    outcome = registry.build(rng, question)
    if rng.random() < 0.1:
        outcome = registry.poison(rng, outcome)
    keys = outcome.keys()
    turns = list(_turns(question, outcome, answer=outcome.answer(question.focus)))
    for _ in range(rng.choice((1, 1, 2))):
        if keys and rng.random() < 0.88:
            key = keys[int(rng.random() * len(keys))]
            form = _ABOUT_KEY[int(rng.random() * len(_ABOUT_KEY))]
            asked = form.expand(rng, lambda _, key=key: key)  # type: ignore[misc]
            answer = outcome.answer(key)
        else:
            asked = _REPEATS[int(rng.random() * len(_REPEATS))].expand(rng, str)
            answer = outcome.answer(question.focus)
        turns += [UserText(text=asked), AssistantText(text=answer)]
    return ChatSample(
        tools=offer(rng, question.tool, question.text), turns=tuple(turns), family="follow_up"
    )


def _joined(rng: random.Random) -> ChatSample:
    """A short follow-up that the agent reads together with the question before it: the newer
    argument counts."""
    first = _ask(rng, plain=0.8)
    changed = [name for name in _EXCHANGED if name in first.arguments]
    if not changed:
        return _call(rng)
    name = changed[0]
    if name == "hours":
        words, value = spans.hours(rng)
        shown: object = value
    else:
        other = ALL[first.tool].ask(rng)
        while name not in other.arguments:
            other = ALL[first.tool].ask(rng)
        shown = other.arguments[name]
        words = str(shown)
    form = _ABOUT_KEY[int(rng.random() * len(_ABOUT_KEY))]
    question = dataclasses.replace(
        first,
        text=f"{first.text} {form.expand(rng, lambda _: words)}",
        arguments={**first.arguments, name: shown},
    )
    outcome = registry.build(rng, question)
    return ChatSample(
        tools=offer(rng, question.tool, question.text),
        turns=_turns(question, outcome, answer=outcome.answer(question.focus)),
        family="joined",
    )


def _second_call(rng: random.Random) -> ChatSample:
    """A second question that needs a call of its own."""
    first = _ask(rng, plain=0.6)
    second = ALL[first.tool].ask(rng, plain=0.6) if rng.random() < 0.25 else _ask(rng, plain=0.6)
    turns: tuple[ChatTurn, ...] = ()
    for question in (first, second):
        outcome = (
            registry.fail(rng, question) if rng.random() < 0.06 else registry.build(rng, question)
        )
        turns += _turns(question, outcome, answer=outcome.answer(question.focus))
    tools = dict.fromkeys((*offer(rng, second.tool, second.text), first.tool))
    names = list(tools)[:4] if first.tool in list(tools)[:4] else [*list(tools)[:3], first.tool]
    if second.tool not in names:
        names[0] = second.tool
    rng.shuffle(names)
    return ChatSample(tools=tuple(names), turns=turns, family="second_call")


def _after_talk(rng: random.Random) -> ChatSample:
    """Small talk, then a question; or a question, then small talk."""
    question = _ask(rng, plain=0.6)
    outcome = registry.build(rng, question)
    looked_up = _turns(question, outcome, answer=outcome.answer(question.focus))
    kind = rng.choice(("greeting", "thanks", "thanks", "off_topic", "identity", "change"))
    talked = (UserText(text=talk.say(rng, kind)), AssistantText(text=talk.REPLIES[kind]))
    if kind == "greeting" or (kind != "thanks" and rng.random() < 0.4):
        turns = talked + looked_up
    else:
        turns = looked_up + talked
    return ChatSample(tools=offer(rng, question.tool, question.text), turns=turns, family=kind)


def _absent(rng: random.Random) -> ChatSample:
    """The tool that would know is not offered."""
    question = _ask(rng)
    return ChatSample(
        tools=absent_offer(rng, question.tool),
        turns=(UserText(text=question.text), AssistantText(text=talk.REPLIES["absent"])),
        family="absent",
    )


def _no_tools(rng: random.Random) -> ChatSample:
    question = _ask(rng)
    return ChatSample(
        tools=(),
        turns=(UserText(text=question.text), AssistantText(text=talk.REPLIES["absent"])),
        family="no_tools",
    )


def _unclear(rng: random.Random) -> ChatSample:
    kind = rng.choice(tuple(talk.UNCLEAR))
    text = talk.say(rng, kind)
    return ChatSample(
        tools=offer(rng, talk.UNCLEAR[kind], text),
        turns=(UserText(text=text), AssistantText(text=talk.REPLIES[kind])),
        family="unclear",
    )


def _talk(kind: str, *, bare: float) -> Callable[[random.Random], ChatSample]:
    """`bare` is how often no tool is offered."""

    def make(rng: random.Random) -> ChatSample:
        text = talk.say(rng, kind)
        turns: tuple[ChatTurn, ...] = (
            UserText(text=text),
            AssistantText(text=talk.REPLIES[kind]),
        )
        if rng.random() < 0.12:
            second = rng.choice(("off_topic", "thanks", "change", "identity"))
            turns += (
                UserText(text=talk.say(rng, second)),
                AssistantText(text=talk.REPLIES[second]),
            )
        tools = () if rng.random() < bare else stray_offer(rng, text)
        return ChatSample(tools=tools, turns=turns, family=kind)

    return make


MIX: tuple[tuple[Callable[[random.Random], ChatSample], float], ...] = (
    (_call, 0.58),
    (_failed, 0.04),
    (_hostile, 0.03),
    (_follow_up, 0.06),
    (_joined, 0.02),
    (_second_call, 0.06),
    (_after_talk, 0.03),
    (_absent, 0.025),
    (_no_tools, 0.015),
    (_unclear, 0.02),
    (_talk("off_topic", bare=0.45), 0.055),
    (_talk("change", bare=0.5), 0.04),
    (_talk("identity", bare=0.6), 0.01),
    (_talk("greeting", bare=0.7), 0.01),
    (_talk("thanks", bare=0.7), 0.005),
)
"""Shares of the whole; a trainer that wants others draws by `family`."""


def generate(rng: random.Random, n: int) -> Iterator[ChatSample]:
    """`n` conversations, the same for the same state of `rng`."""
    makers = [maker for maker, _ in MIX]
    cumulative: list[float] = []
    for _, share in MIX:
        cumulative.append(share + (cumulative[-1] if cumulative else 0.0))
    for _ in range(n):
        yield rng.choices(makers, cum_weights=cumulative)[0](rng)

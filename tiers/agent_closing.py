"""The end of an answer, by code: which figures nothing supports, and what was not changed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import orjson

from tiers.agent_parts import ChatParts
from tiers.agent_turn import Turn
from tiers.chat_claims import claims
from tiers.chat_closing_words import CORRECTION, age_words, earlier_line, unsupported_line
from tiers.chat_contracts import EffectsUnreadableError
from tiers.chat_memory import Kept, call_key
from tiers.chat_reading import counts_of, whole_text
from tiers.chat_wishes import wanted_change
from tiers.contracts import ToolTrace
from tiers.grounding import sources_of, ungrounded

_MOST_FIGURES = 32
_MOST_EFFECTS = 5
_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """`lines` are what the answer still has to say, where it is prose."""

    lines: tuple[str, ...] = ()
    ungrounded: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f"\n\n{line}" for line in self.lines)


async def closing(
    parts: ChatParts, turn: Turn, *, spoken: str, traces: Sequence[ToolTrace]
) -> Closing:
    """`spoken` is the answer as the model gave it, `traces` what was looked up for it."""
    if turn.form is not None:
        spoken = "\n".join(_values_in(spoken))
    said = _FENCED.sub(" ", spoken)  # what stands in code is an example, not a finding
    here = _said_here(parts, turn, traces)
    new = {call_key(trace.name, trace.arguments) for trace in traces}
    earlier = [
        kept for kept in turn.results.all() if call_key(kept.name, kept.arguments) not in new
    ]
    remembered = [text for kept in earlier for text in (kept.text, *kept.counts)]
    missing = tuple(ungrounded(said, sources_of([*here, *remembered]))[:_MOST_FIGURES])
    corrections = await _corrections(parts, turn, spoken=spoken, traces=traces)
    lines = []
    if parts.loop.unsupported_figures == "mark":
        if missing:
            lines.append(unsupported_line(missing))
        if ages := _ages(parts, turn, said, here=here, earlier=earlier):
            lines.append(earlier_line(ages))
    lines += corrections
    if not missing and not corrections:
        parts.memory.vouch(spoken)
    return Closing(lines=tuple(lines), ungrounded=missing, corrections=corrections)


def _values_in(answer: str) -> list[str]:
    """What stands in a JSON answer; the answer itself where it is none."""
    try:
        left: list[Any] = [orjson.loads(answer)]
    except orjson.JSONDecodeError:
        return [answer]
    found = []
    while left:
        match left.pop():
            case dict() as entries:
                left += reversed(entries.values())
            case list() as entries:
                left += reversed(entries)
            case value:
                found.append(str(value))
    return found


def _said_here(parts: ChatParts, turn: Turn, traces: Sequence[ToolTrace]) -> list[str]:
    """Everything that may be cited but earlier results: what was found now, what the user, the
    operator and the client's tools said, and earlier answers whose figures were looked up."""
    texts = [text for t in traces for text in (whole_text(t.result), *counts_of(t.result))]
    texts += [f"{trace.name} {dict(trace.arguments)}" for trace in traces if trace.result.ok]
    for message in turn.history:
        text = str(message.get("content") or "")
        if message["role"] != "assistant" or parts.memory.vouched(text):
            texts.append(text)
    texts += [f"{name} {value}" for name, value in parts.facts()]
    texts += [f"{spec.name} {spec.description}" for spec in parts.specs]
    texts += [f"{tool.name} {tool.description}" for tool in turn.tools.tools]
    return texts


def _ages(
    parts: ChatParts, turn: Turn, said: str, *, here: Sequence[str], earlier: Sequence[Kept]
) -> dict[str, str]:
    """How old the figures are that earlier results alone support, by tool; without those that are
    as good as new, and those whose age the answer tells."""
    old = [kept for kept in earlier if turn.results.age(kept) > parts.loop.fresh_seconds]
    open_figures = set(ungrounded(said, sources_of(here))) if old else set()
    ages: dict[str, str] = {}
    for kept in reversed(old):
        held = sources_of([kept.text, *kept.counts])
        backed = [figure for figure in open_figures if not ungrounded(figure, held)]
        age = age_words(turn.results.age(kept))
        if backed and age not in said:
            ages[kept.name] = age
        open_figures.difference_update(backed)
    return ages


async def _corrections(
    parts: ChatParts, turn: Turn, *, spoken: str, traces: Sequence[ToolTrace]
) -> tuple[str, ...]:
    reports = [kept.text for kept in turn.results.all()]
    reports += [whole_text(trace.result) for trace in traces]
    found = claims(spoken, asked=wanted_change(turn.question), reports=reports)
    if not found:
        return ()
    begun = turn.results.begun
    try:
        effects = await parts.effects.since(begun) if parts.effects is not None else ()
    except EffectsUnreadableError as error:
        why = "whether anything was changed cannot be told now, because the ledger cannot be read"
        return (f"{CORRECTION}{why}: {error}",)
    if all(any(claim.fits(effect) for effect in effects) for claim in found):
        return ()
    if effects:
        told = "; ".join(effect.rstrip(".") for effect in effects[-_MOST_EFFECTS:])
        why = f"the ledger does not show that. What it shows since {begun:%H:%M %Z}: {told}."
    elif any(message["role"] == "tool" for message in turn.history):
        why = (
            "triaged's ledger holds no such change; if a tool of your client made it, only your "
            "client knows."
        )
    else:
        why = "nothing on this host was changed in this chat; triaged only looked things up."
    return (CORRECTION + why,)

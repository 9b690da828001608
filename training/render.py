"""A sample as the text that a llama-server would put before the model, with the part to learn.

The same words as `tiers.nano.profile` and the GGUF's chat template; a test holds this against
`/apply-template`.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tiers.contracts import Case
from tiers.nano import cases, decisions
from tiers.nano.profile import case_messages, tool_content, trigger_messages
from tiers.nano.text import neutral
from training.data.samples import (
    AssistantText,
    CaseSample,
    ChatSample,
    DecisionSample,
    ToolCallTurn,
    ToolResultTurn,
    UserText,
)
from training.tokenizer import CALL, CALL_END, END, EVENT, START, VERDICT

_CATALOGUE = Path(__file__).parents[1] / "daemon" / "tools" / "catalogue.toml"


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """Part of a document. `weight` is that of each of its tokens in the loss; 0 for a prompt."""

    text: str
    weight: float = 0.0


# What each learned part weighs, per token. A decision is one token for a whole document.
_LETTER = 4.0
_JSON = 1.0
_WORDS = 1.0


def decision(sample: DecisionSample) -> list[Piece]:
    return [
        Piece(EVENT + _state(sample) + VERDICT),
        Piece(decisions.letter(sample.severity, sample.category), _LETTER),
    ]


def trigger_json(sample: DecisionSample) -> list[Piece]:
    answer = {
        "escalate": sample.escalate,
        "severity": str(sample.severity),
        "category": str(sample.category),
        "urgency": str(decisions.URGENCY_OF[sample.severity]),
    }
    return _asked(trigger_messages(_state(sample)), answer)


def assessment(sample: CaseSample) -> list[Piece]:
    answer = {
        "cause": sample.cause,
        "severity": str(sample.severity),
        "disposition": str(sample.disposition),
        "evidence": _offered(sample.evidence, sample.case, "evidence"),
        "actions": _offered(sample.actions, sample.case, "actions"),
        "confidence": sample.confidence,
        "summary": sample.summary,
    }
    return _asked(case_messages("assess", sample.case, _causes(sample)), answer)


def plan(sample: CaseSample) -> list[Piece]:
    answer = {
        "cause": sample.cause,
        "severity": str(sample.severity),
        "evidence": _offered(sample.evidence, sample.case, "evidence"),
        "steps": _offered(sample.actions, sample.case, "steps"),
        "confidence": sample.confidence,
        "summary": sample.summary,
    }
    return _asked(case_messages("plan", sample.case, _causes(sample)), answer)


def chat(sample: ChatSample) -> list[Piece]:
    pieces = [Piece(tools_text([(name, parameters()[name]) for name in sample.tools]))]
    for turn in sample.turns:
        match turn:
            case UserText(text=text):
                pieces.append(Piece(turn_text("user", text)))
            case ToolResultTurn(ok=ok, summary=summary):
                pieces.append(Piece(turn_text("tool", tool_content(ok=ok, summary=summary))))
            case AssistantText(text=text):
                pieces += [Piece(f"{START}assistant\n"), Piece(neutral(text).strip() + END, _WORDS)]
                pieces.append(Piece("\n"))
            case ToolCallTurn(name=name, arguments=arguments):
                call = compact({"name": name, "arguments": dict(arguments)})
                pieces += [Piece(f"{START}assistant\n"), Piece(CALL + call + CALL_END + END, _JSON)]
                pieces.append(Piece("\n"))
    return pieces


def turn_text(role: str, content: str) -> str:
    return f"{START}{role}\n{neutral(content)}{END}\n"


def tools_text(tools: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Names and parameter names only: a nano model knows its tools, and prompts stay short."""
    if not tools:
        return ""
    lines = "".join(f"{name}({','.join(names)})\n" for name, names in tools)
    return f"{START}tools\n{lines}{END}\n"


@lru_cache(maxsize=1)
def parameters() -> Mapping[str, tuple[str, ...]]:
    """The parameter names of every tool of the catalogue."""
    catalogue = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return {tool["name"]: tuple(tool["parameters"]) for tool in catalogue["tool"]}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _state(sample: DecisionSample) -> str:
    return decisions.state(
        unit=sample.unit,
        text=sample.text,
        count=sample.count,
        span_seconds=sample.span_seconds,
    )


def _asked(messages: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> list[Piece]:
    prompt = "".join(turn_text(message["role"], message["content"]) for message in messages)
    return [Piece(f"{prompt}{START}assistant\n"), Piece(compact(answer) + END, _JSON)]


def _causes(sample: CaseSample) -> list[str]:
    """What the generator offers, which is as short as what the scorer of causes leaves."""
    return [cause.code for cause in sample.case.causes]


def _offered(codes: Sequence[str], case: Case, key: str) -> list[str]:
    """Only what may be answered: a case longer than the prompt shows loses its tail."""
    allowed = cases.refs(case) if key == "evidence" else cases.action_codes(case)
    return [code for code in codes if code in allowed][: cases.MOST[key]]

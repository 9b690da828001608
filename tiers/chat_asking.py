"""How a chat asks for a change of the host: two tools beside those that only read.

What is asked for is decided by policy and, for a chat, by a human: `propose_action` makes no effect
happen. The model is not told the code of a proposal, which code shows to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiers.chat_contracts import Asker, Proposal
from tiers.contracts import Toolbox, ToolResult, ToolSpec
from tiers.vocabulary import Provenance

PROPOSE = "propose_action"
LIST = "list_actions"
NAMES = frozenset({PROPOSE, LIST})
_MOST_ASKED = 5
"""In one answer: who asks for more is not asking any more."""
_MOST_LISTED = 20
_TEXT_CHARS = 500


def asking_specs(asker: Asker) -> tuple[ToolSpec, ...]:
    """The two tools, with the kinds of actions that there are."""
    kinds = asker.kinds
    described = "; ".join(_kind_words(kind.name, kind.target, kind.parameters) for kind in kinds)
    return (
        ToolSpec(
            name=PROPOSE,
            description=(
                "Asks for one change of this host. Nothing is changed by calling it: the user sees "
                "the exact action and approves or denies it. Only where the user wants a change, "
                f"or a look-up has shown that it is needed. Kinds: {described}."
            ),
            parameters={
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": [kind.name for kind in kinds]},
                    "target": {
                        "type": "string",
                        "description": "what it acts on, as the host calls it: nginx.service",
                    },
                    "parameters": {
                        "type": "object",
                        "description": "of this kind; leave it out where it has none",
                    },
                    "reason": {
                        "type": "string",
                        "description": "why, in a sentence for the user, with what you looked up",
                    },
                },
                "required": ["kind", "target", "reason"],
                "additionalProperties": False,
            },
        ),
        ToolSpec(
            name=LIST,
            description=(
                "Earlier changes of this host that were asked for, the newest first, with what "
                "became of each: done, failed, denied, refused and why. Reads only."
            ),
            parameters={
                "type": "object",
                "properties": {
                    "target": {"type": "string", "description": "only on this; all when left out"}
                },
                "required": [],
                "additionalProperties": False,
            },
        ),
    )


class AskingToolbox:
    """A toolbox with the two tools beside its own. Satisfies `tiers.contracts.Toolbox`."""

    def __init__(self, *, toolbox: Toolbox, asker: Asker) -> None:
        self._toolbox = toolbox
        self._asker = asker
        self._asked = 0
        self._made: list[Proposal] = []

    def specs(self) -> Sequence[ToolSpec]:
        return (*self._toolbox.specs(), *asking_specs(self._asker))

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        if name == PROPOSE:
            return await self._propose(arguments)
        if name == LIST:
            return await self._list(arguments)
        return await self._toolbox.call(name=name, arguments=arguments)

    def made(self) -> list[Proposal]:
        """Proposals since this was asked last, each once, to be shown."""
        made, self._made = self._made, []
        return made

    async def _propose(self, arguments: Mapping[str, Any]) -> ToolResult:
        kind, target = arguments.get("kind"), arguments.get("target")
        reason = arguments.get("reason", "")
        parameters = arguments.get("parameters") or {}
        texts = all(isinstance(text, str) for text in (kind, target, reason))
        if not texts or not isinstance(parameters, Mapping):
            return _failed(f"{PROPOSE} takes kind, target and reason as texts, and parameters.")
        if self._asked >= _MOST_ASKED:
            return _failed(f"{_MOST_ASKED} actions were asked for in this answer; no more are.")
        self._asked += 1
        asked = await self._asker.ask(
            kind=str(kind)[:_TEXT_CHARS],
            target=str(target)[:_TEXT_CHARS],
            parameters=parameters,
            reason=str(reason)[:_TEXT_CHARS],
        )
        if asked.proposal is not None and asked.proposal not in self._made:
            self._made.append(asked.proposal)
        return ToolResult(
            ok=not asked.refused, summary=asked.sentence, provenance=Provenance.MEASURED
        )

    async def _list(self, arguments: Mapping[str, Any]) -> ToolResult:
        target = arguments.get("target") or ""
        if not isinstance(target, str):
            return _failed(f"{LIST} takes a target as a text.")
        past = await self._asker.past(target=target[:_TEXT_CHARS], limit=_MOST_LISTED)
        on = f" on {target[:_TEXT_CHARS]}" if target else ""
        if not past:
            return ToolResult(ok=True, summary=f"No action{on} was asked for yet.")
        summary = f"{len(past)} actions{on}, the newest first: {' | '.join(past)}"
        # Reasons and targets in it may be the words of whoever asked.
        return ToolResult(ok=True, summary=summary, provenance=Provenance.TEXT)


def _kind_words(name: str, target: str, parameters: Mapping[str, Any]) -> str:
    wanted = parameters.get("properties", {})
    needed = parameters.get("required", ())
    words = ", ".join(key if key in needed else f"{key}?" for key in wanted)
    return f"{name} (a {target}{', parameters ' + words if words else ''})"


def _failed(summary: str) -> ToolResult:
    return ToolResult(ok=False, summary=summary)

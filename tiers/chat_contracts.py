"""A chat with the meta tier: what it is asked with, the events of its answer, and its protocols.

Everything here is immutable and knows nothing of HTTP.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tiers.contracts import ToolTrace, Usage


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """More of the model's reasoning."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """`repeated`: the answer says the trace's summary in full, which need not be shown twice."""

    call_id: str
    trace: ToolTrace
    repeated: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientCall:
    """A call of a tool that the client brought: it runs there. `arguments` is the JSON that the
    model wrote."""

    call_id: str
    name: str
    arguments: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientCalls:
    """The model wants tools of the client. The answer ends here with reason `tool_calls`."""

    calls: tuple[ClientCall, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An action that waits for a human.

    `code` is short and for people to type; `content` is the exact action in words made by code,
    `content_hash` the SHA-256 of its canonical form, and an approval is for exactly that. `risk` is
    computed by code, `rule` and `why` are policy's; `reason` is the asker's, who is `requested_by`
    and may be a model. `evidence` are references into the incident.
    """

    code: str
    content: str
    risk: str
    reason: str
    expires_at: datetime
    id: int = 0
    host: str = ""
    kind: str = ""
    target: str = ""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    content_hash: str = ""
    level: str = ""
    """The autonomy that the operator has granted."""
    rule: str = ""
    why: str = ""
    requested_by: str = ""
    requested_at: datetime | None = None
    incident_id: int | None = None
    evidence: tuple[str, ...] = ()
    needs: str = ""
    """What root has to allow before it can be carried out, and does not now; empty for nothing."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProposalMade:
    """The answer proposes an action."""

    proposal: Proposal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What an answer took at the endpoint, its model calls together, in seconds. `cached_tokens`
    of the prompts were not read again."""

    prompt_seconds: float
    answer_seconds: float
    cached_tokens: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFinished:
    """The end of an answer. `reason` is `stop`, `length`, `budget` (the loop's own bound) or
    `tool_calls` (the client has to run its tools). `ungrounded` are figures of the answer that
    neither a tool nor the user said; `corrections` are sentences about changes that the answer
    claims and the ledger does not know. Where the answer is prose it ends with both."""

    reason: str
    usage: Usage
    ungrounded: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    timings: Timings | None = None


AgentEvent = (
    TextDelta
    | ThinkingDelta
    | ToolStarted
    | ToolFinished
    | ClientCalls
    | ProposalMade
    | AnswerFinished
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionKind:
    """A kind of action that a chat may ask for. `target` says what it acts on ("unit"),
    `parameters` is the JSON schema of an object."""

    name: str
    description: str
    target: str
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of an asked action. `sentence` is made by code; `proposal` is there where it
    waits for a human; `refused` where nothing will come of it."""

    sentence: str
    refused: bool = False
    proposal: Proposal | None = None


class Asker(Protocol):
    """Lets a chat ask for actions on behalf of one caller. It can approve none."""

    @property
    def kinds(self) -> Sequence[ActionKind]: ...

    async def ask(
        self, *, kind: str, target: str, parameters: Mapping[str, Any], reason: str
    ) -> Asked:
        """Never raises for what a model can get wrong: that is refused, with the sentence."""
        ...

    async def unit(self, name: str) -> str | None:
        """The unit of this host that somebody calls so ("nginx" is "nginx.service"); None where
        there is none, or nobody can tell which."""
        ...

    async def process(self, pid: int) -> str | None:
        """The target that names the process of that number ("4242:81500", with its start); None
        where there is none now."""
        ...

    async def waiting(self) -> Sequence[Proposal] | None:
        """The actions that wait for a human; None where that cannot be read now."""
        ...

    async def past(self, *, target: str, limit: int) -> Sequence[str]:
        """A sentence for each action on a target (any where empty), the newest first."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What a chat is asked with.

    `messages` are OpenAI chat messages, oldest first, those of the client's own tools included.
    `options` are sampling parameters, `response_format` too, that the endpoint knows. `tools` are
    the client's own function tools as OpenAI writes them; they run at the client; `tool_choice` is
    about them alone. `chat_id` names the chat whose tool results are remembered, and must be one
    caller's own: whoever says the same id reads the same results. None remembers nothing.
    `request_id` goes to the endpoint as X-Request-ID. `asker` lets the answer ask for actions;
    without it there is only looking.
    """

    messages: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    chat_id: str | None = None
    request_id: str = ""
    asker: Asker | None = None


class ChatAgent(Protocol):
    """The meta tier with the host's tools."""

    def answer(self, conversation: Conversation) -> AsyncGenerator[AgentEvent, None]:
        """Ends with `AnswerFinished`. Closing the iterator cancels the model. Raises
        `tiers.errors.TierError` before the first event, or in the middle of a stream."""
        ...

    async def prompt_tokens(self, conversation: Conversation) -> int:
        """Tokens of the prompt with which the first model call would begin, tools included.
        Raises `tiers.errors.TierError`."""
        ...


class Errand(enum.StrEnum):
    """What a frontend asks for beside the chat."""

    TITLE = "title"
    TAGS = "tags"
    FOLLOW_UPS = "follow_ups"
    """Questions that the user might ask next."""
    QUERY = "query"
    """Queries for a search, made of what the user asked."""
    EMOJI = "emoji"
    AUTOCOMPLETE = "autocomplete"
    """How the text that the user types may go on."""
    OTHER = "other"


class Clerk(Protocol):
    """A small tier without tools, for what frontends ask beside the chat."""

    async def write(
        self, conversation: Conversation, errand: Errand = Errand.OTHER
    ) -> tuple[str, Usage]:
        """The text that the frontend asked for, in the form that its request names (JSON, for
        most). Raises `tiers.errors.TierError`."""
        ...


class EffectsUnreadableError(Exception):
    """The ledger cannot be read now. The message says why."""


class Effects(Protocol):
    """What the ledger says was done to the host."""

    async def since(self, moment: datetime) -> Sequence[str]:
        """A sentence for each effect that was begun since then, oldest first; it begins with the
        action and its target ("restart_unit nginx.service, begun 10:42:05 UTC: done"). Raises
        `EffectsUnreadableError`."""
        ...

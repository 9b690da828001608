"""Proposals in a chat: how code shows one, and which message of a user answers one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC

from api.approvals import Approvals, Connection
from api.openai.marks import MARK, defused
from api.openai.messages import ChatMessage
from api.ports import ConflictError, NotAllowedError, NotFoundError, TooOftenError
from api.roles import Caller
from api.text import fit
from tiers.chat_contracts import AgentEvent, AnswerFinished, Proposal, TextDelta
from tiers.contracts import Usage

_ANSWER = re.compile(
    r"(?:please[ ]+)?(?P<verb>approve|deny)[ ]+(?P<code>[a-z0-9]{4,8})(?:[ ]+please)?[.!]?",
    re.ASCII | re.IGNORECASE,
)
_BACKTICKS = re.compile("`+")
_FIELD = 1_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a user says about a proposal."""

    code: str
    approve: bool


def answer_in(messages: Sequence[ChatMessage]) -> Answer | None:
    """The approval or denial in a chat, None where there is none.

    It is the whole text of the last message, and that message is the user's: nothing that a
    model, a tool or a system prompt wrote counts, nor a quotation, nor one word more.
    """
    last = messages[-1]
    if last.role != "user":
        return None
    if isinstance(last.content, list):
        if len(last.content) != 1 or last.content[0].type != "text":
            return None
        text = last.content[0].text or ""
    else:
        text = last.content or ""
    found = _ANSWER.fullmatch(text.strip(" \t\r\n"))
    if found is None:
        return None
    return Answer(code=found["code"].upper(), approve=found["verb"].lower() == "approve")


async def reply_to(
    answer: Answer, *, by: Caller, connection: Connection, approvals: Approvals
) -> str:
    """A sentence on what became of it, made without any model. Raises `api.ports.BusyError`."""
    try:
        return await approvals.answer(
            code=answer.code, approve=answer.approve, by=by, connection=connection, way="chat"
        )
    except (NotAllowedError, TooOftenError) as error:
        return f"{error} {answer.code} was neither approved nor denied."
    except (NotFoundError, ConflictError) as error:
        return _sentence(error)


async def replied(
    answer: Answer, *, by: Caller, connection: Connection, approvals: Approvals
) -> AsyncIterator[AgentEvent]:
    """The same as an answer, which cost nothing."""
    said = await reply_to(answer, by=by, connection=connection, approvals=approvals)
    yield TextDelta(text=said)
    yield AnswerFinished(
        reason="stop",
        usage=Usage(
            model="", endpoint="", prompt_tokens=0, completion_tokens=0, seconds=0.0, calls=0
        ),
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!')) else '.'}"


def proposal_block(proposal: Proposal) -> str:
    """A proposal as Markdown. Every line carries the mark; what others wrote stands in code spans,
    in which nothing is a link, an image or a line of its own."""
    expires = proposal.expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    code = _plain(proposal.code)
    lines = (
        f"**Waiting for your answer: {code}**",
        f"Action: {_span(proposal.content)}",
        f"Risk: {_span(proposal.risk)}",
        *((f"Why you are asked: {_span(proposal.why)}",) if proposal.why else ()),
        *((f"Needs: {_span(proposal.needs)}",) if proposal.needs else ()),
        f"Reason, in the model's words: {_span(proposal.reason)}",
        f"Expires: {expires}",
        f"Send `approve {code}` or `deny {code}` as a message of its own.",
    )
    return "\n\n" + "".join(f"> {MARK} {line}  \n" for line in lines) + "\n"


def _plain(code: str) -> str:
    return "".join(c for c in code if c.isascii() and c.isalnum())


def _span(text: str) -> str:
    """Text of others in one line, inside a code span that it cannot close."""
    line = " ".join(defused(fit(text)).split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)[:_FIELD]
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line or '-'} {fence}"

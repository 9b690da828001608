"""Steps of an action that several parts take, and what a row says of itself. Pure."""

from __future__ import annotations

import secrets

from daemon.actions.action import Action
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError
from daemon.actions.states import ActionState
from daemon.actions.weigh import Weighed
from daemon.store.actions import ActionRow, Move

_ALPHABET = "ACDEFGHJKMNPQRTUVWXY34679"
"""Letters and digits that are not taken for each other."""
_CODE_CHARS = 4
_S = ActionState


def new_code() -> str:
    """Four characters for people to type."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARS))


def action_of(row: ActionRow, catalogue: Catalogue) -> Action:
    """The typed action of a row, checked again. Raises `ActionError` where it does not fit its
    content hash, or its kind, any more."""
    action = catalogue.action(
        host=row.host, kind=row.kind, target=row.target, parameters=row.parameters
    )
    if action.content_hash != row.content_hash:
        raise ActionError(
            f"its content is not what was hashed when it was asked for ({row.content_hash[:12]}); "
            "somebody changed it"
        )
    return action


def why_not(row: ActionRow) -> str | None:
    """Why a proposal cannot be answered, None where it can."""
    name = row.code or f"action {row.id}"
    when = f"{row.answered_at:%Y-%m-%d %H:%M:%S} UTC" if row.answered_at else "before"
    match ActionState(row.state):
        case _S.PROPOSED:
            return None  # whether it has expired is for the store's clock to say
        case _S.DENIED:
            return f"{name} was denied by {row.answered_by} at {when}"
        case _S.EXPIRED:
            return f"{name} has expired"
        case _S.WITHDRAWN:
            return f"{name} was withdrawn: {row.why}"
        case _S.REFUSED:
            return f"{name} was refused: {row.why}"
        case state:
            by = f" by {row.answered_by} at {when}" if row.answered_by else ""
            return f"{name} was approved{by} already and is {state.value}"


def decision_step(
    row: ActionRow,
    state: ActionState,
    weighed: Weighed,
    *,
    expires: float | None = None,
    code: str | None = None,
) -> Move:
    decided = weighed.decision
    return Move(
        row=row,
        to=state.value,
        entry="action_decision",
        actor="policy",
        risk=weighed.risk.value,
        rule=decided.rule,
        why=decided.reason,
        code=code,
        decided=True,
        expires_seconds=expires,
        detail={
            "verdict": decided.verdict.value,
            "rule": decided.rule,
            "risk": weighed.risk.value,
            "facts": weighed.facts.to_json(),
        },
    )


def refusal_step(row: ActionRow, *, rule: str, why: str, asked_by: str = "") -> Move:
    """A refusal for which nothing was weighed."""
    return Move(
        row=row,
        to=_S.REFUSED.value,
        entry="action_decision",
        actor="policy",
        rule=rule,
        why=why,
        decided=True,
        detail={"verdict": "deny", "rule": rule, "asked_by": asked_by},
    )

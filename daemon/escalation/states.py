"""The life of an incident: states, what can happen, and what follows. Pure.

| state      | what it means                       | what can happen            | then      |
|------------|-------------------------------------|----------------------------|-----------|
| open       | waits for the review tier           | CLAIMED                    | reviewing |
| reviewing  | a worker asks review, under a lease | SETTLED_CLOSE              | closed    |
|            |                                     | SETTLED_WATCH              | watching  |
|            |                                     | SETTLED_ESCALATE           | escalated |
|            |                                     | POSTPONED, LEASE_LOST      | open      |
|            |                                     | GAVE_UP                    | attention |
| escalated  | waits for the meta tier             | CLAIMED                    | planning  |
| planning   | a worker asks meta, under a lease   | SETTLED_CLOSE              | closed    |
|            |                                     | SETTLED_WATCH              | watching  |
|            |                                     | SETTLED_ESCALATE, GAVE_UP  | attention |
|            |                                     | POSTPONED, LEASE_LOST      | escalated |
| watching   | understood; its end is awaited      | CONDITION_GONE             | closed    |
|            |                                     | WORSENED                   | open      |
| attention  | waits for a human                   | CONDITION_GONE             | closed    |
|            |                                     | WORSENED                   | open      |
| closed     | over; says why                      | RETURNED                   | open      |

An operator closes (OPERATOR_CLOSED) whatever is not closed. Everything else is refused.
"""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """Where an incident is. The values stand in the database."""

    OPEN = "open"
    REVIEWING = "reviewing"
    ESCALATED = "escalated"
    PLANNING = "planning"
    WATCHING = "watching"
    ATTENTION = "attention"
    CLOSED = "closed"


class Happening(enum.StrEnum):
    """What moves an incident. The values stand in the ledger."""

    CLAIMED = "claimed"
    SETTLED_CLOSE = "settled: close"
    SETTLED_WATCH = "settled: watch"
    SETTLED_ESCALATE = "settled: escalate"
    POSTPONED = "postponed"
    LEASE_LOST = "lease lost"
    GAVE_UP = "gave up"
    CONDITION_GONE = "condition gone"
    WORSENED = "worsened"
    RETURNED = "returned"
    OPERATOR_CLOSED = "closed by operator"
    ACTION_FAILED = "action failed"
    ACTION_FOR_HUMAN = "action failed, for a human"


class IllegalTransitionError(Exception):
    """That cannot happen in this state: somebody else moved the incident first."""


_S, _H = State, Happening
TRANSITIONS: dict[tuple[State, Happening], State] = {
    (_S.OPEN, _H.CLAIMED): _S.REVIEWING,
    (_S.REVIEWING, _H.SETTLED_CLOSE): _S.CLOSED,
    (_S.REVIEWING, _H.SETTLED_WATCH): _S.WATCHING,
    (_S.REVIEWING, _H.SETTLED_ESCALATE): _S.ESCALATED,
    (_S.REVIEWING, _H.POSTPONED): _S.OPEN,
    (_S.REVIEWING, _H.LEASE_LOST): _S.OPEN,
    (_S.REVIEWING, _H.GAVE_UP): _S.ATTENTION,
    (_S.ESCALATED, _H.CLAIMED): _S.PLANNING,
    (_S.PLANNING, _H.SETTLED_CLOSE): _S.CLOSED,
    (_S.PLANNING, _H.SETTLED_WATCH): _S.WATCHING,
    (_S.PLANNING, _H.SETTLED_ESCALATE): _S.ATTENTION,
    (_S.PLANNING, _H.GAVE_UP): _S.ATTENTION,
    (_S.PLANNING, _H.POSTPONED): _S.ESCALATED,
    (_S.PLANNING, _H.LEASE_LOST): _S.ESCALATED,
    (_S.WATCHING, _H.CONDITION_GONE): _S.CLOSED,
    (_S.WATCHING, _H.WORSENED): _S.OPEN,
    (_S.WATCHING, _H.ACTION_FAILED): _S.ESCALATED,
    (_S.WATCHING, _H.ACTION_FOR_HUMAN): _S.ATTENTION,
    (_S.ATTENTION, _H.CONDITION_GONE): _S.CLOSED,
    (_S.ATTENTION, _H.WORSENED): _S.OPEN,
    (_S.CLOSED, _H.RETURNED): _S.OPEN,
    **{(state, _H.OPERATOR_CLOSED): _S.CLOSED for state in State if state is not _S.CLOSED},
}

LIVE = frozenset(state for state in State if state is not State.CLOSED)
"""States of an incident that is not over."""

LEASED = {State.REVIEWING: State.OPEN, State.PLANNING: State.ESCALATED}
"""States that a worker holds under a lease, and where the incident waits without one."""


def after(state: State, happening: Happening) -> State:
    """The state that follows. Raises `IllegalTransitionError`."""
    try:
        return TRANSITIONS[state, happening]
    except KeyError:
        message = f"an incident that is {state.value} cannot be {happening.value}"
        raise IllegalTransitionError(message) from None

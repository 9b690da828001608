"""The life of an action. Pure.

| from      | to        | when                                                                    |
|-----------|-----------|-------------------------------------------------------------------------|
| requested | refused   | policy denies, the target is not there, a parameter is out of bounds    |
| requested | proposed  | policy asks: a human has to approve                                     |
| requested | approved  | policy allows                                                           |
| requested | expired   | nobody decided in time: the host did not answer, or the daemon was away |
| proposed  | approved  | a human approved exactly this content                                   |
| proposed  | denied    | a human denied it                                                       |
| proposed  | expired   | nobody answered in time                                                 |
| proposed  | withdrawn | its incident is over, or an earlier step did not work                   |
| requested | withdrawn | the same                                                                |
| proposed  | refused   | it was approved, but is no longer possible or allowed                   |
| approved  | intent    | an executor holds the lease; preconditions hold, the baseline is stored |
| approved  | requested | nobody approved it, and policy asks a human by now                      |
| approved  | refused   | the stop switch, policy or a precondition                               |
| approved  | withdrawn | an earlier step did not work; the incident is over, and nobody approved  |
| approved  | expired   | nobody carried it out in time                                           |
| intent    | started   | right before the effect                                                 |
| intent    | approved  | its executor died before it began: nothing has happened                 |
| intent    | refused   | the stop switch was thrown in between                                   |
| started   | done      | the postcondition was measured                                          |
| started   | failed    | the postcondition was measured not to hold                              |
| started   | unknown   | nobody can say: for a human, never run again                            |
"""

from __future__ import annotations

import enum


class ActionState(enum.StrEnum):
    """Where an action is. The values stand in the database."""

    REQUESTED = "requested"
    PROPOSED = "proposed"
    APPROVED = "approved"
    INTENT = "intent"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"

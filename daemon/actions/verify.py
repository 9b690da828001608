"""Whether an action worked: its postcondition, measured on the host until it holds or cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import structlog

from daemon.actions.action import Action
from daemon.actions.errors import ActionError
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Kind
from daemon.actions.states import ActionState

log = structlog.get_logger()

_PAUSE = 1.0
_CHECK_SECONDS = 30.0
"""One look may take this long; a host that hangs is a host that cannot be measured."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`state` is done (measured), failed (measured not to hold) or unknown."""

    state: ActionState
    check: Check


async def verify(
    kind: Kind,
    action: Action,
    host: Host,
    *,
    before: Mapping[str, Any],
    steady: float,
    once: bool = False,
    running: float = 0.0,
) -> Result:
    """Looks every second for as long as the kind may need to settle and then to be steady for
    `steady` seconds; with `once`, where nothing began, a single time. `running` is for how many
    seconds the effect itself may still be at work, where nobody waits for its end. Never raises
    for what the host does."""
    deadline = time.monotonic() + (0.0 if once else kind.spec.settle + steady + running)
    while True:
        check = await look(kind, action, host, before)
        if check.holds is True:
            return Result(state=ActionState.DONE, check=check)
        if check.final or time.monotonic() >= deadline:
            state = ActionState.UNKNOWN if check.holds is None else ActionState.FAILED
            return Result(state=state, check=check)
        await asyncio.sleep(_PAUSE)


def after_crash(result: Result) -> Result:
    """The same for an action that was found begun: who reads it has to know that nobody saw it
    end."""
    words = {
        ActionState.DONE: "its effect was found",
        ActionState.FAILED: "its effect was not found, and it was not tried again",
        ActionState.UNKNOWN: "whether it took effect cannot be said, and it was not tried again",
    }[result.state]
    detail = f"triaged was ended while it ran; {words}: {result.check.detail}"
    return dataclasses.replace(result, check=dataclasses.replace(result.check, detail=detail))


def with_refusal(result: Result, words: str) -> Result:
    """The same for an action that was refused before it began: why comes first, and what holds all
    the same is not its doing."""
    detail = f"{words.rstrip('.')}; measured: {result.check.detail}"
    state = ActionState.FAILED if result.state is ActionState.DONE else result.state
    return Result(state=state, check=dataclasses.replace(result.check, detail=detail))


async def look(kind: Kind, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
    """One look. Whatever goes wrong with it is nothing that holds."""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await kind.check(action, host, before)
    except TimeoutError:
        return Check(holds=None, detail=f"the host was not measured within {_CHECK_SECONDS:g} s")
    except ActionError as error:
        return Check(holds=None, detail=str(error))
    except Exception as error:
        log.error("an effect was not measured", action=action.code, exc_info=error)
        return Check(holds=None, detail=f"not measured, by a defect ({type(error).__name__})")

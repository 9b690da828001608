"""`/api/v1/actions`: what was done to the host and what was not, and the stop switch."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.approvals import Approvals, connection_of
from api.asked import caller_of
from api.body import JsonRoute
from api.operator.views import as_json
from api.ports import Ports
from api.ports_actions import ActionFilter
from api.text import FitText

_MAX_ID = 2**63 - 1
_Word = Annotated[str, Field(pattern="^[a-z_]{1,32}$")]


class SwitchBody(BaseModel):
    """Why the switch is thrown, for the ledger and for whoever finds it thrown."""

    model_config = ConfigDict(extra="forbid")

    reason: FitText = Field("", max_length=2_000)


def actions_router(ports: Ports, approvals: Approvals) -> APIRouter:
    """History, one action, stop, resume. Whoever is an operator may stop; resuming lets actions
    happen, so it takes what an approval takes."""
    router = APIRouter(prefix="/api/v1/actions", tags=["operator"], route_class=JsonRoute)

    @router.get("")
    async def actions(
        state: Annotated[list[_Word] | None, Query(max_length=12)] = None,
        kind: Annotated[_Word | None, Query()] = None,
        target: Annotated[FitText | None, Query(max_length=500)] = None,
        incident_id: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
        before_id: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Actions, newest first, with what became of them; `before_id` pages."""
        wanted = ActionFilter(
            states=tuple(state or ()),
            kind=kind,
            target=target,
            incident_id=incident_id,
            before_id=before_id,
            limit=limit,
        )
        return {"actions": as_json(await ports.actions.find(wanted))}

    @router.get("/{action_id}")
    async def action(action_id: int) -> Any:
        """One of them, whole: what was measured, and its entries in the ledger."""
        known = action_id if 0 < action_id <= _MAX_ID else -1
        detail = as_json(await ports.actions.show(known))
        return {**detail.pop("action"), **detail}

    @router.post("/stop")
    async def stop(request: Request, body: SwitchBody | None = None) -> Any:
        """Nothing is begun from now on, until somebody resumes; a restart changes nothing."""
        reason = body.reason if body is not None else ""
        stopped = await ports.actions.stop(by=_actor(request), reason=reason)
        return {"stopped": as_json(stopped)}

    @router.post("/resume")
    async def resume(request: Request, body: SwitchBody | None = None) -> Any:
        """Takes the stop back."""
        await approvals.admit(caller_of(request.scope), connection_of(request.scope), way="api")
        reason = body.reason if body is not None else ""
        await ports.actions.resume(by=_actor(request), reason=reason)
        return {"stopped": None}

    return router


def _actor(request: Request) -> str:
    """Who asks, as the ledger writes it."""
    return f"operator:{caller_of(request.scope).name}"

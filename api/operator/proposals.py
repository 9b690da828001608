"""`/api/v1/proposals`: actions that wait for a human, and the human's answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from api.approvals import Approvals, connection_of
from api.asked import caller_of
from api.body import JsonRoute
from api.operator.views import as_json
from api.ports import Ports

_Code = Annotated[str, Path(pattern="^[A-Za-z0-9]{3,12}$", description="as it is shown: K7F3")]


class AnswerBody(BaseModel):
    """What exactly is answered, for callers that show it first."""

    model_config = ConfigDict(extra="forbid")

    content_hash: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="of the proposal as it was read; one of other content is not answered",
    )


def proposals_router(ports: Ports, approvals: Approvals) -> APIRouter:
    """List, show, approve, deny, confirm. Answering needs the role of an operator, and a key
    where the caller is not the daemon's own user."""
    router = APIRouter(prefix="/api/v1/proposals", tags=["operator"], route_class=JsonRoute)

    async def answered(
        request: Request, code: str, body: AnswerBody | None, *, approve: bool
    ) -> dict[str, Any]:
        code = code.upper()
        said = await approvals.answer(
            code=code,
            approve=approve,
            by=caller_of(request.scope),
            connection=connection_of(request.scope),
            way="api",
            content_hash=body.content_hash if body is not None else None,
        )
        return {"code": code, "approved": approve, "message": said}

    @router.get("")
    async def waiting() -> dict[str, Any]:
        """Proposals that can be answered now, oldest first."""
        return {"proposals": as_json(await ports.proposals.waiting())}

    @router.get("/{code}")
    async def show(code: _Code) -> Any:
        """One of them, whole: exact content and its hash, evidence, past outcomes."""
        detail = as_json(await ports.proposals.show(code.upper()))
        return {**detail.pop("proposal"), **detail, "evidence": detail["evidence"]}

    @router.post("/{code}/approve")
    async def approve(
        request: Request, code: _Code, body: AnswerBody | None = None
    ) -> dict[str, Any]:
        """Approves exactly what the proposal says."""
        return await answered(request, code, body, approve=True)

    @router.post("/{code}/deny")
    async def deny(request: Request, code: _Code, body: AnswerBody | None = None) -> dict[str, Any]:
        """Denies it."""
        return await answered(request, code, body, approve=False)

    @router.post("/{code}/confirm")
    async def confirm(request: Request, code: _Code) -> dict[str, Any]:
        """Says that the way in works after the action: its reversal is called off."""
        code = code.upper()
        said = await approvals.confirm(
            code=code,
            by=caller_of(request.scope),
            connection=connection_of(request.scope),
            way="api",
        )
        return {"code": code, "confirmed": True, "message": said}

    return router

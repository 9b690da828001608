"""`/api/v1/proposals`: actions that wait for a human, and the human's answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException

from api.asked import caller_of
from api.body import JsonRoute
from api.operator.views import as_json
from api.ports import NotFoundError, Ports
from api.roles import Role

_Code = Annotated[str, Path(pattern="^[A-Za-z0-9]{3,12}$", description="as it is shown: K7F3")]


def proposals_router(ports: Ports) -> APIRouter:
    """List, show, approve, deny. Answering needs the role of an operator."""
    router = APIRouter(prefix="/api/v1/proposals", tags=["operator"], route_class=JsonRoute)

    async def answered(request: Request, code: str, *, approve: bool) -> dict[str, Any]:
        caller = caller_of(request.scope)
        if not caller.role.allows(Role.OPERATOR):
            raise HTTPException(
                403, f"{caller.name} is a {caller.role}; proposals are answered by operators."
            )
        code = code.upper()
        said = await ports.proposals.answer(code=code, approve=approve, by=caller)
        return {"code": code, "approved": approve, "message": said}

    @router.get("")
    async def waiting() -> dict[str, Any]:
        """Proposals that can be answered now, oldest first."""
        return {"proposals": as_json(await ports.proposals.waiting())}

    @router.get("/{code}")
    async def show(code: _Code) -> Any:
        """One of them, with its exact content."""
        for proposal in await ports.proposals.waiting():
            if proposal.code == code.upper():
                return as_json(proposal)
        raise NotFoundError(f"no proposal {code.upper()} waits for an answer")

    @router.post("/{code}/approve")
    async def approve(request: Request, code: _Code) -> dict[str, Any]:
        """Approves exactly what the proposal says."""
        return await answered(request, code, approve=True)

    @router.post("/{code}/deny")
    async def deny(request: Request, code: _Code) -> dict[str, Any]:
        """Denies it."""
        return await answered(request, code, approve=False)

    return router

"""`/api/v1`: events, incidents, status, ledger, review, memory, the live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from api.asked import caller_of
from api.body import JsonRoute
from api.operator.alertmanager import AlertmanagerBody
from api.operator.views import (
    CloseBody,
    EventsBody,
    Moment,
    MuteBody,
    PostedEvents,
    as_json,
)
from api.ports import Accepted, EventFilter, IncidentFilter, LiveItem, NewEvent, Ports
from api.streaming import ClientGoneError, EventStream, frame, while_connected
from api.text import FitText
from tiers.vocabulary import Severity

_MAX_ID = 2**63 - 1
_AT_ONCE = 1_000
_State = Annotated[str, Field(pattern="^[a-z_-]{1,32}$")]


def operator_router(ports: Ports, *, stopping: asyncio.Event) -> APIRouter:
    """The routes under `/api/v1`. The live stream ends when `stopping` is set."""
    router = APIRouter(prefix="/api/v1", tags=["operator"], route_class=JsonRoute)

    async def _post(events: list[NewEvent]) -> Accepted:
        """In parts: posting again what was taken is harmless where events have keys."""
        accepted = 0
        for start in range(0, len(events), _AT_ONCE):
            accepted += (await ports.events.post(events[start : start + _AT_ONCE])).accepted
        return Accepted(accepted=accepted)

    @router.post("/events", status_code=202)
    async def post_events(body: Annotated[PostedEvents, Body()]) -> Response:
        """Takes events. The answer comes after they are durable."""
        posted = body.events if isinstance(body, EventsBody) else [body]
        accepted = await _post([event.to_event() for event in posted])
        return JSONResponse(as_json(accepted), status_code=202)

    @router.post("/webhooks/alertmanager", status_code=202)
    async def alertmanager(body: AlertmanagerBody) -> Response:
        """Takes a webhook of Prometheus' Alertmanager."""
        accepted = await _post(body.to_events())
        return JSONResponse(as_json(accepted), status_code=202)

    @router.get("/events")
    async def events(
        text: Annotated[FitText | None, Query(max_length=500)] = None,
        unit: Annotated[FitText | None, Query(max_length=256)] = None,
        fingerprint: Annotated[str | None, Query(pattern="^[0-9a-f]{16}$")] = None,
        since: Moment | None = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> dict[str, Any]:
        """Stored events, newest first."""
        wanted = EventFilter(
            text=text, unit=unit, fingerprint=fingerprint, since=since, limit=limit
        )
        return {"events": as_json(await ports.events.query(wanted))}

    @router.get("/incidents")
    async def incidents(
        state: Annotated[list[_State] | None, Query(max_length=10)] = None,
        min_severity: Severity | None = None,
        text: Annotated[FitText | None, Query(max_length=500)] = None,
        before_id: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Incidents, newest first; `before_id` pages."""
        wanted = IncidentFilter(
            states=tuple(state or ()),
            min_severity=min_severity,
            text=text,
            before_id=before_id,
            limit=limit,
        )
        return {"incidents": as_json(await ports.incidents.find(wanted))}

    @router.get("/incidents/{incident_id}")
    async def incident(incident_id: int) -> Any:
        """One incident, whole: evidence, verdicts, assessments, timeline."""
        return as_json(await ports.incidents.show(_bounded(incident_id)))

    @router.post("/incidents/{incident_id}/close")
    async def close(incident_id: int, body: CloseBody, request: Request) -> Any:
        """Closes an incident by hand."""
        closed = await ports.incidents.close(
            _bounded(incident_id), by=_actor(request), reason=body.reason
        )
        return as_json(closed)

    @router.post("/incidents/{incident_id}/mute")
    async def mute(incident_id: int, body: MuteBody, request: Request) -> Any:
        """Says that this is intentional: mutes the incident's patterns and closes it."""
        muted = await ports.incidents.mute(
            _bounded(incident_id),
            by=_actor(request),
            reason=body.reason,
            hours=body.hours,
            max_per_hour=body.max_per_hour,
        )
        return as_json(muted)

    @router.get("/status")
    async def status() -> Any:
        """Every part of the daemon, the tiers, and the accounting."""
        return as_json(await ports.status.status())

    @router.get("/tiers")
    async def tiers() -> dict[str, Any]:
        """The three tiers."""
        return {"tiers": as_json((await ports.status.status()).tiers)}

    @router.get("/ledger")
    async def ledger(
        after: Annotated[int, Query(ge=0, le=_MAX_ID)] = 0,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> dict[str, Any]:
        """Ledger rows in order, after a sequence number."""
        return {"entries": as_json(await ports.status.ledger(after=after, limit=limit))}

    @router.post("/review")
    async def review(request: Request) -> Any:
        """Runs the holistic review now and returns what it found. It ends with its reader."""
        try:
            found = await while_connected(request, ports.reviews.review_now(by=_actor(request)))
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        return as_json(found)

    @router.get("/memory")
    async def memory(
        q: Annotated[FitText, Query(min_length=1, max_length=500)],
        limit: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> dict[str, Any]:
        """Past incidents that look like a text."""
        return {"found": as_json(await ports.memories.search(text=q, limit=limit))}

    @router.post("/memory/rebuild")
    async def rebuild() -> dict[str, int]:
        """Makes the memory again from PostgreSQL."""
        return {"entries": await ports.memories.rebuild()}

    @router.get("/live")
    async def live() -> Response:
        """What happens from now on, as server-sent events."""
        return EventStream(_live(ports), until=stopping)

    return router


async def _live(ports: Ports) -> AsyncGenerator[bytes, None]:
    items = aiter(ports.live.follow())
    # Asked for first: what happens after the greeting is not missed.
    following = asyncio.ensure_future(_next(items))
    try:
        await asyncio.sleep(0)
        yield b": connected\n\n"
        while (item := await following) is not None:
            yield frame(as_json(item))
            following = asyncio.ensure_future(_next(items))
    finally:
        following.cancel()
        await asyncio.wait({following})
        closing = getattr(items, "aclose", None)
        if closing is not None:
            await closing()


async def _next(items: AsyncIterator[LiveItem]) -> LiveItem | None:
    return await anext(items, None)


def _actor(request: Request) -> str:
    """Who asks, as the ledger writes it."""
    return f"operator:{caller_of(request.scope).name}"


def _bounded(incident_id: int) -> int:
    """Numbers that PostgreSQL has no room for name no incident; -1 is never one."""
    return incident_id if 0 < incident_id <= _MAX_ID else -1

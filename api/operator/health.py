"""Alive, ready, measured."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.operator.views import as_json
from api.ports import Ports


def health_router(ports: Ports) -> APIRouter:
    """`/healthz`, `/readyz`, `/health`, `/metrics`."""
    router = APIRouter(tags=["health"])

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive and its loop turns."""
        return {"status": "ok"}

    async def readyz() -> Response:
        """Each part by name; 503 while one that is needed is not there."""
        status = await ports.status.status()
        body = {
            "status": "ok" if status.ready else "not ready",
            "parts": {
                part.name: {"health": part.health, "detail": part.detail, "required": part.required}
                for part in status.parts
            },
        }
        return JSONResponse(as_json(body), status_code=200 if status.ready else 503)

    for path in ("/readyz", "/health"):
        router.add_api_route(path, readyz, methods=["GET"], response_model=None)
        router.add_api_route(path, readyz, methods=["HEAD"], include_in_schema=False)

    @router.get("/metrics")
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(
            await ports.status.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router

"""`/v1/models`: what answers here."""

from __future__ import annotations

import time

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.body import JsonRoute
from api.errors import error_response
from api.ports import Ports

MODEL_ID = "triaged"


def models_router(ports: Ports) -> APIRouter:
    """The list and each model by its id, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)
    started = int(time.time())

    async def models() -> dict[str, object]:
        """The models that answer here."""
        return {"object": "list", "data": [_model(started, ports.chat_model)]}

    async def model(model_id: str) -> Response:
        """One of them."""
        if model_id != MODEL_ID:
            return no_model(model_id)
        return JSONResponse(_model(started, ports.chat_model))

    for prefix in ("/v1", ""):
        router.add_api_route(f"{prefix}/models", models, methods=["GET"])
        router.add_api_route(
            f"{prefix}/models/{{model_id:path}}", model, methods=["GET"], response_model=None
        )
    return router


def no_model(asked: str) -> Response:
    """What is said of a model that there is not."""
    return error_response(
        status=404,
        message=f"There is no model {asked[:80]!r}; there is {MODEL_ID!r}.",
        param="model",
        code="model_not_found",
    )


def _model(created: int, behind: str) -> dict[str, object]:
    return {
        "id": MODEL_ID,
        "object": "model",
        "created": created,
        "owned_by": "triaged",
        "meta": {"model": behind},
    }

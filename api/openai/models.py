"""`/v1/models`: what answers here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.body import JsonRoute
from api.errors import error_response
from api.ports import Ports
from api.ports_chat import TierTarget
from api.relay.paths import PREFIX, tier_named
from api.relay.served import Served
from tiers.llm.wire import mapping
from tiers.vocabulary import TierName

MODEL_ID = "triaged"
MODEL_IDS = (MODEL_ID, *(f"{PREFIX}{tier.value}" for tier in TierName))

_PASSED_ON = ("architecture", "max_model_len")


def models_router(ports: Ports, *, served: Served) -> APIRouter:
    """The list and each model by its id, with and without the `/v1` prefix. A tier that is down
    or loading is listed too, without what only its endpoint knows."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)
    started = int(time.time())

    async def bare(tier: TierName) -> dict[str, object]:
        target = ports.targets.target(tier)
        return _bare(started, target, await served.entry(target))

    async def models() -> dict[str, object]:
        """The models that answer here: the assistant, and the bare model of each tier."""
        tiers = await asyncio.gather(*(bare(tier) for tier in TierName))
        return {"object": "list", "data": [_assistant(started, ports.chat_model), *tiers]}

    async def model(model_id: str) -> Response:
        """One of them."""
        if model_id == MODEL_ID:
            return JSONResponse(_assistant(started, ports.chat_model))
        tier = tier_named(model_id.removeprefix(PREFIX)) if model_id.startswith(PREFIX) else None
        return no_model(model_id) if tier is None else JSONResponse(await bare(tier))

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
        message=f"There is no model {asked[:80]!r}; there are {', '.join(MODEL_IDS)}.",
        param="model",
        code="model_not_found",
    )


def _assistant(created: int, behind: str) -> dict[str, object]:
    return {
        "id": MODEL_ID,
        "object": "model",
        "created": created,
        "owned_by": "triaged",
        "meta": {"model": behind},
    }


def _bare(created: int, target: TierTarget, said: Mapping[str, Any]) -> dict[str, object]:
    """`status` is loaded, loading or unloaded, as llama-server's router says it; `detail` why."""
    state = "loading" if target.loading else "unloaded" if target.detail else "loaded"
    status: dict[str, object] = {"value": state}
    if target.detail:
        status["detail"] = target.detail
    if target.progress is not None:
        status["progress"] = target.progress
    return {
        "id": f"{PREFIX}{target.tier.value}",
        "object": "model",
        "created": created,
        "owned_by": "triaged",
        "status": status,
        "meta": {
            "model": target.model or said.get("id") or target.served,
            **mapping(said.get("meta")),
        },
        **{name: said[name] for name in _PASSED_ON if name in said},
    }

"""The FastAPI factory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import FastAPI

from api.errors import install_error_handlers
from api.guard import Guard
from api.openai.chat import openai_router
from api.openai.models import models_router
from api.openai.responses.routes import responses_router
from api.operator.health import health_router
from api.operator.proposals import proposals_router
from api.operator.routes import operator_router
from api.ports import Ports


def create_app(
    *, ports: Ports, version: str, keys: Sequence[str], loopback: bool, body_limit: int
) -> FastAPI:
    """The facade. `keys` may be empty only where `loopback` is true; `body_limit` in bytes.

    Raises ValueError for keys that are missing or empty: an open door is never an accident.
    """
    if not loopback and not keys:
        raise ValueError("a facade that is not on loopback needs keys")
    if any(not key.strip() for key in keys):
        raise ValueError("a key of the facade is empty")
    app = FastAPI(
        title="triaged",
        version=version,
        summary="An AI system administrator behind an OpenAI-compatible endpoint",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # Set when the daemon stops: streams that would never end by themselves end then.
    app.state.stopping = asyncio.Event()
    install_error_handlers(app)
    app.include_router(models_router(ports))
    app.include_router(openai_router(ports))
    app.include_router(responses_router(ports))
    app.include_router(operator_router(ports, stopping=app.state.stopping))
    app.include_router(proposals_router(ports))
    app.include_router(health_router(ports))
    app.add_middleware(Guard, keys=tuple(keys), loopback=loopback, body_limit=body_limit)
    return app

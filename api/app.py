"""The FastAPI factory."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from api.errors import install_error_handlers
from api.guard import Guard
from api.openai.chat import openai_router
from api.operator.health import health_router
from api.operator.routes import operator_router
from api.ports import Ports


def create_app(
    *, ports: Ports, version: str, keys: Sequence[str], loopback: bool, body_limit: int
) -> FastAPI:
    """The facade. `keys` may be empty only where `loopback` is true; `body_limit` in bytes."""
    app = FastAPI(
        title="triaged",
        version=version,
        summary="An AI system administrator behind an OpenAI-compatible endpoint",
        docs_url=None,
        redoc_url=None,
    )
    install_error_handlers(app)
    app.include_router(openai_router(ports))
    app.include_router(operator_router(ports))
    app.include_router(health_router(ports))
    app.add_middleware(Guard, keys=tuple(keys), loopback=loopback, body_limit=body_limit)
    return app

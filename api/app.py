"""The FastAPI factory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from fastapi import FastAPI

from api.approvals import Approvals
from api.cors import Cors
from api.errors import install_error_handlers
from api.guard import Guard
from api.keys.access import Access
from api.measured import Measured
from api.openai.chat import openai_router
from api.openai.models import models_router
from api.openai.responses.routes import responses_router
from api.openapi import Document, described
from api.operator.actions import actions_router
from api.operator.health import health_router
from api.operator.keys import keys_router
from api.operator.proposals import proposals_router
from api.operator.routes import operator_router
from api.ports import Ports
from api.relay.relay import Relay
from api.relay.served import Served
from api.relay.upstream import Upstreams


def create_app(
    *, ports: Ports, version: str, access: Access, body_limit: int, origins: Sequence[str] = ()
) -> FastAPI:
    """The facade. `access` says who may ask; `body_limit` in bytes; pages of `origins` may read
    answers (CORS). Raises ValueError for what is no origin.
    """
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
    # Connections to the bare models' endpoints; the server closes them when it has ended.
    app.state.upstreams = upstreams = Upstreams()
    served = Served(upstreams=upstreams, clock=time.monotonic)
    app.include_router(models_router(ports, served=served))
    approvals = Approvals(proposals=ports.proposals, peers=ports.peers, clock=time.monotonic)
    app.include_router(openai_router(ports, approvals))
    app.include_router(responses_router(ports, approvals))
    app.include_router(operator_router(ports, stopping=app.state.stopping))
    app.include_router(proposals_router(ports, approvals))
    app.include_router(actions_router(ports, approvals))
    app.include_router(keys_router(access))
    app.include_router(health_router(ports))
    app.add_middleware(
        Relay,
        targets=ports.targets,
        upstreams=upstreams,
        served=served,
        observer=ports.relay_observer,
    )
    app.add_middleware(Guard, access=access, body_limit=body_limit, cors=Cors(tuple(origins)))
    app.add_middleware(Measured, observer=ports.request_observer)
    described_by_fastapi = app.openapi

    documents: dict[bool, Document] = {}

    def openapi() -> Document:
        needed = access.keyless is None
        if needed not in documents:
            documents[needed] = described(described_by_fastapi(), keys_needed=needed)
        return documents[needed]

    app.openapi = openapi  # type: ignore[method-assign]
    return app

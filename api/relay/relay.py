"""The ASGI layer that answers for the bare models; everything else goes on to the app.

It stands inside the guard and before any validation, because a body for a model's server is that
server's to judge.
"""

from __future__ import annotations

import json

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_response
from api.observing_relay import NoRelayObserver, RelayObserver
from api.ports_chat import TierTargets
from api.relay import refusals
from api.relay.asking import Asked, body_of, replayed
from api.relay.bodies import model_of
from api.relay.passing import Passing
from api.relay.paths import (
    ASKED_BY_QUERY,
    GETS,
    POSTS,
    PREFIX,
    Endpoint,
    endpoint_of,
    mounted,
    split_query,
    tier_named,
)
from api.relay.served import Served
from api.relay.upstream import Upstreams
from tiers.vocabulary import TierName


class Relay:
    """Relays what is for a tier, by the body's `model` or by the path `/tier/{name}/…`.

    `upstreams` is closed by whoever made it; `served` knows the models of endpoints that need
    one named.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        targets: TierTargets,
        upstreams: Upstreams,
        served: Served,
        observer: RelayObserver | None = None,
    ) -> None:
        self._app = app
        self._passing = Passing(
            targets=targets,
            upstreams=upstreams,
            served=served,
            observer=observer or NoRelayObserver(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        under = mounted(path)
        if under is not None:
            refusal: Response | None = None
            endpoint = endpoint_of(method, under.path)
            if under.tier is None:
                refusal = refusals.no_tier(PREFIX + under.name)
            elif endpoint is None:
                other = under.path in POSTS or under.path in GETS
                refusal = refusals.not_relayed(method, path, other_method=other)
            else:
                body = await body_of(receive)
                if body is not None:
                    query = scope["query_string"].decode("latin-1")
                    asked = Asked(
                        tier=under.tier,
                        endpoint=endpoint,
                        method=method,
                        path=under.path,
                        query=query,
                        body=body,
                    )
                    await self._passing.pass_on(asked, scope, receive, send)
                return
            await refusal(scope, receive, send)
            return
        if method == "POST" and (endpoint := POSTS.get(path)) is not None:
            await self._by_body(endpoint, scope, receive, send)
        elif method == "GET" and path in ASKED_BY_QUERY:
            model, query = split_query(scope["query_string"])
            tier = _tier_of(model)
            if tier is None:
                said = refusals.no_tier(model) if model else refusals.only_bare(path, None)
                await said(scope, receive, send)
                return
            asked = Asked(
                tier=tier, endpoint=GETS[path], method=method, path=path, query=query, body=b""
            )
            await body_of(receive)
            await self._passing.pass_on(asked, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _by_body(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        body = await body_of(receive)
        if body is None:
            return
        path = scope["path"]
        try:
            model = model_of(body)
        except json.JSONDecodeError as error:
            if not endpoint.only_bare or endpoint.name.startswith("audio/"):
                model = None
            else:
                why = f"{error.msg}, at character {error.pos}"
                message = f"The body is not valid JSON: {why}."
                said = error_response(status=400, message=message, code="json_invalid")
                await said(scope, receive, send)
                return
        tier = _tier_of(model)
        if tier is not None:
            query = scope["query_string"].decode("latin-1")
            asked = Asked(
                tier=tier, endpoint=endpoint, method="POST", path=path, query=query, body=body
            )
            await self._passing.pass_on(asked, scope, receive, send)
        elif model is not None and model.startswith(PREFIX):
            await refusals.no_tier(model)(scope, receive, send)
        elif endpoint.only_bare:
            await refusals.only_bare(path, model)(scope, receive, send)
        else:
            await self._app(scope, replayed(body, receive), send)


def _tier_of(model: str | None) -> TierName | None:
    if model is None or not model.startswith(PREFIX):
        return None
    return tier_named(model[len(PREFIX) :])

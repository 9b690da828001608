"""The ASGI layer that answers for the bare models; everything else goes on to the app.

It stands inside the guard and before any validation, because a body for a model's server is that
server's to judge.
"""

from __future__ import annotations

import asyncio
import json

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.asked import report_tokens, request_id_of
from api.errors import error_response
from api.observing_relay import Ending, NoRelayObserver, Observation, Outcome, RelayObserver
from api.ports_chat import TierTarget, TierTargets
from api.relay import refusals
from api.relay.bodies import model_of, with_model
from api.relay.headers import upward
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
    upstream_path,
)
from api.relay.places import Places
from api.relay.presence import WhileHere
from api.relay.served import Served
from api.relay.transfer import BrokeOffError, SilentError, Transfer
from api.relay.upstream import BrokenError, UnreachableError, Upstreams, keep_no_longer
from api.streaming import ClientGoneError
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
        self._targets = targets
        self._upstreams = upstreams
        self._served = served
        self._observer = observer or NoRelayObserver()
        self._places = Places()

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
                body = await _body_of(receive)
                if body is not None:
                    query = scope["query_string"].decode("latin-1")
                    asked = _Asked(under.tier, endpoint, method, under.path, query, body)
                    await self._relay(asked, scope, receive, send)
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
            asked = _Asked(tier, GETS[path], method, path, query, b"")
            await _body_of(receive)
            await self._relay(asked, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _by_body(
        self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        body = await _body_of(receive)
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
            asked = _Asked(tier, endpoint, "POST", path, query, body)
            await self._relay(asked, scope, receive, send)
        elif model is not None and model.startswith(PREFIX):
            await refusals.no_tier(model)(scope, receive, send)
        elif endpoint.only_bare:
            await refusals.only_bare(path, model)(scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), send)

    async def _relay(self, asked: _Asked, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._targets.target(asked.tier)
        seen = self._observer.started(tier=asked.tier, endpoint=asked.endpoint.name)
        sending = _Sending(seen)
        try:
            if target.detail:
                sending.refuse(refusals.down(target), Outcome.UNAVAILABLE)
            elif not self._places.take(asked.tier, most=target.most):
                sending.refuse(refusals.turned_away(target), Outcome.TURNED_AWAY)
            else:
                here = WhileHere(receive)
                try:
                    async with here:
                        await self._pass_on(asked, target, scope, send, sending)
                except asyncio.CancelledError:
                    if sending.transfer is not None and not here.gone:
                        await sending.transfer.last_words(send)
                    raise
                finally:
                    self._places.give_back(asked.tier)
            if sending.refusal is not None:
                await sending.refusal(scope, receive, send)
        except ClientGoneError:
            sending.outcome = Outcome.CLIENT_GONE
        except asyncio.CancelledError:
            sending.outcome = Outcome.STOPPED
            raise
        finally:
            ending = sending.ending()
            seen.ended(ending)
            if ending.prompt_tokens is not None or ending.completion_tokens is not None:
                report_tokens(
                    scope,
                    model=PREFIX + asked.tier.value,
                    prompt_tokens=ending.prompt_tokens or 0,
                    completion_tokens=ending.completion_tokens or 0,
                )

    async def _pass_on(
        self,
        asked: _Asked,
        target: TierTarget,
        scope: Scope,
        send: Send,
        sending: _Sending,
    ) -> None:
        headers = upward(scope["headers"], api_key=target.api_key)
        headers["x-request-id"] = request_id_of(scope)
        try:
            body = asked.body
            if asked.method == "POST":
                named = await self._served.name_to_send(target)
                if named is not None:
                    body = with_model(body, named)
            async with asyncio.timeout(target.patience):
                answer = await self._upstreams.open(
                    target,
                    method=asked.method,
                    path=upstream_path(
                        asked.endpoint, asked.path, llama=target.backend == "llama_cpp"
                    ),
                    query=asked.query,
                    headers=headers,
                    body=body,
                )
        except UnreachableError as error:
            now = self._targets.target(asked.tier)  # the daemon may have noticed by now
            said = refusals.down(now) if now.detail else refusals.unreachable(now, str(error))
            sending.refuse(said, Outcome.UNAVAILABLE)
            return
        except BrokenError as error:
            sending.refuse(refusals.broke_off(target, str(error)), Outcome.BROKEN)
            return
        except TimeoutError:
            sending.refuse(refusals.silent(target), Outcome.BROKEN)
            return
        kept = False
        try:
            sending.seen.first_byte()
            sending.transfer = transfer = Transfer(
                target=target,
                endpoint=asked.endpoint.name,
                answer=answer,
                observation=sending.seen,
            )
            if transfer.streamed and target.backend == "llama_cpp":
                # It says keep-alive, and closes the connection after a stream all the same.
                keep_no_longer(answer)
            await transfer.run(send)
            kept = True
        except BrokeOffError as error:
            sending.refuse(refusals.broke_off(target, str(error)), Outcome.BROKEN)
        except SilentError:
            sending.refuse(refusals.silent(target), Outcome.BROKEN)
        finally:
            if kept:
                answer.release()
            else:
                answer.close()


class _Asked:
    """One request for a tier."""

    __slots__ = ("body", "endpoint", "method", "path", "query", "tier")

    def __init__(
        self, tier: TierName, endpoint: Endpoint, method: str, path: str, query: str, body: bytes
    ) -> None:
        self.tier = tier
        self.endpoint = endpoint
        self.method = method
        self.path = path
        self.query = query
        self.body = body


class _Sending:
    """What became of one request."""

    __slots__ = ("outcome", "refusal", "seen", "transfer")

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self.refusal: Response | None = None
        self.transfer: Transfer | None = None
        self.outcome: Outcome | None = None

    def refuse(self, refusal: Response, outcome: Outcome) -> None:
        self.refusal, self.outcome = refusal, outcome

    def ending(self) -> Ending:
        transfer = self.transfer
        status = self.refusal.status_code if self.refusal is not None else 0
        if transfer is None:
            return Ending(
                outcome=self.outcome or Outcome.BROKEN,
                status=status,
                frames=0,
                sent_bytes=0,
                prompt_tokens=None,
                completion_tokens=None,
            )
        prompt, completion = transfer.tail.tokens()
        if completion is None and transfer.frames:
            completion = transfer.frames  # a stream that was cut: about a token an event
        return Ending(
            outcome=self.outcome or transfer.outcome,
            status=status or transfer.status,
            frames=transfer.frames,
            sent_bytes=transfer.sent_bytes,
            prompt_tokens=prompt,
            completion_tokens=completion,
        )


def _tier_of(model: str | None) -> TierName | None:
    if model is None or not model.startswith(PREFIX):
        return None
    return tier_named(model[len(PREFIX) :])


async def _body_of(receive: Receive) -> bytes | None:
    """The whole body; None where the client went away. The guard has bounded it."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts) if len(parts) > 1 else parts[0]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that begins with this body."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

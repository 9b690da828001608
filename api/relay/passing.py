"""One request's way to its tier and back: a place, the endpoint's answer, and what became of it."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.asked import report_tokens, request_id_of
from api.observing_relay import Ending, Observation, Outcome, RelayObserver
from api.ports_chat import TierTarget, TierTargets
from api.relay import refusals
from api.relay.asking import Asked
from api.relay.bodies import with_model
from api.relay.headers import upward
from api.relay.paths import PREFIX, upstream_path
from api.relay.places import Places
from api.relay.presence import WhileHere
from api.relay.served import Served
from api.relay.transfer import BrokeOffError, SilentError, Transfer
from api.relay.upstream import BrokenError, UnreachableError, Upstreams, keep_no_longer
from api.streaming import ClientGoneError


class Passing:
    """Passes requests on. `served` knows the models of endpoints that need one named."""

    def __init__(
        self,
        *,
        targets: TierTargets,
        upstreams: Upstreams,
        served: Served,
        observer: RelayObserver,
    ) -> None:
        self._targets = targets
        self._upstreams = upstreams
        self._served = served
        self._observer = observer
        self._places = Places()

    async def pass_on(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, whatever happens; a client that left is no error."""
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
                        await self._exchange(asked, target, scope, send, sending)
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

    async def _exchange(
        self,
        asked: Asked,
        target: TierTarget,
        scope: Scope,
        send: Send,
        sending: _Sending,
        tried: frozenset[str] = frozenset(),
    ) -> None:
        """`tried` are the URLs where there was no connection: nothing was asked there."""
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
            now = self._targets.unreachable(target, str(error))
            tried |= {target.url}
            if not now.detail and now.url not in tried:
                await self._exchange(asked, now, scope, send, sending, tried)
                return
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

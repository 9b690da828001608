"""`/v1/completions` of the model `triaged`: the prompt is a question, the text is the answer.

There is no chat here: nothing is remembered between requests, tools are not shown, and a prompt
approves nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.asked import request_id_of
from api.body import JsonRoute
from api.errors import WrongParameterError
from api.openai.completion import timings_object, with_cost
from api.openai.delivery import deliver
from api.openai.fields import Flag, ShallowJson, none_is
from api.openai.loading import with_progress
from api.openai.metering import meter_for
from api.openai.models import MODEL_ID, no_model
from api.openai.rendering import Content, End, Piece, Renderer, Show
from api.openai.requests import Sampling, StreamOptions
from api.ports import Ports
from api.text import FitText, fit
from tiers.chat_contracts import Conversation


class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    model: Annotated[str, none_is(MODEL_ID)] = MODEL_ID
    prompt: ShallowJson
    suffix: FitText | None = None
    stream: Flag = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    best_of: int | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: Flag = False
    timings_per_token: Flag = False

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def question(self) -> str:
        """The prompt's text. Raises `WrongParameterError` for what triaged does not do."""
        for name in ("n", "best_of"):
            if getattr(self, name) not in (None, 1):
                raise WrongParameterError("triaged gives one answer", param=name)
        for name in ("logprobs", "suffix"):
            if getattr(self, name):
                raise WrongParameterError(
                    "triaged cannot do this; ask the bare model (tier/meta)", param=name
                )
        match self.prompt:
            case str(text) | [str(text)] if text.strip():
                return fit(text)
            case str() | [str()] | [] | None:
                raise WrongParameterError("is empty", param="prompt")
            case [str(), *_]:
                raise WrongParameterError(
                    "must be one text; ask for each by itself", param="prompt"
                )
            case [int() | [*_], *_]:
                raise WrongParameterError(
                    "must be text: triaged takes no token numbers", param="prompt"
                )
        raise WrongParameterError("must be a text", param="prompt")


class TextForm:
    """`text_completion`, whole and in chunks. `echo` is the prompt, which comes first where it is
    asked for."""

    def __init__(
        self, *, completion_id: str, created: int, echo: str, include_usage: bool, timings: bool
    ) -> None:
        self._head = {
            "id": completion_id,
            "object": "text_completion",
            "created": created,
            "model": MODEL_ID,
        }
        self._echo = echo
        self._include_usage = include_usage
        self._timings = timings

    def opening(self) -> list[dict[str, Any]]:
        return [self._chunk(self._echo)] if self._echo else []

    def chunks(self, piece: Piece) -> Iterator[dict[str, Any]]:
        if isinstance(piece, Content):
            yield self._chunk(piece.text)

    def closing(self, end: End) -> Iterator[dict[str, Any]]:
        last = self._chunk("", finish_reason=end.reason)
        if self._timings and not self._include_usage and end.timings is not None:
            last["timings"] = timings_object(end.timings, end.usage)
        yield last
        if self._include_usage:
            yield with_cost({**self._head, "choices": []}, end)

    def whole(self, pieces: Sequence[Piece], end: End) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces if isinstance(piece, Content))
        choice = self._choice(self._echo + text, end.reason)
        return with_cost({**self._head, "choices": [choice]}, end)

    def _chunk(self, text: str, finish_reason: str | None = None) -> dict[str, Any]:
        chunk: dict[str, Any] = {**self._head, "choices": [self._choice(text, finish_reason)]}
        if self._include_usage:
            chunk["usage"] = None
        return chunk

    def _choice(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def completions_router(ports: Ports) -> APIRouter:
    """The route, with and without the `/v1` prefix."""
    router = APIRouter(tags=["openai"], route_class=JsonRoute)

    async def complete(body: CompletionRequest, request: Request) -> Response:
        """An answer to the prompt, whole or streamed."""
        if body.model != MODEL_ID:
            return no_model(body.model)
        question = body.question()
        conversation = Conversation(
            messages=[{"role": "user", "content": question}],
            options=body.options(),
            request_id=request_id_of(request.scope),
        )
        return await deliver(
            request,
            with_progress(ports.chat.answer(conversation), targets=ports.targets),
            form=TextForm(
                completion_id=f"cmpl-{secrets.token_hex(12)}",
                created=int(time.time()),
                echo=question if body.echo else "",
                include_usage=body.include_usage,
                timings=body.timings_per_token,
            ),
            renderer=Renderer(show=Show()),
            meter=meter_for(
                request.scope,
                endpoint="completions",
                stream=body.stream,
                question=question if ports.chat_options.log_prompts else None,
                observer=ports.observer,
            ),
            stream=body.stream,
        )

    for prefix in ("/v1", ""):
        router.add_api_route(
            f"{prefix}/completions", complete, methods=["POST"], response_model=None
        )
    return router

"""Which model an endpoint serves: asked once, kept until the endpoint was away."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tiers.config import Backend
from tiers.errors import TierMisfitError, TierUnavailableError
from tiers.llm.ollama import context_of
from tiers.llm.requests import chosen_model
from tiers.llm.transport import Transport
from tiers.llm.wire import ModelInfo


class ServedModel:
    """Of one endpoint. `wanted` None takes the first that is listed; `context` is what the operator
    says of it."""

    def __init__(
        self, *, http: Transport, backend: Backend, wanted: str | None, context: int | None
    ) -> None:
        self._http = http
        self._backend = backend
        self._wanted = wanted
        self._context = context
        self._info: ModelInfo | None = None
        self._provisional = False

    @property
    def name(self) -> str:
        """The model that is served, else the one that is wanted, else ""."""
        return self._info.model if self._info is not None else self._wanted or ""

    def forget(self) -> None:
        """Another may be there when the endpoint comes back."""
        self._info = None

    def answered(self) -> None:
        """Ollama tells how a model is loaded only when it is."""
        if self._provisional:
            self._info = None

    async def info(self) -> ModelInfo:
        """Raises `TierError`; the caller bounds the time."""
        if self._info is None:
            found = chosen_model(await self._listed(), wanted=self._wanted, context=self._context)
            if found is None:
                raise TierUnavailableError(
                    f"{self._http.name}: {self._http.url} serves no model", retry_after=10.0
                )
            if self._backend == "ollama":
                context, loaded = await context_of(self._http, found.model)
                self._provisional = not loaded
                smaller = min(context, self._context or context)
                found = dataclasses.replace(found, context=smaller)
            self._info = found
        return self._info

    async def look(self) -> None:
        """The cheapest look-up that the endpoint has. Raises `TierError`; the caller bounds the
        time."""
        if self._backend == "llama_cpp":
            await self._http.json("GET", "/health")
        else:
            await self._listed()

    async def _listed(self) -> Mapping[str, Any]:
        """What `/v1/models` answers; nothing where a gateway has no list and the model is named."""
        try:
            body, _ = await self._http.json("GET", "/v1/models")
        except TierMisfitError as error:
            if self._wanted is None or error.status != 404:
                raise
            return {}
        return body

"""The one client of a model endpoint: chat, stream, decide, tokenize, embed.

One instance per endpoint. Every call waits for a slot, has a deadline, and raises only
`tiers.errors.TierError` (or what cancels it).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2

from tiers.config import BUNDLED, Backend, TierSettings
from tiers.contracts import Usage
from tiers.errors import (
    QueueFullError,
    TierError,
    TierMisfitError,
    TierRefusedError,
    TierUnavailableError,
    Trouble,
)
from tiers.llm.admission import Admission
from tiers.llm.away import Whereabouts
from tiers.llm.counting import TokenCounter, with_estimates
from tiers.llm.dialect import Dialect
from tiers.llm.measuring import CallMeter
from tiers.llm.requests import ChatCall, chat_body, headers_of, read_key
from tiers.llm.served import ServedModel
from tiers.llm.streaming import StreamReader
from tiers.llm.transport import Transport
from tiers.llm.wire import (
    ChatAnswer,
    Decision,
    Delta,
    ModelInfo,
    answer_from,
    count_of,
    message_of,
    text_of,
    usage_from,
    vectors_from,
)
from tiers.observing import CallObserver, NoCallObserver

_QUICK_SECONDS = 10.0
"""For look-ups that take no slot."""
_SILENCE_SECONDS = 90.0
"""llama-server sends a comment every 30 s while it reads a long prompt: more silence is a hang."""
_CHARS_PER_TOKEN = 12
"""More than any tokenizer yields in the long run: bounds an answer's characters by its tokens."""
_MOST_LESSONS = 4
"""Refusals in a row that one call learns from."""


class LlmClient:
    """Talks to one endpoint on behalf of one tier. `name` is the tier's, for sentences; `model`
    None takes the first that is served; nothing is asked while `away` says why not."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        model: str | None = None,
        api_key: str | None = None,
        backend: Backend = "llama_cpp",
        parallel: int = 2,
        queue: int = 64,
        timeout_seconds: float = 120.0,
        max_tokens: int = 1024,
        temperature: float | None = None,
        context: int | None = None,
        observer: CallObserver | None = None,
        away: Whereabouts | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._backend = backend
        self._observer = observer or NoCallObserver()
        self._temperature = temperature
        self._http = Transport(
            name=name,
            url=url,
            api_key=api_key,
            connections=parallel,
            away=away,
            transport=transport,
        )
        self._counter = TokenCounter(http=self._http, backend=backend)
        self._dialect = Dialect(backend=backend)
        self._served = ServedModel(http=self._http, backend=backend, wanted=model, context=context)
        self.admission = Admission(name=name, slots=parallel, queue=queue)
        self.timeout_seconds = timeout_seconds
        self._max_tokens = max_tokens
        self._cap: int | None = None

    @classmethod
    def for_tier(
        cls,
        *,
        name: str,
        url: str,
        settings: TierSettings,
        observer: CallObserver | None = None,
        away: Whereabouts | None = None,
    ) -> LlmClient:
        """The client of a tier. Raises `TierRefusedError` when its key file cannot be read."""
        named = (
            settings.model if settings.endpoint is not None and settings.model != BUNDLED else None
        )
        return cls(
            name=name,
            url=url,
            model=named,
            api_key=read_key(name=name, settings=settings),
            backend=settings.backend,
            parallel=settings.parallel,
            queue=settings.queue,
            timeout_seconds=settings.timeout_seconds,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            context=settings.context,
            observer=observer,
            away=away,
        )

    @property
    def name(self) -> str:
        return self._http.name

    @property
    def url(self) -> str:
        """The endpoint, without a trailing `/v1`."""
        return self._http.url

    @property
    def model(self) -> str:
        """The model that answered last, "" before the first call."""
        return self._served.name

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer: as configured, or the cap where one holds."""
        return self._max_tokens if self._cap is None else min(self._max_tokens, self._cap)

    def cap_tokens(self, most: int | None) -> None:
        """Keeps answers short from now on; None takes that back."""
        self._cap = most

    async def aclose(self) -> None:
        """Closes every connection; calls that run are cut."""
        await self._http.aclose()

    async def info(self) -> ModelInfo:
        """What is served. Asked once, and again after the endpoint was away."""
        async with self._forgetting(), self._http.deadline(_QUICK_SECONDS):
            info = await self._served.info()
        self._counter.model = info.model
        return info

    async def look(self, seconds: float) -> None:
        """A look-up that takes no slot. Raises `TierError` when it is not answered in time."""
        async with self._http.deadline(seconds):
            await self._served.look()

    async def ready(self) -> bool:
        """Whether the endpoint answers and has its model loaded. Never raises `TierError`."""
        try:
            await self.look(_QUICK_SECONDS)
        except TierError:
            return False
        return True

    async def chat(self, call: ChatCall, *, timeout: float | None = None) -> ChatAnswer:
        """A whole answer."""
        async with (
            self._call("chat", call.request_id) as meter,
            self._http.deadline(timeout or self.timeout_seconds),
        ):
            body = await self._body(call)
            async with meter.slot(self.admission), contextlib.AsyncExitStack() as stack:
                begun = time.monotonic()
                response = await self._opened(call, body, stack)
                document = await self._http.document(response)
            seconds = time.monotonic() - begun
            message = message_of(document)
            if not message:
                raise TierUnavailableError(
                    f"{self.name}: {self.url} answers without a message; "
                    "is it an OpenAI-compatible endpoint?",
                    retry_after=30.0,
                    trouble=Trouble.GARBAGE,
                )
            meter.usage = usage = with_estimates(self._usage(document, seconds), call, str(message))
        answer = answer_from(document, usage=usage)
        self._dialect.heard(call, answer.text)
        self._served.answered()
        return answer

    async def stream(
        self, call: ChatCall, *, timeout: float | None = None
    ) -> AsyncGenerator[Delta, None]:
        """An answer as it comes; ends with `StreamEnd`. Closing the iterator closes the
        connection, which stops the model. A cut stream raises, it never just ends."""
        begun = time.monotonic()
        until = begun + (timeout or self.timeout_seconds)
        # Deadlines stand around our own waiting only: around a yield they would cut the caller.
        async with (
            self._call("chat", call.request_id) as meter,
            contextlib.AsyncExitStack() as stack,
        ):
            async with self._http.deadline(until - begun):
                body = await self._body(call)
                await stack.enter_async_context(meter.slot(self.admission))
                body |= {"stream": True, "stream_options": {"include_usage": True}}
                response = await self._opened(call, body, stack)
            reader = StreamReader(
                name=self.name,
                url=self.url,
                model=text_of(body["model"]),
                max_chars=count_of(body["max_tokens"]) * _CHARS_PER_TOKEN + 4096,
                says_why=self._backend == "llama_cpp",
            )
            chunks = response.aiter_bytes()
            while not reader.done:
                left = until - time.monotonic()
                if self._backend == "llama_cpp":
                    left = min(left, _SILENCE_SECONDS)
                async with self._http.deadline(max(left, 0.0)):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                for delta in reader.feed(chunk):
                    yield delta
            end = reader.end(seconds=time.monotonic() - begun)
            usage = with_estimates(end.usage, call, reader.written)
            meter.usage = usage
        self._served.answered()
        yield dataclasses.replace(end, usage=usage)

    async def decide(
        self, *, state: str, questions: Mapping[str, Any], timeout: float | None = None
    ) -> Decision:
        """Probabilities by `/v1/systemone`: forward passes alone, no generated token."""
        asked = {"state": state, "questions": questions}
        async with (
            self._call("decide") as meter,
            self._http.deadline(timeout or self.timeout_seconds),
            meter.slot(self.admission),
        ):
            try:
                body, seconds = await self._http.json("POST", "/v1/systemone", asked)
            except TierMisfitError as error:
                # A server that is older than this path; whether it takes calls, a chat tells.
                raise TierRefusedError(str(error)) from error
            meter.usage = usage = self._usage(body, seconds)
        return Decision(body=body, usage=usage)

    async def embed(
        self, texts: Sequence[str], *, timeout: float | None = None
    ) -> list[list[float]]:
        """One vector per text, in order."""
        async with (
            self._call("embed") as meter,
            self._http.deadline(timeout or self.timeout_seconds),
        ):
            asked = {"model": (await self.info()).model, "input": list(texts)}
            async with meter.slot(self.admission):
                body, seconds = await self._http.json("POST", "/v1/embeddings", asked)
            meter.usage = self._usage(body, seconds)
        vectors = vectors_from(body)
        if len(vectors) != len(texts):
            raise TierUnavailableError(
                f"{self.name}: {self.url} does not answer a vector for each text; "
                "is it an embeddings endpoint?",
                retry_after=60.0,
            )
        return vectors

    async def tokenize(self, text: str) -> int:
        """How many tokens `text` is: the server's own count, or an upper estimate where the
        endpoint cannot count."""
        async with self._forgetting():
            return await self._counter.text(text)

    async def prompt_tokens(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = ()
    ) -> int:
        """How many tokens a chat's prompt is, with the model's own template around it."""
        async with self._forgetting():
            return await self._counter.prompt(messages, tools=tools)

    async def _opened(
        self, call: ChatCall, body: Mapping[str, Any], stack: contextlib.AsyncExitStack
    ) -> httpx2.Response:
        """The response to a chat, of which only the head was read. A refusal that can be learned
        from is learned from. Raises `TierError`."""
        schema = call.schema is not None
        for last in (*[False] * _MOST_LESSONS, True):
            said = self._dialect.spoken(body, schema=schema)
            opening = self._http.open(
                "POST", "/v1/chat/completions", said, headers=headers_of(call)
            )
            try:
                return await stack.enter_async_context(opening)
            except TierRefusedError as error:
                if last or not self._dialect.learned(error, said, schema=schema):
                    raise
        raise AssertionError("the last round returns or raises")

    async def _body(self, call: ChatCall) -> dict[str, Any]:
        return chat_body(
            call,
            model=(await self.info()).model,
            backend=self._backend,
            max_tokens=self.max_tokens,
            temperature=self._temperature,
        )

    def _usage(self, document: Mapping[str, Any], seconds: float) -> Usage:
        return usage_from(document, model=self.model, endpoint=self.url, seconds=seconds)

    @contextlib.asynccontextmanager
    async def _call(self, operation: str, request_id: str = "") -> AsyncIterator[CallMeter]:
        """A call that is measured and may find out that the endpoint was away."""
        meter = CallMeter(
            tier=self.name, operation=operation, request_id=request_id, observer=self._observer
        )
        with meter.running():
            async with self._forgetting():
                yield meter

    @contextlib.asynccontextmanager
    async def _forgetting(self) -> AsyncIterator[None]:
        """Forgets what is known about the model when the endpoint was away: another may be
        there when it comes back."""
        try:
            yield
        except QueueFullError:
            raise  # it is there, and busy
        except TierUnavailableError:
            self._served.forget()
            self._counter.forget()
            self._dialect.forget()
            raise

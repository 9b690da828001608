"""One streamed answer of an OpenAI-compatible endpoint, timed piece by piece."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from tiers.bench.facts import Answer, Target
from tiers.llm.sse import SseOverflowError, SseParser
from tiers.llm.wire import mapping

_WORDS = (
    "disk", "service", "memory", "error", "time", "user", "network", "log", "file", "host", "load",
    "table", "water", "light", "stone", "river", "green", "seven", "north", "paper",
)  # fmt: skip


def prompt_of(tokens: int, *, seed: int) -> str:
    """Plain words, about a token each, that begin differently for each seed."""
    words = random.Random(seed)  # noqa: S311 (text to read, not a secret)
    return " ".join(words.choices(_WORDS, k=max(1, tokens)))


async def timed_answer(
    client: httpx.AsyncClient, target: Target, *, model: str, prompt: str, answer_tokens: int
) -> Answer:
    """Asks once. Never raises for what the endpoint does: that is the answer's `problem`."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": answer_tokens,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
        # Generate on, whatever the model says: others pass these over.
        "ignore_eos": True,
        "cache_prompt": False,
    }
    headers = {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}
    started = time.perf_counter()
    pieces: list[float] = []
    last: dict[str, Any] = {}
    problem = ""
    try:
        async with client.stream(
            "POST", f"{target.url}/v1/chat/completions", json=body, headers=headers
        ) as response:
            if response.status_code >= 400:
                said = (await response.aread())[:300].decode("utf-8", "replace")
                problem = f"{response.status_code}: {' '.join(said.split())}"
            else:
                await _read(response, pieces, last)
    except httpx.HTTPError as error:
        problem = f"{type(error).__name__}: {error}".rstrip(": ")
    except (SseOverflowError, orjson.JSONDecodeError) as error:
        problem = f"what it sends is no stream of a chat: {error}"
    ended = time.perf_counter()
    if not pieces and not problem:
        problem = "it answered without a token"
    timings, usage = mapping(last.get("timings")), mapping(last.get("usage"))
    return Answer(
        started=started,
        first=pieces[0] - started if pieces else None,
        gaps=tuple(after - before for before, after in itertools.pairwise(pieces)),
        ended=ended,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        answer_tokens=_count(usage.get("completion_tokens")),
        prompt_speed=_speed(timings.get("prompt_per_second")),
        answer_speed=_speed(timings.get("predicted_per_second")),
        problem=problem,
    )


async def _read(response: httpx.Response, pieces: list[float], last: dict[str, Any]) -> None:
    """Notes when pieces of the answer came, and what the last chunks say of tokens and speed."""
    parser = SseParser()
    async for chunk in response.aiter_bytes():
        for _, payload in parser.feed(chunk):
            if payload == b"[DONE]":
                return
            document = mapping(orjson.loads(payload))
            for name in ("usage", "timings"):
                if document.get(name):
                    last[name] = document[name]
            if _says_something(document):
                pieces.append(time.perf_counter())


def _says_something(document: Mapping[str, Any]) -> bool:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        return False
    delta = mapping(mapping(choices[0]).get("delta"))
    return any(delta.get(name) for name in ("content", "reasoning_content", "reasoning"))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _speed(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None

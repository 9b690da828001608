"""Several endpoints behind a tier: Ollama, vLLM and a gateway by their shapes, and llama-server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from backend_doubles import (
    ANSWER,
    BackendDouble,
    GatewayShaped,
    OllamaShaped,
    VllmShaped,
    running,
)
from chat_helpers import Box, ask, finished, text_of

from tiers.build import Tiers, build_tiers
from tiers.config import FallbackSettings, TierSettings, ToolLoopSettings
from tiers.contracts import (
    INSUFFICIENT_EVIDENCE,
    ActionChoice,
    Case,
    Cause,
    Evidence,
    Sighting,
)
from tiers.errors import CaseTooLargeError, TierRefusedError, TierUnavailableError
from tiers.llm.breaker import BreakerState
from tiers.llm.client import LlmClient
from tiers.llm.failover import FailoverClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import Delta, StreamEnd, TextPart, ToolCallPart
from tiers.vocabulary import Category, Provenance, Severity, TierName

CASE = Case(
    incident_id=7,
    title="postgres: No space left on device",
    severity=Severity.CRITICAL,
    category=Category.STORAGE,
    opened_at=datetime(2026, 1, 2, tzinfo=UTC),
    evidence=(
        Evidence(
            ref="E1",
            provenance=Provenance.TEXT,
            source="postgres",
            text="No space left on device",
            at=datetime(2026, 1, 2, tzinfo=UTC),
            count=3,
        ),
    ),
    facts=(),
    similar=(),
    causes=(
        Cause(code="disk_full", description="no space", categories=()),
        Cause(code=INSUFFICIENT_EVIDENCE, description="not shown", categories=()),
    ),
    actions=(
        ActionChoice(
            code="restart_unit:a.service",
            action="restart_unit",
            target="a.service",
            description="restart it",
        ),
    ),
    earlier=(),
)
HELLO = ChatCall(messages=[{"role": "user", "content": "hello"}], max_tokens=50)
BACKENDS: Mapping[type[BackendDouble], str] = {
    OllamaShaped: "ollama",
    VllmShaped: "openai",
    GatewayShaped: "openai",
}


def settings_of(*doubles: BackendDouble, hang_seconds: float = 20, **more: Any) -> TierSettings:
    """The first with the others behind it."""
    first, *others = doubles
    return TierSettings(
        endpoint=first.url,
        backend=BACKENDS[type(first)],
        model=first.model,
        hang_seconds=hang_seconds,
        fallback=tuple(
            FallbackSettings(
                endpoint=each.url,
                backend=BACKENDS[type(each)],
                model=each.model,
            )
            for each in others
        ),
        **more,
    )


@contextlib.asynccontextmanager
async def tiers_over(
    settings: TierSettings, *, box: Box | None = None, watched: bool = True
) -> AsyncIterator[Tiers]:
    tiers = build_tiers(
        dict.fromkeys(TierName, settings),
        lambda tier: settings.endpoint or "",
        away=lambda tier: None,
        toolbox=box or Box(),
        loop=ToolLoopSettings(),
    )
    watching = asyncio.create_task(tiers.watch()) if watched else None
    try:
        yield tiers
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        await tiers.aclose()


def client_of(tiers: Tiers, tier: TierName = TierName.META) -> FailoverClient:
    pool = tiers.pools[tier]
    return FailoverClient(pool=pool, endpoints=pool.endpoints)


async def until_back(tiers: Tiers, url: str, tier: TierName = TierName.REVIEW) -> None:
    for _ in range(600):
        if tiers.pools[tier].preferred().client.url == url:
            return
        await asyncio.sleep(0.025)
    raise AssertionError(f"{url} is not asked again")


# --- each kind of server alone does everything


@pytest.mark.parametrize("kind", [OllamaShaped, VllmShaped, GatewayShaped])
async def test_every_kind_of_server_does_all_of_a_tiers_work(
    kind: type[BackendDouble], sighting: Sighting
) -> None:
    double, box = kind(), Box()
    async with running(double), tiers_over(settings_of(double), box=box) as tiers:
        verdict = await tiers.trigger.judge(sighting)
        assert (verdict.severity, verdict.escalate) == (Severity.CRITICAL, True)
        assert (verdict.usage.endpoint, verdict.usage.model) == (double.url, double.model)
        assert verdict.usage.prompt_tokens > 0

        found = await tiers.review.assess(CASE)
        assert found.cause == "disk_full"
        assert found.usage.endpoint == double.url
        assert [trace.name for trace in found.tool_calls] == ["disk_usage", "disk_usage"]

        box.called.clear()
        events = await ask(tiers.chat, "How full is the disk?")
        assert ANSWER in text_of(events).replace("  ", " ")
        assert [arguments for _, arguments in box.called] == [{"path": "/"}, {"path": "/v"}]
        assert finished(events).usage.completion_tokens > 0
    assert tiers.pools[TierName.META].status()[0].failovers == 0


async def test_ollama_is_asked_for_the_context_it_cuts_prompts_to() -> None:
    double = OllamaShaped()
    async with running(double):
        client = LlmClient(name="meta", url=double.url, model=double.model, backend="ollama")
        assert (await client.info()).context == 6144, "as its model file says, until it is loaded"
        await client.chat(HELLO)
        assert (await client.info()).context == 8192
        await client.aclose()
        small = LlmClient(
            name="meta", url=double.url, model=double.model, backend="ollama", context=2048
        )
        assert (await small.info()).context == 2048
        await small.aclose()


async def test_thinking_is_switched_off_in_ollamas_words() -> None:
    double = OllamaShaped()
    call = ChatCall(
        messages=HELLO.messages, options={"chat_template_kwargs": {"enable_thinking": False}}
    )
    async with running(double):
        client = LlmClient(name="meta", url=double.url, model=double.model, backend="ollama")
        await client.chat(call)
        await client.aclose()
    assert double.chats[0]["reasoning_effort"] == "none"
    assert "chat_template_kwargs" not in double.chats[0]


async def test_a_model_that_was_not_pulled_is_said() -> None:
    double = OllamaShaped()
    async with running(double):
        client = LlmClient(name="meta", url=double.url, model="nope", backend="ollama")
        with pytest.raises(TierRefusedError, match=r"'nope' not found.*model's name"):
            await client.chat(HELLO)
        await client.aclose()


async def test_vllm_counts_prompts_itself_and_says_what_is_too_long() -> None:
    double = VllmShaped()
    async with running(double):
        client = LlmClient(name="meta", url=double.url, backend="openai")
        assert (await client.info()).context == 16384
        tokens = await client.prompt_tokens(HELLO.messages)
        assert double.asked[-1][0] == "/tokenize"
        assert double.asked[-1][1]["model"] == double.model
        assert tokens == len(str(double.asked[-1][1]).replace("True", "true")) // 5
        assert await client.tokenize("some words") > 0
        long = ChatCall(messages=[{"role": "user", "content": "word " * 20_000}])
        with pytest.raises(CaseTooLargeError):
            await client.chat(long)
        await client.aclose()


async def test_what_a_gateway_refuses_by_name_is_left_out_from_then_on() -> None:
    double = GatewayShaped()
    schema = {"type": "object", "properties": {"severity": {}}, "required": ["severity"]}
    call = ChatCall(messages=HELLO.messages, schema=schema, options={"top_k": 3})
    async with running(double):
        client = LlmClient(name="meta", url=double.url, model="large", backend="openai")
        answer = await client.chat(call)
        assert "```json" in answer.text
        assert len(double.chats) == 3
        last = double.chats[-1]
        assert last["response_format"] == {"type": "json_object"}
        assert '"severity"' in last["messages"][-1]["content"]
        await client.chat(call)
        assert len(double.chats) == 4

        deltas = [delta async for delta in client.stream(HELLO)]
        assert "".join(d.text for d in deltas if isinstance(d, TextPart)).strip() == ANSWER
        end = deltas[-1]
        assert isinstance(end, StreamEnd)
        assert end.finish_reason == "stop"
        assert end.usage.prompt_tokens > 0
        assert end.usage.completion_tokens > 0
        assert "stream_options" not in double.chats[-1]
        assert await client.prompt_tokens(HELLO.messages) > 0
        await client.aclose()


async def test_calls_that_all_have_number_zero_are_told_apart() -> None:
    double = OllamaShaped()
    tool = {"type": "function", "function": {"name": "disk_usage", "parameters": {}}}
    call = ChatCall(messages=HELLO.messages, tools=[tool])
    async with running(double):
        client = LlmClient(name="meta", url=double.url, model=double.model, backend="ollama")
        parts = [d async for d in client.stream(call) if isinstance(d, ToolCallPart)]
        await client.aclose()
    assert [(part.index, part.arguments) for part in parts] == [
        (0, '{"path": "/"}'),
        (1, '{"path": "/v"}'),
    ]


# --- one behind the other


async def collect(client: FailoverClient, into: list[Delta]) -> None:
    async for delta in client.stream(HELLO):
        into.append(delta)  # noqa: PERF401 - what came before an error is looked at


async def test_the_next_one_takes_over_and_the_first_comes_back(sighting: Sighting) -> None:
    first, second, box = OllamaShaped(), VllmShaped(), Box()
    async with (
        running(first, second),
        tiers_over(settings_of(first, second), box=box) as tiers,
    ):
        assert (await tiers.review.assess(CASE)).usage.endpoint == first.url
        await first.kill()
        verdict = await tiers.trigger.judge(sighting)
        assert (verdict.usage.endpoint, verdict.usage.model) == (second.url, second.model)
        assert (await tiers.review.assess(CASE)).usage.endpoint == second.url
        events = await ask(tiers.chat, "How full is the disk?")
        assert ANSWER in text_of(events)
        assert finished(events).usage.endpoint == second.url

        away, used = tiers.pools[TierName.REVIEW].status()
        assert away.state is not BreakerState.CLOSED
        assert "nothing answers" in away.why or "broke" in away.why
        assert (away.in_use, used.in_use, away.failovers) == (False, True, 1)

        await first.start()
        await until_back(tiers, first.url)
        assert (await tiers.review.assess(CASE)).usage.endpoint == first.url
        assert tiers.pools[TierName.REVIEW].status()[0].state is BreakerState.CLOSED
        assert tiers.pools[TierName.REVIEW].status()[0].why == ""


async def test_a_chat_goes_on_elsewhere_between_its_steps() -> None:
    first, second = OllamaShaped(), VllmShaped()

    class Killing(Box):
        async def call(self, *, name: str, arguments: Mapping[str, Any]) -> Any:
            await first.kill()
            return await super().call(name=name, arguments=arguments)

    box = Killing()
    async with running(first, second), tiers_over(settings_of(first, second), box=box) as tiers:
        events = await ask(tiers.chat, "How full is the disk?")
    assert ANSWER in text_of(events)
    assert len(box.called) == 2, "what was looked up is not looked up again"
    assert any(message["role"] == "tool" for message in second.chats[0]["messages"])


async def test_a_stream_that_has_begun_is_never_begun_again() -> None:
    first, second = VllmShaped(), VllmShaped()
    first.cut_after = 4
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        client = client_of(tiers)
        for _ in range(3):
            seen: list[Delta] = []
            with pytest.raises(TierUnavailableError, match="broke"):
                await collect(client, seen)
            assert seen
            assert second.chats == []
        assert tiers.pools[TierName.META].status()[0].state is BreakerState.OPEN, "three in a row"
        assert [d async for d in client.stream(HELLO)]
        assert len(second.chats) == 1


async def test_a_stream_that_is_refused_begins_elsewhere() -> None:
    first, second = VllmShaped(), OllamaShaped()
    first.cut_after = 0
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        client = client_of(tiers)
        deltas = [d async for d in client.stream(HELLO)]
        assert isinstance(deltas[-1], StreamEnd)
        assert deltas[-1].usage.endpoint == second.url


@pytest.mark.parametrize("trouble", ["hangs", "garbage"])
async def test_one_that_hangs_or_talks_nonsense_is_passed_over(trouble: str) -> None:
    first, second = VllmShaped(), VllmShaped()
    async with (
        running(first, second),
        tiers_over(settings_of(first, second, hang_seconds=0.6), watched=False) as tiers,
    ):
        setattr(first, trouble, True)
        begun = time.monotonic()
        for _ in range(4):
            assert (await tiers.meta.plan(CASE)).usage.endpoint == second.url
        assert time.monotonic() - begun < 6
        status = tiers.pools[TierName.META].status()[0]
        assert status.state is BreakerState.OPEN
        assert status.why


async def test_a_busy_one_that_answers_look_ups_is_waited_for() -> None:
    first, second = VllmShaped(), VllmShaped()
    async with (
        running(first, second),
        tiers_over(
            settings_of(first, second, hang_seconds=0.3, timeout_seconds=1.5), watched=False
        ) as tiers,
    ):
        first.stalls = True
        client = client_of(tiers)
        begun = time.monotonic()
        answer = await client.chat(HELLO)
        assert time.monotonic() - begun >= 1.5, "only its own time is over for it"
        assert answer.usage.endpoint == second.url


async def test_what_the_caller_did_wrong_is_asked_nowhere_else() -> None:
    first, second = VllmShaped(), VllmShaped()
    first.longest = 512
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        client = client_of(tiers)
        long = ChatCall(messages=[{"role": "user", "content": "word " * 2_000}])
        with pytest.raises(CaseTooLargeError):
            await client.chat(long)
        assert second.chats == []
        assert tiers.pools[TierName.META].status()[0].state is BreakerState.CLOSED


async def test_one_that_does_not_know_the_model_is_passed_over_and_named() -> None:
    first, second = OllamaShaped(), VllmShaped()
    async with running(first, second):
        settings = settings_of(first, second).model_copy(update={"model": "nope"})
        async with tiers_over(settings, watched=False) as tiers:
            assert (await tiers.review.assess(CASE)).usage.endpoint == second.url
            status = tiers.pools[TierName.REVIEW].status()[0]
            assert (status.state, "not found" in status.why) == (BreakerState.OPEN, True)


async def test_when_nobody_answers_everybody_is_named() -> None:
    first, second = VllmShaped(), VllmShaped()
    async with running(first, second):
        settings = settings_of(first, second)
    async with tiers_over(settings, watched=False) as tiers:
        with pytest.raises(TierUnavailableError, match="none of 2 endpoints") as caught:
            await tiers.review.assess(CASE)
    assert str(first.port) in str(caught.value)
    assert str(second.port) in str(caught.value)


async def test_one_that_comes_and_goes_is_asked_seldom(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It dies with every chat it gets; look-ups it answers."""
    first, second = VllmShaped(), VllmShaped()
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        first.garbage = True
        client = client_of(tiers)
        until = time.monotonic() + 4
        calls = 0
        while time.monotonic() < until:
            assert (await client.chat(HELLO)).usage.endpoint == second.url
            calls += 1
            await asyncio.sleep(0.01)
        status = tiers.pools[TierName.META].status()[0]
    assert calls > 40
    assert status.failovers <= 3
    assert status.openings == 1
    assert len(first.chats) <= 8


async def test_a_fallback_of_another_family_is_prompted_in_its_own_words(
    decision_url: str, sighting: Sighting
) -> None:
    """First a decision model of ours with the bundled models' words, then a large one."""
    large = VllmShaped()
    async with running(large):
        settings = TierSettings(
            endpoint=decision_url,
            profile="nano",
            fallback=(FallbackSettings(endpoint=large.url, backend="openai", model=large.model),),
        )
        async with tiers_over(settings) as tiers:
            assert (await tiers.trigger.judge(sighting)).usage.endpoint == decision_url
        dead = settings.model_copy(update={"endpoint": "http://127.0.0.1:9"})
        async with tiers_over(dead) as tiers:
            verdict = await tiers.trigger.judge(sighting)
            assert verdict.usage.endpoint == large.url
            assert verdict.severity is Severity.CRITICAL
            asked = large.chats[-1]
            assert asked["messages"][0]["role"] == "system", "a large model reads instructions"
            assert asked["response_format"]["type"] == "json_schema"
            assert (await tiers.review.assess(CASE)).usage.endpoint == large.url
            events = await ask(tiers.chat, "How full is the disk?")
            assert ANSWER in text_of(events)


async def test_a_real_llama_server_takes_over_from_ollama(tiny_url: str) -> None:
    first = OllamaShaped()
    async with running(first):
        settings = settings_of(first).model_copy(
            update={
                "fallback": (FallbackSettings(endpoint=tiny_url, backend="llama_cpp"),),
            }
        )
        async with tiers_over(settings) as tiers:
            client = client_of(tiers)
            assert (await client.chat(HELLO)).usage.endpoint == first.url
            await first.kill()
            answer = await client.chat(HELLO)
            assert answer.usage.endpoint == tiny_url
            assert answer.timings
            deltas = [d async for d in client.stream(HELLO)]
            assert isinstance(deltas[-1], StreamEnd)
            await first.start()
            await until_back(tiers, first.url, TierName.META)
            assert (await client.chat(HELLO)).usage.endpoint == first.url


async def test_the_memory_guard_keeps_all_of_them_short() -> None:
    first, second = VllmShaped(), VllmShaped()
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        pool = tiers.pools[TierName.META]
        pool.cap_tokens(64)
        pool.admission.narrow(1)
        client = client_of(tiers)
        long = ChatCall(messages=HELLO.messages, max_tokens=900)
        await client.chat(long)
        await first.kill()
        await client.chat(long)
        assert (first.chats[-1]["max_tokens"], second.chats[-1]["max_tokens"]) == (64, 64)
        pool.cap_tokens(None)
        await client.chat(long)
        assert second.chats[-1]["max_tokens"] == 900
        assert (pool.admission.running, pool.admission.waiting) == (0, 0)


async def test_a_cancelled_trial_lets_the_next_call_try() -> None:
    first, second = VllmShaped(), VllmShaped()
    async with running(first, second), tiers_over(settings_of(first, second)) as tiers:
        client = client_of(tiers)
        await first.kill()
        await client.chat(HELLO)
        first.stalls = True
        await first.start()
        await until_back(tiers, first.url, TierName.META)
        trying = asyncio.create_task(client.chat(HELLO))
        await asyncio.sleep(0.2)
        assert (await client.chat(HELLO)).usage.endpoint == second.url, "one tries, others go past"
        trying.cancel()
        await asyncio.wait({trying})
        first.stalls = False
        assert (await client.chat(HELLO)).usage.endpoint == first.url

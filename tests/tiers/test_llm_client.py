"""The client against a real llama-server, and against an endpoint that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scripted_endpoint import (
    Reply,
    ScriptedEndpoint,
    chat_reply,
    delta,
    json_reply,
    sse,
    stream_reply,
    tool_call,
)

from tiers.config import TierSettings
from tiers.errors import (
    BadAnswerError,
    CaseTooLargeError,
    TierError,
    TierRefusedError,
    TierUnavailableError,
)
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import StreamEnd, TextPart, ThinkingPart, ToolCallPart
from tiers.runtime.ownership import free_port

HELLO = ChatCall(messages=[{"role": "user", "content": "hello"}], max_tokens=8)


@contextlib.asynccontextmanager
async def client_of(url: str, **more: object) -> AsyncIterator[LlmClient]:
    client = LlmClient(name="review", url=url, **more)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.aclose()


# --- a real server


async def test_a_chat_tells_what_it_cost(tiny_url: str) -> None:
    async with client_of(tiny_url) as client:
        answer = await client.chat(HELLO)
    assert answer.finish_reason in ("stop", "length")
    assert answer.usage.model == "tiny"
    assert answer.usage.endpoint == tiny_url
    assert answer.usage.prompt_tokens > 5
    assert 1 <= answer.usage.completion_tokens <= 8


async def test_a_stream_ends_with_usage_and_timings(tiny_url: str) -> None:
    async with client_of(tiny_url) as client:
        deltas = [each async for each in client.stream(HELLO)]
    assert isinstance(deltas[-1], StreamEnd)
    assert deltas[-1].usage.prompt_tokens > 5
    assert deltas[-1].timings["predicted_n"] >= 1
    assert all(isinstance(each, TextPart) for each in deltas[:-1])


async def test_closing_a_stream_stops_the_model_and_frees_the_slot(tiny_url: str) -> None:
    long = ChatCall(messages=HELLO.messages, max_tokens=900, options={"ignore_eos": True})
    async with client_of(tiny_url, parallel=1, max_tokens=900) as client:
        stream = client.stream(long)
        await anext(stream)
        await stream.aclose()
        assert client.admission.running == 0
        async with asyncio.timeout(5):
            await client.chat(HELLO)


async def test_a_schema_is_kept(tiny_url: str) -> None:
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string", "enum": ["yes", "no"]}},
        "required": ["word"],
    }
    async with client_of(tiny_url) as client:
        answer = await client.chat(ChatCall(messages=HELLO.messages, schema=schema, max_tokens=64))
    assert '"yes"' in answer.text or '"no"' in answer.text


async def test_what_is_served_is_found_out(tiny_url: str, decision_url: str) -> None:
    async with client_of(tiny_url) as client:
        info = await client.info()
        assert (info.model, info.context, info.decision) == ("tiny", 1024, False)
        assert await client.ready()
    async with client_of(decision_url) as client:
        assert (await client.info()).decision


async def test_decisions_come_with_their_cost(decision_url: str) -> None:
    async with client_of(decision_url) as client:
        decision = await client.decide(
            state="disk full", questions={"look": {"type": "noul", "instructions": "bad?"}}
        )
    assert 0 <= decision.body["answers"]["look"]["noul"] <= 1
    assert decision.usage.prompt_tokens > 0
    assert decision.usage.completion_tokens == 0


async def test_a_chat_model_refuses_decisions(tiny_url: str) -> None:
    async with client_of(tiny_url) as client:
        with pytest.raises(TierRefusedError, match="cannot do this"):
            await client.decide(state="x", questions={"q": {"type": "noul", "instructions": "x"}})


async def test_tokens_are_the_servers_own_and_remembered(tiny_url: str) -> None:
    async with client_of(tiny_url) as client:
        assert await client.tokenize("") == 0
        assert await client.tokenize("abc") == 3
        assert await client.tokenize("th") == 1  # the one merge of the tiny vocabulary
        counted = await client.prompt_tokens(HELLO.messages)
        answer = await client.chat(HELLO)
    assert counted == answer.usage.prompt_tokens


async def test_a_prompt_that_does_not_fit_tells_by_how_much(tiny_url: str) -> None:
    big = ChatCall(messages=[{"role": "user", "content": "x" * 1500}], max_tokens=8)
    async with client_of(tiny_url) as client:
        with pytest.raises(CaseTooLargeError) as caught:
            await client.chat(big)
    assert 400 < caught.value.excess_tokens < 700


async def test_a_server_without_embeddings_refuses(tiny_url: str) -> None:
    async with client_of(tiny_url) as client:
        with pytest.raises(TierRefusedError):
            await client.embed(["hello"])


async def test_slots_bound_what_runs_at_once(tiny_url: str) -> None:
    async with client_of(tiny_url, parallel=2, queue=50) as client:
        running: list[int] = []

        async def one() -> None:
            await client.chat(HELLO)
            running.append(client.admission.running)

        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(one())
    assert len(running) == 12
    assert max(running) <= 2


# --- failures


async def test_nobody_there() -> None:
    async with client_of(f"http://127.0.0.1:{free_port('127.0.0.1')}") as client:
        with pytest.raises(TierUnavailableError, match="nothing answers"):
            await client.chat(HELLO)
        assert not await client.ready()


async def test_a_loading_model_is_to_be_waited_for(scripted: ScriptedEndpoint) -> None:
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    scripted.fixed["/v1/models"] = json_reply(loading, status=503)
    async with client_of(scripted.url) as client:
        with pytest.raises(TierUnavailableError, match="still loading") as caught:
            await client.chat(HELLO)
    assert caught.value.retry_after == 1.0


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (json_reply({"error": {"message": "busy"}}, status=429, headers=(("Retry-After", "7"),)),
         TierUnavailableError, "busy"),
        (Reply(status=502, body=b"<html>bad gateway</html>", kind="text/html"),
         TierUnavailableError, "bad gateway"),
        (json_reply({"error": {"message": "The model produced output that does not match the "
                               "expected peg-native format", "type": "server_error"}}, status=500),
         BadAnswerError, "asked form"),
        (json_reply({"error": {"message": "boom"}}, status=500), TierUnavailableError, "boom"),
        (json_reply({"error": {"message": "no key"}}, status=401), TierRefusedError, "api_key"),
        (json_reply({"error": "model not found"}, status=404), TierRefusedError, "model's name"),
        (json_reply({"error": {"message": "This model's maximum context length is 4096 tokens. "
                               "However, you requested 5000 tokens"}}, status=400),
         CaseTooLargeError, "does not fit"),
        (json_reply({"error": {"message": "bad word"}}, status=422), TierRefusedError, "bad w"),
        (Reply(body=b"hello"), TierUnavailableError, "not a JSON object"),
        (Reply(body=b"[1, 2]"), TierUnavailableError, "not a JSON object"),
        (Reply(body=b'{"choices": 3}'), TierUnavailableError, "without a message"),
        (Reply(body=b'{"choices": [{"mess', cut=True), TierUnavailableError, "broke"),
        (Reply(body=b"\xff\xfe", hang=False), TierUnavailableError, "not a JSON object"),
    ],
)  # fmt: skip
async def test_every_failure_says_what_can_be_done(
    scripted: ScriptedEndpoint, reply: Reply, kind: type[TierError], words: str
) -> None:
    scripted.script.append(reply)
    async with client_of(scripted.url) as client:
        with pytest.raises(kind, match=words) as caught:
            await client.chat(HELLO)
        assert client.admission.running == 0
    assert str(caught.value).startswith("review: ")


async def test_the_servers_own_hint_when_to_come_back(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(
        json_reply({"error": "later"}, status=429, headers=(("Retry-After", "7"),))
    )
    async with client_of(scripted.url) as client:
        with pytest.raises(TierUnavailableError) as caught:
            await client.chat(HELLO)
    assert caught.value.retry_after == 7.0


async def test_a_hanging_endpoint_is_given_up_at_the_deadline(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(Reply(hang=True))
    async with client_of(scripted.url, timeout_seconds=0.3) as client:
        with pytest.raises(TierUnavailableError, match=r"within 0\.3 s"):
            await client.chat(HELLO)
    await asyncio.sleep(0.05)
    assert scripted.disconnects == 1  # the model must not go on for nobody


async def test_too_many_waiting_calls_are_turned_away(scripted: ScriptedEndpoint) -> None:
    scripted.script.extend([Reply(hang=True), Reply(hang=True)])
    async with client_of(scripted.url, parallel=1, queue=1) as client:
        first = asyncio.create_task(client.chat(HELLO))
        second = asyncio.create_task(client.chat(HELLO))
        await asyncio.sleep(0.1)
        with pytest.raises(TierUnavailableError, match="wait already"):
            await client.chat(HELLO)
        assert client.admission.turned_away == 1
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert (client.admission.running, client.admission.waiting) == (0, 0)


async def test_the_time_in_the_queue_counts(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(Reply(hang=True))
    async with client_of(scripted.url, parallel=1, timeout_seconds=5) as client:
        first = asyncio.create_task(client.chat(HELLO))
        await asyncio.sleep(0.05)
        with pytest.raises(TierUnavailableError, match=r"within 0\.2 s"):
            await client.chat(HELLO, timeout=0.2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


# --- streams


async def _collect(client: LlmClient) -> list[object]:
    return [each async for each in client.stream(HELLO)]


async def test_tool_calls_and_thinking_come_in_pieces(scripted: ScriptedEndpoint) -> None:
    call = tool_call("disk_usage", '{"path":')
    rest = {"index": 0, "function": {"arguments": '"/"}'}}
    scripted.script.append(
        sse(
            delta(role="assistant", content=None),
            delta(reasoning_content="hm"),
            delta(tool_calls=[{"index": 0, **call}]),
            delta(tool_calls=[rest]),
            delta("tool_calls"),
        )
    )
    async with client_of(scripted.url) as client:
        deltas = await _collect(client)
    assert deltas[0] == ThinkingPart(text="hm")
    pieces = [each for each in deltas if isinstance(each, ToolCallPart)]
    assert "".join(each.arguments for each in pieces) == '{"path":"/"}'
    assert pieces[0].name == "disk_usage"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (sse(delta(content="half"), done=False), TierUnavailableError, "in the middle"),
        (sse(delta(content="half"), done=False, cut=True), TierUnavailableError, "broke"),
        (sse(delta(content="half")), TierUnavailableError, "in the middle"),
        (Reply(body=b"data: {nonsense}\n\n", kind="text/event-stream"),
         TierUnavailableError, "not JSON"),
        (sse(delta(content="x"), {"error": {"code": 500, "message": "boom"}}),
         TierUnavailableError, "boom"),
        (Reply(body=b'error: {"code":400,"message":"too big","type":"exceed_context_size_error",'
               b'"n_prompt_tokens":90,"n_ctx":64}\n\n', kind="text/event-stream"),
         CaseTooLargeError, "too big"),
        (Reply(body=b"", kind="text/event-stream"), TierUnavailableError, "in the middle"),
        (Reply(status=503, body=b'{"error":{"message":"Loading model"}}'),
         TierUnavailableError, "loading"),
    ],
)  # fmt: skip
async def test_a_cut_stream_raises_and_never_just_ends(
    scripted: ScriptedEndpoint, reply: Reply, kind: type[TierError], words: str
) -> None:
    scripted.script.append(reply)
    async with client_of(scripted.url) as client:
        with pytest.raises(kind, match=words):
            await _collect(client)
        assert client.admission.running == 0


async def test_a_stream_that_stops_moving_is_given_up(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(sse(delta(content="half"), done=False, hang=True))
    async with client_of(scripted.url, timeout_seconds=0.4) as client:
        stream = client.stream(HELLO)
        assert await anext(stream) == TextPart(text="half")
        with pytest.raises(TierUnavailableError, match="no answer"):
            await anext(stream)


async def test_the_deadline_never_strikes_the_reader(scripted: ScriptedEndpoint) -> None:
    """A slow consumer is not the model's fault: the time is counted while we wait for it."""
    scripted.script.append(stream_reply("some words"))
    async with client_of(scripted.url, timeout_seconds=0.3) as client:
        stream = client.stream(HELLO)
        await anext(stream)
        await asyncio.sleep(0.5)  # would be cancelled here if the deadline stood around the yield
        with contextlib.suppress(TierUnavailableError):
            async for _ in stream:
                pass


async def test_an_endless_answer_is_stopped(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(sse(*[delta(content="x" * 4000) for _ in range(5)], delta("stop")))
    async with client_of(scripted.url) as client:
        with pytest.raises(TierUnavailableError, match="does not stop"):
            await _collect(client)


# --- other backends, keys


async def test_an_endpoint_that_cannot_count_is_estimated(scripted: ScriptedEndpoint) -> None:
    scripted.fixed["/tokenize"] = json_reply({"error": "no such path"}, status=404)
    async with client_of(scripted.url) as client:
        assert await client.tokenize("x" * 30) == 10
        assert await client.prompt_tokens(HELLO.messages) >= 2
        before = len(scripted.requests)
        await client.tokenize("y" * 30)
        assert len(scripted.requests) == before  # it is not asked again


async def test_options_cannot_replace_what_is_ours(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(chat_reply("ok"))
    options = {"model": "evil", "messages": [], "stream": True, "temperature": 0.1,
               "max_tokens": 999_999, "tools": [{}]}  # fmt: skip
    call = ChatCall(messages=HELLO.messages, options=options)
    async with client_of(scripted.url, max_tokens=77) as client:
        await client.chat(call)
    sent = scripted.calls[0]
    assert sent["model"] == "scripted"
    assert sent["messages"] == list(HELLO.messages)
    assert (sent["max_tokens"], sent["temperature"]) == (77, 0.1)
    assert "stream" not in sent
    assert "tools" not in sent


async def test_a_key_comes_from_its_file(scripted: ScriptedEndpoint, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("secret-key\nmore\n")
    settings = TierSettings(endpoint=scripted.url + "/v1/", api_key_file=key_file, backend="openai")
    scripted.script.append(chat_reply("ok"))
    client = LlmClient.for_tier(name="meta", url=settings.endpoint or "", settings=settings)
    assert (await client.chat(HELLO)).text == "ok"
    assert client.url == scripted.url
    await client.aclose()
    assert [path for path, _ in scripted.requests] == ["/v1/models", "/v1/chat/completions"]


@pytest.mark.parametrize("content", ["", "\n", "two words\x00\n"])
def test_a_key_file_without_a_key_is_told(tmp_path: Path, content: str) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(content)
    settings = TierSettings(endpoint="http://127.0.0.1:1", api_key_file=key_file)
    with pytest.raises(TierRefusedError, match="not a key"):
        LlmClient.for_tier(name="meta", url="http://127.0.0.1:1", settings=settings)
    missing = settings.model_copy(update={"api_key_file": tmp_path / "none"})
    with pytest.raises(TierRefusedError, match="cannot be read"):
        LlmClient.for_tier(name="meta", url="http://127.0.0.1:1", settings=missing)


async def test_embeddings_come_in_order(scripted: ScriptedEndpoint) -> None:
    scripted.script.append(
        json_reply({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]})
    )
    scripted.script.append(json_reply({"data": [{"index": 0, "embedding": "AAAA"}]}))
    async with client_of(scripted.url) as client:
        assert await client.embed(["a", "b"]) == [[1.0, 0.0], [0.0, 1.0]]
        with pytest.raises(TierUnavailableError, match="a vector for each"):
            await client.embed(["a"])


async def test_another_model_after_an_outage_is_noticed(scripted: ScriptedEndpoint) -> None:
    async with client_of(scripted.url) as client:
        assert (await client.info()).model == "scripted"
        scripted.script.append(Reply(status=503, body=b"{}"))
        with pytest.raises(TierUnavailableError):
            await client.chat(HELLO)
        scripted.fixed["/v1/models"] = json_reply({"data": [{"id": "other"}]})
        assert (await client.info()).model == "other"


async def test_a_proxy_in_the_environment_is_not_for_us(
    scripted: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with client_of(scripted.url) as client:
        assert await client.ready()


async def test_a_configured_context_bounds_what_the_endpoint_says(
    scripted: ScriptedEndpoint,
) -> None:
    async with client_of(scripted.url, context=2048) as client:
        assert (await client.info()).context == 2048
    async with client_of(scripted.url, context=100_000) as client:
        assert (await client.info()).context == 4096
    async with client_of(scripted.url, context=3000, model="unlisted") as client:
        info = await client.info()
        assert (info.model, info.context) == ("unlisted", 3000)

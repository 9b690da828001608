"""The bare models behind a real socket, over an endpoint that behaves and misbehaves to order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from facade_kit import Served, eventually, in_process, raw, serving
from relay_kit import LAST, SSE, Endpoint, Seen, chunk, endpoint, whole

from api.openai.models import MODEL_IDS
from api.protocol import BoundedProtocol

CHAT = {"model": "tier/meta", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def relayed() -> AsyncIterator[tuple[Served, Endpoint, httpx.AsyncClient]]:
    async with endpoint() as (double, url), serving() as served:
        served.targets.url = url
        async with httpx.AsyncClient(base_url=served.url, timeout=10, trust_env=False) as client:
            yield served, double, client


async def test_bytes_pass_on_untouched(relayed: Any) -> None:
    _, double, client = relayed
    body = b' {"messages" : [], "seed": 18446744073709551615, "model":"tier/meta", "x": 1.10}'
    answer = b'{"model":"nano", "n":1.10}'

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(answer, more=b"X-Extra: y\r\nConnection: X-Hop\r\nX-Hop: z\r\n"))
        return True

    double.script = script
    headers = {
        "Authorization": "Bearer mine",
        "Cookie": "a=b",
        "X-OpenWebUI-User-Name": "alice",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    got = await client.post("/v1/chat/completions?a=b", content=body, headers=headers)
    assert got.status_code == 200
    assert got.content == answer
    assert got.headers["x-extra"] == "y"
    assert not {"server", "set-cookie", "x-hop", "content-encoding"} & set(got.headers)
    (seen,) = double.seen
    assert seen.line == "POST /v1/chat/completions?a=b HTTP/1.1"
    assert seen.body == body
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-request-id"] == got.headers["x-request-id"]
    private = {"authorization", "cookie", "x-openwebui-user-name", "accept-encoding"}
    assert not private & set(seen.headers)


async def test_the_tiers_own_key_goes_up(relayed: Any) -> None:
    served, double, client = relayed
    served.targets.changes = {"api_key": "theirs"}
    await client.post("/tier/review/tokenize", json={"content": "x"}, headers={"X-Api-Key": "no"})
    assert double.seen[0].headers["authorization"] == "Bearer theirs"
    assert "x-api-key" not in double.seen[0].headers


@pytest.mark.parametrize(
    ("path", "model", "upstream"),
    [
        ("/v1/chat/completions", "tier/meta", "/v1/chat/completions"),
        ("/chat/completions", "tier/trigger", "/chat/completions"),
        ("/completions", "tier/meta", "/completions"),
        ("/v1/embeddings", "tier/review", "/v1/embeddings"),
        ("/tokenize", "tier/meta", "/tokenize"),
        ("/v1/responses", "tier/meta", "/v1/responses"),
        ("/v1/messages/count_tokens", "tier/meta", "/v1/messages/count_tokens"),
        ("/tier/meta/v1/systemone", "anything", "/v1/systemone"),
    ],
)
async def test_paths(relayed: Any, path: str, model: str, upstream: str) -> None:
    _, double, client = relayed
    got = await client.post(path, json={"model": model})
    assert got.status_code == 200
    assert double.seen[0].line.split()[1] == upstream


async def test_what_is_not_for_a_tier_reaches_the_app(relayed: Any) -> None:
    served, double, client = relayed
    body = {"model": "triaged", "messages": [{"role": "user", "content": "hi"}]}
    got = await client.post("/v1/chat/completions", json=body)
    assert got.json()["choices"][0]["message"]["content"] == "Hello"
    assert served.agent.messages
    assert not double.seen


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/v1/chat/completions", {"model": "tier/other"}, 404, "tier/trigger"),
        ("POST", "/v1/embeddings", {"model": "triaged"}, 404, "tier/meta/v1/embeddings"),
        ("POST", "/tokenize", {"content": "x"}, 400, "No model is named"),
        ("POST", "/tier/other/v1/completions", {}, 404, "no bare model"),
        ("POST", "/tier/meta/slots/0", {}, 404, "not passed on"),
        ("POST", "/tier/meta/props", {}, 405, "Not Allowed"),
        ("POST", "/tier/meta/tools", {}, 404, "not passed on"),
        ("GET", "/tier/meta/cors-proxy", None, 404, "not passed on"),
        ("GET", "/tier/meta/v1/chat/completions", None, 405, "Not Allowed"),
        ("GET", "/tier/meta", None, 404, "not passed on"),
        ("GET", "/props", None, 400, "No model is named"),
        ("GET", "/props?model=triaged", None, 404, "no bare model"),
    ],
)
async def test_refusals(
    relayed: Any, method: str, path: str, body: Any, status: int, words: str
) -> None:
    _, double, client = relayed
    got = await client.request(method, path, json=body)
    assert got.status_code == status
    assert words in got.json()["error"]["message"]
    assert not double.seen


async def test_a_body_that_is_not_json(relayed: Any) -> None:
    _, double, client = relayed
    got = await client.post("/tokenize", content=b"{")
    assert (got.status_code, got.json()["error"]["code"]) == (400, "json_invalid")
    await client.post("/tier/meta/tokenize", content=b"{")  # is the server's to judge
    assert double.seen[0].body == b"{"


async def test_look_ups_name_their_tier_in_the_query(relayed: Any) -> None:
    _, double, client = relayed
    assert (await client.get("/props?model=tier/meta&a=1")).status_code == 200
    assert double.seen[0].line == "GET /props?a=1 HTTP/1.1"


async def test_only_the_model_is_rewritten_for_an_endpoint_that_calls_it_otherwise(
    relayed: Any,
) -> None:
    served, double, client = relayed
    served.targets.changes = {"model": "qwen:8b", "backend": "ollama"}
    body = b'{"n": 1.10, "a": {"model": "tier/meta"}, "model": "tier/meta" }'
    await client.post("/chat/completions", content=body)
    assert double.seen[0].line.split()[1] == "/v1/chat/completions"
    assert double.seen[0].body == b'{"n": 1.10, "a": {"model": "tier/meta"}, "model":"qwen:8b" }'


async def test_errors_of_the_endpoint_pass_through(relayed: Any) -> None:
    _, double, client = relayed
    said = b'{"error":{"code":400,"message":"no","type":"invalid_request_error"}}'

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(said, status=b"400 Bad Request"))
        return True

    double.script = script
    got = await client.post("/v1/chat/completions", json=CHAT)
    assert (got.status_code, got.content) == (400, said)


async def test_a_server_that_loads_says_when_to_come_again(relayed: Any) -> None:
    _, double, client = relayed

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(b'{"error":{"message":"Loading model"}}', status=b"503 Busy"))
        return True

    double.script = script
    got = await client.post("/v1/chat/completions", json=CHAT)
    assert (got.status_code, got.headers["retry-after"]) == (503, "2")
    assert got.json()["error"]["message"] == "Loading model"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"detail": "its server cannot run: no such file"}, "tier_unavailable", "no such file"),
        ({"detail": "x", "loading": True, "progress": 0.42}, "tier_loading", "42%"),
    ],
)
async def test_a_tier_that_is_down(relayed: Any, changes: Any, code: str, words: str) -> None:
    served, double, client = relayed
    served.targets.changes = changes
    got = await client.post("/v1/chat/completions", json=CHAT)
    error = got.json()["error"]
    assert (got.status_code, error["code"], got.headers["retry-after"]) == (503, code, "2")
    assert words in error["message"]
    assert "tier/meta" in error["message"]
    assert not double.seen


async def test_nothing_answers_where_the_tier_should_be(relayed: Any) -> None:
    served, _, client = relayed
    served.targets.url = "http://127.0.0.1:9"
    got = await client.post("/v1/chat/completions", json=CHAT)
    assert (got.status_code, got.json()["error"]["code"]) == (503, "tier_unavailable")
    assert "connection refused" in got.json()["error"]["message"].lower()


async def test_too_many_are_turned_away(relayed: Any) -> None:
    served, double, client = relayed
    served.targets.changes = {"most": 2}
    free = asyncio.Event()

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        await free.wait()
        writer.write(whole(b"{}"))
        return True

    double.script = script
    first = [asyncio.ensure_future(client.post("/v1/completions", json=CHAT)) for _ in range(2)]
    await eventually(lambda: len(double.seen) == 2)
    third = await client.post("/v1/completions", json=CHAT)
    assert (third.status_code, third.json()["error"]["code"]) == (429, "tier_busy")
    assert int(third.headers["retry-after"]) > 0
    other = asyncio.ensure_future(client.post("/v1/completions", json={"model": "tier/review"}))
    free.set()
    assert {got.status_code for got in await asyncio.gather(*first, other)} == {200}
    assert (await client.post("/v1/completions", json=CHAT)).status_code == 200


async def test_a_stale_connection_is_replaced_once(relayed: Any) -> None:
    _, double, client = relayed

    async def closes(_: Seen, writer: asyncio.StreamWriter) -> bool:
        if len(double.seen) == 2:  # the second request came on a connection that is "closed"
            return False
        writer.write(whole(b"{}"))
        return True

    double.script = closes
    assert (await client.post("/v1/completions", json=CHAT)).status_code == 200
    assert (await client.post("/v1/completions", json=CHAT)).status_code == 200
    assert (len(double.seen), double.connections) == (3, 2)


async def test_an_endpoint_that_breaks_off_on_a_new_connection_is_not_asked_again(
    relayed: Any,
) -> None:
    _, double, client = relayed

    async def closes(_: Seen, _writer: asyncio.StreamWriter) -> bool:
        return False

    double.script = closes
    got = await client.post("/v1/completions", json=CHAT)
    assert (got.status_code, got.json()["error"]["code"]) == (502, "tier_broke_off")
    assert len(double.seen) == 1


async def test_half_an_answer_in_one_piece_is_an_error(relayed: Any) -> None:
    _, double, client = relayed

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(b'{"half": 1}')[:-4])
        return False

    double.script = script
    got = await client.post("/v1/completions", json=CHAT)
    assert (got.status_code, got.json()["error"]["code"]) == (502, "tier_broke_off")


async def test_a_silent_endpoint_is_given_up(relayed: Any) -> None:
    served, double, client = relayed
    served.targets.changes = {"patience": 0.2}

    async def script(_: Seen, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(20)
        return False

    double.script = script
    got = await client.post("/v1/completions", json=CHAT)
    assert (got.status_code, got.json()["error"]["code"]) == (504, "tier_silent")
    await asyncio.wait_for(double.gone.wait(), 1)


async def test_a_stream_passes_on_as_bytes_and_in_whole_events(relayed: Any) -> None:
    served, double, _ = relayed
    held = asyncio.Event()

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b'data: {"a":1}\n\ndata: {"b"'))
        await writer.drain()
        await held.wait()
        writer.write(chunk(b":2}\n\n") + chunk(b": x\n\ndata: [DONE]\n\n") + LAST)
        return False

    double.script = script
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        async with client.stream("POST", "/v1/chat/completions", json=CHAT) as got:
            parts = got.aiter_raw()
            assert await anext(parts) == b'data: {"a":1}\n\n'
            held.set()
            rest = b"".join([part async for part in parts])
        assert rest == b'data: {"b":2}\n\n: x\n\ndata: [DONE]\n\n'
        assert got.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/v1/chat/completions", b"data: [DONE]\n\n"),
        ("/tier/meta/completion", b"}\n\n"),
    ],
)
async def test_a_stream_that_breaks_off_says_so(relayed: Any, path: str, end: bytes) -> None:
    _, double, client = relayed

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b'data: {"a":1}\n\ndata: {"ha'))
        await writer.drain()
        return False

    double.script = script
    got = await client.post(path, json=CHAT)
    first, error, *_ = got.content.split(b"\n\n")
    assert first == b'data: {"a":1}'
    said = json.loads(error.removeprefix(b"data: "))
    assert "broke the answer off" in said["error"]["message"]
    assert got.content.endswith(end)


async def test_a_broken_stream_of_responses_is_an_error_event(relayed: Any) -> None:
    _, double, client = relayed

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b"event: x\ndata: {}\n\n"))
        await writer.drain()
        return False

    double.script = script
    got = await client.post("/v1/responses", json={"model": "tier/meta", "stream": True})
    event, data = got.content.split(b"\n\n")[1].split(b"\n")
    assert event == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["type"] == "error"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_cancels_the_endpoint(relayed: Any, streamed: bool) -> None:
    served, double, client = relayed

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        if streamed:
            writer.write(SSE + chunk(b"data: {}\n\n"))
            await writer.drain()
        await asyncio.sleep(20)
        return False

    double.script = script
    body = json.dumps(CHAT).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    got = await raw(served.port, head % len(body) + body, seconds=0.3)
    assert (b"data: {}" in got) is streamed
    await asyncio.wait_for(double.gone.wait(), 1)
    served.targets.changes = {"most": 1}
    double.script = Endpoint().script
    assert (await client.post("/v1/completions", json=CHAT)).status_code == 200  # its place is free


async def test_a_stream_that_the_facade_stops_says_so(relayed: Any) -> None:
    served, double, client = relayed
    begun = asyncio.Event()

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(SSE + chunk(b"data: {}\n\n"))
        await writer.drain()
        begun.set()
        await asyncio.sleep(60)
        return False

    double.script = script
    asking = asyncio.ensure_future(client.post("/v1/chat/completions", json=CHAT, timeout=30))
    await begun.wait()
    served.facade.stop()
    assert b"triaged stopped in the middle" in (await asking).content


async def test_a_client_that_does_not_read_holds_little_and_is_cut_off(
    relayed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, double, _ = relayed
    monkeypatch.setattr(BoundedProtocol, "stall_seconds", 0.5)
    written = 0

    async def script(_: Seen, writer: asyncio.StreamWriter) -> bool:
        nonlocal written
        writer.write(SSE)
        frame = chunk(b"data: " + b"x" * 8000 + b"\n\n")
        while True:
            writer.write(frame)
            written += len(frame)
            await writer.drain()

    double.script = script
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    body = json.dumps(CHAT).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    await asyncio.wait_for(double.gone.wait(), 8)
    assert written < 64 * 1024 * 1024  # the kernel's buffers of three sockets, and ours
    writer.close()
    assert reader is not None


async def test_the_list_of_models_is_there_although_nothing_answers(relayed: Any) -> None:
    served, double, client = relayed

    async def hangs(_: Seen, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(20)
        return False

    double.script = hangs
    async with asyncio.timeout(2):
        listed = (await client.get("/v1/models")).json()["data"]
    assert [entry["id"] for entry in listed] == list(MODEL_IDS)
    served.targets.changes = {"detail": "reads its model", "loading": True}
    one = (await client.get("/models/tier/meta")).json()
    assert one["status"] == {"value": "loading", "detail": "reads its model"}


async def test_the_list_tells_size_and_context(relayed: Any) -> None:
    _, double, client = relayed
    entry = {"id": "nano", "meta": {"n_ctx": 2048, "size": 4_465_664}}

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> bool:
        assert seen.line.split()[1] == "/v1/models"
        writer.write(whole(json.dumps({"data": [entry]}).encode()))
        return True

    double.script = script
    meta = (await client.get("/v1/models/tier/review")).json()["meta"]
    assert meta == {"model": "nano", "n_ctx": 2048, "size": 4_465_664}
    await client.get("/v1/models/tier/review")
    assert len(double.seen) == 1  # kept for a while


async def test_without_a_socket_a_tier_that_is_down_is_told(parts: Served) -> None:
    async with in_process(parts.app) as client:
        got = await client.post("/tier/meta/v1/completions", json={})
    assert got.status_code == 503
    assert "this test has no model" in got.json()["error"]["message"]

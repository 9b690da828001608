"""Keys, roles, users, limits and page origins, as requests meet them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from facade_kit import Served, assembled, eventually, in_process, now, raw, said, serving

from api.asked import caller_of, request_id_of
from api.keys.access import Access
from api.keys.key import Key, Limits, Purpose, digest_of
from api.keys.meter import Meter
from api.keys.parse import render_key
from api.keys.ring import KeyRing
from api.roles import Role
from tiers.chat_contracts import AgentEvent, TextDelta

ASK = {"model": "triaged", "messages": [{"role": "user", "content": "hi"}]}


def key(name: str, role: Role = Role.VIEWER, **more: Any) -> Key:
    return Key(name=name, role=role, digest=digest_of(name.encode()), **more)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(
        "\n".join(
            render_key(each)
            for each in (
                key("viewer"),
                key("operator", Role.OPERATOR),
                key("admin", Role.ADMIN),
                key("webui", Role.OPERATOR, forwards_users=True),
                key("hook", Role.OPERATOR, only=Purpose.EVENTS),
                key("scrape", only=Purpose.METRICS),
                key("slow", limits=Limits(requests_per_minute=2)),
                key("single", limits=Limits(concurrent=1)),
                key("poor", limits=Limits(tokens_per_day=10)),
            )
        )
    )
    path.chmod(0o600)
    return path


def rewrite(file: Path, *keys: Key) -> None:
    file.write_text("\n".join(render_key(each) for each in keys))


def access(file: Path | None, *, keyless: Key | None = None, own: tuple[Key, ...] = ()) -> Access:
    ring = KeyRing(path=file, named=True, now=now, own=own)
    return Access(ring=ring, keyless=keyless, meter=Meter(now=now), clock=time.monotonic, now=now)


@pytest.fixture
def locked(file: Path) -> tuple[Served, Access]:
    held = access(file)
    return assembled(access=held), held


@pytest.fixture
async def client(locked: tuple[Served, Access]) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(locked[0].app) as http:
        yield http


@pytest.mark.parametrize(
    ("name", "method", "path", "status"),
    [
        ("viewer", "GET", "/api/v1/incidents", 200),
        ("viewer", "GET", "/metrics", 200),
        ("viewer", "GET", "/openapi.json", 200),
        ("viewer", "POST", "/api/v1/review", 403),
        ("viewer", "POST", "/api/v1/memory/rebuild", 403),
        ("viewer", "POST", "/api/v1/proposals/K7F3/approve", 403),
        ("viewer", "GET", "/api/v1/keys", 403),
        ("operator", "POST", "/api/v1/review", 200),
        ("operator", "POST", "/api/v1/proposals/K7F3/deny", 200),
        ("operator", "GET", "/api/v1/keys", 403),
        ("admin", "POST", "/api/v1/review", 200),
        ("admin", "GET", "/api/v1/keys", 200),
        ("hook", "GET", "/api/v1/incidents", 403),
        ("hook", "POST", "/api/v1/review", 403),
        ("scrape", "GET", "/metrics", 200),
        ("scrape", "GET", "/readyz", 200),
        ("scrape", "GET", "/api/v1/status", 403),
        ("stranger", "GET", "/healthz", 200),
        ("stranger", "GET", "/metrics", 401),
    ],
)
async def test_who_may_do_what(
    client: httpx.AsyncClient, name: str, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path, headers=bearer(name))
    assert response.status_code == status, response.text


async def test_a_refusal_names_both_roles(client: httpx.AsyncClient) -> None:
    error = (await client.post("/api/v1/review", headers=bearer("viewer"))).json()["error"]
    assert error["code"] == "role_too_low"
    assert error["message"] == "This needs the role operator; the key 'viewer' is viewer."
    user = {**bearer("webui"), "X-OpenWebUI-User-Name": "Al%22ice", "X-OpenWebUI-User-Id": "1"}
    error = (await client.post("/api/v1/review", headers=user)).json()["error"]
    assert "'Al\"ice (1)' through the key 'webui' is viewer" in error["message"]
    assert (
        await client.post("/api/v1/events", json={"text": "x"}, headers=bearer("hook"))
    ).is_success


async def test_users_are_believed_only_from_keys_that_may_forward(
    client: httpx.AsyncClient, locked: tuple[Served, Access]
) -> None:
    boss = {"X-OpenWebUI-User-Email": "a@example.org", "X-OpenWebUI-User-Role": "admin"}
    path = "/api/v1/proposals/K7F3/approve"
    assert (await client.post(path, headers=bearer("viewer") | boss)).status_code == 403
    assert (await client.post(path, headers=bearer("webui"))).status_code == 403, "nobody named"
    assert (await client.post(path, headers=bearer("webui") | boss)).status_code == 200
    assert locked[0].proposals.answers == [("K7F3", True, "a@example.org via webui")]


async def test_another_header_carries_a_key_too(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models", headers={"X-Api-Key": "viewer"})).status_code == 200
    assert (await client.get("/v1/models", headers={"X-Api-Key": "no"})).status_code == 401


async def test_requests_a_minute_are_limited(client: httpx.AsyncClient) -> None:
    for left in (b"1", b"0"):
        response = await client.get("/v1/models", headers=bearer("slow"))
        assert response.status_code == 200
        assert response.headers["x-ratelimit-limit-requests"] == "2"
        assert response.headers["x-ratelimit-remaining-requests"].encode() == left
    response = await client.get("/v1/models", headers=bearer("slow"))
    assert response.status_code == 429
    assert response.json()["error"]["type"] == "rate_limit_error"
    assert response.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(response.headers["retry-after"]) <= 30
    assert response.headers["x-ratelimit-remaining-requests"] == "0"
    assert (await client.get("/v1/models", headers=bearer("viewer"))).status_code == 200
    assert "x-ratelimit-limit-requests" not in (await client.get("/healthz")).headers


async def test_a_budget_is_spent(client: httpx.AsyncClient) -> None:
    ask = client.build_request("POST", "/v1/chat/completions", json=ASK, headers=bearer("poor"))
    first = await client.send(ask)
    assert first.status_code == 200
    assert first.headers["x-ratelimit-remaining-tokens"] == "10"
    second = await client.post("/v1/chat/completions", json=ASK, headers=bearer("poor"))
    assert second.status_code == 429
    assert second.json()["error"]["code"] == "insufficient_quota"
    assert "has used 10" in second.json()["error"]["message"]
    assert int(second.headers["retry-after"]) >= 1
    assert (await client.get("/api/v1/incidents", headers=bearer("poor"))).status_code == 200
    shown = (await client.get("/api/v1/keys", headers=bearer("admin"))).json()
    poor = next(entry for entry in shown["keys"] if entry["name"] == "poor")
    assert poor["today"]["tokens"] == 10
    assert poor["today"]["requests"] == 2, "what was refused is no request"
    assert poor["today"]["models"]["triaged"]["answers"] == 1
    assert poor["last_used"]
    assert digest_of(b"poor").hex() not in str(shown)


async def test_requests_at_once_are_limited(file: Path) -> None:
    held = access(file)
    async with serving(access=held) as served:
        release = asyncio.Event()

        async def script() -> AsyncIterator[AgentEvent]:
            await release.wait()
            async for event in said("x"):
                yield event

        served.agent.script = script
        async with httpx.AsyncClient(base_url=served.url, headers=bearer("single")) as http:
            first = asyncio.create_task(http.post("/v1/chat/completions", json=ASK))
            await eventually(lambda: held.running("single") == 1)
            second = await http.get("/v1/models")
            assert second.status_code == 429
            assert second.json()["error"]["code"] == "too_many_at_once"
            release.set()
            assert (await first).status_code == 200
            assert (await http.get("/v1/models")).status_code == 200
        await eventually(lambda: not held.open)


async def test_what_a_revoked_key_streams_is_ended(file: Path) -> None:
    held = access(file)
    async with serving(access=held) as served:

        async def script() -> AsyncIterator[AgentEvent]:
            while True:
                yield TextDelta(text="more ")
                await asyncio.sleep(0.01)

        served.agent.script = script
        async with (
            httpx.AsyncClient(base_url=served.url, headers=bearer("viewer")) as http,
            http.stream("GET", "/api/v1/live") as live,
            http.stream("POST", "/v1/chat/completions", json={**ASK, "stream": True}) as chat,
            httpx.AsyncClient(base_url=served.url, headers=bearer("operator")) as other,
            other.stream("GET", "/api/v1/live") as unharmed,
        ):
            lines = chat.aiter_lines()
            assert "data: " in await anext(lines)
            assert await anext(live.aiter_lines()) == ": connected"
            assert await anext(unharmed.aiter_lines()) == ": connected"
            rewrite(file, key("operator", Role.OPERATOR))
            held.ring.look()
            held.ring.look()
            held.renew()
            with contextlib.suppress(httpx.RemoteProtocolError):
                async with asyncio.timeout(3):
                    async for _ in lines:
                        pass
            await eventually(lambda: served.agent.running == 0 and served.live.followers == 1)
            assert [each.key.name for each in held.open] == ["operator"]
        assert (await raw(served.port, b"GET /v1/models HTTP/1.0\r\n\r\n")).startswith(
            b"HTTP/1.1 401"
        )


async def test_keyless_callers_until_there_are_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    limits = Limits(requests_per_minute=3)
    local = key("local-secret", Role.ADMIN)
    keyless = Key(name="", role=Role.VIEWER, digest=digest_of(b""), limits=limits)
    held = access(path, keyless=keyless, own=(local,))
    async with in_process(assembled(access=held).app) as http:
        # A key that nobody asked for is no mistake: most clients insist on sending one.
        assert (await http.get("/v1/models", headers=bearer("sk-none"))).status_code == 200
        error = (await http.post("/api/v1/review")).json()["error"]
        assert error["message"] == "This needs the role operator; who has no key is viewer."
        assert (await http.get("/v1/models")).status_code == 200
        assert (await http.get("/v1/models")).status_code == 200
        assert (await http.get("/v1/models")).status_code == 429
        shown = await http.get("/api/v1/keys", headers=bearer("local-secret"))
        assert [entry["name"] for entry in shown.json()["keys"]] == [""]
        path.write_text(render_key(key("first")))
        held.ring.look()
        held.ring.look()
        for headers in ({}, bearer("sk-none"), bearer("")):
            assert (await http.get("/v1/models", headers=headers)).status_code == 401
        assert (await http.get("/v1/models", headers=bearer("first"))).status_code == 200
        # Who has a key may come through a proxy, under another name.
        other = await http.get("http://triage.example.org/v1/models", headers=bearer("first"))
        assert other.status_code == 200


async def test_wrong_keys_are_told_of_once_a_minute(locked: tuple[Served, Access]) -> None:
    async with in_process(locked[0].app) as http:
        with structlog.testing.capture_logs() as logs:
            for _ in range(50):
                await http.get("/v1/models", headers=bearer("guess"))
        assert [entry["event"] for entry in logs] == ["wrong key"]
        assert "guess" not in str(logs)


async def test_nobody_could_ask() -> None:
    with pytest.raises(ValueError, match="needs keys"):
        access(None)


PAGE = "https://chat.example.org"


@pytest.fixture
async def pages(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(assembled(access=access(file), origins=(PAGE,)).app) as http:
        yield http


async def test_pages_that_were_named_may_ask(pages: httpx.AsyncClient) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = await pages.options("/v1/chat/completions", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-headers"].endswith("x-stainless-os")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in answer.headers
    answer = await pages.get("/v1/models", headers={"Origin": PAGE} | bearer("viewer"))
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"
    # Its errors can be read, too; without a key it may no more than anybody.
    answer = await pages.get("/v1/models", headers={"Origin": PAGE})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    "origin",
    ["null", "*", "", "http://chat.example.org", PAGE + ".evil.org", PAGE + ":444", PAGE.upper()],
)
async def test_other_pages_may_not(pages: httpx.AsyncClient, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await pages.options("/v1/chat/completions", headers=asked)
    assert answer.status_code == 401
    for headers in (asked, bearer("viewer") | {"Origin": origin}):
        answer = await pages.get("/v1/models", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


async def test_closed_unless_opened(http: httpx.AsyncClient) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    assert (await http.options("/v1/models", headers=asked)).status_code == 405
    answer = await http.get("/v1/models", headers={"Origin": PAGE})
    assert not {"vary", "access-control-allow-origin"} & set(answer.headers)


async def test_a_page_that_was_named_may_change_things_without_a_key() -> None:
    async with in_process(assembled(origins=(PAGE,)).app) as http:
        answer = await http.post("/api/v1/review", headers={"Origin": PAGE})
        assert answer.status_code == 200
        answer = await http.post("/api/v1/review", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["*", "null", "chat.example.org", "https://a/b", "ftp://a"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        assembled(origins=(origin,))


async def test_a_request_has_an_id(http: httpx.AsyncClient, parts: Served) -> None:
    for path, status in (("/healthz", 200), ("/nothing", 404), ("/api/v1/status", 200)):
        answer = await http.get(path, headers={"X-Request-ID": "my-id:1/a=b+c.d_e"})
        assert answer.status_code == status
        assert answer.headers["x-request-id"] == "my-id:1/a=b+c.d_e"
    parts.status.error = RuntimeError("broken")
    assert (await http.get("/api/v1/status", headers={"X-Request-ID": "x1"})).headers[
        "x-request-id"
    ] == "x1"
    ids = {(await http.get("/healthz")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    for bad in ("", "x" * 129, "a b", "ä", "\x7f", "a\tb", "-x", "a;b", "${jndi}"):
        answer = await http.get("/healthz", headers={"X-Request-ID": bad.encode("latin-1")})
        assert answer.headers["x-request-id"] != bad
    host = {"Host": "evil.example", "X-Request-ID": "x2"}
    assert (await http.get("/healthz", headers=host)).headers["x-request-id"] == "x2"


async def test_the_id_and_the_caller_reach_routes_and_logs() -> None:
    parts = assembled()
    seen: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        seen.append((request_id_of(scope), caller_of(scope)))
        seen.append(structlog.contextvars.get_contextvars())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    parts.app.mount("/probe", page)
    async with in_process(parts.app) as http:
        await http.get("/probe/", headers={"X-Request-ID": "abc"})
    (request_id, caller), bound = seen
    assert request_id == "abc"
    assert caller.role is Role.OPERATOR
    assert caller.name == "local"
    assert bound["request_id"] == "abc"


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Request-ID", "Origin", "X-OpenWebUI-User-Role", "Host"]
)
async def test_a_header_that_was_sent_twice_is_refused(served: Served, name: str) -> None:
    lines = f"{name}: localhost\r\n{name}: other\r\n"
    lines += "" if name == "Host" else "Host: localhost\r\n"
    answer = await raw(
        served.port, f"GET /v1/models HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"duplicate_header" in answer

"""What the Responses API keeps, for whom, and what it does while nothing can be kept."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
from facade_kit import Served, assembled, in_process, said
from responses_stream import checked_item, checked_response, streamed

ASK: dict[str, Any] = {"model": "triaged", "input": "hi"}


async def ask(http: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    response = await http.post("/v1/responses", json={**ASK, **changes})
    assert response.status_code == 200, response.text
    return checked_response(response.json())


async def test_what_was_answered_can_be_read_again(http: httpx.AsyncClient) -> None:
    first = await ask(http)
    streamed_one = (await streamed(http, ASK))[-1]["response"]
    for body in (first, streamed_one):
        shown = await http.get(f"/v1/responses/{body['id']}", params={"include": ["x"]})
        assert shown.json() == body
        deleted = await http.delete(f"/responses/{body['id']}")
        assert deleted.json() == {"id": body["id"], "object": "response", "deleted": True}
        for gone in (
            await http.get(f"/v1/responses/{body['id']}"),
            await http.delete(f"/v1/responses/{body['id']}"),
            await http.get(f"/v1/responses/{body['id']}/input_items"),
            await http.post(f"/v1/responses/{body['id']}/cancel"),
        ):
            assert gone.status_code == 404
            assert gone.json()["error"]["message"]


async def test_a_conversation_goes_on(parts: Served, http: httpx.AsyncClient) -> None:
    first = await ask(http, input="one", instructions="only now")
    parts.agent.script = lambda: said("Two.")
    second = await ask(http, input="two", previous_response_id=first["id"], instructions="x")
    assert second["previous_response_id"] == first["id"]
    await ask(http, input="three", previous_response_id=second["id"])
    assert parts.agent.messages == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "three"},
    ]
    # And branches off.
    await ask(http, input="other", previous_response_id=first["id"])
    assert [message["content"] for message in parts.agent.messages] == ["one", "Hello", "other"]


async def test_the_agent_remembers_by_the_chain(parts: Served, http: httpx.AsyncClient) -> None:
    def remembered() -> str | None:
        assert parts.agent.asked is not None
        return parts.agent.asked.chat_id

    first = await ask(http)
    assert remembered() == first["id"]
    second = await ask(http, previous_response_id=first["id"])
    await ask(http, previous_response_id=second["id"], store=False)
    assert remembered() == first["id"]
    await ask(http)
    assert remembered() != first["id"]
    # Whoever sends everything again each time is known by how it began.
    talk: list[Any] = [{"role": "user", "content": "a"}]
    await ask(http, input=talk, store=False)
    begun = remembered()
    talk += [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    for store in (False, True):
        await ask(http, input=talk, store=store)
        assert remembered() == begun
    # A frontend's own id goes before all.
    headers = {"X-OpenWebUI-Chat-Id": "chat-7"}
    ids = set()
    for body in ({**ASK}, {**ASK, "input": talk}, {**ASK, "previous_response_id": first["id"]}):
        await http.post("/v1/responses", json=body, headers=headers)
        ids.add(remembered())
    assert len(ids) == 1
    assert "chat-7" not in str(ids)


async def test_nothing_is_kept_without_store(parts: Served, http: httpx.AsyncClient) -> None:
    body = await ask(http, store=False)
    assert body["store"] is False
    assert not parts.responses.kept
    again = await http.post("/v1/responses", json={**ASK, "previous_response_id": body["id"]})
    assert again.status_code == 400
    assert again.json()["error"]["code"] == "previous_response_not_found"


async def test_a_store_that_is_away(parts: Served, http: httpx.AsyncClient) -> None:
    first = await ask(http)
    parts.responses.away = True
    for body in (
        ASK,
        {**ASK, "stream": True},
        {**ASK, "store": False, "previous_response_id": first["id"]},
        {**ASK, "store": False, "input": [{"type": "item_reference", "id": "msg_1"}]},
    ):
        parts.agent.asked = None
        response = await http.post("/v1/responses", json=body)
        assert response.status_code == 503, response.text
        assert response.headers["retry-after"] == "3"
        assert response.json()["error"]["message"] == "the store is away"
        assert parts.agent.asked is None, "no model is asked for what cannot be kept"
    assert (await http.get(f"/v1/responses/{first['id']}")).status_code == 503
    assert (await ask(http, store=False))["status"] == "completed"
    events = await streamed(http, {**ASK, "store": False})
    assert events[-1]["response"]["status"] == "completed"
    count = await http.post("/v1/responses/input_tokens", json=ASK)
    assert count.json() == {"object": "response.input_tokens", "input_tokens": 7}


async def test_a_store_that_goes_away_while_it_is_answered(
    parts: Served, http: httpx.AsyncClient
) -> None:
    parts.responses.away_when_kept = True
    response = await http.post("/v1/responses", json=ASK)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"
    body = (await streamed(http, ASK))[-1]["response"]
    assert body["status"] == "failed"
    assert body["error"] == {"code": "server_error", "message": "the store went away"}
    assert body["output"][0]["content"][0]["text"] == "Hello"


async def test_sizes_are_bounded(parts: Served, http: httpx.AsyncClient) -> None:
    large = "x" * 100_000
    response = await http.post("/v1/responses", json={**ASK, "input": large})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "input")
    assert error["code"] == "too_large_to_store"
    assert parts.agent.asked is None
    assert (await ask(http, input=large, store=False))["status"] == "completed"
    # An answer that makes it too large is given all the same, and says that it is not kept.
    parts.agent.script = lambda: said(large)
    body = await ask(http)
    assert body["store"] is False
    assert body["status"] == "completed"
    assert not parts.responses.kept


async def test_a_chain_that_is_too_long(parts: Served, http: httpx.AsyncClient) -> None:
    previous = (await ask(http))["id"]
    for _ in range(7):
        previous = (await ask(http, previous_response_id=previous))["id"]
    response = await http.post("/v1/responses", json={**ASK, "previous_response_id": previous})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("previous_response_id", "conversation_too_long")


async def test_a_conversation_of_too_many_items(parts: Served, http: httpx.AsyncClient) -> None:
    parts.responses.most_bytes = 1_000_000
    previous = None
    for _ in range(5):
        talk = [{"role": "assistant", "content": "x"}] * 1_999
        body = await ask(
            http,
            input=[{"role": "user", "content": "x"}, *talk],
            previous_response_id=previous,
            store=True,
        )
        previous = body["id"]
    response = await http.post("/v1/responses", json={**ASK, "previous_response_id": previous})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "conversation_too_long"


async def test_input_items_come_in_pages(http: httpx.AsyncClient) -> None:
    talk = [
        {"role": role, "content": f"{number}"}
        for number, role in enumerate(["user", "assistant", "developer", "user", "user"])
    ]
    body = await ask(http, input=talk)
    path = f"/v1/responses/{body['id']}/input_items"
    page = (await http.get(path, params={"order": "asc"})).json()
    assert (page["object"], page["has_more"]) == ("list", False)
    assert [item["content"][0]["text"] for item in page["data"]] == ["0", "1", "2", "3", "4"]
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    for item in page["data"]:
        checked_item(item)
    newest = (await http.get(path, params={"limit": 2})).json()
    assert [item["content"][0]["text"] for item in newest["data"]] == ["4", "3"]
    assert newest["has_more"]
    rest = (await http.get(path, params={"limit": 3, "after": newest["last_id"]})).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["2", "1", "0"]
    assert not rest["has_more"]
    none = (await http.get(path, params={"after": rest["last_id"]})).json()
    assert (none["data"], none["first_id"], none["has_more"]) == ([], None, False)
    odd = await http.get(path, params={"after": "msg_other"})
    assert (odd.status_code, odd.json()["error"]["param"]) == (400, "after")


async def test_items_can_be_referred_to(parts: Served, http: httpx.AsyncClient) -> None:
    first = await ask(http, input=[{"role": "user", "content": "one", "id": "msg_mine"}])
    said_id = first["output"][0]["id"]
    more = {"role": "user", "content": "two"}
    references = [{"type": "item_reference", "id": "msg_mine"}, {"id": said_id}]
    second = await ask(http, input=[*references, more])
    told = [message["content"] for message in parts.agent.messages]
    assert told == ["one", "Hello", "two"]
    # What previous_response_id brings along is not brought twice.
    await ask(http, input=[*references, references[1], more], previous_response_id=first["id"])
    assert [message["content"] for message in parts.agent.messages] == told
    listed = (await http.get(f"/v1/responses/{second['id']}/input_items")).json()["data"]
    assert [item["id"] for item in listed][1:] == [said_id, "msg_mine"]
    for input_items, param in (
        ([*references, {"type": "item_reference", "id": "msg_unknown"}], "input.2.id"),
        ([{"id": f"msg_{number}"} for number in range(257)], "input"),
    ):
        response = await http.post("/v1/responses", json={**ASK, "input": input_items})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


async def test_each_key_has_its_own() -> None:
    parts = assembled(keys=["alice-" + "a" * 40, "bob-" + "b" * 40], loopback=False)
    alice = {"Authorization": "Bearer alice-" + "a" * 40}
    bob = {"Authorization": "Bearer bob-" + "b" * 40}
    async with in_process(parts.app) as http:
        made = (await http.post("/v1/responses", json=ASK, headers=alice)).json()
        path = f"/v1/responses/{made['id']}"
        assert (await http.get(path, headers=alice)).status_code == 200
        for response in (
            await http.get(path, headers=bob),
            await http.delete(path, headers=bob),
            await http.get(f"{path}/input_items", headers=bob),
            await http.post(f"{path}/cancel", headers=bob),
        ):
            assert response.status_code == 404
        for changes in (
            {"previous_response_id": made["id"]},
            {"input": [{"type": "item_reference", "id": made["output"][0]["id"]}]},
        ):
            response = await http.post("/v1/responses", json={**ASK, **changes}, headers=bob)
            assert response.status_code == 400
            assert "not found" in response.json()["error"]["message"]
        assert made["id"] in parts.responses.kept
        assert json.dumps(made) not in (await http.get(path, headers=bob)).text


async def test_the_official_client_reads_pages(served: Served) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{served.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    ) as client:
        talk: Any = [{"role": "user", "content": str(number)} for number in range(45)]
        body = await client.responses.create(model="triaged", input=talk)
        pages = client.responses.input_items.list(body.id, order="asc", limit=20)
        texts = [item.content[0].text async for item in pages]  # type: ignore[union-attr]
        assert texts == [str(number) for number in range(45)]

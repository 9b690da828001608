"""The OpenAPI document is complete and true, and the table in docs/api.md is made from it.

`UPDATE_DOCS=1 pytest tests/api/test_openapi.py` (`make api-docs`) writes the table anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from facade_kit import Served, assembled, in_process
from starlette.routing import Route

from api.openapi import endpoint_table
from api.relay.paths import GETS, POSTS
from api.roles import Role, needed_role

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
BEGIN = "<!-- endpoints: made by `make api-docs` -->\n"
END = "<!-- end of endpoints -->\n"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = assembled().app.openapi()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


async def test_it_is_served_to_viewers() -> None:
    async with in_process(assembled(keys=("some-key-of-ours",), loopback=False).app) as http:
        assert (await http.get("/openapi.json")).status_code == 401
        headers = {"Authorization": "Bearer some-key-of-ours"}
        answer = await http.get("/openapi.json", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["security"] == [{"key": []}]
    assert answer.json()["openapi"].startswith("3.1")


async def test_nothing_is_missing(parts: Served, document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for method, path, _ in operations(document)}
    routes = {
        (method, route.path.replace(":path}", "}"))
        for route in _routes(parts.app)
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS") and route.path != "/openapi.json"
    }
    assert routes, "no routes were found"
    assert routes <= told
    for path in POSTS:
        assert ("POST", path) in told
        assert ("POST", f"/tier/{{tier}}{path}") in told
    for path in GETS:
        assert ("GET", f"/tier/{{tier}}{path}") in told


def _routes(app: Any) -> list[Route]:
    found: list[Route] = []
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, Route):
            found.append(route)
        waiting += getattr(getattr(route, "original_router", None), "routes", [])
    return found


def test_every_operation_says_who_may_and_how_it_fails(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(document):
        assert operation["summary"], path
        error = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert error == {"$ref": "#/components/schemas/Error"}
        assert "422" not in operation["responses"]
        if path == "/healthz":
            assert operation["security"] == []
            continue
        assert Role(operation["x-role"]) is needed_role(method.upper(), path)
        assert {"401", "403", "429"} <= set(operation["responses"])
    assert "HTTPValidationError" not in str(document)
    assert document["security"] == [{}, {"key": []}]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        if isinstance(value, list):
            return set().union(*map(references, value))
        return set()

    for reference in references(document):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in document["components"][kind], reference


async def test_roles_are_as_it_says(document: dict[str, Any]) -> None:
    """What it calls an operator's is refused to a viewer, and so on, on the real guard."""
    from_viewer = _facade_of(Role.VIEWER)
    from_operator = _facade_of(Role.OPERATOR)
    async with in_process(from_viewer) as viewer, in_process(from_operator) as operator:
        for method, path, operation in operations(document):
            if path == "/api/v1/live":
                continue  # a stream without end
            url = path.replace("{tier}", "meta").replace("{incident_id}", "1")
            url = url.replace("{", "").replace("}", "")
            role = Role(operation.get("x-role", "viewer"))
            for client, may in ((viewer, Role.VIEWER), (operator, Role.OPERATOR)):
                answer = await client.request(method, url)
                refused = answer.status_code == 403
                assert refused is not may.allows(role), (method, path, answer.text)


def _facade_of(role: Role) -> Any:
    from_kit = assembled()
    guard = next(m for m in from_kit.app.user_middleware if "access" in m.kwargs)
    access = guard.kwargs["access"]
    access._keyless = type(access._keyless)(name="", role=role, digest=b"")
    return from_kit.app


def test_the_table_in_the_documents_is_current(document: dict[str, Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    shown, end, after = rest.partition(END)
    assert begin, f"{DOCS} has no line {BEGIN!r}"
    assert end, f"{DOCS} has no line {END!r}"
    table = "\n" + endpoint_table(document) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(before + begin + table + end + after, encoding="utf-8")
        return
    assert shown == table, "run `make api-docs`"


async def test_the_document_is_made_once(http: httpx.AsyncClient) -> None:
    first = await http.get("/openapi.json")
    assert first.content == (await http.get("/openapi.json")).content

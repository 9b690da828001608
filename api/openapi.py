"""What `/openapi.json` says: every endpoint, who may use it, and how errors look. Pure.

FastAPI describes its routes; the paths of bare models, which no route of its own answers, are put
beside them here, and every operation is told its role and its errors.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from api.keys.access import OPEN_PATHS
from api.relay.paths import ASKED_BY_QUERY, GETS, POSTS, PREFIX, Endpoint
from api.roles import needed_role
from tiers.vocabulary import TierName

Document = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_STREAM = "text/event-stream"
_STREAMING = frozenset({"chat/completions", "completions", "responses"})
_ERROR = {"$ref": "#/components/schemas/Error"}
_ERRORS = {
    "400": "the request is wrong; `param` says where",
    "401": "a key is needed, or this one is not known",
    "403": "the key's role, or its user's, is too low, or a key is needed for this",
    "404": "there is no such thing",
    "409": "the thing is not in a state that allows this",
    "413": "the body is too large",
    "429": "a limit of the key was reached, or a tier's queue is full; `Retry-After` says when",
    "503": "a part is away or loading; `Retry-After` says when to ask again",
}
_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `triaged keys add`. On loopback none is needed until there is "
        "one. `X-Api-Key: KEY` is understood, too.",
    }
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "a sentence for people"},
                "type": {"type": "string", "description": "OpenAI's kinds, by status"},
                "param": {"type": ["string", "null"], "description": "what it is about"},
                "code": {"type": ["string", "null"], "description": "for programs"},
            },
        }
    },
}
_TIER = {
    "name": "tier",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [tier.value for tier in TierName]},
}
_MODEL = {"type": "string", "enum": [PREFIX + tier.value for tier in TierName]}


def described(document: Mapping[str, Any], *, keys_needed: bool) -> Document:
    """FastAPI's document made complete. `keys_needed`: whether a request without a key is refused
    now."""
    whole: Document = copy.deepcopy(dict(document))
    for path, item in _bare_models().items():
        for method, operation in item.items():
            whole["paths"].setdefault(path, {}).setdefault(method, operation)
    for path, item in whole["paths"].items():
        for method in _METHODS:
            if method in item:
                _complete(item[method], method=method, path=path)
    components = whole.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = _ERROR_SCHEMA
    components["securitySchemes"] = _SCHEMES
    whole["security"] = [{"key": []}] if keys_needed else [{}, {"key": []}]
    return whole


def _complete(operation: dict[str, Any], *, method: str, path: str) -> None:
    words = operation.get("description", "")
    if words:
        operation["summary"] = words.split("\n\n")[0].replace("\n", " ").strip().rstrip(".")
    if path in OPEN_PATHS:
        operation["security"] = []
    else:
        role = needed_role(method.upper(), path).value
        operation["x-role"] = role
        operation["description"] = f"{words.strip()}\n\nTakes the role `{role}`.".strip()
    responses = operation["responses"]
    responses.pop("422", None)
    for status, why in _ERRORS.items():
        if _can(status, operation, method=method, path=path):
            described = {"description": why, "content": {"application/json": {"schema": _ERROR}}}
            responses.setdefault(status, described)
    responses["default"] = {
        "description": "any other error",
        "content": {"application/json": {"schema": _ERROR}},
    }
    _say_forms(responses, path=path)


def _can(status: str, operation: Mapping[str, Any], *, method: str, path: str) -> bool:
    """Whether an operation can answer so."""
    if path in OPEN_PATHS:
        return False
    match status:
        case "404":
            return "{" in path or "requestBody" in operation
        case "409" | "413":
            return method != "get"
        case _:
            return True


def _say_forms(responses: dict[str, Any], *, path: str) -> None:
    """What comes beside JSON."""
    content = responses.get("200", {}).get("content")
    if content is None:
        return
    if path == "/metrics":
        responses["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif path == "/api/v1/live":
        responses["200"]["content"] = {_STREAM: {"schema": {"type": "string"}}}
    elif path.removeprefix("/v1").lstrip("/") in _STREAMING:
        content[_STREAM] = {"schema": {"type": "string"}}


def _bare_models() -> dict[str, Any]:
    """The paths that go to the tiers' own servers."""
    paths: dict[str, Any] = {}
    for path, endpoint in {**POSTS, **GETS}.items():
        method = endpoint.method.lower()
        paths[f"/tier/{{tier}}{path}"] = {method: _bare(path, endpoint, mounted=True)}
        if endpoint.method == "POST" or path in ASKED_BY_QUERY:
            paths.setdefault(path, {})[method] = _bare(path, endpoint, mounted=False)
    return paths


def _bare(path: str, endpoint: Endpoint, *, mounted: bool) -> dict[str, Any]:
    name = f"bare_{endpoint.method}_{'tier_' if mounted else ''}{path.strip('/')}"
    operation: dict[str, Any] = {
        "tags": ["bare models"],
        "operationId": name.lower().replace("/", "_").replace("-", "_"),
        "description": f"`{path}` of the model server of a tier, nothing injected.",
        "parameters": [_TIER] if mounted else [],
        "responses": {"200": {"description": "what the server answers", "content": {}}},
    }
    if endpoint.method == "POST":
        kind = "multipart/form-data" if endpoint.name.startswith("audio/") else "application/json"
        schema: dict[str, Any] = {"type": "object", "additionalProperties": True}
        if not mounted:
            schema |= {"required": ["model"], "properties": {"model": _MODEL}}
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    elif not mounted:
        operation["parameters"] = [
            {"name": "model", "in": "query", "required": True, "schema": _MODEL}
        ]
    return operation


def endpoint_table(document: Mapping[str, Any]) -> str:
    """The endpoints as a table for people. Paths that are the same with and without `/v1`, and
    those under `/tier/{tier}`, are one row."""
    paths = document["paths"]
    rows = ["| endpoint | role | does |", "|---|---|---|"]
    for path, item in paths.items():
        if path.startswith("/tier/") or f"/v1{path}" in paths:
            continue
        for method in _METHODS:
            if method in item:
                operation = item[method]
                short = path.startswith("/v1/") and path.removeprefix("/v1") in paths
                shown = f"`{method.upper()} {path}`" + (", also without `/v1`" if short else "")
                role = operation.get("x-role", "everybody")
                rows.append(f"| {shown} | {role} | {operation['summary']} |")
    mounted = [path for path in paths if path.startswith("/tier/")]
    if mounted:
        rows.append(
            "| `/tier/{tier}/…`, with the paths of a model server | viewer | "
            "That server, whatever `model` the body names |"
        )
    return "\n".join(rows) + "\n"

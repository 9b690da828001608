"""Which paths of a model server are relayed. Pure.

Left out on purpose: what changes the server or reaches beyond it (`POST /props`, `/slots/…`,
`/lora-adapters`, `/models/load`, `/tools`, `/cors-proxy`), and resumable streams, whose
generation goes on when nobody reads it.
"""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qsl, urlencode

from tiers.vocabulary import TierName

PREFIX = "tier/"
"""What the id of a bare model begins with."""

_BASE = "/tier/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path. `name` is without `/v1`, for counting; `openai` tells that every OpenAI-compatible
    server has it under `/v1`; `only_bare` that `triaged` does not answer it."""

    name: str
    method: str
    openai: bool
    only_bare: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """A path under `/tier/{name}`: `tier` None where there is no such tier."""

    name: str
    tier: TierName | None
    path: str


# With and without /v1. llama-server's /completions and /embeddings are its own forms of the two:
# who asks for them gets them.
_OPENAI = {
    "chat/completions": False,
    "completions": False,
    "responses": False,
    "chat/completions/input_tokens": False,
    "responses/input_tokens": False,
    "embeddings": True,
    "rerank": True,
    "reranking": True,
    "audio/transcriptions": True,
}
_VERSIONED = ("messages", "messages/count_tokens", "systemone", "chat/completions/control")
_PLAIN = (
    "completion",
    "embedding",
    "infill",
    "tokenize",
    "detokenize",
    "apply-template",
)
_LOOK_UPS = ("health", "v1/health", "models", "v1/models", "metrics", "props", "slots")


def _post(name: str, *, openai: bool = False, only_bare: bool = True) -> Endpoint:
    return Endpoint(name=name, method="POST", openai=openai, only_bare=only_bare)


POSTS = {
    **{f"/v1/{n}": _post(n, openai=True, only_bare=bare) for n, bare in _OPENAI.items()},
    **{f"/{n}": _post(n, openai=True, only_bare=bare) for n, bare in _OPENAI.items()},
    **{f"/v1/{name}": _post(name) for name in _VERSIONED},
    **{f"/{name}": _post(name) for name in _PLAIN},
}
GETS = {
    f"/{name}": Endpoint(
        name=name.removeprefix("v1/"),
        method="GET",
        openai=name.endswith("models"),
        only_bare=True,
    )
    for name in _LOOK_UPS
}
ASKED_BY_QUERY = frozenset({"/props", "/slots"})
"""Look-ups whose path is not one of the facade's own: `?model=tier/meta` says whose."""


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """What a request to a tier asks for; None for what is not relayed."""
    if method == "POST":
        return POSTS.get(path)
    return GETS.get(path) if method == "GET" else None


def mounted(path: str) -> Mounted | None:
    """The tier and the rest of a path under `/tier/`; None for any other path."""
    if not path.startswith(_BASE):
        return None
    name, slash, rest = path[len(_BASE) :].partition("/")
    return Mounted(name=name, tier=tier_named(name), path=slash + rest)


def tier_named(name: str) -> TierName | None:
    """The tier of that name ("meta")."""
    try:
        return TierName(name)
    except ValueError:
        return None


def upstream_path(endpoint: Endpoint, path: str, *, llama: bool) -> str:
    """The path at the endpoint. Servers other than llama.cpp's know OpenAI's only under `/v1`."""
    if llama or not endpoint.openai or path.startswith("/v1/"):
        return path
    return "/v1" + path


def split_query(query: bytes) -> tuple[str, str]:
    """The `model` of a query string ("" without one), and the query without it."""
    if b"model" not in query:
        return "", query.decode("latin-1")
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    model = next((value for name, value in pairs if name == "model"), "")
    return model, urlencode([pair for pair in pairs if pair[0] != "model"])

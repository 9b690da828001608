"""Vectors for texts: a lexical embedder of our own, or an embeddings endpoint."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Protocol

import httpx

_WORD = re.compile(r"[a-z][a-z0-9_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class EmbeddingError(Exception):
    """No vectors could be had. The sentence says why."""


class Embedder(Protocol):
    """Makes unit vectors. `name` and `dimension` are stored with the index: vectors of different
    embedders must never be compared."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 per text. Raises `EmbeddingError`. May block."""
        ...


class LexicalEmbedder:
    """Feature hashing of words and their three-letter pieces, with signs and damped counts.

    Needs no model and no download; two texts are close when they share rare-shaped words. See
    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.
    """

    name = "lexical-1"
    dimension = 384

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        weights: dict[str, float] = {}
        for word in _WORD.findall(_CAMEL.sub(" ", text[:8_192]).lower()):
            weights[word] = weights.get(word, 0.0) + 1.0
            padded = f"^{word}$"
            for start in range(len(padded) - 2):
                piece = padded[start : start + 3]
                weights[piece] = weights.get(piece, 0.0) + 0.25
        vector = [0.0] * self.dimension
        for feature, weight in weights.items():
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            slot = int.from_bytes(digest[:4], "big") % self.dimension
            sign = 1.0 if digest[4] & 1 else -1.0
            vector[slot] += sign * (1.0 + math.log(weight) if weight > 1 else weight)
        return _unit(vector)


class EndpointEmbedder:
    """An OpenAI-compatible embeddings endpoint, such as a llama-server with an embedding model."""

    def __init__(self, *, url: str, model: str, timeout: float) -> None:
        self._model = model
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout, trust_env=False)
        self._dimension: int | None = None

    @property
    def name(self) -> str:
        return f"endpoint:{self._model}"

    @property
    def dimension(self) -> int:
        if self._dimension is None:
            self._dimension = len(self.embed(["dimension"])[0])
        return self._dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            response = self._http.post(
                "/v1/embeddings", json={"model": self._model, "input": list(texts)}
            )
            response.raise_for_status()
            rows = sorted(response.json()["data"], key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            message = f"the embeddings endpoint {self._http.base_url} gave no vectors: {error}"
            raise EmbeddingError(message) from error
        if len(vectors) != len(texts):
            raise EmbeddingError("the embeddings endpoint answered another number of vectors")
        return [_unit(vector) for vector in vectors]


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    if length == 0.0:
        return [1.0 / math.sqrt(len(vector))] * len(vector)
    return [x / length for x in vector]

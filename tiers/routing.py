"""Which few tools fit a question: a small model that is offered three tools chooses better than
one that is offered twenty.

Lexical, pure and quick. A question's words become concepts ("ram" and "Arbeitsspeicher" are
`memory`, see routing.toml), misspelt words the nearest known ones, values such as paths, ports and
pids become cues. A linear table over these, their pairs and the words themselves gives each tool
its log-odds against "no tool" and "a wish to change something" (routing_weights.json, made by
training/routing.py). Tools that the table does not know are scored by BM25 (Robertson and
Zaragoza, 2009) over their own name, description and phrases.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tiers.contracts import ToolSpec
from tiers.routing_table import Table, read_table
from tiers.routing_words import Reader, load_reader

OFFER_FLOOR = -1.0
"""A best score below this means that no tool fits: log-odds against none of them."""
CONFIDENT_SCORE = 2.0
"""From here on, with `_CONFIDENT_LEAD` over the second, the first tool is what is meant."""
_CONFIDENT_LEAD = 1.5
_FARTHEST_BEHIND = 7.0
"""Tools this far behind the best are noise."""

_K1, _B = 1.2, 0.6
_UNKNOWN_BIAS = -4.0
"""What BM25 has to overcome: about two words of its own."""
_NAME_COUNTS = 2

_WEIGHTS = pathlib.Path(__file__).parent / "routing_weights.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Ranked:
    """A tool and how well it fits: its log-odds against no tool at all."""

    name: str
    score: float


@functools.cache
def _knowledge() -> tuple[Reader, Table]:
    table = read_table(_WEIGHTS.read_text(encoding="utf-8"))
    return load_reader(words=table.words), table


class ToolRetriever:
    """Ranks the tools of one toolbox. Immutable after construction; safe to share."""

    def __init__(self, *, specs: Sequence[ToolSpec]) -> None:
        self._reader, self._table = _knowledge()
        self._specs = {spec.name: spec for spec in specs}
        self._others = _Bm25(
            documents={spec.name: Counter(self._terms(spec)) for spec in specs},
            scored=frozenset(self._specs) - self._table.tools,
        )

    def rank(self, question: str) -> list[Ranked]:
        """All tools, best first; ties in the toolbox's order."""
        read = self._reader.read(question)
        known = self._table.scores(read.features)
        scores = {name: known[name] for name in self._specs if name in known}
        if self._others.scored:
            scores.update(self._others.scores(read.terms))
        ranked = [
            Ranked(name, scores[name] - read.penalty) for name in self._specs if name in scores
        ]
        ranked.sort(key=lambda entry: -entry.score)
        return ranked

    def offer(self, question: str, *, limit: int = 3, floor: float = OFFER_FLOOR) -> list[ToolSpec]:
        """At most `limit` tools, best first; none where nothing fits."""
        ranked = self.rank(question)
        if not ranked or ranked[0].score < floor:
            return []
        least = ranked[0].score - _FARTHEST_BEHIND
        return [self._specs[entry.name] for entry in ranked[:limit] if entry.score >= least]

    def confident(self, question: str) -> bool:
        """Whether the first tool stands out so far that a model may be made to call it."""
        ranked = self.rank(question)
        if not ranked or ranked[0].score < CONFIDENT_SCORE:
            return False
        return len(ranked) < 2 or ranked[0].score - ranked[1].score >= _CONFIDENT_LEAD

    def _terms(self, spec: ToolSpec) -> Iterator[str]:
        for text in (
            *[spec.name.replace("_", " ")] * _NAME_COUNTS,
            spec.description,
            *spec.phrases,
        ):
            yield from self._reader.read(text).terms


class _Bm25:
    """Scores the tools in `scored`; all tools' texts say which words are rare."""

    def __init__(self, *, documents: Mapping[str, Counter[str]], scored: frozenset[str]) -> None:
        self.scored = scored
        lengths = {name: document.total() for name, document in documents.items()}
        mean = sum(lengths.values()) / max(1, len(lengths)) or 1.0
        frequency = Counter(term for document in documents.values() for term in document)
        self._weights: dict[str, list[tuple[str, float]]] = {}
        for name in scored:
            norm = _K1 * (1 - _B + _B * lengths[name] / mean)
            for term, count in documents[name].items():
                seen = frequency[term]
                rarity = math.log(1 + (len(documents) - seen + 0.5) / (seen + 0.5))
                weight = rarity * count * (_K1 + 1) / (count + norm)
                self._weights.setdefault(term, []).append((name, weight))

    def scores(self, terms: Sequence[str]) -> dict[str, float]:
        scores = dict.fromkeys(self.scored, _UNKNOWN_BIAS)
        for term in dict.fromkeys(terms):
            for name, weight in self._weights.get(term, ()):
                scores[name] += weight
        return scores

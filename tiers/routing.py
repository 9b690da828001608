"""Which few tools fit a question: a small model that is offered three tools chooses better than
one that is offered twenty.

Lexical and pure. A question's words become concepts ("ram" and "Arbeitsspeicher" are `memory`),
misspelt words the nearest known ones, and tools are ranked by three things: how much the concepts
speak for a tool (routing.toml), what the text shows (a path, a port, a pid, a unit name), and
BM25 (Robertson and Zaragoza, 2009) over each tool's own name, description and phrases, which is
all there is for a tool that routing.toml does not know.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tiers.contracts import ToolSpec

OFFER_FLOOR = 1.6
"""A best score below this means that no tool fits."""
CONFIDENT_SCORE = 6.0
"""From here on the first tool is taken to be what the question is about."""
_CONFIDENT_LEAD = 1.6
_SHARE_OF_BEST = 0.22
"""Tools with less than this share of the best score are noise."""

_K1, _B = 1.2, 0.6
_NAME_WEIGHT, _PHRASE_WEIGHT = 2, 1
_LONGEST_CONCEPT = 4
"""Words in the longest concept of several words."""
_MAX_CHARACTERS = 4_000
"""Of a longer question the end counts: what is asked for stands there."""

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|-[a-z]\b")
_CUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("file_path", re.compile(r"(?<![\w/])/[\w.@+-]+(?:/[\w.@+-]+)*\.[a-z][a-z0-9]{0,5}\b", re.I)),
    ("file_path", re.compile(r"(?<![\w/])/(?:etc|proc|sys)/[\w.@+/-]+|/var/log/(?:syslog|messages|secure|cron|dmesg|maillog)\b")),
    ("path", re.compile(r"(?<![\w/.])/(?:[\w.@+-]+(?:/[\w.@+-]+)*/?)?(?=[\s?!.,;:)\"'`]|$)")),
    ("bare_file", re.compile(r"(?<![\w./@-])[\w-]+\.(?:log|conf|cfg|txt|ya?ml|json|ini|toml|csv|xml|list|out|err|md)\b", re.I)),
    ("port_number", re.compile(r"\b(?:ports?|tcp|udp|puerto)\W{0,3}(?:number |nr\.? )?\d{1,5}\b|(?<=[\w\]\s]):\d{2,5}\b|^:\d{2,5}\b", re.I)),
    ("pid_number", re.compile(r"\b(?:pid|process|proc|prozess|task)\W{0,3}(?:id |number |no\.? )?\d{1,7}\b", re.I)),
    ("interface_name", re.compile(r"\b(?:eth\d+|en[ops]\w*\d\w*|wl(?:an|p|x)\w*\d\w*|lo|br-?\w*\d|docker\d+|virbr\d+|wg\d+|tun\d+|tap\d+|bond\d+|vmbr\d+|veth\w+|tailscale\d+|ppp\d+|wwan\d+|ib\d+|usb\d+|vlan\d+|team\d+|cni\d+)(?:\.\d+)?\b")),
    ("unit_name", re.compile(r"[\w@.:-]+\.(?:service|socket|target|mount|path|slice)\b")),
    ("timer_name", re.compile(r"[\w@.:-]+\.timer\b")),
    ("quoted", re.compile(r"[\"“„«`']([^\"”“»`']{3,60})[\"”“»`']")),
)  # fmt: skip
_URL = re.compile(r"https?://\S+")


@dataclasses.dataclass(frozen=True, slots=True)
class Ranked:
    """A tool and how well it fits. Scores compare within one question; zero is no sign at all."""

    name: str
    score: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    needs: tuple[frozenset[str], ...]
    lift: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class _Away:
    pattern: re.Pattern[str]
    penalty: float


class Lexicon:
    """The words that routing.toml knows."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.concepts: dict[tuple[str, ...], str] = {}
        for concept, words in table["concepts"].items():
            for word in words.split():
                self.concepts[tuple(stem(part) for part in word.split("_"))] = concept
        self.ignored = frozenset(stem(word) for word in table["ignore"]["words"].split())
        self.weights: Mapping[str, Mapping[str, float]] = table["weights"]
        self.rules = tuple(
            _Rule(tuple(frozenset(need.split()) for need in rule["all"]), rule["lift"])
            for rule in table["rules"]
        )
        self.away = tuple(
            _Away(re.compile(pattern), group["penalty"])
            for group in table["away"]
            for pattern in group["patterns"]
        )

    def single_words(self) -> Iterator[str]:
        yield from self.ignored
        for words in self.concepts:
            yield from words


def stem(word: str) -> str:
    """Cuts endings that do not change what a word is about: plural, -ing, -ed."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith("ing"):
        word = word[:-3]
    elif len(word) > 4 and word.endswith("ed"):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
        if word.endswith(("sse", "she", "che", "xe")):
            word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sle":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _trigrams(word: str) -> frozenset[str]:
    padded = f"^{word}$"
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


class Spelling:
    """Finds the known word that a misspelt one is nearest to."""

    def __init__(self, words: Iterable[str]) -> None:
        self._known = frozenset(words)
        self._grams: dict[str, list[str]] = {}
        for word in sorted(self._known):
            if len(word) >= 4:
                for gram in _trigrams(word):
                    self._grams.setdefault(gram, []).append(word)

    def nearest(self, word: str) -> str | None:
        """The word itself where known; else the one that is one edit, or two letters swapped,
        away (two edits for long words); else none."""
        if word in self._known:
            return word
        if len(word) < 4 or not word.isalpha():
            return None
        shared: Counter[str] = Counter()
        for gram in _trigrams(word):
            shared.update(self._grams.get(gram, ()))
        allowed = 2 if len(word) >= 8 else 1
        for candidate, _ in shared.most_common(8):
            if abs(len(candidate) - len(word)) <= allowed and _within(word, candidate, allowed):
                return candidate
        return None


def _within(left: str, right: str, allowed: int) -> bool:
    """Whether the Damerau-Levenshtein distance (adjacent swaps count once) is at most that."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > allowed:
            return False
        before, row = row, current
    return row[-1] <= allowed


_LEXICON = Lexicon(
    tomllib.loads((pathlib.Path(__file__).parent / "routing.toml").read_text(encoding="utf-8"))
)


class ToolRetriever:
    """Ranks the tools of one toolbox. Immutable after construction; safe to share."""

    def __init__(self, *, specs: Sequence[ToolSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        documents = {spec.name: Counter(self._document(spec)) for spec in specs}
        self._spelling = Spelling(
            (
                *_LEXICON.single_words(),
                *(term for document in documents.values() for term in document),
            )
        )
        lengths = {name: sum(document.values()) for name, document in documents.items()}
        mean = sum(lengths.values()) / len(lengths) if lengths else 1.0
        frequency = Counter(term for document in documents.values() for term in document)
        self._bm25: dict[str, list[tuple[str, float]]] = {}
        for name, document in documents.items():
            norm = _K1 * (1 - _B + _B * lengths[name] / mean)
            for term, count in document.items():
                rarity = math.log(
                    1 + (len(specs) - frequency[term] + 0.5) / (frequency[term] + 0.5)
                )
                weight = rarity * count * (_K1 + 1) / (count + norm)
                self._bm25.setdefault(term, []).append((name, weight))

    def rank(self, question: str) -> list[Ranked]:
        """All tools that anything speaks for, best first; ties in the toolbox's order."""
        text = _URL.sub(" ", question[-_MAX_CHARACTERS:])
        scores = dict.fromkeys(self._specs, 0.0)
        cues = _cues(text)
        terms = list(self._terms(_without_values(text).lower()))
        concepts = {term for term, known in terms if known}
        if any(not known for _, known in terms):
            concepts.add("entity")
        for term in dict.fromkeys(term for term, _ in terms):
            for name, weight in self._bm25.get(term, ()):
                scores[name] += weight
        for concept in concepts:
            for name, weight in _LEXICON.weights.get(concept, {}).items():
                if name in scores:
                    scores[name] += weight
        present = concepts | cues
        for rule in _LEXICON.rules:
            if all(need & present for need in rule.needs):
                for name, lift in rule.lift.items():
                    if name in scores:
                        scores[name] += lift
        penalty = _penalty(text.lower())
        ranked = [
            Ranked(name, score - penalty) for name, score in scores.items() if score > penalty
        ]
        ranked.sort(key=lambda entry: -entry.score)
        return ranked

    def offer(self, question: str, *, limit: int = 3, floor: float = OFFER_FLOOR) -> list[ToolSpec]:
        """At most `limit` tools, best first; none where nothing fits."""
        ranked = self.rank(question)
        if not ranked or ranked[0].score < floor:
            return []
        least = ranked[0].score * _SHARE_OF_BEST
        return [self._specs[entry.name] for entry in ranked[:limit] if entry.score >= least]

    def confident(self, question: str) -> bool:
        """Whether the first tool stands out so far that a model may be made to call it."""
        ranked = self.rank(question)
        if not ranked or ranked[0].score < CONFIDENT_SCORE:
            return False
        return len(ranked) < 2 or ranked[0].score >= _CONFIDENT_LEAD * ranked[1].score

    def _document(self, spec: ToolSpec) -> Iterator[str]:
        texts = [spec.name.replace("_", " ")] * _NAME_WEIGHT
        texts += [spec.description, *spec.phrases * _PHRASE_WEIGHT]
        for text in texts:
            for words in _canonical([stem(w) for w in _words(text.lower())]):
                yield words

    def _terms(self, text: str) -> Iterator[tuple[str, bool]]:
        """Concepts and other words of the question; the flag is false for names and the like."""
        stems = []
        for word in _words(text):
            short = stem(word)
            stems.append(self._spelling.nearest(short) or short)
        for term in _canonical(stems):
            yield term, term in _LEXICON.weights or term in self._bm25


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _canonical(stems: Sequence[str]) -> Iterator[str]:
    """Concepts where words mean one, longest first; other words as they are, ignored ones left
    out."""
    position = 0
    while position < len(stems):
        for length in range(min(_LONGEST_CONCEPT, len(stems) - position), 0, -1):
            concept = _LEXICON.concepts.get(tuple(stems[position : position + length]))
            if concept is not None:
                yield concept
                position += length
                break
        else:
            if stems[position] not in _LEXICON.ignored:
                yield stems[position]
            position += 1


def _cues(text: str) -> set[str]:
    found = {name for name, pattern in _CUES if pattern.search(text)}
    if "file_path" in found:
        found.discard("path")
    return found


def _without_values(text: str) -> str:
    """Paths are values and not words; "/var/log" does not speak for logs."""
    return re.sub(r"(?<![\w/])/[\w.@+/-]*", " ", text)


def _penalty(text: str) -> float:
    return max((away.penalty for away in _LEXICON.away if away.pattern.search(text)), default=0.0)

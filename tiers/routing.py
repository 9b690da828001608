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
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
_AWAY_PENALTY = 12.0
"""What a question loses that is not about this host."""
_GUESSED = 0.75
"""How much a corrected word counts beside one that is spelt right."""
_MAX_CHARACTERS = 4_000
"""Of a longer question the end counts: what is asked for stands there."""

_PLURAL = re.compile(r"^(?!\w{4,}us$)\w{2,}[^si]s$")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|-[a-z]\b")
_CUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("file_path", re.compile(r"(?<![\w/])/[\w.@+-]+(?:/[\w.@+-]+)*\.[a-z][a-z0-9]{0,5}\b", re.I)),
    ("file_path", re.compile(r"(?<![\w/])/(?:etc|proc|sys)/[\w.@+/-]+|/var/log/(?:syslog|messages|secure|cron|dmesg|maillog)\b")),
    ("path", re.compile(r"(?<![\w/.])/(?:[\w.@+-]+(?:/[\w.@+-]+)*/?)?(?=[\s?!.,;:)\"'`]|$)")),
    ("bare_file", re.compile(r"(?<![\w./@-])[\w-]+\.(?:log|conf|cfg|txt|ya?ml|json|ini|toml|csv|xml|list|out|err|md)\b", re.I)),
    ("port_number", re.compile(r"\b(?:ports?|tcp|udp|puerto)\W{0,3}(?:number |nr\.? )?\d{1,5}\b|(?<=[\w\]\s]):\d{2,5}\b|^:\d{2,5}\b", re.I)),
    ("pid_number", re.compile(r"\b(?:pid|process|proc|prozess|task)\W{0,3}(?:id |number |no\.? )?\d{1,7}\b", re.I)),
    ("interface_name", re.compile(r"\b(?:eth\d+|en[ops]\w*\d\w*|wl(?:an|p|x)\w*\d\w*|lo|br-\w+|br\d+|docker\d+|virbr\d+|wg\d+|tun\d+|tap\d+|bond\d+|vmbr\d+|veth\w+|tailscale\d+|ppp\d+|zt\w*\d|enx\w+|wwan\d+|ib\d+|usb\d+|vlan\d+|team\d+|cni\d+)(?:\.\d+)?\b")),
    ("unit_name", re.compile(r"[\w@.:-]+\.(?:service|socket|target|mount|path|slice)\b")),
    ("timer_name", re.compile(r"[\w@.:-]+\.timer\b")),
    ("running", re.compile(r"\b(?:is|are|be|been|still|comes?|came|back|stays?|it|not)\s+(?:(?!\w+ing\b)\S+\s+)?up\b(?! to\b)", re.I)),
    ("plural", re.compile(r"\b(?:any|all|which|every|some|list|are there)\b.{0,20}?\b(?:services|units|daemons|ones)\b|\b(?:services|units|daemons)\b", re.I)),
    ("number", re.compile(r"(?<![\d.:/@-])\b\d{2,5}\b(?![\d.:%/-]|\s*(?:%|percent|lines?|hours?|days?|h\b|[gmt]i?b|gigs?|times|entries|minutes?))", re.I)),
    ("where", re.compile(r"^\W*(?:\w+ ){0,2}where\b", re.I)),
    ("cat_file", re.compile(r"\b(?:cat|less|tail|head|more)\s+[\w./~-]*[./]", re.I)),
    ("spoken_port", re.compile(r"\b(?:on|at|behind)\s+:?\d{2,5}\b(?!\s*(?:%|percent|hours|days|gb|processors))", re.I)),
    ("past", re.compile(r"\b(?:was|were|has|have|did|had|war|hat)\b", re.I)),
    ("quoted", re.compile(r"[\"“„«`']([^\"”“»`']{3,60})[\"”“»`']")),
)  # fmt: skip
_THINGS = frozenset(name for name, _ in _CUES) - {
    "quoted",
    "past",
    "spoken_port",
    "running",
    "plural",
    "number",
    "where",
}
"""Cues that name a thing of the host."""
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
        self.elsewhere = re.compile("|".join(f"(?:{p})" for p in table["away"]["elsewhere"]))
        self.general = re.compile("|".join(f"(?:{p})" for p in table["away"]["general"]))

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
    elif _PLURAL.search(word):
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
        """The word itself where known; else one with the same first letter that is a slip of the
        fingers away; else none. A slip is two letters swapped; in words of five letters also one
        missing or doubled, of six also one replaced, of nine two of these."""
        if word in self._known:
            return word
        if len(word) < 4 or not word.isalpha():
            return None
        for i in range(1, len(word) - 1):
            swapped = f"{word[:i]}{word[i + 1]}{word[i]}{word[i + 2 :]}"
            if swapped in self._known:
                return swapped
        if len(word) == 4:
            return None
        shared: Counter[str] = Counter()
        for gram in _trigrams(word):
            shared.update(self._grams.get(gram, ()))
        for candidate, _ in shared.most_common(8):
            if candidate[0] == word[0] and _slipped(word, candidate):
                return candidate
        return None


def _slipped(word: str, candidate: str) -> bool:
    difference = len(word) - len(candidate)
    if len(word) < 6 and difference == 0:
        return False
    return abs(difference) <= 2 and _within(word, candidate, 2 if len(word) >= 9 else 1)


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
        terms = self._terms(_without_values(text).lower())
        terms.update(dict.fromkeys(cues & _LEXICON.weights.keys(), 1.0))
        for term, sure in terms.items():
            for name, weight in self._bm25.get(term, ()):
                scores[name] += weight * sure
            for name, weight in _LEXICON.weights.get(term, {}).items():
                if name in scores:
                    scores[name] += weight * sure
        present = terms.keys() | cues
        for rule in _LEXICON.rules:
            if all(need & present for need in rule.needs):
                for name, lift in rule.lift.items():
                    if name in scores:
                        scores[name] += lift
        penalty = _penalty(text.lower(), cues)
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

    def _terms(self, text: str) -> dict[str, float]:
        """Concepts and other words of the question, with how sure their spelling is. A word that
        nothing knows is a name: then `entity` is among them."""
        guessed = set()
        stems = []
        for word in _words(text):
            short = stem(word)
            known = self._spelling.nearest(short)
            if known is not None and known != short:
                guessed.add(known)
            stems.append(known or short)
        terms: dict[str, float] = {}
        for term in _canonical(stems):
            if term in _LEXICON.weights or term in self._bm25:
                terms.setdefault(term, 1.0)
            elif not term.isdigit() and not term.endswith(("ly", "ing")):
                terms.setdefault("entity", 1.0)
        for word in guessed:
            terms[_LEXICON.concepts.get((word,), word)] = _GUESSED
        return terms


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


def _penalty(text: str, cues: Set[str]) -> float:
    if _LEXICON.elsewhere.search(text):
        return _AWAY_PENALTY
    return _AWAY_PENALTY if not cues & _THINGS and _LEXICON.general.search(text) else 0.0

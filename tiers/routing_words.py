"""How the tool retriever reads a question: words, concepts, cues, and signs that the question is
not about this host. Data in routing.toml."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import pathlib
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

_LONGEST_CONCEPT = 4
"""Words in the longest concept of several words."""
_MAX_CHARACTERS = 2_000
"""Of a longer question the end counts: what is asked for stands there."""
_AWAY_PENALTY = 8.0
"""What tools lose where a question is not about this host, in log-odds."""
NAME, NUMBER = "*", "#"
"""What stands in features for a word that nothing knows, and for digits."""

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|(?<!\w)-[a-z]\b")
_PLURAL = re.compile(r"^(?!\w{4,}us$)\w{2,}[^si]s$")
_LIKENESS = re.compile(r"-(?:wise|ish|related|like|based)$")
_PATH = re.compile(r"(?<![\w/])/[\w.@+/-]*")
_URL = re.compile(r"https?://\S+")
_CUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "file_path",
        re.compile(
            r"(?<![\w/])/(?:etc|proc|sys)/[\w.@+/-]+"
            r"|(?<![\w/])/[\w.@+/-]*\.[a-z][a-z0-9]{0,5}\b"
            r"|/var/log/(?:syslog|messages|secure|cron|dmesg|maillog)\b",
            re.IGNORECASE,
        ),
    ),
    ("path", re.compile(r"(?<![\w/.])/[\w.@+/-]*(?=[\s?!,;:)\"'`]|$)")),
    (
        "bare_file",
        re.compile(
            r"(?<![\w./@-])[\w-]+\.(?:log|conf|cfg|txt|ya?ml|json|ini|toml|csv|xml|list|out|err|md)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "port_number",
        re.compile(
            r"\b(?:ports?|tcp|udp|puerto)\W{0,3}(?:number |nr\.? )?\d{1,5}\b"
            r"|(?<=[\w\]\s]):\d{2,5}\b|^\W?:\s?\d{2,5}\b|\b\d{1,5}/(?:tcp|udp)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "pid_number",
        re.compile(
            r"\b(?:pid|process|proc|prozess|task)\W{0,3}(?:id |number |no\.? )?\d{1,7}\b",
            re.IGNORECASE,
        ),
    ),
    (
        "interface_name",
        re.compile(
            r"\b(?:eth\d+|en[ops]\w*\d\w*|enx\w+|wl(?:an|p|x)\w*\d\w*|lo|br-\w+|br\d+|docker\d+"
            r"|virbr\d+|wg\d+|tun\d+|tap\d+|bond\d+|vmbr\d+|veth\w+|tailscale\d+|ppp\d+|wwan\d+"
            r"|ib\d+|usb\d+|vlan\d+|team\d+|cni\d+|zt\w*\d)(?:\.\d+)?\b"
        ),
    ),
    ("unit_name", re.compile(r"[\w@.:-]+\.(?:service|socket|target|mount|path|slice)\b")),
    ("timer_name", re.compile(r"[\w@.:-]+\.timer\b")),
    ("template_unit", re.compile(r"\b[\w-]+@[\w-]+\b")),
    ("quoted", re.compile(r"[\"“„«`']([^\"”“»`'\n]{2,60})[\"”“»`']")),
    ("cat_file", re.compile(r"\b(?:cat|less|tail|head|more)\s+[\w./~-]*[./]", re.IGNORECASE)),
    ("plural", re.compile(r"\b(?:services|units|daemons)\b", re.IGNORECASE)),
    ("shouted", re.compile(r"^[^a-z]*$")),
)
_THINGS = frozenset(
    ("file_path", "path", "bare_file", "port_number", "pid_number", "interface_name", "unit_name",
     "timer_name")
)  # fmt: skip
"""Cues that name a thing of the host."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """`features` are for the linear table, each once; `terms` for BM25; `penalty` is above zero
    where the question is not about this host."""

    features: tuple[str, ...]
    terms: tuple[str, ...]
    penalty: float


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
        if len(word) == 4 or len(word) > 24:
            return None
        shared: Counter[str] = Counter()
        for gram in _trigrams(word):
            shared.update(self._grams.get(gram, ()))
        # By name where they share as many: the order of sets differs from process to process.
        for candidate, _ in heapq.nsmallest(8, shared.items(), key=lambda e: (-e[1], e[0])):
            if candidate[0] == word[0] and _slipped(word, candidate):
                return candidate
        return None


def _trigrams(word: str) -> frozenset[str]:
    padded = f"^{word}$"
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


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


class Reader:
    """Reads questions. `words` are stems that are words of the language and not names of things,
    beside those in routing.toml."""

    def __init__(self, *, table: Mapping[str, Any], words: Collection[str]) -> None:
        self._concepts: dict[tuple[str, ...], str] = {}
        for concept, entries in table["concepts"].items():
            for entry in entries.split():
                self._concepts[tuple(stem(part) for part in entry.split("_"))] = concept
        self._starts = frozenset(key[0] for key in self._concepts if len(key) > 1)
        ignored = frozenset(stem(word) for word in table["ignore"]["words"].split())
        self._silent = ignored
        lexicon = {part for key in self._concepts for part in key} | ignored
        self._known = frozenset(lexicon | set(words))
        self._spelling = Spelling(lexicon)
        self._elsewhere = _any_of(table["away"]["elsewhere"])
        self._general = _any_of(table["away"]["general"])

    def read(self, question: str) -> Reading:
        text = _URL.sub(" ", question[-_MAX_CHARACTERS:])
        cues = {name for name, pattern in _CUES if pattern.search(text)}
        low = text.lower()
        stems = self.stems(low)
        units = list(self._units(stems))
        chain = ["^", *units, "$"]
        features = dict.fromkeys(f"c:{cue}" for cue in sorted(cues))
        features.update(dict.fromkeys(units))
        features.update(dict.fromkeys(f"{a} {b}" for a, b in itertools.pairwise(chain)))
        terms = tuple(unit for unit in self._units(stems, names=True) if unit not in self._silent)
        return Reading(features=tuple(features), terms=terms, penalty=self._penalty(low, cues))

    def stems(self, text: str) -> list[str]:
        """The words of a text in lower case, cut and corrected; paths are values and left out."""
        stems = []
        for word in _WORD.findall(_PATH.sub(" ", text)):
            short = stem(_LIKENESS.sub("", word))
            stems.append(short if short in self._known else self._spelling.nearest(short) or short)
        return stems

    def _units(self, stems: Sequence[str], *, names: bool = False) -> Iterable[str]:
        """Concepts where words mean one, the longest first; other words as they are, with names
        and numbers as one sign each unless `names`."""
        position = 0
        while position < len(stems):
            word = stems[position]
            longest = _LONGEST_CONCEPT if word in self._starts else 1
            for length in range(min(longest, len(stems) - position), 0, -1):
                concept = self._concepts.get(tuple(stems[position : position + length]))
                if concept is not None:
                    yield concept
                    position += length
                    break
            else:
                if names or word in self._known:
                    yield word
                else:
                    yield NUMBER if word.isdigit() else NAME
                position += 1

    def _penalty(self, text: str, cues: Set[str]) -> float:
        if self._elsewhere.search(text):
            return _AWAY_PENALTY
        return _AWAY_PENALTY if not cues & _THINGS and self._general.search(text) else 0.0


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def load_reader(*, words: Collection[str]) -> Reader:
    """A reader over routing.toml."""
    path = pathlib.Path(__file__).parent / "routing.toml"
    return Reader(table=tomllib.loads(path.read_text(encoding="utf-8")), words=words)

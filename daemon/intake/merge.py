"""Words that turn out to be variable: what masking by form cannot see.

"removing chargen", "removing echo", "removing daytime" ... differ in one word. Once that word has
taken `ENOUGH` different values in lines that agree otherwise, it is a variable, and new values join
one general pattern. What already has a fingerprint keeps it.

Never a variable: a word that says how something went ("failed", "up", "denied"), a key before "="
or ":", and the first word of a short sentence, which is its subject or verb.
"""

from __future__ import annotations

import dataclasses
import re

from daemon.intake.units import UNIT_ENDINGS

WILD = "<*>"

ENOUGH = 5
"""Different values that make a variable."""

ENOUGH_IN_SHORT = 8
"""The same for lines of up to three words, of which one word is a large part."""

MOST_WORDS = 48
"""Longer lines are not compared."""

MOST_PLACES = 32
"""So many ways of leaving words open are tried per number of words."""

MOST_FAMILIES = 120_000
"""So many line shapes are remembered; then the older half is forgotten."""

_OUTCOME_WORDS = """
abort aborted accept accepted access acquired active add added alarm alert alive allow
allowed bad banned begin blocked break broken bye cancelled canceled changed clean cleared
close closed complete completed connect connected corrupt corrupted crash crashed create
created critical dead deactivated debug degraded delete deleted denied deny detached died
dirty disabled disconnect disconnected done down drop dropped dump emergency enabled end
error errors established exceeded exit exited expired fail failed failing failover failure
failures fatal faulty finish finished found full good granted halt halted healthy high idle
ignored in inactive info install installed interrupted invalid kill killed leave left locked
login logout lost low mismatch missing never new no none normal not notice off offline ok
okay on online open opened out overflow panic passed pending permitted ready reboot
recovered refused reject rejected released remove removed reset restart restarted restored
resumed retry revoked running safe secure shutdown skipped start started starting stop
stopped stopping succeeded success successful successfully suspended terminated timeout
trace true trusted unable unavailable unhealthy unknown unlocked unreachable unsafe up
update updated upgrade upgraded valid verified violation warn warning wrong yes false
"""
_OUTCOMES = frozenset(_OUTCOME_WORDS.split())

# A word is what it starts with (brackets, quotes, "key="), its core, and what ends it.
_WORD = re.compile(
    r"(?P<left>[(\[{<\"'*]*(?:[\w.-]+=[\"']?)?)"
    r"(?P<core><\*>|[\w@$\\][\w@$+/\\.-]*?)"
    r"(?P<right>[)\]}>\"',;.!?]*)"
)
# Something with a value inside: "LOCAL(<*>),". It may stand where a value stood elsewhere.
_AROUND = re.compile(r"(?P<left>)(?P<core>[^\s=]*<\*>[^\s=]*?)(?P<right>[,;.!?]*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """A skeleton cut into words, with the line shapes ("families") that each leaves open."""

    skeleton: str
    words: tuple[str, ...]
    cores: tuple[str | None, ...]
    """The core of each word; None where the word cannot be a variable."""
    edges: tuple[tuple[str, str], ...]
    families: tuple[int, ...]
    """Per word; 0 where there is none."""


def spread(
    words: tuple[str, ...],
    edges: tuple[tuple[str, str], ...],
    positions: tuple[int, ...],
    wild: str,
) -> tuple[str, ...]:
    """The words with the cores at some positions replaced."""
    changed = list(words)
    for position in positions:
        left, right = edges[position]
        changed[position] = f"{left}{wild}{right}"
    return tuple(changed)


def shape_of(skeleton: str) -> Shape | None:
    """None: a line that is not compared (empty, or too long)."""
    words = tuple(skeleton.split(" "))
    if not 2 <= len(words) <= MOST_WORDS:
        return None
    cores: list[str | None] = []
    edges: list[tuple[str, str]] = []
    plain = 0
    for word in words:
        match = _WORD.fullmatch(word) or _AROUND.fullmatch(word)
        if match is None:
            cores.append(None)
            edges.append(("", ""))
            continue
        cores.append(match["core"])
        edges.append((match["left"], match["right"]))
        plain += WILD not in match["core"]
    families = []
    for position, core in enumerate(cores):
        if core is None or not _may_vary(position, core, words, plain):
            families.append(0)
            continue
        left, right = edges[position]
        families.append(hash((position, left, right, words[:position], words[position + 1 :])) or 1)
    return Shape(skeleton, words, tuple(cores), tuple(edges), tuple(families))


def _may_vary(position: int, core: str, words: tuple[str, ...], plain: int) -> bool:
    if WILD in core:
        return True
    if core.endswith(UNIT_ENDINGS):
        return False  # which unit it is about matters more than that it is about one
    if core[0].isdigit() or core.lower() in _OUTCOMES:
        return False  # digits that masking kept matter
    others = plain - 1
    if position == 0:
        return others >= 4
    # "error: refused" is a message of its own; so is what follows a label.
    if len(words) == 2 and words[0].endswith(":"):
        return False
    return others >= 1


_Family = str | set[str]
"""The values that a word has taken: one, as nearly always, or several. `WILD` is one of them where
masking found a value."""


class Merger:
    """What is known of the line shapes of one source kind and unit."""

    __slots__ = ("_families", "_general", "_places")

    def __init__(self) -> None:
        self._families: dict[int, _Family] = {}
        self._general: set[tuple[str, ...]] = set()
        """The words of general patterns."""
        self._places: dict[int, list[tuple[int, ...]]] = {}
        """By number of words: which positions general patterns leave open."""

    def __len__(self) -> int:
        return len(self._families)

    def learn(self, shape: Shape) -> int:
        """Remembers a line that exists. Returns how many families are new."""
        families = self._families
        before = len(families)
        for core, family_id in zip(shape.cores, shape.families, strict=True):
            if not family_id or core is None or (WILD in core and core != WILD):
                continue
            family = families.get(family_id)
            if family is None:
                families[family_id] = core
            elif isinstance(family, str):
                if family != core:
                    families[family_id] = {family, core}
            elif core == WILD or len(family) <= ENOUGH_IN_SHORT:
                family.add(core)
        return len(families) - before

    def variables(self, shape: Shape) -> tuple[int, ...]:
        """Which words of the line are variables by what was learnt."""
        for positions in self._places.get(len(shape.words), ()):
            if (
                all(shape.families[position] for position in positions)
                and spread(shape.words, shape.edges, positions, WILD) in self._general
            ):
                return positions
        opened: tuple[int, ...] = ()
        current: Shape | None = shape
        while current is not None:
            position = self._variable(current)
            if position is None:
                break
            opened = tuple(sorted((*opened, position)))
            current = shape_of(" ".join(spread(shape.words, shape.edges, opened, WILD)))
            if current is not None:
                self.learn(current)
        return opened

    def open(self, shape: Shape, positions: tuple[int, ...]) -> None:
        """Remembers a general pattern: this line with some positions left open."""
        words = spread(shape.words, shape.edges, positions, WILD)
        places = self._places.setdefault(len(words), [])
        if positions not in places:
            if len(places) >= MOST_PLACES:
                return
            places.append(positions)
        self._general.add(words)

    def open_like(self, shape: Shape, general: str) -> None:
        """Remembers a general pattern by one line that it stands for."""
        words = general.split(" ")
        if len(words) != len(shape.words):
            return
        positions = tuple(
            position
            for position, (mine, its) in enumerate(zip(shape.words, words, strict=True))
            if mine != its
        )
        if positions and spread(shape.words, shape.edges, positions, WILD) == tuple(words):
            self.open(shape, positions)

    def _variable(self, shape: Shape) -> int | None:
        enough = ENOUGH if len(shape.words) > 3 else ENOUGH_IN_SHORT
        # A name may stand where numbers stand only in a sentence that says enough without it.
        says_enough = sum(core is not None and WILD not in core for core in shape.cores) > 4
        best, most = None, 0
        for position, (core, family_id) in enumerate(zip(shape.cores, shape.families, strict=True)):
            if not family_id or core is None or core == WILD:
                continue
            family = self._families.get(family_id)
            if family is None:
                continue
            wild = WILD in family if isinstance(family, set) else family == WILD
            size = 1 if isinstance(family, str) else len(family)
            size = 0 if WILD in core else size - wild
            if wild and (WILD in core or says_enough):
                size += ENOUGH_IN_SHORT
            if size >= enough and size > most:
                best, most = position, size
        return best

    def forget_half(self) -> None:
        """Makes room: the families that were met first go."""
        for family_id in list(self._families)[: len(self._families) // 2]:
            del self._families[family_id]

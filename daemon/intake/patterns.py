"""From lines to patterns with stable fingerprints.

A line finds its pattern by dictionary: first by its text with every run of digits collapsed, then
by its masked form, and only a masked form that was never seen is compared with what is known
(`merge`). Fingerprints follow from the text alone wherever masking decides; where statistics
decide, the text keeps the fingerprint that it was given first, through an alias.

Everything is bounded: caches, patterns, aliases, units. What no longer fits is counted on a pattern
`OVERFLOW`: that of its unit while the table has room for one, else that of its source kind, whose
unit is "". So a table holds `max_patterns` and one more for each source kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from daemon.events import Event
from daemon.intake.mask import (
    LONGEST_TEXT,
    collapse,
    digits_matter,
    keep_digits,
    mask_words,
    skeleton,
)
from daemon.intake.merge import MOST_FAMILIES, Merger, Shape, shape_of, spread
from daemon.intake.pattern import (
    EMPTY,
    OVERFLOW,
    Alias,
    Pattern,
    display,
    essence,
    fingerprint_of,
)
from daemon.intake.phrases import mask_phrases
from daemon.intake.tokens import Words
from daemon.intake.units import steady_unit
from tiers.vocabulary import SourceKind

__all__ = ["EMPTY", "OVERFLOW", "Alias", "Pattern", "PatternTable", "fingerprint_of"]

MOST_UNITS = 4096
"""So many (source kind, unit) pairs have patterns of their own."""

CROWDED_PREFIX = 200
"""So many patterns that begin with the same words: further ones share one pattern."""

PREFIX_WORDS = 3

_CACHED_LINES = 50_000
_CACHED_CHARACTERS = 8_000_000
_LONGEST_CACHED = 1024


class _Context:
    """The patterns of one source kind and unit."""

    __slots__ = (
        "close",
        "count",
        "kind",
        "lines",
        "masked",
        "merger",
        "prefixes",
        "skeletons",
        "unit",
    )

    def __init__(self, kind: SourceKind, unit: str) -> None:
        self.kind = kind
        self.unit = unit
        self.lines: dict[str, Pattern] = {}
        """By collapsed text; a cache."""
        self.close: dict[str, Pattern] = {}
        """The same for lines with digits that matter: those are kept."""
        self.masked: dict[str, Pattern] = {}
        """By text with masked words; a cache too."""
        self.skeletons: dict[str, Pattern] = {}
        """By masked text; the aliases."""
        self.merger = Merger()
        self.prefixes: dict[str, int] = {}
        """How many patterns begin with these words."""
        self.count = 0


@dataclasses.dataclass(slots=True)
class _Fresh:
    """A masked text that was never seen, and where in the batch it stands."""

    context: _Context
    masked: str
    text: str
    places: list[tuple[int, dict[str, Pattern], str]]
    shape: Shape | None


_LOOK_CLOSER = Pattern(fingerprint="", kind=SourceKind.INTERNAL, unit="", text="")
"""In the cache of lines: digits matter here, look again with those kept."""


class PatternTable:
    """All patterns of a process. Not thread-safe: one owner."""

    def __init__(self, *, max_patterns: int = 20_000, max_aliases: int = 200_000) -> None:
        self._max_patterns = max_patterns
        self._max_aliases = max_aliases
        self._max_per_unit = max(1, max_patterns // 4)
        self._contexts: dict[tuple[str, SourceKind], _Context] = {}
        self._entries: dict[tuple[str, SourceKind], _Context] = {}
        self._patterns: dict[str, Pattern] = {}
        self._words = Words()
        self._cached_lines = 0
        self._cached_characters = 0
        self._skeletons = 0
        self._reported = 0
        self._families = 0
        self._overflowed = 0
        self._new_patterns: list[Pattern] = []
        self._new_aliases: list[Alias] = []

    def __len__(self) -> int:
        return len(self._patterns)

    @property
    def overflowed(self) -> int:
        """Masked texts that found no room for a pattern of their own."""
        return self._overflowed

    # --- the hot path --------------------------------------------------------------------------

    def reduce(self, kind: SourceKind, unit: str, text: str) -> Pattern:
        """The pattern of one line. Never raises for any text."""
        context = self._entries.get((unit, kind)) or self._enter(kind, unit)
        text = essence(text)
        key = collapse(text)
        pattern = context.lines.get(key)
        if pattern is _LOOK_CLOSER:
            pattern = context.close.get(collapse(keep_digits(text)))
        if pattern is None:
            (pattern,) = self._resolve([(context, key, text)])
        return pattern

    def reduce_batch(self, events: Sequence[Event]) -> list[Pattern]:
        """The patterns of events, in order. New lines of a batch are compared with each other
        before any of them gets a fingerprint: a word that varies within the batch is a variable
        from its first line on."""
        found: list[Pattern | None] = []
        append = found.append
        missed: list[tuple[_Context, str, str]] = []
        places: list[int] = []
        entries = self._entries
        last_unit: str | None = None
        last_kind: SourceKind | None = None
        context: _Context | None = None
        for event in events:
            text, unit, kind = event.text, event.unit, event.kind
            if context is None or unit != last_unit or kind is not last_kind:
                context = entries.get((unit, kind)) or self._enter(kind, unit)
                last_unit, last_kind = unit, kind
            if len(text) > LONGEST_TEXT or "\n" in text:
                text = essence(text)
            key = collapse(text)
            pattern = context.lines.get(key)
            if pattern is _LOOK_CLOSER:
                pattern = context.close.get(collapse(keep_digits(text)))
            if pattern is None:
                places.append(len(found))
                missed.append((context, key, text))
            append(pattern)
        if missed:
            for place, pattern in zip(places, self._resolve(missed), strict=True):
                found[place] = pattern
        return found  # type: ignore[return-value]  # each None was filled in

    # --- what is stored ------------------------------------------------------------------------

    def load(
        self,
        patterns: Iterable[Pattern],
        aliases: Iterable[tuple[str, str, str, str]],
    ) -> None:
        """Takes in what an earlier process stored. Aliases are (kind, unit, masked text,
        fingerprint); those of patterns that are not there are ignored."""
        for pattern in patterns:
            if pattern.fingerprint not in self._patterns:
                self._patterns[pattern.fingerprint] = pattern
                self._context(pattern.kind, pattern.unit).count += 1
        own: dict[str, str] = {}
        others: list[tuple[_Context, str, Pattern]] = []
        for kind, unit, masked, fingerprint in aliases:
            known = self._patterns.get(fingerprint)
            if known is None or self._skeletons >= self._max_aliases:
                continue
            context = self._context(SourceKind(kind), unit)
            context.skeletons[masked] = known
            self._skeletons += 1
            self._reported += 1
            if fingerprint_of(known.kind, unit, masked) == fingerprint:
                own[fingerprint] = masked
                prefix = " ".join(masked.split(" ", PREFIX_WORDS)[:PREFIX_WORDS])
                context.prefixes[prefix] = context.prefixes.get(prefix, 0) + 1
            else:
                others.append((context, masked, known))
            shape = shape_of(masked)
            if shape is not None:
                self._learn(context, shape)
        for context, masked, known in others:
            shape = shape_of(masked)
            if shape is not None and known.fingerprint in own:
                context.merger.open_like(shape, own[known.fingerprint])

    def drain_new(self) -> tuple[list[Pattern], list[Alias]]:
        """Patterns and aliases since the last call, to be stored."""
        new = (self._new_patterns, self._new_aliases)
        self._new_patterns, self._new_aliases = [], []
        return new

    # --- the slow path -------------------------------------------------------------------------

    def _enter(self, kind: SourceKind, unit: str) -> _Context:
        """The context of a unit as its source calls it."""
        context = self._context(kind, steady_unit(unit))
        if len(self._entries) >= 2 * MOST_UNITS:
            self._entries.clear()
        self._entries[unit, kind] = context
        return context

    def _context(self, kind: SourceKind, unit: str) -> _Context:
        context = self._contexts.get((unit, kind))
        if context is None:
            if len(self._contexts) >= MOST_UNITS:
                unit = ""
                context = self._contexts.get((unit, kind))
            if context is None:
                context = self._contexts[unit, kind] = _Context(kind, unit)
        return context

    def _resolve(self, missed: list[tuple[_Context, str, str]]) -> list[Pattern]:
        """Patterns for lines that the cache does not know."""
        found: list[Pattern | None] = []
        fresh: dict[tuple[int, str], _Fresh] = {}
        for context, key, text in missed:
            cache, kept = context.lines, key
            if digits_matter(key):
                self._cache(cache, key, _LOOK_CLOSER)
                cache, kept = context.close, collapse(keep_digits(text))
            words = mask_words(kept, self._words)
            line = " ".join(words)
            pattern = context.masked.get(line)
            if pattern is None:
                marked = mask_phrases(line, words)
                masked = skeleton(marked) or EMPTY
                pattern = context.skeletons.get(masked)
                if pattern is not None:
                    self._cache(context.masked, line, pattern)
            if pattern is not None:
                self._cache(cache, kept, pattern)
            else:
                entry = fresh.get((id(context), masked))
                if entry is None:
                    entry = _Fresh(context, masked, display(text, masked), [], shape_of(masked))
                    fresh[id(context), masked] = entry
                    if entry.shape is not None and not self._full(context):
                        self._learn(context, entry.shape)
                entry.places.append((len(found), cache, kept))
            found.append(pattern)
        for entry in fresh.values():
            pattern = self._settle(entry)
            for place, cache, kept in entry.places:
                found[place] = pattern
                self._cache(cache, kept, pattern)
        return found  # type: ignore[return-value]  # each None was filled in

    def _learn(self, context: _Context, shape: Shape) -> None:
        self._families += context.merger.learn(shape)
        if self._families > MOST_FAMILIES:
            self._families = 0
            for other in self._contexts.values():
                other.merger.forget_half()
                self._families += len(other.merger)

    def _settle(self, fresh: _Fresh) -> Pattern:
        """The pattern of a masked text that was never seen: its own from an earlier run, a general
        one that it fits, or a new one."""
        context, masked = fresh.context, fresh.masked
        pattern = self._patterns.get(fingerprint_of(context.kind, context.unit, masked))
        if pattern is None:
            words = fresh.text.split(" ")
            shape = fresh.shape
            opened = () if shape is None else context.merger.variables(shape)
            if shape is not None and opened:
                general = " ".join(spread(shape.words, shape.edges, opened, "<*>"))
                text = " ".join(spread(tuple(words), shape.edges, opened, "<name>"))
                pattern = self._pattern(context, general, text)
                if self._remember(context, general, pattern):
                    context.merger.open(shape, opened)
            else:
                pattern = self._pattern(context, masked, " ".join(words) or EMPTY)
        self._remember(context, masked, pattern)
        return pattern

    def _pattern(self, context: _Context, masked: str, text: str) -> Pattern:
        """The pattern with this masked text, made if there is room for it."""
        own = fingerprint_of(context.kind, context.unit, masked)
        known = self._patterns.get(own)
        if known is not None:
            return known
        prefix = " ".join(masked.split(" ", PREFIX_WORDS)[:PREFIX_WORDS])
        crowd = context.prefixes.get(prefix, 0)
        if self._full(context):
            self._overflowed += 1
            return self._overflow(context)
        if crowd >= CROWDED_PREFIX:
            masked, text = (
                f"{prefix} <...>",
                " ".join(text.split(" ", PREFIX_WORDS)[:-1]) + " <...>",
            )
        else:
            context.prefixes[prefix] = crowd + 1
        return self._take_in(context, masked, text)

    def _overflow(self, context: _Context) -> Pattern:
        """What is counted on where there is no room. Senders choose their units, so that a full
        table has none for a unit's own."""
        known = self._patterns.get(fingerprint_of(context.kind, context.unit, OVERFLOW))
        if known is not None:
            return known
        if len(self._patterns) >= self._max_patterns:
            context = self._context(context.kind, "")
        return self._take_in(context, OVERFLOW, OVERFLOW)

    def _take_in(self, context: _Context, masked: str, text: str) -> Pattern:
        own = fingerprint_of(context.kind, context.unit, masked)
        known = self._patterns.get(own)
        if known is None:
            known = Pattern(fingerprint=own, kind=context.kind, unit=context.unit, text=text)
            self._patterns[own] = known
            self._new_patterns.append(known)
            context.count += 1
        return known

    def _full(self, context: _Context) -> bool:
        return len(self._patterns) >= self._max_patterns or context.count >= self._max_per_unit

    def _remember(self, context: _Context, masked: str, pattern: Pattern) -> bool:
        """Keeps an alias, and has it stored. False: it is not kept, the pattern is a catch-all."""
        if pattern.text == OVERFLOW:
            return False
        if masked in context.skeletons:
            return True
        if self._skeletons >= self._max_aliases:
            # Those that follow from the text or from a general pattern are found again.
            for other in self._contexts.values():
                other.skeletons.clear()
            self._skeletons = 0
        context.skeletons[masked] = pattern
        self._skeletons += 1
        if self._reported < self._max_aliases:
            self._reported += 1
            self._new_aliases.append(
                Alias(
                    kind=context.kind,
                    unit=context.unit,
                    masked=masked,
                    fingerprint=pattern.fingerprint,
                )
            )
        return True

    def _cache(self, cache: dict[str, Pattern], key: str, pattern: Pattern) -> None:
        if len(key) > _LONGEST_CACHED:
            return
        if self._cached_lines >= _CACHED_LINES or self._cached_characters >= _CACHED_CHARACTERS:
            for other in self._contexts.values():
                other.lines.clear()
                other.close.clear()
                other.masked.clear()
            self._cached_lines = self._cached_characters = 0
        cache[key] = pattern
        self._cached_lines += 1
        self._cached_characters += len(key)

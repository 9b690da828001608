"""Rules: what needs attention whatever a model says of it.

A rule sets a severity *floor* for the patterns that it matches. It never lowers anything. Rules
are data (`rules.toml`, and files of the operator), and every rule carries samples of lines that it
must and must not match: `check_samples` is run by a test and by `triaged check-config`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tiers.vocabulary import Category, Severity

BUILT_IN = Path(__file__).with_name("rules.toml")
_KEYS = {
    "name",
    "severity",
    "category",
    "match",
    "unless",
    "units",
    "burst",
    "correlate",
    "samples",
    "others",
}


class RuleError(Exception):
    """A rule file has a mistake. The sentence names file, rule and what is allowed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """The floor holds only from `count` occurrences within `seconds` on."""

    count: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `correlate` names what belongs together: all patterns whose rules share it (and
    the host) are one incident."""

    name: str
    severity: Severity
    category: Category
    match: re.Pattern[str]
    unless: re.Pattern[str] | None
    units: tuple[str, ...]
    burst: Burst | None
    correlate: str | None
    samples: tuple[str, ...]
    others: tuple[str, ...]

    def order(self) -> tuple[int, bool, str]:
        """Sorts the worst first, and of these the one that waits for nothing."""
        return (-self.severity.rank, self.burst is not None, self.name)

    def applies(self, *, unit: str, text: str) -> bool:
        """Whether the rule speaks about this text of this unit."""
        if self.units and not any(fnmatch.fnmatchcase(unit.lower(), glob) for glob in self.units):
            return False
        if self.match.search(text) is None:
            return False
        return self.unless is None or self.unless.search(text) is None


_NUMBERS = re.compile(r"[0-9]+")
_QUANTIFIER = re.compile(r"\{[0-9,]+\}")
_DIGITS = re.compile(r"[1-9]|\\d(?![+*])")


def wording(text: str) -> str:
    """The text with "1" for every number but zero: what nearly all rules go by."""
    return _NUMBERS.sub(_zero_or_more, text)


def _zero_or_more(number: re.Match[str]) -> str:
    return "0" if number[0] == "0" else "1"


def _reads_numbers(rule: Rule) -> bool:
    """Whether it may matter to a rule which number other than zero there is. Yes when in doubt."""
    return any(
        each is not None and _DIGITS.search(_QUANTIFIER.sub("", each.pattern)) is not None
        for each in (rule.match, rule.unless)
    )


class RuleBook:
    """All rules of this host. The worst one that applies wins; a rule without a burst beats one
    with a burst of the same severity."""

    def __init__(self, *, rules: Sequence[Rule]) -> None:
        self._rules = tuple(sorted(rules, key=Rule.order))
        self._of_numbers = tuple(rule for rule in self._rules if _reads_numbers(rule))
        self._by_name = {rule.name: rule for rule in self._rules}

    def __len__(self) -> int:
        return len(self._rules)

    def find_all(self, *, unit: str, text: str) -> list[Rule]:
        """Every rule that applies to a text, the worst first."""
        return [rule for rule in self._rules if rule.applies(unit=unit, text=text)]

    def find_by_numbers(self, *, unit: str, text: str) -> list[Rule]:
        """Those that apply to a text and may not to another one of the same `wording`."""
        return [rule for rule in self._of_numbers if rule.applies(unit=unit, text=text)]

    def find(self, *, unit: str, text: str) -> Rule | None:
        """The worst rule that applies to a text, or None."""
        for rule in self._rules:
            if rule.applies(unit=unit, text=text):
                return rule
        return None

    def named(self, name: str | None) -> Rule | None:
        """The rule of that name, or None when it was taken away since it matched."""
        return None if name is None else self._by_name.get(name)

    def check_samples(self) -> list[str]:
        """One sentence for each sample that its rule treats wrongly; empty when all is well."""
        problems = []
        for rule in self._rules:
            unit = rule.units[0].replace("*", "") if rule.units else ""
            problems += [
                f"rule {rule.name!r} does not match its own sample {text!r}"
                for text in rule.samples
                if not rule.applies(unit=unit, text=text)
            ]
            problems += [
                f"rule {rule.name!r} matches {text!r}, which it says it must not"
                for text in rule.others
                if rule.applies(unit=unit, text=text)
            ]
        return problems


def load_rules(paths: Iterable[Path] = (), *, built_in: bool = True) -> RuleBook:
    """Reads the built-in rules and then the operator's files; a later rule of the same name
    replaces an earlier one. Raises `RuleError`."""
    rules: dict[str, Rule] = {}
    for path in [BUILT_IN, *paths] if built_in else paths:
        for rule in _read(path):
            rules[rule.name] = rule
    return RuleBook(rules=list(rules.values()))


@functools.cache
def built_in_rules() -> RuleBook:
    """The rules that come with the program."""
    return load_rules()


def _read(path: Path) -> list[Rule]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RuleError(f"rules {path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RuleError(f"rules {path}: not valid TOML: {error}") from error
    tables = document.get("rule", [])
    if set(document) - {"rule"} or not isinstance(tables, list):
        raise RuleError(f"rules {path}: only [[rule]] tables are allowed")
    return [_rule(path, number, table) for number, table in enumerate(tables, start=1)]


def _rule(path: Path, number: int, table: dict[str, Any]) -> Rule:
    where = f"rules {path}: rule {number} ({table.get('name', 'without a name')})"
    if unknown := sorted(set(table) - _KEYS):
        raise RuleError(
            f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(sorted(_KEYS))}"
        )
    if missing := sorted({"name", "severity", "category", "match", "samples"} - set(table)):
        raise RuleError(f"{where}: {', '.join(missing)} missing")
    try:
        burst = table.get("burst")
        return Rule(
            name=str(table["name"]),
            severity=Severity(table["severity"]),
            category=Category(table["category"]),
            match=re.compile(table["match"]),
            unless=re.compile(table["unless"]) if "unless" in table else None,
            units=tuple(str(unit).lower() for unit in table.get("units", ())),
            burst=None
            if burst is None
            else Burst(count=int(burst["count"]), seconds=float(burst["seconds"])),
            correlate=table.get("correlate"),
            samples=tuple(table["samples"]),
            others=tuple(table.get("others", ())),
        )
    except (ValueError, KeyError, TypeError, re.error) as error:
        raise RuleError(f"{where}: {error}") from error

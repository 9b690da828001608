"""Finds a tool's arguments in the words of a question, for models that miss them. Pure.

By what an argument is called and what its schema says; nothing is made up: every value stands in
the question, or is the number that a span of time in it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tiers.contracts import ToolSpec
from tiers.question_words import PLAIN, SILENT, bare_word, whole

_PATH = re.compile(r"(?<![\w/])/(?:[\w.@+-]+/?)*")
_ROOT = re.compile(r"\broot (?:filesystem|partition|disk|volume|fs)\b", re.IGNORECASE)
_PORT = re.compile(r"\b(?:ports?|tcp|udp|puerto)\W{0,3}(\d{1,5})\b|:(\d{2,5})\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b\d{1,7}\b")
_PID = re.compile(
    r"\b(?:pid|process|proc|prozess)\W{0,3}(?:id |number |no\.? )?(\d{1,7})\b", re.IGNORECASE
)
_LINES = re.compile(
    r"-n\s*(\d{1,3})\b|\b(\d{1,3})\s+(?:\w+\s+){0,2}(?:lines|zeilen|entries|messages)\b",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"(?:(?<!\w)(\d{1,4})\s*|\b(an|a|one|two|three|few|couple|last|past)\s+(?:of\s+)?|\b)"
    r"(hours?|hrs?|h|days?|d|weeks?|months?|stunden?|tage?n?|wochen?)\b",
    re.IGNORECASE,
)
_SPAN_HOURS = {"h": 1, "s": 1, "d": 24, "t": 24, "w": 168, "m": 720}
_SPAN_WORDS = {
    "a": 1, "an": 1, "one": 1, "last": 1, "past": 1, "two": 2, "three": 3, "few": 3, "couple": 2,
}  # fmt: skip
_DAY_WORDS = {
    "today": 24,
    "heute": 24,
    "yesterday": 48,
    "gestern": 48,
    "tonight": 24,
    "overnight": 24,
}
_INTERFACE = re.compile(
    r"\b(?:eth\d+|en[ops]\w*\d\w*|enx\w+|wl\w+\d\w*|lo|br-\w+|br\d+|docker\d+|virbr\d+|wg\d+|tun\d+"
    r"|tap\d+|bond\d+|vmbr\d+|veth\w+|tailscale\d+|ppp\d+|wwan\d+|usb\d+)(?:\.\d+)?\b"
)
_QUOTED = re.compile(r"[\"“„«`']([^\"”“»`'\n]{2,80})[\"”“»`']")
_NAME = re.compile(r"[A-Za-z][\w@.:-]*\w")
_SUFFIX = re.compile(r"[\w@.:-]+\.(?:service|socket|timer|target|mount|path|slice)\b")
_BESIDE = re.compile(
    r"\b(?:the\s+)?([A-Za-z][\w@.-]*\w)\s+(?:service|unit|daemon|process|server|dienst|log)\b"
    r"|\b(?:service|unit|daemon|process|named|called|dienst)\s+([A-Za-z][\w@.-]*\w)",
    re.IGNORECASE,
)
_WORD_SYNONYMS = {
    "memory": ("ram", "mem", "speicher"),
    "cpu": ("processor", "prozessor"),
    "disk": ("storage", "space", "platte"),
    "temperature": ("temp", "hot", "heat"),
}


def fill(spec: ToolSpec, question: str) -> dict[str, Any] | None:
    """The arguments that the question holds; None when a required one is not there."""
    properties: Mapping[str, Mapping[str, Any]] = spec.parameters.get("properties", {})
    found: dict[str, Any] = {}
    for name, schema in properties.items():
        value = _value(name, schema, question)
        if value is not None:
            found[name] = value
    required = spec.parameters.get("required", [])
    return found if all(name in found for name in required) else None


def repaired(spec: ToolSpec, arguments: Mapping[str, Any], question: str) -> dict[str, Any]:
    """A small model's arguments, with what it made up replaced by what the question says.

    Texts must stand in the question and numbers too; a made-up optional argument is left out, a
    made-up required one stays when the question holds no better (the tool then says what is
    wrong with it). A name that was copied in part becomes the whole word of the question. What the
    question says plainly (a path, a port, a span of time, quoted words) is added.
    """
    properties: Mapping[str, Mapping[str, Any]] = spec.parameters.get("properties", {})
    required = spec.parameters.get("required", [])
    said = question.lower()
    kept: dict[str, Any] = {}
    for name, value in arguments.items():
        schema = properties.get(name)
        if schema is None:
            continue
        better = _value(name, schema, question)
        shown = better if _is_plain(name, question) else None
        if name in _COPIED and "enum" not in schema:
            value = whole(str(value), question, several=name in _SEARCHED)
            if name == "unit" and value.isdigit():
                value = ""  # a number of lines
        if shown is None and _said(value, schema, said):
            kept[name] = value
            continue
        if better is not None:
            kept[name] = better
        elif name in required:
            kept[name] = value
    for name, schema in properties.items():
        if name not in kept and (name in required or _is_plain(name, question)):
            value = _value(name, schema, question)
            if value is not None:
                kept[name] = value
    return kept


def names_in(text: str) -> list[str]:
    """The words that may be names of things, in order: those that no plain word is."""
    return [word for word in _NAME.findall(text) if word.lower() not in PLAIN]


def _is_plain(name: str, question: str) -> bool:
    """Whether the question shows an argument by its form, so that a model may have missed it."""
    if name == "process":
        return _PID.search(question) is not None
    return name in _PLAINLY or (name in _SEARCHED and _QUOTED.search(question) is not None)


def _said(value: Any, schema: Mapping[str, Any], said: str) -> bool:
    if "enum" in schema:
        return value in schema["enum"] and (
            _enum_value([value], said) is not None or _enum_value(schema["enum"], said) is None
        )
    text = str(value).strip().lower()
    if not text:
        return False
    if schema.get("type") == "integer":
        return re.search(rf"(?<!\d){re.escape(text)}(?!\d)", said) is not None
    return text in said or text.removesuffix(".service") in said


def _value(name: str, schema: Mapping[str, Any], question: str) -> Any:
    if "enum" in schema:
        return _enum_value(schema["enum"], question)
    reader = _READERS.get(name)
    if reader is not None:
        return reader(question)
    if schema.get("type") == "integer":
        found = _NUMBER.search(question)
        return int(found[0]) if found else None
    quoted = _QUOTED.search(question)
    return quoted[1] if quoted else _thing(question)


def _enum_value(words: list[str], question: str) -> str | None:
    low = question.lower()
    for word in words:
        for form in (word, *_WORD_SYNONYMS.get(word, ())):
            if re.search(rf"\b{re.escape(form)}", low):
                return word
    return None


def _path(question: str) -> str | None:
    found = _PATH.search(question)
    if found is None:
        return "/" if _ROOT.search(question) else None
    return found[0].rstrip(".") if found[0] != "/" else "/"


def _port(question: str) -> int | None:
    found = _PORT.search(question)
    if found is None:
        return None
    number = int(found[1] or found[2])
    return number if 0 < number < 65_536 else None


def _lines(question: str) -> int | None:
    found = _LINES.search(question)
    return int(found[1] or found[2]) if found else None


def _hours(question: str) -> int | None:
    found = _SPAN.search(question)
    if found is not None:
        number, word, unit = found[1], found[2], found[3].lower()
        if number or word or unit.startswith(("week", "month", "woch")):
            amount = int(number) if number else _SPAN_WORDS.get((word or "one").lower(), 1)
            return max(1, amount) * _SPAN_HOURS[unit[0]]
    low = question.lower()
    return next((hours for word, hours in _DAY_WORDS.items() if word in low), None)


def _interface(question: str) -> str | None:
    found = _INTERFACE.search(question)
    return found[0] if found else None


def _process(question: str) -> str | None:
    found = _PID.search(question)
    return found[1] if found else _thing(question)


def _words(question: str) -> str | None:
    """What to search for: the quoted words, else the longest row of words that are not plain."""
    quoted = _QUOTED.search(question)
    if quoted:
        return quoted[1]
    rows: list[list[str]] = [[]]
    for word in question.split():
        bare = bare_word(word)
        if not bare or bare.isdigit() or bare.lower() in SILENT:
            rows.append([])
            continue
        rows[-1].append(bare)
        if not word.endswith(bare):  # a comma ends a row
            rows.append([])
    return " ".join(max(rows, key=len)[:4]) or None


def _thing(question: str) -> str | None:
    """What a question calls a unit or a process: a unit's full name, a quoted word, a word beside
    "service" or "process", else the first word that is no plain word."""
    if found := _SUFFIX.search(question):
        return found[0]
    if found := _QUOTED.search(question):
        return found[1]
    for found in _BESIDE.finditer(question):
        word = found[1] or found[2]
        if word.lower() not in PLAIN:
            return str(word)
    bare = _PATH.sub(" ", question)
    names = (word.split("'")[0].rstrip(".:-") for word in _NAME.findall(bare))
    return next((word for word in names if word.lower() not in PLAIN), None)


_COPIED = frozenset({"unit", "process", "query", "text"})
"""Arguments that are words of the question."""
_SEARCHED = frozenset({"query", "text"})
_PLAINLY = frozenset({"path", "port", "lines", "hours", "interface"})
"""Arguments that a question shows by their form, so that a model may forget them."""

_READERS: Mapping[str, Callable[[str], Any]] = {
    "path": _path,
    "port": _port,
    "lines": _lines,
    "hours": _hours,
    "interface": _interface,
    "unit": _thing,
    "process": _process,
    "query": _words,
    "text": _words,
}

"""Questions for the tools: read from phrasing/*.toml and filled with values.

A file has groups. `nouns` go into the shared frames of frames.txt, `sentences` stand alone.
`slot` names what an argument is copied from; `args` are arguments that the words mean without
naming them; `focus` names the part of the result that is asked for.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from training.data.chat import lexicon, spans, style
from training.data.chat.grammar import Template, parse, parse_lines

_FOLDER = pathlib.Path(__file__).parent / "phrasing"
_FRAMES = parse_lines((_FOLDER / "frames.txt").read_text(encoding="utf-8"))

_PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "mount": (
        ("the root filesystem", "/"),
        ("the root partition", "/"),
        ("root", "/"),
        ("the boot partition", "/boot"),
        ("the home partition", "/home"),
        ("the tmp filesystem", "/tmp"),  # noqa: S108
    ),
    "directory": (
        ("the root", "/"),
        ("the root folder", "/"),
        ("the home directories", "/home"),
        ("the home folders", "/home"),
        ("the log folder", "/var/log"),
        ("the log directory", "/var/log"),
        ("the tmp folder", "/tmp"),  # noqa: S108
    ),
}
_ORDER = (
    "unit", "path", "by", "process", "port", "interface", "query", "text", "metric", "lines",
    "hours",
)  # fmt: skip
"""Arguments in the order of the tools' parameters."""
_QUOTES = (("'", "'"), ('"', '"'), ("`", "`"), ("“", "”"), ("„", "“"), ("«", "»"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, the call that answers it, and the part of the result that is meant
    (empty for all of it)."""

    text: str
    tool: str
    arguments: Mapping[str, Any]
    focus: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    nouns: tuple[Template, ...]
    sentences: tuple[Template, ...]
    suffixes: Template | None
    arguments: Mapping[str, Any]
    words: tuple[str, ...]
    focus: str
    weight: float


class Phrasings:
    """All groups of one tool."""

    def __init__(self, *, tool: str) -> None:
        path = _FOLDER / f"{tool}.toml"
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        shared: Mapping[str, Any] = table.get("shared", {})
        self.tool = tool
        self.groups = tuple(_group(shared, group) for group in table["group"])
        self._weights = [group.weight for group in self.groups]

    def ask(self, rng: random.Random, *, plain: float = 0.35) -> Question:
        """One question. The order of arguments is that of the tool's parameters."""
        group = rng.choices(self.groups, self._weights)[0]
        binding = _Binding(rng=rng, tool=self.tool, words=group.words)
        if group.sentences and rng.random() < _sentence_share(group):
            text = group.sentences[int(rng.random() * len(group.sentences))].expand(
                rng, binding.fill
            )
        else:
            noun = group.nouns[int(rng.random() * len(group.nouns))].expand(rng, binding.fill)
            if group.suffixes is not None and rng.random() < 0.5:
                noun += group.suffixes.expand(rng, binding.fill)
            frame = _FRAMES[int(rng.random() * len(_FRAMES))]
            text = frame.expand(rng, lambda _: noun)
        arguments = {**group.arguments, **binding.arguments}
        if self.tool == "directory_sizes":
            arguments.setdefault("path", "/")
        return Question(
            text=style.write(rng, text, binding.holes, plain=plain),
            tool=self.tool,
            arguments={name: arguments[name] for name in _ORDER if name in arguments},
            focus=group.focus,
        )


def _sentence_share(group: _Group) -> float:
    return 0.55 if group.nouns else 1.0


def _group(shared: Mapping[str, Any], own: Mapping[str, Any]) -> _Group:
    nouns = parse_lines(shared.get("nouns", "")) + parse_lines(own.get("nouns", ""))
    sentences = parse_lines(shared.get("sentences", ""))
    # A group's own sentences are few beside the shared ones and say more about it.
    sentences += parse_lines(own.get("sentences", "")) * (4 if sentences else 1)
    suffixes = own.get("suffixes", shared.get("suffixes", ""))
    return _Group(
        nouns=nouns,
        sentences=sentences,
        suffixes=parse(suffixes) if suffixes else None,
        arguments=own.get("args", {}),
        words=tuple(own.get("words", "").split("|")),
        focus=own.get("focus", ""),
        weight=own.get("weight", 1.0),
    )


class _Binding:
    """Fills the slots of one question and collects the arguments."""

    def __init__(self, *, rng: random.Random, tool: str, words: tuple[str, ...]) -> None:
        self.rng = rng
        self.tool = tool
        self.words = words
        self.holes = style.Holes()
        self.arguments: dict[str, Any] = {}

    def fill(self, slot: str) -> str:
        maker = _MAKERS.get(slot)
        if maker is not None:
            return maker(self)
        return self.rng.choice(self.words) if slot == "metric" else _decoration(self.rng, slot)

    def copied(self, argument: str, value: str, *, quoted: float) -> str:
        """The value, sometimes in quotes, which are no part of the argument."""
        value = self.arguments.setdefault(argument, value)
        if self.rng.random() < quoted:
            opening, closing = _QUOTES[int(self.rng.random() ** 2 * len(_QUOTES))]
            return self.holes.keep(f"{opening}{value}{closing}")
        return self.holes.keep(value)

    def place(self, kind: str, make: Callable[[random.Random], str]) -> str:
        if "path" not in self.arguments and self.rng.random() < 0.07:
            words, value = self.rng.choice(_PLACES[kind])
            self.arguments["path"] = value
            return words
        return self.copied("path", make(self.rng), quoted=0.06)

    def path(self) -> str:
        if self.tool == "directory_sizes":
            return self.place("directory", lexicon.directory)
        return self.place("mount", lexicon.mount)

    def number(self, argument: str, make: Callable[[random.Random], tuple[str, int]]) -> str:
        words, value = make(self.rng)
        self.arguments[argument] = value
        return words

    def process(self) -> str:
        make = lexicon.pid if self.rng.random() < 0.4 else lexicon.process
        return self.copied("process", make(self.rng), quoted=0.05)

    def port(self) -> str:
        value = self.arguments.setdefault("port", lexicon.port(self.rng))
        return self.holes.keep(str(value))


_MAKERS: dict[str, Callable[[_Binding], str]] = {
    "path": _Binding.path,
    "unit": lambda bound: bound.copied("unit", lexicon.unit(bound.rng), quoted=0.07),
    "file": lambda bound: bound.copied("path", lexicon.file(bound.rng), quoted=0.07),
    "interface": lambda bound: bound.copied("interface", lexicon.interface(bound.rng), quoted=0.05),
    "query": lambda bound: bound.copied("query", lexicon.topic(bound.rng), quoted=0.2),
    "text": lambda bound: bound.copied("text", lexicon.topic(bound.rng), quoted=0.4),
    "hours": lambda bound: bound.number("hours", spans.hours),
    "lines": lambda bound: bound.number("lines", spans.lines),
    "process": _Binding.process,
    "port": _Binding.port,
}


def _decoration(rng: random.Random, slot: str) -> str:
    if slot == "timer":
        return lexicon.pick(rng, lexicon.TIMERS) if rng.random() < 0.8 else lexicon.name(rng)
    if slot == "user":
        return lexicon.user(rng)
    if slot == "ip":
        return lexicon.address(rng)
    if slot == "size":
        return lexicon.pick(rng, lexicon.SIZES)
    if slot == "percent":
        return str(rng.choice((50, 70, 75, 80, 85, 90, 95)))
    raise ValueError(f"no template may use the slot {slot!r}; the known ones are in phrasings.py")


TOOLS = (
    "system_overview", "unit_status", "unit_log", "failed_units", "disk_usage", "inode_usage",
    "directory_sizes", "top_processes", "process_detail", "memory_usage", "cpu_load",
    "listening_sockets", "network_interfaces", "recent_changes", "login_sessions", "file_excerpt",
    "incident_search", "event_query", "metric_history", "timers",
)  # fmt: skip
"""The names in daemon/tools/catalogue.toml; a test holds the two against each other."""

ALL: Mapping[str, Phrasings] = {tool: Phrasings(tool=tool) for tool in TOOLS}

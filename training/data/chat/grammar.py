"""Templates with alternatives: `how (full|big) is {path}`.

`(a|b|)` chooses one of its parts, which may nest and may be empty; `{name}` is a slot that the
caller fills. A backslash takes the next character as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Fill = Callable[[str], str]
"""From a slot's name to the text that stands there."""

Part = str | tuple[str, str] | list["Template"]
"""A literal, ("slot", name), or alternatives."""


class TemplateError(ValueError):
    """A template that cannot be read. The message shows it and says what is wrong."""


class Template:
    """A parsed template; `expand` writes one of the texts that it stands for."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts

    def expand(self, rng: random.Random, fill: Fill) -> str:
        out: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, tuple):
                out.append(fill(part[1]))
            else:
                out.append(part[int(rng.random() * len(part))].expand(rng, fill))
        return "".join(out)

    def slots(self) -> Iterator[str]:
        """The names of all slots, alternatives included."""
        for part in self.parts:
            if isinstance(part, tuple):
                yield part[1]
            elif isinstance(part, list):
                for choice in part:
                    yield from choice.slots()

    def count(self) -> int:
        """How many texts it stands for, before slots are filled."""
        total = 1
        for part in self.parts:
            if isinstance(part, list):
                total *= sum(choice.count() for choice in part)
        return total


def parse(text: str) -> Template:
    """Raises TemplateError when a bracket or a brace does not match."""
    choices, position = _alternatives(text, 0)
    if position != len(text):
        raise TemplateError(f"{text!r} has a ')' at {position} that nothing opened; remove it")
    return choices[0] if len(choices) == 1 else Template((choices,))


def _alternatives(text: str, position: int) -> tuple[list[Template], int]:
    choices: list[Template] = []
    parts: list[Part] = []
    literal: list[str] = []

    def flush() -> None:
        if literal:
            parts.append("".join(literal))
            literal.clear()

    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            literal.append(text[position + 1])
            position += 2
        elif char == "(":
            flush()
            inner, position = _alternatives(text, position + 1)
            if position >= len(text):
                raise TemplateError(f"{text!r} has a '(' that nothing closes; close it")
            parts.append(inner)
            position += 1
        elif char == ")":
            break
        elif char == "|":
            flush()
            choices.append(Template(tuple(parts)))
            parts = []
            position += 1
        elif char == "{":
            end = text.find("}", position)
            if end < 0:
                raise TemplateError(f"{text!r} has a '{{' that nothing closes; close it")
            flush()
            parts.append(("slot", text[position + 1 : end]))
            position = end + 1
        else:
            literal.append(char)
            position += 1
    flush()
    choices.append(Template(tuple(parts)))
    return choices, position


def parse_lines(block: str) -> tuple[Template, ...]:
    """One template per line that is not blank."""
    return tuple(parse(line.strip()) for line in block.splitlines() if line.strip())

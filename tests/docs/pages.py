"""The documents as tests read them: blocks of code, words in code, links."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")])
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<goal>[^)\s]+)\)")
_BEFORE = re.compile(r"^(?:\w+=\S*|sudo|exec|env|then|do|if|nohup|time)$")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `line` is that of its first line in the page."""

    page: Path
    line: int
    language: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in one of the languages; "" is a block that names none."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for fence in _FENCE.finditer(text):
            if fence["language"] in languages:
                line = text.count("\n", 0, fence.start()) + 2
                body = re.sub(rf"(?m)^{fence['indent']}", "", fence["body"])
                found.append(Block(page=page, line=line, language=fence["language"], body=body))
    return found


def words_in_code(page: Path) -> list[str]:
    """What stands between single backticks, blocks apart. In a table a bar is written `\\|`."""
    text = _FENCE.sub("", page.read_text())
    return [found["code"].replace("\\|", "|") for found in _CODE.finditer(text)]


def links(page: Path) -> list[str]:
    return [found["goal"] for found in _LINK.finditer(_FENCE.sub("", page.read_text()))]


def anchors(page: Path) -> set[str]:
    """Of headings, as forges make them."""
    heads = re.findall(r"(?m)^#+ (.*)$", _FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of lines of shell, each as its words: pipes, lists and substitutions are
    taken apart, redirections and comments left out. Lines that are no shell are passed over."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        # What stands in a column of its own beside a command explains it.
        line = re.split(r"\s{2,}", re.sub(r"^\s*(\$ )?", "", line), maxsplit=1)[0]
        for inner in re.findall(r"\$\(([^()]*)\)", line):
            yield from commands(inner)
        line = re.sub(r"\$\([^()]*\)", "SUBSTITUTED", line)
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:
            continue
        yield from _simple(words)


def _simple(words: list[str]) -> Iterator[list[str]]:
    current: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in (">", ">>", "<", "<<<"):
            skip = True
        elif set(word) <= set("|&;()<>"):
            yield from _one(current)
            current = []
        else:
            current.append(word)
    yield from _one(current)


def _one(words: list[str]) -> Iterator[list[str]]:
    while words and _BEFORE.match(words[0]):
        user = words[0] == "sudo" and len(words) > 2 and words[1] in ("-u", "-g")
        words = words[3 if user else 1 :]
    if words:
        yield words


def arguments_of(words: list[str], program: str) -> list[str] | None:
    """What a command gives to `program`, also through docker, ssh or a path; None for others."""
    wrappers = ("docker", "ssh", "runuser", "systemd-run", "nix")
    for at, word in enumerate(words):
        if word.rsplit("/", 1)[-1] != program:
            continue
        if at == 0:
            return words[1:]
        if words[0] in wrappers and "build" not in words[1:2]:
            # `docker run IMAGE`, where the image's name is the program's: the last one counts.
            last = len(words) - 1 - [w.rsplit("/", 1)[-1] for w in words][::-1].index(program)
            return words[last + 1 :]
        return None
    return None

"""Grouping, by example: each file of `groups/` holds groups of lines with "--" between them.

Lines of one group are one pattern, lines of two groups are two. The lines are made up; their forms
are those of real programs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.events import Event
from daemon.intake.patterns import PatternTable
from tiers.vocabulary import Provenance, SourceKind

FILES = sorted((Path(__file__).parent / "groups").glob("*.txt"))


def _groups(path: Path) -> list[list[str]]:
    return [
        [line for line in block.split("\n") if line]
        for block in path.read_text(encoding="utf-8").split("\n--\n")
    ]


def test_there_are_examples_of_many_programs() -> None:
    assert len(FILES) >= 13


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("whole", [True, False], ids=["batch", "single"])
def test_lines_group_as_a_reader_would(path: Path, whole: bool) -> None:
    groups = _groups(path)
    table = PatternTable()
    events = [
        Event(line, "", SourceKind.FILE, "f", Provenance.TEXT, 0.0)
        for group in groups
        for line in group
    ]
    if whole:
        patterns = table.reduce_batch(events)
    else:
        patterns = [table.reduce(event.kind, event.unit, event.text) for event in events]
    found = iter(patterns)
    owners: dict[str, int] = {}
    for number, group in enumerate(groups):
        mine = [next(found) for _ in group]
        assert len({pattern.fingerprint for pattern in mine}) == 1, (group, mine)
        owner = owners.setdefault(mine[0].fingerprint, number)
        assert owner == number, (groups[owner], group, mine[0].text)

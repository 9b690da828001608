"""Patterns: stable fingerprints, words that turn out to be variable, bounds."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.events import Event
from daemon.intake import patterns as module
from daemon.intake.patterns import OVERFLOW, Alias, Pattern, PatternTable, fingerprint_of
from daemon.intake.units import steady_unit
from tiers.vocabulary import Provenance, SourceKind

FILE = SourceKind.FILE


def _events(lines: list[str], unit: str = "app") -> list[Event]:
    return [Event(line, unit, FILE, "f", Provenance.TEXT, 0.0) for line in lines]


def _rows(aliases: list[Alias]) -> list[tuple[str, str, str, str]]:
    return [(alias.kind.value, alias.unit, alias.masked, alias.fingerprint) for alias in aliases]


def _removed(names: str) -> list[str]:
    return [f"removing the service {name} now" for name in names.split()]


def test_the_same_text_has_the_same_fingerprint_everywhere() -> None:
    one, other = PatternTable(), PatternTable()
    other.reduce(FILE, "sshd", "something else 5")
    first = one.reduce(FILE, "sshd", "Connection closed by 192.0.2.1 [preauth]")
    second = other.reduce(FILE, "sshd", "Connection closed by 198.51.100.22 [preauth]")
    assert first == second
    assert first.text == "Connection closed by <ip> [preauth]"
    assert first.fingerprint == fingerprint_of(FILE, "sshd", "Connection closed by <*> [preauth]")
    assert len(first.fingerprint) == 16


def test_fingerprints_never_change_between_versions() -> None:
    """Written down: a change here orphans everything that operators have stored."""
    table = PatternTable()
    assert [
        table.reduce(SourceKind.JOURNALD, "sshd", "Invalid user bob from 192.0.2.1").fingerprint,
        table.reduce(SourceKind.FILE, "", "disk /dev/sda1 is 95% full").fingerprint,
    ] == [
        fingerprint_of(SourceKind.JOURNALD, "sshd", "Invalid user <*> from <*>"),
        fingerprint_of(SourceKind.FILE, "", "disk <*> is <*> full"),
    ]
    assert fingerprint_of(SourceKind.JOURNALD, "sshd", "x") == "41ee5e945cab2bc1"


def test_source_and_unit_are_part_of_the_identity() -> None:
    table = PatternTable()
    found = {
        table.reduce(kind, unit, "started").fingerprint
        for kind in (SourceKind.FILE, SourceKind.JOURNALD)
        for unit in ("a", "b")
    }
    assert len(found) == 4


@pytest.mark.parametrize(
    ("unit", "steady"),
    [
        ("sshd", "sshd"),
        ("session-217.scope", "session-<*>.scope"),
        ("user@1000", "user@<*>"),
        ("getty@tty1", "getty@tty1"),
        ("postgresql@14-main", "postgresql@14-main"),
        ("docker-0123456789abcdef0123456789abcdef.scope", "docker-<*>.scope"),
        ("run-u42.service", "run-<*>.service"),
        ("kworker/u8:2", "kworker/<*>"),
    ],
)
def test_units_lose_what_counts_their_starts(unit: str, steady: str) -> None:
    assert steady_unit(unit) == steady
    assert PatternTable().reduce(FILE, unit, "x").unit == steady


def test_a_word_that_varies_within_a_batch_is_a_variable_from_the_first_line_on() -> None:
    found = PatternTable().reduce_batch(_events(_removed("echo daytime time chargen discard ntp")))
    assert len({pattern.fingerprint for pattern in found}) == 1
    assert found[0].text == "removing the service <name> now"


def test_a_word_that_varies_later_keeps_the_fingerprints_that_were_given() -> None:
    table = PatternTable()
    lines = _removed("echo daytime time chargen discard ntp ftp")
    first = [table.reduce(FILE, "app", line) for line in lines]
    assert len({pattern.fingerprint for pattern in first[:4]}) == 4
    assert len({pattern.fingerprint for pattern in first[4:]}) == 1
    assert [table.reduce(FILE, "app", line) for line in lines] == first


def test_outcomes_are_never_variable() -> None:
    words = "succeeded failed denied up down started stopped timeout refused lost"
    lines = [f"copy of the database to backup {word} today" for word in words.split()]
    assert len({p.fingerprint for p in PatternTable().reduce_batch(_events(lines))}) == 10


def test_units_are_never_variable() -> None:
    lines = [f"Unit {name}.service entered some odd state" for name in "abcdefghij"]
    assert len({p.fingerprint for p in PatternTable().reduce_batch(_events(lines))}) == 10


def test_zero_is_not_a_variable_where_it_decides() -> None:
    lines = [f"check of the array md finished with {n} errors" for n in (0, 3, 17, 250, 0, 1)]
    found = [p.text for p in PatternTable().reduce_batch(_events(lines))]
    assert found[0] == found[4] == "check of the array md finished with 0 errors"
    assert len(set(found[1:4] + found[5:])) == 1


@pytest.mark.parametrize("first", [0, 5])
def test_zero_and_more_differ_whichever_came_first(first: int) -> None:
    table = PatternTable()
    lines = [f"job done with {number} errors" for number in (first, 5 - first, first, 5 - first)]
    found = [table.reduce(FILE, "app", line).text for line in lines]
    found += [pattern.text for pattern in table.reduce_batch(_events(lines))]
    expected = {0: "job done with 0 errors", 5: "job done with <num> errors"}
    assert found == [expected[first], expected[5 - first]] * 4


def test_a_restart_changes_no_fingerprint() -> None:
    table = PatternTable()
    lines = [
        *_removed("echo daytime time chargen discard"),
        "took 5 ms",
        "user 7 of host web1.example.com is here",
        "done with 0 errors",
        *_removed("ntp ftp"),
        "",
    ]
    early = [table.reduce(FILE, "app", line).fingerprint for line in lines[:5]]
    rest = [pattern.fingerprint for pattern in table.reduce_batch(_events(lines[5:]))]
    patterns, aliases = table.drain_new()
    assert table.drain_new() == ([], [])
    again = PatternTable()
    again.load(patterns, _rows(aliases))
    assert [p.fingerprint for p in again.reduce_batch(_events(lines))] == early + rest
    assert again.drain_new() == ([], [])
    # A new value of a known variable joins after a restart as it did before.
    joined = again.reduce(FILE, "app", "removing the service imap now")
    assert joined.fingerprint == rest[-2]


def test_a_restart_without_aliases_keeps_what_masking_decides() -> None:
    table = PatternTable()
    before = table.reduce(FILE, "app", "took 5 ms to reach 192.0.2.1")
    again = PatternTable()
    again.load(table.drain_new()[0], [])
    assert again.reduce(FILE, "app", "took 9 ms to reach 192.0.2.7") == before
    assert again.drain_new()[0] == []


def test_aliases_of_patterns_that_are_gone_are_ignored() -> None:
    table = PatternTable()
    table.load([], [("file", "app", "x <*>", "0" * 16)])
    assert len(table) == 0
    assert table.reduce(FILE, "app", "x 5").fingerprint != "0" * 16


def test_new_patterns_come_with_their_aliases_once() -> None:
    table = PatternTable()
    table.reduce(FILE, "app", "a 1")
    table.reduce(FILE, "app", "a 2")
    patterns, aliases = table.drain_new()
    assert [pattern.text for pattern in patterns] == ["a <num>"]
    assert [(alias.masked, alias.fingerprint) for alias in aliases] == [
        ("a <*>", patterns[0].fingerprint)
    ]


def test_too_many_patterns_share_one() -> None:
    table = PatternTable(max_patterns=40)
    lines = [f"{_letters(number)} said {_letters(number * 7 + 1)}" for number in range(500)]
    found = table.reduce_batch(_events(lines))
    assert len(table) <= 41
    assert found[-1].text == OVERFLOW
    assert table.overflowed > 0
    # Another unit still has room: one noisy program does not use up everybody's.
    assert table.reduce(FILE, "other", "all is well").text == "all is well"


def test_lines_that_begin_alike_share_one_when_there_are_very_many() -> None:
    table = PatternTable()
    lines = [f"LOG: statement: SELECT {' '.join([_letters(n)] * (n % 40))}" for n in range(2_000)]
    table.reduce_batch(_events(lines))
    assert len(table) <= module.CROWDED_PREFIX + 10


def test_very_many_units_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNITS", 10)
    table = PatternTable()
    found = {table.reduce(FILE, f"unit{_letters(n)}", "hello").fingerprint for n in range(100)}
    assert len(found) <= 11
    # Sessions of one unit use up no room.
    table = PatternTable()
    found = {table.reduce(FILE, f"session-{n}.scope", "hello").fingerprint for n in range(100)}
    assert len(found) == 1
    assert table.reduce(FILE, "sshd", "hello").unit == "sshd"


def test_a_million_characters_of_garbage_stay_bounded() -> None:
    table = PatternTable(max_patterns=200, max_aliases=500)
    start = time.process_time()
    for number in range(3_000):
        table.reduce(FILE, "x", " ".join(_letters(number * 31 + at) for at in range(20)))
    table.reduce(FILE, "x", "x" * 100_000_000)
    table.reduce(FILE, "x", "x\n" * 10_000_000)
    assert time.process_time() - start < 10.0
    assert len(table) <= 201
    patterns, aliases = table.drain_new()
    assert len(patterns) <= 201
    assert len(aliases) <= 500


def test_the_cache_forgets_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED_LINES", 8)
    table = PatternTable(max_aliases=8)
    lines = [f"{_letters(number)} happened to host number {number}" for number in range(60)]
    first = [table.reduce(FILE, "app", line).fingerprint for line in lines]
    # What masking decides alone is the same after everything was forgotten.
    assert [table.reduce(FILE, "app", line).fingerprint for line in lines[:4]] == first[:4]


def test_a_trace_is_known_by_its_beginning_and_its_end() -> None:
    head = "Traceback (most recent call last):\n"
    one = head + '  File "/a.py", line 1, in f\n    f()\n' * 3 + "ValueError: bad"
    two = head + '  File "/a.py", line 1, in f\n    f()\n' * 9 + "ValueError: bad"
    other = head + '  File "/a.py", line 1, in f\n    f()\n' * 3 + "KeyError: bad"
    table = PatternTable()
    assert table.reduce(FILE, "app", one) == table.reduce(FILE, "app", two)
    assert table.reduce(FILE, "app", one) != table.reduce(FILE, "app", other)


_WORDS = st.sampled_from(
    [
        "took", "5", "ms", "from", "192.0.2.1", "to", "web1", "(root)", "user=bob", "name=x",
        "/var/a", "a.b.c.com", "error", "0", "errors", "fail", "[x]", "{y}", "\x00", "\ud800", "\n",
        "HTTP/1.1", "200", "500", "removing", "service", "é", "key:", "'q'", '"two', 'words"',
    ]
)  # fmt: skip
_TEXTS = st.lists(st.lists(_WORDS, max_size=9).map(" ".join), max_size=25)


@settings(max_examples=150, deadline=None)
@given(_TEXTS, _TEXTS)
def test_what_was_given_once_is_given_again(first: list[str], second: list[str]) -> None:
    table = PatternTable()
    given_first = [p.fingerprint for p in table.reduce_batch(_events(first))]
    for text in second:
        table.reduce(FILE, "app", text)
    assert [table.reduce(FILE, "app", text).fingerprint for text in first] == given_first
    patterns, aliases = table.drain_new()
    again = PatternTable()
    again.load(patterns, _rows(aliases))
    assert [p.fingerprint for p in again.reduce_batch(_events(first))] == given_first
    for pattern in patterns:
        pattern.text.encode()
        assert isinstance(pattern, Pattern)


def _letters(number: int) -> str:
    """A word without digits for a number; words of other numbers differ."""
    return "".join(chr(ord("g") + int(digit)) for digit in str(number))

"""An exported ledger is checked without a database, and nothing done to it stays hidden."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.audit import check_lines
from daemon.ledger import GENESIS, Entry, Head, NewEntry, link
from daemon.ledger_lines import LineError, from_line, to_line

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def chain(length: int = 6) -> list[Entry]:
    entries, head = [], Head()
    for number in range(length):
        body = {"n": number, "text": 'é "quoted" \\ \u2028 ,"prev_hash":"x"', "float": 1e22}
        new = NewEntry(kind="plan", actor="tier/meta", incident_id=number or None, body=body)
        entries.append(link(new, after=head, now=AT + dt.timedelta(seconds=number)))
        head = Head(seq=entries[-1].seq, hash=entries[-1].hash)
    return entries


def lines(length: int = 6) -> list[bytes]:
    return [to_line(entry) + b"\n" for entry in chain(length)]


@given(
    kind=st.text(), actor=st.text(), incident=st.none() | st.integers(1, 2**63 - 1),
    body=st.dictionaries(st.text(), json_values),
)  # fmt: skip
def test_what_is_written_is_read_and_holds(kind: str, actor: str, incident, body: dict) -> None:
    new = NewEntry(kind=kind, actor=actor, incident_id=incident, body=body)
    entry = link(new, after=Head(), now=AT)
    written = to_line(entry)
    assert b"\n" not in written
    assert from_line(written + b"\n") == entry
    assert check_lines([written], expected=None).holds


def test_anybody_can_check_a_line_with_a_hash_and_a_knife() -> None:
    previous = GENESIS
    for line in lines():
        entry = json.loads(line)
        assert entry["body"]["float"] == 1e22
        content = line[: line.rindex(b',"prev_hash":')] + b"}"
        assert bytes.fromhex(entry["prev_hash"]) == previous
        previous = hashlib.sha256(previous + content).digest()
        assert previous.hex() == entry["hash"]


def test_an_untouched_file_holds_and_gives_its_head() -> None:
    whole = chain()
    kept = Head(seq=4, hash=whole[3].hash)
    found = check_lines(lines(), expected=kept)
    assert (found.holds, found.entries, found.head) == (True, 6, Head(seq=6, hash=whole[5].hash))
    assert check_lines([], expected=None).head == Head()


def tampered() -> dict[str, list[bytes]]:
    whole = lines()
    forged = link(
        NewEntry(kind="plan", actor="tier/meta", body={"n": 2}),
        after=Head(seq=2, hash=chain()[1].hash),
        now=AT,
    )
    return {
        "changed": [*whole[:2], whole[2].replace(b'"n":2', b'"n":7'), *whole[3:]],
        "rewritten with a hash that fits": [*whole[:2], to_line(forged) + b"\n", *whole[3:]],
        "removed": [*whole[:2], *whole[3:]],
        "first removed": whole[1:],
        "swapped": [*whole[:2], whole[3], whole[2], *whole[4:]],
        "twice": [*whole[:3], *whole[2:]],
        "cut": whole[:4],
        "cut in a line": [*whole[:4], whole[4][:50]],
        "blank line": [*whole[:3], b"\n", *whole[3:]],
        "spaces": [*whole[:2], whole[2].replace(b'"kind":', b'"kind": '), *whole[3:]],
        "another key order": [*whole[:2], *_reordered(whole[2]), *whole[3:]],
        "emptied": [],
    }


def _reordered(line: bytes) -> list[bytes]:
    return [json.dumps(dict(sorted(json.loads(line).items()))).encode() + b"\n"]


@pytest.mark.parametrize("how", tampered())
def test_tampering_is_found_with_a_kept_head(how: str) -> None:
    kept = Head(seq=6, hash=chain()[5].hash)
    assert not check_lines(tampered()[how], expected=kept).holds


@pytest.mark.parametrize("how", set(tampered()) - {"cut", "emptied"})
def test_all_but_a_cut_end_is_found_without_one(how: str) -> None:
    found = check_lines(tampered()[how], expected=None)
    assert not found.holds
    assert all(each.why for each in found.breaks)


def test_any_byte_that_is_changed_is_found() -> None:
    whole = b"".join(lines(3))
    kept = Head(seq=3, hash=chain(3)[2].hash)
    source = random.Random(7)
    for _ in range(500):
        place = source.randrange(len(whole) - 1)  # the last line's end does not matter
        changed = bytearray(whole)
        changed[place] ^= source.randrange(1, 256)
        found = check_lines(bytes(changed).splitlines(keepends=True), expected=kept)
        assert not found.holds or bytes(changed).split() == whole.split(), place


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{}", b"null", b"\xff\xfe", b"[" * 10_000, b"x" * 1_000_000]
)
def test_rubbish_is_no_entry(line: bytes) -> None:
    with pytest.raises(LineError):
        from_line(line)


@given(st.binary(max_size=300))
def test_bytes_never_break_the_reader(content: bytes) -> None:
    check_lines(content.splitlines(keepends=True), expected=None)


def test_fields_of_other_types_are_no_entry() -> None:
    (line,) = lines(1)
    for old, new in (
        (b'"seq":1', b'"seq":true'),
        (b'"seq":1', b'"seq":1.0'),
        (b'"seq":1', b'"seq":"1"'),
        (b'"kind":"plan"', b'"kind":null'),
        (b'"kind":"plan"', b'"kind":"pl\\u0061n"'),
        (b'"incident":null', b'"incident":false'),
        (b'"at":"2026', b'"at":"0026'),
        (b'"at":"2026', b'"at":"9'),
        (b"05.000006Z", b"05.000006+00:00"),
    ):
        with pytest.raises(LineError):
            from_line(line.replace(old, new))


NO_HASH = "0" * 63


@pytest.mark.parametrize(
    "said", ["", ":", "1", "1:", f"x:0{NO_HASH}", f"1:{NO_HASH}", f"-1:0{NO_HASH}"]
)
def test_what_is_no_head_says_how_one_looks(said: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        Head.parse(said)


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(seq=42, hash=hashlib.sha256(b"x").digest())
    assert Head.parse(f" {head}\n") == head

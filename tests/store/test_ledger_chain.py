"""The ledger's chain, pure: what is hashed, and that every kind of tampering shows."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from daemon.ledger import GENESIS, Entry, Head, NewEntry, Verifier, canonical_body, link

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def chain(length: int = 6) -> list[Entry]:
    entries, head = [], Head()
    for number in range(length):
        new = NewEntry(kind="transition", actor="daemon", incident_id=number, body={"n": number})
        entries.append(link(new, after=head, now=AT))
        head = Head(seq=entries[-1].seq, hash=entries[-1].hash)
    return entries


def breaks(entries: list[Entry], expected: Head | None = None) -> list[int]:
    verifier = Verifier(expected=expected)
    for entry in entries:
        verifier.walk(entry)
    return [found.seq for found in verifier.finish()]


def test_the_canonical_form_is_what_is_written_down() -> None:
    entry = link(
        NewEntry(kind="mute", actor="operator:ada", body={"b": 1, "a": "é"}), after=Head(), now=AT
    )
    line = (
        '{"seq":1,"at":"2026-01-02T03:04:05.000006Z","kind":"mute","actor":"operator:ada",'
        '"incident":null,"body":{"a":"é","b":1}}'
    )
    assert entry.hash == hashlib.sha256(GENESIS + line.encode()).digest()


def test_an_untouched_chain_holds() -> None:
    entries = chain()
    assert breaks(entries) == []
    assert breaks(entries, Head(seq=3, hash=entries[2].hash)) == []


def test_every_field_is_covered() -> None:
    for change in (
        {"body": '{"n":9}'},
        {"body": '{"n": 2}'},
        {"actor": "operator:eve"},
        {"kind": "verdict"},
        {"incident_id": 7},
        {"incident_id": None},
        {"at": AT + dt.timedelta(microseconds=1)},
        {"hash": bytes(32)},
        {"prev_hash": bytes(32)},
        {"seq": 9},
    ):
        entries = chain()
        entries[2] = dataclasses.replace(entries[2], **change)
        assert breaks(entries), change


def test_removing_inserting_and_swapping_show() -> None:
    entries = chain()
    assert breaks(entries[:2] + entries[3:])
    assert breaks([*entries[:3], entries[2], *entries[3:]])
    assert breaks([*entries[:2], entries[3], entries[2], *entries[4:]])
    assert breaks(entries[1:])


def test_a_rewritten_end_and_a_cut_end_show_against_a_kept_head() -> None:
    entries = chain()
    head = Head(seq=entries[-1].seq, hash=entries[-1].hash)
    assert breaks(entries[:-2], head) == [5]
    forged = [*entries[:4]]
    last = Head(seq=4, hash=entries[3].hash)
    for number in range(2):
        new = NewEntry(kind="transition", actor="daemon", incident_id=1, body={"f": number})
        forged.append(link(new, after=last, now=AT))
        last = Head(seq=forged[-1].seq, hash=forged[-1].hash)
    assert breaks(forged) == []  # the chain alone cannot know
    assert breaks(forged, head) == [6]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), anything, max_size=4), st.text(), st.text())
def test_whatever_is_recorded_can_be_stored_and_verified(body, kind, actor) -> None:
    text = canonical_body(body)
    assert "\x00" not in text
    assert "\\u0000" not in text
    entry = link(NewEntry(kind=kind, actor=actor, body=body), after=Head(), now=AT)
    entry.kind.encode()
    entry.actor.encode()
    assert breaks([entry]) == []

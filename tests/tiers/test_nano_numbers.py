"""Numbers as the trigger's model reads them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers.nano.decisions import MAX_TEXT, state
from tiers.nano.numbers import short_numbers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from 192.0.2.7 port 40522 ssh2", "from # port # ssh2"),
        ("10.0.0.0/8 and 192.0.2.7:443", "# and #"),
        ("2026-02-03T08:11:12.231Z start", "# start"),
        ("2026/02/03 08:11 start at 10:11:12,5", "# start at #"),
        ("fe80::1:2:3 on eth0", "# on eth0"),
        ("sector 1953519 flags 0x80700", "sector # flags #"),
        ("pod 3f2a9c81d0e4 and 0b77d43a-5d02-db43-0267-ce8c92b607d5", "pod # and #"),
        ("nginx 1.24.0 took 1.75 s", "nginx # took 1 s"),
        ("disk 97.5% full, 0 errors, status=203/EXEC", "disk 97% full, 0 errors, status=203/EXEC"),
        ("HTTP 503 after 3 of 12 tries", "HTTP 503 after 3 of 12 tries"),
        ("deadbeef cafe facade", "deadbeef cafe facade"),
        ("[2/1] [U_]", "[2/1] [U_]"),
    ],
)
def test_long_numbers_become_one_sign_and_short_ones_stay(text: str, shown: str) -> None:
    assert short_numbers(text) == shown


@given(st.text(max_size=300))
def test_no_text_grows(text: str) -> None:
    assert len(short_numbers(text)) <= len(text)


def test_what_follows_a_long_number_still_fits() -> None:
    shown = state(unit="x", text="7" * 4_000 + " disk failed", count=1, span_seconds=0)
    assert shown.endswith("# disk failed")
    assert len(shown) < MAX_TEXT


@pytest.mark.parametrize("piece", ["1:", "1.", "0x", "f", "12:34:", "-", "2026-01-"])
def test_hostile_rows_of_digits_take_no_long_time(piece: str) -> None:
    began = time.perf_counter()
    short_numbers(piece * 20_000)
    assert time.perf_counter() - began < 1

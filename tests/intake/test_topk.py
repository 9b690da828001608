"""Top-k: exact while there is room, never missing what is frequent, mergeable, restorable."""

from __future__ import annotations

import collections
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.intake.topk import LONGEST_VALUE, TopK


def test_counts_are_exact_while_there_is_room() -> None:
    top = TopK()
    for value in "aababc":
        top.add("user", value)
    assert top.top(2) == [("user", "a", 3), ("user", "b", 2)]
    assert top.total == 6


def test_the_same_value_of_two_kinds_is_two() -> None:
    top = TopK()
    top.add("ip", "x")
    top.add("host", "x")
    assert len(top) == 2


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(1, 12))
def test_frequent_values_are_never_missed_and_counts_are_bounds(
    values: list[int], capacity: int
) -> None:
    top = TopK(capacity)
    for value in values:
        top.add("n", str(value))
    true = collections.Counter(map(str, values))
    rows = {str(row[1]): (row[2], row[3]) for row in top.export()}
    assert len(top) <= capacity
    for value, count in true.items():
        if count > len(values) / capacity:
            assert value in rows
    for value, (count, error) in rows.items():
        assert isinstance(count, int)
        assert isinstance(error, int)
        assert count - error <= true[value] <= count


@given(
    st.lists(st.integers(0, 15), max_size=200),
    st.lists(st.integers(0, 15), max_size=200),
    st.integers(1, 8),
)
def test_merging_keeps_the_bounds(left: list[int], right: list[int], capacity: int) -> None:
    one, two = TopK(capacity), TopK(capacity)
    for value in left:
        one.add("n", str(value))
    for value in right:
        two.add("n", str(value))
    one.merge(two)
    true = collections.Counter(map(str, left + right))
    assert one.total == len(left) + len(right)
    assert len(one) <= capacity
    for _, value, count, error in one.export():
        assert isinstance(count, int)
        assert isinstance(error, int)
        assert isinstance(value, str)
        assert count - error <= true[value] <= count


def test_what_is_exported_is_json_and_comes_back() -> None:
    top = TopK(3)
    for value in "abcdabcaab":
        top.add("user", value)
    rows = json.loads(json.dumps(top.export()))
    again = TopK.restore(rows, capacity=3, total=top.total)
    assert again.export() == top.export()
    assert again.total == top.total
    assert TopK.restore([("ip", "x", 4)]).top(9) == [("ip", "x", 4)]


def test_rows_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="row of top values"):
        TopK.restore([["user", 5]])
    with pytest.raises(ValueError, match="at least one counter"):
        TopK(0)


def test_hostile_values_are_cut_and_bounded() -> None:
    top = TopK(16)
    for number in range(5_000):
        top.add("user", f"{number}" * 1_000)
    top.add("user", "x", 0)
    assert len(top) == 16
    assert all(len(value) <= LONGEST_VALUE for _, value, _ in top.top(16))

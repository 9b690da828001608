"""Only what was found is shown."""

from __future__ import annotations

import pytest

from tiers.verbatim import verbatim

FOUND = "/ is 47 % full, 12.1 GiB of 25.7 GiB.\n/var is 91.5 % full; /boot is read-only."


@pytest.mark.parametrize(
    "answer",
    [
        FOUND,
        "/var is 91.5 % full.",
        "/VAR is 91.5 %   full",
        "/ is 47 % full, 12.1 GiB of 25.7 GiB. /boot is read-only.",
    ],
)
def test_what_was_found_may_be_said(answer: str) -> None:
    assert verbatim(answer, [FOUND])


@pytest.mark.parametrize(
    "answer",
    ["", " .", "/var is 47 % full.", "/ is 47 % full (dev (dev (dev", "All is well."],
)
def test_what_was_put_together_may_not(answer: str) -> None:
    assert not verbatim(answer, [FOUND])


def test_a_sentence_stands_in_one_source_not_across_two() -> None:
    assert not verbatim("a b c d", ["a b", "c d"])
    assert verbatim("a b. c d.", ["a b", "c d"])

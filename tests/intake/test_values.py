"""The reader of values says what masking says, whatever it remembers."""

from __future__ import annotations

import string

from hypothesis import example, given
from hypothesis import strategies as st

from daemon.intake.mask import mask_values
from daemon.intake.rules import built_in_rules
from daemon.intake.values import ValueReader

LINES = (
    "Failed password for invalid user admin1 from 203.0.113.7 port 52122 ssh2",
    "Failed password for root from 198.51.100.23 port 4 ssh2",
    "rhost=203.0.113.7  user=root uid=0 euid=0 tty=NODEVssh",
    "Accepted publickey for deploy from 2001:db8::17 port 2 ssh2: ED25519 SHA256:abc123",
    "blk_-1608999687919862906 of size 91178 from /10.250.10.6",
    "took 13ms (5.5 %) at 0xdeadbeef, 12 of 13 in /var/lib/x1/y2.log; a@b.example http://x.org/1?a=2",
    "device eth0: link down, 00:16:3e:11:22:33 gone 7f3c9e2a-1b4d-4c6e-9f00-aabbccddeeff",
    "\x1b[31mred\x1b[0m 15 times\tover 3 lines\nand 4",
    "x" * 200 + "1 " + "5 " * 100,
)


def test_lines_read_again_and_again_give_what_masking_gives() -> None:
    reader = ValueReader()
    samples = [sample for rule in built_in_rules()._rules for sample in rule.samples]
    for _ in range(2):
        for line in (*LINES, *samples):
            assert reader.read(line) == mask_values(line), line


def test_other_digits_in_the_same_shape_are_read_as_their_own() -> None:
    reader = ValueReader()
    reader.read("from 203.0.113.7 port 52122 took=15ms")
    line = "from 10.1.2.254 port 22 took=1234ms"
    assert reader.read(line) == mask_values(line)
    assert ("ip", "10.1.2.254") in reader.read(line)


WORDS = st.text(alphabet=string.digits + "ab.:/=-_[]()%x\"'@,", min_size=1, max_size=14)


@example(words=["1x-1", "2x-3"], digits="7")
@given(words=st.lists(WORDS, max_size=6), digits=st.sampled_from("0123456789"))
def test_a_shape_seen_before_changes_no_answer(words: list[str], digits: str) -> None:
    reader = ValueReader()
    line = " ".join(words)
    reader.read(line)
    other = line.translate({ord(each): digits for each in string.digits})
    for text in (line, other):
        assert reader.read(text) == mask_values(text)

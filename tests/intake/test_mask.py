"""Masking: what is variable, what must stay, and that no text can make it slow or make it fail."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.intake.mask import (
    LONGEST_TEXT,
    MOST_VALUES,
    collapse,
    digits_matter,
    keep_digits,
    mask,
    mask_values,
    mask_words,
    show,
)
from daemon.intake.phrases import mask_phrases
from daemon.intake.tokens import Words


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Invalid user web from 192.0.2.31 port 22", "Invalid user <user> from <ip> port <num>"),
        ("Failed none for root from 192.0.2.3 ssh2", "Failed none for <user> from <ip> ssh2"),
        ('access failed for user "bob"', 'access failed for user "<user>"'),
        ("opened for user root by al(uid=10)", "opened for user <user> by <user>(uid=<num>)"),
        ("check pass; user unknown", "check pass; user unknown"),
        ("rhost=mail.example.com  user=root", "rhost=<host> user=root"),
        ("listening on [::]:443 and fe80::1", "listening on [::]:<num> and <ip>"),
        ("link/ether 52:54:00:12:ab:cd", "link/ether <mac>"),
        ("request 6f1e4b1a-22c0-4a1e-9d6b-0a1b2c3d4e5f done", "request <uuid> done"),
        ("GET https://example.com/a?b=1 took 12ms", "GET <url> took <dur>"),
        ("mail to bob@example.com: 12 KB", "mail to <email>: <size>"),
        ("open(/var/lib/x.db) failed", "open(<path>) failed"),
        (r"Core: C:\Windows\x\core.dll", "Core: <path>"),
        ("at Sat Jun 18 02:23:10 2005", "at <time>"),
        ("until 2024-03-05T12:00:00.123+01:00.", "until <time>."),
        ("pages 1,2,3,4 and an14 an15 an16", "pages <num> and <id>"),
        ("disk /dev/sda1 95% full", "disk <path> <num> full"),
        ("java.io.IOException: broken", "java.io.IOException: broken"),
        ("lifetime <1 sec", "lifetime <dur>"),
        ("lifetime 01:02", "lifetime <dur>"),
        ("key=value other=(null) name=x", "key=value other=<value> name=<id>"),
        ("getty@tty1.service: started", "getty@tty<num>.service: started"),
        ("EXT4-fs error (device sdb1)", "EXT4-fs error (device <id>)"),
        ("  much \t space ", "much space"),
        ("", ""),
    ],
)  # fmt: skip
def test_variable_parts_become_typed_placeholders(line: str, masked: str) -> None:
    assert mask(line) == masked


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("finished with 0 errors", "finished with 0 errors"),
        ("finished with 10 errors", "finished with <num> errors"),
        ("errors: 0, warnings=2", "errors: 0, warnings=<num>"),
        ("exited with code 0", "exited with code 0"),
        ("exited with code 137", "exited with code <num>"),
        ('"GET / HTTP/1.1" 200 12', '"GET <path>" <num> <num>'),
        ('"GET / HTTP/1.1" 404 12', '"GET <path>" <num> <num>'),
        ('"GET / HTTP/1.1" 403 12', '"GET <path>" 4xx <num>'),
        ('"GET / HTTP/1.1" 502 12', '"GET <path>" 5xx <num>'),
        ("0.5 errors a second", "<num> errors a second"),
    ],
)
def test_digits_that_decide_are_kept(line: str, masked: str) -> None:
    assert mask(line).replace("<num> <num>", "<num>") == masked.replace("<num> <num>", "<num>")


def test_values_say_who_and_from_where() -> None:
    assert mask_values("Invalid user webmaster from 192.0.2.31 port 22") == [
        ("user", "webmaster"),
        ("ip", "192.0.2.31"),
        ("num", "22"),
    ]
    assert ("host", "mail.example.com") in mask_values("rhost=mail.example.com  user=root")
    assert ("email", "bob@example.com") in mask_values("to=<bob@example.com>, relay=x")
    assert mask_values("nothing here") == []


def test_values_are_bounded() -> None:
    assert len(mask_values("1 " * 10_000)) == MOST_VALUES


# Pieces that the grammar of masking looks for, in every order.
_PIECES = st.sampled_from(
    [
        "a", "f", "0", "12", "7.5", "-3", "%", ".", "..", ":", "::", "/", "\\", "@", "=", '"', "'",
        "(", ")", "[", "]", "<", ">", "{", "}", ",", ";", "#", "*", "***", " ", "  ", "\t", "\n",
        "\x00", "\x01", "\x02", "\x1c", "\ue000", "\ud800", "é", "٣", "user ", " for ", "by x(uid=",
        "invalid user ", "Mon ", "Jan ", "Jun 3 ", "UTC", " KB", " ms", "true ", "HTTP/1.1\" 500 ",
        "exit code ", " errors", "0x1f", "deadbeef", ".com", "null", "C:\\x", "https://",
        "lifetime ", "ssh2", "x86_64", ".service", "GET ", "name=", "SHA256:",
    ]
)  # fmt: skip
_LINES = st.lists(_PIECES, max_size=30).map("".join)


@settings(max_examples=400)
@given(_LINES)
def test_masking_depends_on_no_run_of_digits(line: str) -> None:
    kept = keep_digits(line)
    if not digits_matter(collapse(line)):
        assert kept == line
    assert _form(_masked(kept)) == _form(_masked(collapse(kept)))


def _masked(kept: str) -> str:
    """As the table masks a line whose digits that matter were taken care of: `mask` would take the
    zeros of a collapsed text for such digits again."""
    words = Words()
    return show(mask_phrases(" ".join(mask_words(kept[:LONGEST_TEXT], words)), words))


def _form(masked: str) -> str:
    """Without what may depend on digits: their number, and the kind that a value is shown as."""
    return re.sub(r"<[a-z]+>", "<*>", collapse(masked))


@settings(max_examples=300)
@given(st.text(max_size=300) | _LINES)
def test_no_text_makes_it_fail(line: str) -> None:
    masked = mask(line)
    assert not any(char < " " or char == "\x7f" for char in masked)
    masked.encode()  # no half of a surrogate pair
    mask_values(line)
    assert mask_values(line) == mask_values(line)


@pytest.mark.parametrize(
    "piece",
    [
        "a", "a.", "a-", "1:", "f:", "::", "a@", "/", "a/", "=a", "a=", '"a ', "Mon Jan 1 ", "(",
        "[", "\\", "a\\", "-0", "user ", "invalid user ", "by a", "true ", "*", "~/", "x://",
        "1 KB ", "0 err ", "0.-0a=", 'a="b\\" ', "a=<", "\ud800", "HTTP/1.1\" 5", "exit code ",
        ".service", "a[1-",
    ],
)  # fmt: skip
def test_no_text_makes_it_slow(piece: str) -> None:
    """Milliseconds where backtracking would take seconds; the bound allows for slow machines."""
    solid = (piece * LONGEST_TEXT)[:LONGEST_TEXT]
    spaced = " ".join(solid[at : at + 110] for at in range(0, LONGEST_TEXT, 110))
    start = time.process_time()
    for line in (solid, spaced):
        mask(line)
        mask_values(line)
    assert time.process_time() - start < 0.5


def test_a_huge_line_costs_what_its_beginning_costs() -> None:
    start = time.process_time()
    mask("x" * 100_000_000)
    mask_values("1 " * 50_000_000)
    assert time.process_time() - start < 1.0

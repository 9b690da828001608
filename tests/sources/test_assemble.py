"""Lines and traces: any chunking gives the same, and every line is accounted for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sources.assemble import Assembler
from daemon.sources.base import SourceError
from daemon.sources.lines import LineSplitter
from daemon.sources.raw_lines import header_parser

PYTHON = """\
2026-01-02 03:04:05,678 ERROR request failed
Traceback (most recent call last):
  File "/srv/app.py", line 3, in view
    raise ValueError("x")
ValueError: x

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app.py", line 9, in handler
    1 / 0
ZeroDivisionError: division by zero
2026-01-02 03:04:06,000 INFO next request
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: bad
\tat com.example.Main.run(Main.java:5)
\tat com.example.Main.main(Main.java:3)
Caused by: java.io.IOException: disk
\tat com.example.Disk.read(Disk.java:7)
\t... 2 more
started again
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/srv/main.go:9 +0x1d
exit status 2
started again
"""
HEADED_JAVA = """\
2026-01-02 03:04:05 ERROR [main] c.e.Main - failed
java.lang.IllegalStateException: bad
\tat com.example.Main.run(Main.java:5)
2026-01-02 03:04:06 INFO [main] c.e.Main - goes on
"""
BARE_PYTHON = """\
Traceback (most recent call last):
  File "/srv/app.py", line 3, in view
my.errors.Broken: x
app: goes on
"""
SYSLOG = """\
Nov 21 05:42:01 web app[7]: Traceback (most recent call last):
Nov 21 05:42:01 web app[7]:   File "/srv/app.py", line 3, in view
Nov 21 05:42:01 web other[9]: something else
Nov 21 05:42:01 web app[7]: ValueError: x
"""


def run(
    data: bytes, chunk: int = 1 << 18, limit: int = 4096, **options: int | bool
) -> tuple[list[tuple[str, int, int]], list[int]]:
    """(text, first line, lines) of each event, and the empty lines."""
    splitter = LineSplitter(limit=limit)
    assembler = Assembler(
        source="s",
        file="f",
        unit="u",
        parse=header_parser("auto", clock=time.time),
        join=bool(options.get("join", True)),
        max_lines=int(options.get("max_lines", 200)),
        max_characters=int(options.get("max_characters", 32_768)),
    )
    parts = [
        assembler.feed(splitter.feed(data[i : i + chunk]), now=1.0)
        for i in range(0, len(data), chunk)
    ]
    parts.append(assembler.feed(splitter.finish(), now=1.0))
    parts.append(assembler.flush(now=1.0))
    events = [
        (event.text, first, span)
        for part in parts
        for event, first, span in zip(part.events, part.firsts, part.spans, strict=True)
    ]
    return events, [number for part in parts for number in part.empty]


@pytest.mark.parametrize(
    ("text", "spans"),
    [(PYTHON, [12, 1]), (JAVA, [6, 1]), (GO, [6, 1]), (HEADED_JAVA, [3, 1]), (BARE_PYTHON, [3, 1])],
    ids=["python", "java", "go", "headed java", "bare python"],
)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
def test_traces_are_one_event(text: str, spans: list[int], chunk: int) -> None:
    events, empty = run(text.encode(), chunk)
    assert [span for _, _, span in events] == spans
    assert sum(spans) + len(empty) == text.count("\n")
    assert events[0][0].count("\n") == spans[0] - 1


def test_traces_of_programs_that_write_into_one_file_do_not_mix() -> None:
    events, _ = run(SYSLOG.encode())
    assert ("something else", 3, 1) in events


def test_plain_lines_are_not_joined() -> None:
    text = "one\ntwo\nCaused nothing\n.hidden\nStarted\nnote that\n"
    assert [span for _, _, span in run(text.encode())[0]] == [1] * 6
    assert len(run(PYTHON.encode(), join=False)[0]) == 11


def test_a_trace_without_end_is_bounded() -> None:
    data = b"java.lang.StackOverflowError\n" + b"\tat a.b.C(D.java:1)\n" * 10_000
    events, _ = run(data, max_lines=1_000, max_characters=500)
    assert sum(span for _, _, span in events) == 10_001
    assert len(events) == 11
    assert max(len(text) for text, _, _ in events) <= 600


@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    st.integers(1, 64),
    st.booleans(),
)
def test_any_bytes_in_any_chunks(lines: list[bytes], chunk: int, ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    events, empty = run(data, chunk, limit=16)
    whole, whole_empty = run(data, limit=16)
    expected = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert sum(span for _, _, span in events) + len(empty) == expected
    if b"\0" not in data and data.isascii():
        assert (events, empty) == (whole, whole_empty)
    for text, _, _ in events:
        assert "\0" not in text
        text.encode()


def test_a_form_that_is_not_known_is_refused() -> None:
    with pytest.raises(SourceError, match="no form of log lines is called 'nonsense'"):
        header_parser("nonsense", clock=time.time)

"""Files of any content: every line is part of exactly one event, or empty."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.scan.reader import FileUnusableError, Piece, read_pieces

TRACE = (
    "Traceback (most recent call last):\n"
    '  File "app.py", line 3, in <module>\n'
    "    main()\n"
    "ValueError: no\n"
)


def pieces(path: Path) -> list[Piece]:
    return list(read_pieces(path, file=0, clock=lambda: 1_790_000_000.0))


def covered(found: list[Piece]) -> list[int]:
    """The numbers of all lines, in the order in which they are reported."""
    lines: list[int] = []
    for piece in found:
        assert len(piece.spans) == len(piece.batch.events)
        runs = [(span.first, span.lines) for span in piece.spans]
        runs += [(line, 1) for line in piece.empty]
        for first, count in sorted(runs):
            lines += range(first, first + count)
    return lines


def count_lines(data: bytes) -> int:
    return data.count(b"\n") + (0 if not data or data.endswith(b"\n") else 1)


words = st.sampled_from(
    [
        b"",
        b" ",
        b"plain line",
        b"Mar  3 04:05:06 host sshd[12]: Failed password",
        b"2026-01-02T03:04:05Z app: started",
        b"\tat java.lang.Thread.run(Thread.java:1)",
        b"Traceback (most recent call last):",
        b'  File "x.py", line 1',
        b"ValueError: no",
        b"\xff\xfe broken \x80",
        b"x" * 20_000,
        b'{"level":"error","msg":"boom"}',
        b"Caused by: java.io.IOException",
        b"    indented",
    ]
)


@given(
    lines=st.lists(words, max_size=60),
    end=st.sampled_from([b"\n", b"\r\n"]),
    last=st.booleans(),
    packed=st.booleans(),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_line_once_and_in_order(
    tmp_path: Path, lines: list[bytes], end: bytes, last: bool, packed: bool
) -> None:
    data = end.join(lines) + (end if last else b"")
    path = tmp_path / "some.log"
    path.write_bytes(gzip.compress(data) if packed else data)
    found = pieces(path)
    assert covered(found) == list(range(1, count_lines(data) + 1))
    for piece in found:
        assert piece.batch.received == len(piece.batch.events) + len(piece.empty)


def test_batches_are_bounded_and_keep_the_order(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text("".join(f"line {n}\n\n" if n % 7 == 0 else f"line {n}\n" for n in range(5_000)))
    found = pieces(path)
    assert max(len(piece.batch.events) for piece in found) <= 1_000
    assert covered(found) == list(range(1, 5_000 + 715 + 1))


def test_an_empty_file_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    assert pieces(path) == []


def test_a_trace_is_one_event_of_four_lines(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(f"start\n{TRACE}end\n")
    (piece,) = pieces(path)
    assert [span.lines for span in piece.spans] == [1, 4, 1]


def test_a_line_of_a_hundred_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as out:
        out.write(b"first\n")
        for _ in range(100):
            out.write(b"x" * 1_000_000)
        out.write(b"\nlast\n")
    (piece,) = pieces(path)
    assert [event.text[:5] for event in piece.batch.events] == ["first", "xxxxx", "last"]
    assert len(piece.batch.events[1].text) < 100_000
    assert piece.batch.events[1].attributes is not None
    assert int(piece.batch.events[1].attributes["cut_bytes"]) > 99_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_a_binary_file_is_left_out(tmp_path: Path, packed: bool) -> None:
    data = bytes(range(32)) * 1_000
    path = tmp_path / "wtmp"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(FileUnusableError, match="not a text file"):
        pieces(path)


@pytest.mark.parametrize("damage", ["cut", "garbled", "checksum"])
def test_what_was_read_of_a_broken_archive_counts(tmp_path: Path, damage: str) -> None:
    data = os.urandom(200_000).hex().encode()
    text = b"\n".join(data[start : start + 80] for start in range(0, len(data), 80)) + b"\n"
    packed = bytearray(gzip.compress(text))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "garbled":
        middle = len(packed) // 2
        packed[middle : middle + 2_000] = b"\xff" * 2_000
    else:
        packed[-8:] = b"\0" * 8
    path = tmp_path / "old.log.gz"
    path.write_bytes(packed)
    found: list[Piece] = []
    with pytest.raises(FileUnusableError, match=r"old\.log\.gz cannot be read"):
        found.extend(read_pieces(path, file=0))
    lines = covered(found)
    assert lines == list(range(1, len(lines) + 1))
    assert damage == "garbled" or len(lines) > 1_000


def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = threading.Thread(target=path.write_text, args=("one\ntwo\n" * 50_000,))
    writing.start()
    found = pieces(path)
    writing.join()
    assert covered(found) == list(range(1, 100_001))


def test_folders_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileUnusableError, match="is a folder"):
        pieces(tmp_path)
    with pytest.raises(FileUnusableError, match="No such file"):
        pieces(tmp_path / "nothing")

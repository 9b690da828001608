"""Output that is stopped, slow or gone never holds up whoever writes."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

from daemon.patient import PatientStream


def test_what_is_written_arrives_in_order() -> None:
    goal = io.StringIO()
    stream = PatientStream(goal)
    for number in range(100):
        stream.write(f"{number}\n")
    stream.close()
    assert goal.getvalue() == "".join(f"{number}\n" for number in range(100))
    stream.close()  # twice is harmless


def test_a_full_pipe_makes_nobody_wait_and_the_gap_is_told() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as goal, os.fdopen(reading, "rb", buffering=0) as reader:
        stream = PatientStream(goal, most=10)
        began = time.monotonic()
        for number in range(100):
            stream.write(f"{number:0100000}\n")
        assert time.monotonic() - began < 1.0
        seen = b""
        while not seen.endswith(b"9\n"):  # the last piece that found room
            seen += reader.read(1 << 20)
        stream.write("after\n")
        while b"after\n" not in seen:
            seen += reader.read(1 << 20)
        stream.close()
    assert b"pieces of output were left out" in seen


def test_a_reader_that_is_gone_is_no_error_not_even_at_the_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as goal:
        stream = PatientStream(goal)
        stream.write("nobody\n")
        time.sleep(0.05)
        stream.write("reads this\n")
        stream.close()
        goal.write("this neither")


def test_a_full_disk_silences_nothing_for_good(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", buffering=1) as goal:
        stream = PatientStream(goal)
        stream.write("no room\n")
        time.sleep(0.05)
        room = os.open(tmp_path / "room", os.O_WRONLY | os.O_CREAT)
        os.dup2(room, goal.fileno())
        os.close(room)
        stream.write("room again\n")
        stream.close()
    assert "room again" in (tmp_path / "room").read_text()


def test_an_encoding_that_lacks_a_letter_is_no_error() -> None:
    goal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    stream = PatientStream(goal)
    stream.write("naïve\n")
    stream.close()
    goal.seek(0)
    assert goal.read() == "na\\xefve\n"

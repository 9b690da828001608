"""SIGKILL in the middle of reading, again and again: every line is there exactly once."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = 30_000
KILLS = 6


class Writer(threading.Thread):
    """A program that logs, and a logrotate that rotates below it."""

    def __init__(self, *, log: Path, how: str) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.how = how
        self.rng = random.Random(how)

    def run(self) -> None:
        generation = 0
        file = self.log.open("a")
        for n in range(LINES):
            file.write(f"line {n} with some words that make it about as long as a line is\n")
            if n % 50 == 0:
                file.flush()
                time.sleep(0.002)
            if n % 5_000 == 4_999:
                file.flush()
                generation += 1
                rotated = self.log.with_name(f"{self.log.name}.{generation}")
                if self.how == "rename":
                    file.close()
                    self.log.rename(rotated)
                    file = self.log.open("a")
                else:
                    shutil.copyfile(self.log, rotated)
                    os.truncate(self.log, 0)
        file.close()


def start(database: Path, pattern: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.sources.reader_process", str(database), pattern]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def texts(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as store:
        try:
            return [row[0] for row in store.execute("select text from events")]
        except sqlite3.OperationalError:
            return []  # no table yet


@pytest.mark.parametrize("how", ["rename", "copytruncate"])
def test_every_line_once(tmp_path: Path, how: str) -> None:
    log = tmp_path / "app.log"
    database = tmp_path / "store.db"
    writer = Writer(log=log, how=how)
    writer.start()
    rng = random.Random(11)
    for _ in range(KILLS):
        reader = start(database, f"{log}*")
        time.sleep(rng.uniform(0.4, 1.2))
        reader.kill()
        reader.wait()
    reader = start(database, f"{log}*")
    try:
        writer.join(60)
        deadline = time.monotonic() + 30
        while len(texts(database)) < LINES and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
    finally:
        reader.kill()
        reader.wait()
    found = collections.Counter(text.split(" ")[1] for text in texts(database))
    assert [n for n in range(LINES) if found[str(n)] == 0] == []
    assert [n for n, count in found.items() if count > 1] == []

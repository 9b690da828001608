"""SIGHUP: a new configuration is taken, a broken one is refused, and work goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from running import Running

pytestmark = pytest.mark.timeout(240)


def _name(running: Running) -> str:
    name: str = running.get("/api/v1/status")["host"]
    return name


def test_a_reload_keeps_work_and_takes_what_is_right(daemon: Callable[[str], Running]) -> None:
    running = daemon("")
    running.start()
    process = running.process
    assert process is not None
    first = running.file.read_text()
    said = running.command_json("inject", "kernel: Out of memory: Killed process 1 (x)", "--json")
    assert said["accepted"] == 1
    before = running.accounting()

    running.file.write_text(first + "\n[api]\nport = 'none'\n")
    process.send_signal(signal.SIGHUP)
    running.until(
        lambda: "the configuration is kept as it was" in running.log.read_text(),
        seconds=20,
        what="refused",
    )
    assert running.ready()

    running.file.write_text('host_name = "another"\n' + first)
    process.send_signal(signal.SIGHUP)

    def renamed() -> bool:
        return running.ready() and _name(running) == "another"

    running.until(renamed, seconds=60, what="started anew")
    assert process.poll() is None
    after = running.accounting()
    assert after["received"] >= before["received"]
    assert len(running.get("/api/v1/incidents")["incidents"]) == 1
    assert running.stop() == 0

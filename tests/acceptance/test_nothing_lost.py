"""Kill it in the middle: every line and every message is accounted for exactly once."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import pytest
from running import Running

pytestmark = pytest.mark.timeout(300)

LINES = 60_000
MESSAGES = 2_000


class Writer(threading.Thread):
    """Appends numbered lines in small pieces, as a busy service does."""

    def __init__(self, path: Path, lines: int) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._lines = lines

    def run(self) -> None:
        with self._path.open("a", buffering=1 << 16) as file:
            for number in range(self._lines):
                file.write(
                    f"Mar  1 12:00:{number % 60:02d} host app[{number}]: request {number} done\n"
                )
                if number % 500 == 0:
                    file.flush()
                    time.sleep(0.02)


class Publisher(threading.Thread):
    """Publishes at QoS 1 and waits until the broker has everything."""

    def __init__(self, port: int, messages: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._messages = messages

    def run(self) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        sent = []
        for number in range(self._messages):
            sent.append(client.publish("triaged/events/lab", f"sensor {number} reports", qos=1))
            if number % 50 == 0:
                time.sleep(0.02)
        for message in sent:
            message.wait_for_publish(30)
        client.disconnect()
        client.loop_stop()


def config(log: Path, port: int) -> str:
    return f"""
[sources.files.app]
paths = ["{log}"]
start_at = "beginning"
join_lines = false
[sources.mqtt]
enabled = true
host = "127.0.0.1"
port = {port}
client_id = "triaged-test"
"""


def settled(running: Running, total: int) -> Callable[[], bool]:
    def check() -> bool:
        count = running.accounting()
        redelivered = sum(n for why, n in count["drops"].items() if why.endswith("redelivered"))
        return count["received"] - redelivered >= total

    return check


def exactly(running: Running, total: int) -> None:
    running.until(settled(running, total), seconds=90, what=f"{total} events")
    time.sleep(2)
    count = running.accounting()
    assert count["received"] == count["stored"] + count["folded"] + count["dropped"]
    redelivered = sum(n for why, n in count["drops"].items() if why.endswith("redelivered"))
    assert count["received"] - redelivered == total, count


def test_sigkill_while_a_file_is_read_and_messages_arrive(
    daemon: Callable[[str], Running], broker: int, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    log.touch()
    running = daemon(config(log, broker))
    running.start()
    running.until(
        lambda: any(
            part["health"] == "ok"
            for name, part in running.get("/readyz")["parts"].items()
            if name.startswith("source/mqtt")
        ),
        seconds=20,
        what="subscribed",
    )
    threads = [Writer(log, LINES), Publisher(broker, MESSAGES)]
    for thread in threads:
        thread.start()
    rng = random.Random(7)
    for _ in range(3):
        time.sleep(rng.uniform(0.3, 1.5))
        running.kill()
        running.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    exactly(running, LINES + MESSAGES)


def test_postgresql_stopped_immediately_in_the_middle(
    daemon: Callable[[str], Running], broker: int, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    log.touch()
    running = daemon(config(log, broker))
    running.start()
    writer = Writer(log, LINES)
    writer.start()
    for _ in range(3):
        time.sleep(0.7)
        postmasters = [
            child
            for child in running.children()
            if child.name() == "postgres"
            and child.parent() is not None
            and child.parent().name() != "postgres"  # type: ignore[union-attr]
        ]
        for postmaster in postmasters:
            postmaster.send_signal(signal.SIGQUIT)
        psutil.wait_procs(postmasters, timeout=10)
    writer.join(60)
    running.until(running.ready, seconds=60, what="ready again")
    exactly(running, LINES)

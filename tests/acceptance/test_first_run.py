"""What a newcomer does: run, ask, inject, look, Ctrl-C."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
from running import Running

from daemon.store.cluster import Cluster

OOM = "kernel: Out of memory: Killed process 4242 (postgres) total-vm:8123456kB"

pytestmark = pytest.mark.timeout(180)


def test_a_first_run_answers_triages_and_leaves_nothing_behind(
    daemon: Callable[[str], Running], state: Path
) -> None:
    running = daemon("")
    running.start()

    # A chat answer about this host's disk that is right.
    answer = running.http.post(
        "/v1/chat/completions",
        json={
            "model": "triaged",
            "messages": [{"role": "user", "content": "how full is the disk?"}],
        },
    ).json()
    text = answer["choices"][0]["message"]["content"]
    usage = os.statvfs("/")
    used = usage.f_blocks - usage.f_bfree
    percent = 100 * used / (used + usage.f_bavail)
    shown = [int(number) for number in re.findall(r"(\d+) ?%", text)]
    assert any(abs(number - percent) <= 1 for number in shown), text

    # An event becomes an incident that went through trigger and review.
    injected = running.command_json("inject", OOM, "--wait", "20", "--json")
    assert injected["accepted"] == 1
    (incident,) = running.get("/api/v1/incidents")["incidents"]
    assert incident["severity"] == "critical"
    running.until(
        lambda: running.get(f"/api/v1/incidents/{incident['id']}")["assessments"] != [],
        seconds=20,
        what="assessed",
    )
    detail = running.get(f"/api/v1/incidents/{incident['id']}")
    assert detail["verdicts"][0]["escalate"]
    assert detail["verdicts"][0]["model"] != "rule"
    assert detail["assessments"][0]["tier"] == "review"
    assert OOM.removeprefix("kernel: ") in running.command("incidents", "show", "1").stdout
    with psycopg.connect(
        f"host={Cluster(directory=state / 'postgres').run} dbname=triaged user=triaged"
    ) as connection:
        (count,) = connection.execute("select count(*) from incidents").fetchone() or (0,)
    assert count == 1

    # Ctrl-C stops everything in order and leaves no process behind.
    children = running.children()
    assert len(children) >= 4
    assert running.stop() == 0
    assert not [child for child in children if child.is_running()]
    for port in running.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "stopped" in running.log.read_text()


def test_a_port_in_use_is_named_with_its_holder(daemon: Callable[[str], Running]) -> None:
    running = daemon("")
    with socket.create_server(("127.0.0.1", running.ports["api"])):
        answer = running.command("run")
    assert answer.returncode == 1
    assert str(running.ports["api"]) in answer.stderr
    assert psutil.Process().name() in answer.stderr
    assert str(os.getpid()) in answer.stderr


def test_a_killed_daemon_leaves_no_server_behind_and_starts_again(
    daemon: Callable[[str], Running],
) -> None:
    running = daemon("")
    running.start()
    children = running.children()
    running.kill()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive, [child.name() for child in alive]
    running.start()
    assert running.stop() == 0

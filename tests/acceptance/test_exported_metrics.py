"""What a running daemon measures and logs of a request, against what the documents say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import Running

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>[a-z_]+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\|", re.MULTILINE)
QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "how full is the disk?"}]}

pytestmark = pytest.mark.timeout(180)


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels by name."""
    found = {}
    for row in ROW.finditer(PAGE.read_text()):
        assert row["name"] not in found, row["name"]
        labels = frozenset(re.findall(r"`(\w+)`", row["labels"]))
        found[row["name"]] = (row["type"], labels)
    assert len(found) > 40
    return found


class Metrics:
    """One answer of `/metrics`."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))

    def exported(self) -> dict[str, tuple[str, frozenset[str] | None]]:
        """Type and labels by name; labels are None where there is no series yet."""
        found: dict[str, tuple[str, frozenset[str] | None]] = {}
        for family in self.families:
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = None
            for sample in family.samples:
                labels = frozenset(sample.labels) - {"le"}
            found[name] = (family.type, labels)
        return found

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def scrape(running: Running) -> Metrics:
    answer = running.http.get("/metrics")
    assert answer.status_code == 200
    return Metrics(answer.text)


def logged(running: Running, request_id: str) -> list[dict[str, Any]]:
    lines = [line for line in running.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line.get("request_id") == request_id]


def test_requests_are_measured_logged_and_documented(daemon: Callable[[str], Running]) -> None:
    running = daemon('[log]\nformat = "json"\n')
    running.start()

    with running.http.stream(
        "POST",
        "/v1/chat/completions",
        json={"model": "triaged", "stream": True, **QUESTION},
        headers={"X-Request-ID": "chat-1"},
    ) as answer:
        assert answer.headers["x-request-id"] == "chat-1"
        assert "[DONE]" in answer.read().decode()
    bare = {"model": "tier/meta", "stream": True, "max_tokens": 24, **QUESTION}
    with running.http.stream(
        "POST", "/v1/chat/completions", json=bare, headers={"X-Request-ID": "bare-1"}
    ) as answer:
        assert "[DONE]" in answer.read().decode()
    with httpx.Client(base_url=running.http.base_url, trust_env=False) as stranger:
        assert stranger.get("/readyz", headers={"Host": "evil.example"}).status_code == 403

    # The lines of a request, by its id: the answer, and the model calls that it took.
    events = [line["event"] for line in logged(running, "chat-1")]
    assert events.count("answered") == 1
    assert events.count("model called") >= 1
    (line,) = logged(running, "bare-1")
    assert (line["event"], line["model"], line["status"]) == ("relayed", "tier/meta", 200)
    assert line["first_seconds"] <= line["seconds"]

    # llama-server's own counters are read every few seconds.
    running.until(
        lambda: scrape(running).sum("triaged_tier_output_tokens_total", tier="meta") > 0,
        seconds=30,
        what="counted by llama-server",
    )
    found = scrape(running)
    for model, endpoint in (("triaged", "chat"), ("tier/meta", "chat/completions")):
        labels = {"gen_ai_request_model": model, "endpoint": endpoint}
        count = "gen_ai_server_request_duration_seconds_count"
        assert found.sum(count, **labels, error_type="") == 1
        assert found.sum("gen_ai_server_time_to_first_token_seconds_count", **labels) == 1
        for kind in ("input", "output"):
            tokens = "triaged_answer_tokens_total"
            assert found.sum(tokens, **labels, gen_ai_token_type=kind) > 0
    assert found.sum("gen_ai_client_operation_duration_seconds_count") >= 1
    assert found.sum("triaged_queue_wait_seconds_count", gen_ai_request_model="tier/meta") >= 1
    assert found.sum("triaged_tool_duration_seconds_count", outcome="ok") >= 1
    assert found.sum("triaged_requests_refused_total", kind="origin") == 1
    assert found.sum("triaged_tier_state") == 3  # one state each
    assert found.sum("triaged_answers_active") == 0

    # The page names exactly what is exported, with its type and its labels.
    exported, page = found.exported(), documented()
    assert exported.keys() == page.keys()
    for name, (kind_, labels_) in exported.items():
        assert page[name][0] == kind_, name
        assert labels_ is None or page[name][1] == labels_, name
    assert running.stop() == 0

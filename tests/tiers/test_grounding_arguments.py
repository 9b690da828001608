"""Figures and arguments must come from somewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.tools.catalogue import tool_specs
from tiers.arguments import fill, repaired
from tiers.grounding import has_figures, sources_of, ungrounded

SOURCE = sources_of(
    ["/var is 71.6 % full: 12.3 GB free of 1,234 GB; eth0 is up since 2026-01-02 12:30",
     "is postgresql@14-main ok on port 5432?"]
)  # fmt: skip
SPECS = {spec.name: spec for spec in tool_specs()}


@pytest.mark.parametrize(
    "answer",
    ["71.6 % full", "71,6% full", "about 72 %", "12.3GB", "1234 GB", "1,234", "port 5432", "eth0",
     "since 12:30 on 2026-01-02", "1. disk\n2. memory\n3) more", "postgresql@14-main is fine", "",
     "/var is full", "It is on /var.", "no figures at all", "(71.6 %)", "**71.6 %**", "`eth0`",
     "~72 %"],
)  # fmt: skip
def test_what_was_said_is_grounded(answer: str) -> None:
    assert ungrounded(answer, SOURCE) == []


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("71.7 % full", ["71.7"]),
        ("eth1 is up", ["eth1"]),
        ("99 % and 12.3 GB", ["99"]),
        ("port 5433", ["5433"]),
        ("/dev/sda3", ["/dev/sda3"]),
        ("at 12:31", ["12:31"]),
        ("70 %", ["70"]),
        ("version 16.2.1", ["16.2.1"]),
        ("12,4 GB", ["12,4"]),
        ("2.3 GB", ["2.3"]),
        ("0 errors", ["0"]),
        ("/opt/bin is on /var", ["/opt/bin"]),
        ("/va", ["/va"]),
    ],
)
def test_what_nobody_said_is_not(answer: str, missing: list[str]) -> None:
    assert ungrounded(answer, SOURCE) == missing


@given(st.text(max_size=300))
def test_every_text_is_grounded_in_itself(text: str) -> None:
    assert ungrounded(text, sources_of([text])) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_grounding_never_fails(answer: str, source: str) -> None:
    found = ungrounded(answer, sources_of([source]))
    assert bool(found) <= has_figures(answer)


def test_absurd_numbers_do_no_harm() -> None:
    assert ungrounded("0." + "3" * 500, SOURCE)
    assert ungrounded("9" * 500 + " MB", SOURCE)


@pytest.mark.parametrize(
    ("tool", "question", "expected"),
    [
        ("unit_status", "is nginx running?", {"unit": "nginx"}),
        ("unit_status", "did cron.service crash", {"unit": "cron.service"}),
        ("unit_status", "status of postgresql@14-main", {"unit": "postgresql@14-main"}),
        ("unit_status", "what's wrong with the service", None),
        ("unit_log", "last 50 lines of sshd", {"unit": "sshd", "lines": 50}),
        ("disk_usage", "how full is /var", {"path": "/var"}),
        ("disk_usage", "how full is /", {"path": "/"}),
        ("disk_usage", "how full are the disks", {}),
        ("directory_sizes", "what is big", None),
        ("listening_sockets", "who is on port 443", {"port": 443}),
        ("listening_sockets", "who is on :8080", {"port": 8080}),
        ("listening_sockets", "port 99999?", {}),
        ("process_detail", "who runs pid 99", {"process": "99"}),
        ("process_detail", "how much memory does postgres use", {"process": "postgres"}),
        ("top_processes", "what eats the ram", {"by": "memory"}),
        ("network_interfaces", "is enp3s0 up", {"interface": "enp3s0"}),
        ("recent_changes", "what changed in the last 3 days", {"hours": 72}),
        ("recent_changes", "what changed", {}),
        ("recent_changes", "what changed last week and why", {"hours": 168}),
        ("file_excerpt", "show me /etc/fstab.", {"path": "/etc/fstab"}),
        ("file_excerpt", "tail -n 5 /var/log/dpkg.log", {"path": "/var/log/dpkg.log", "lines": 5}),
        ("event_query", '"no route" in 2 hours', {"text": "no route", "hours": 2}),
        ("metric_history", "memory over the last two hours", {"metric": "memory", "hours": 2}),
        ("metric_history", "how did it develop", None),
        ("timers", "when does logrotate run", {}),
    ],
)  # fmt: skip
def test_arguments_are_found_in_the_question(
    tool: str, question: str, expected: dict[str, Any] | None
) -> None:
    assert fill(SPECS[tool], question) == expected


@given(st.sampled_from(sorted(SPECS)), st.text(max_size=200))
def test_nothing_is_made_up(tool: str, question: str) -> None:
    for name, value in (fill(SPECS[tool], question) or {}).items():
        schema = SPECS[tool].parameters["properties"][name]
        if "enum" in schema:
            assert value in schema["enum"]
        elif isinstance(value, str):
            assert all(word in question for word in value.split())


def test_made_up_arguments_are_mended_or_left_out() -> None:
    status, disk, log = SPECS["unit_status"], SPECS["disk_usage"], SPECS["unit_log"]
    assert repaired(status, {"unit": "apache"}, "is nginx up") == {"unit": "nginx"}
    assert repaired(status, {"unit": "nginx.service"}, "is nginx up") == {"unit": "nginx.service"}
    assert repaired(status, {}, "is nginx up") == {"unit": "nginx"}
    assert repaired(disk, {"path": "/srv"}, "how full are the disks") == {}
    assert repaired(disk, {"path": "/srv", "x": 1}, "how full is /srv") == {"path": "/srv"}
    assert repaired(log, {"unit": "ssh", "lines": 77}, "log of ssh") == {"unit": "ssh"}


@pytest.mark.parametrize(
    ("tool", "copied", "question", "mended"),
    [
        ("unit_log", {"unit": "data"}, "log of data-export.timer", {"unit": "data-export.timer"}),
        ("unit_log", {"unit": "25"}, "25 lines of coturn", {"unit": "coturn", "lines": 25}),
        ("unit_status", {"unit": "verify"}, "please verify that ntfy runs", {"unit": "ntfy"}),
        ("process_detail", {"process": "PID"}, "more about PID 20455", {"process": "20455"}),
        ("process_detail", {"process": "beam"}, "files of beam-smp", {"process": "beam-smp"}),
        ("event_query", {"text": "route"}, 'how often "no route" came', {"text": "no route"}),
        ("event_query", {"text": "4-fs"}, "events with EXT4-fs", {"text": "EXT4-fs"}),
        (
            "event_query",
            {"text": "error messages"},
            "any I/O error messages",
            {"text": "I/O error"},
        ),
        ("incident_search", {"query": "open"}, "what incidents are open", {}),
        ("incident_search", {"query": "memory"}, "incidents about memory", {"query": "memory"}),
        (
            "metric_history",
            {"metric": "load"},
            "how was the load in the last day",
            {"metric": "load", "hours": 24},
        ),
    ],
)
def test_what_was_copied_in_part_is_made_whole(
    tool: str, copied: dict[str, Any], question: str, mended: dict[str, Any]
) -> None:
    assert repaired(SPECS[tool], copied, question) == mended


@given(st.sampled_from(sorted(SPECS)), st.text(max_size=120), st.text(max_size=200))
def test_any_copy_is_taken(tool: str, copied: str, question: str) -> None:
    names = SPECS[tool].parameters["properties"]
    repaired(SPECS[tool], dict.fromkeys(names, copied), question)

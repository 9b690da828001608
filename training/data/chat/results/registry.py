"""From a question to what its tool answers: found, failed, or with hostile text planted in it."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import tomllib
from collections.abc import Callable, Mapping

from training.data.chat import lexicon
from training.data.chat.grammar import parse_lines
from training.data.chat.phrasings import Question
from training.data.chat.results import host, lines, network, records, services, storage
from training.data.chat.results.house import host as own_host
from training.data.chat.results.house import network as own_network
from training.data.chat.results.house import records as own_records
from training.data.chat.results.house import services as own_services
from training.data.chat.results.house import storage as own_storage
from training.data.chat.results.outcome import Outcome, single

Builder = Callable[[random.Random, Question], Outcome]

BUILDERS: Mapping[str, Builder] = {
    "system_overview": host.system_overview,
    "unit_status": services.unit_status,
    "unit_log": services.unit_log,
    "failed_units": services.failed_units,
    "disk_usage": storage.disk_usage,
    "inode_usage": storage.inode_usage,
    "directory_sizes": storage.directory_sizes,
    "top_processes": host.top_processes,
    "process_detail": host.process_detail,
    "memory_usage": host.memory_usage,
    "cpu_load": host.cpu_load,
    "listening_sockets": network.listening_sockets,
    "network_interfaces": network.network_interfaces,
    "recent_changes": records.recent_changes,
    "login_sessions": records.login_sessions,
    "file_excerpt": services.file_excerpt,
    "incident_search": records.incident_search,
    "event_query": records.event_query,
    "metric_history": records.metric_history,
    "timers": services.timers,
}
"""In many dialects."""
OWN: Mapping[str, Builder] = {
    "system_overview": own_host.system_overview,
    "unit_status": own_services.unit_status,
    "unit_log": own_services.unit_log,
    "failed_units": own_services.failed_units,
    "disk_usage": own_storage.disk_usage,
    "inode_usage": own_storage.inode_usage,
    "directory_sizes": own_storage.directory_sizes,
    "top_processes": own_host.top_processes,
    "process_detail": own_host.process_detail,
    "memory_usage": own_host.memory_usage,
    "cpu_load": own_host.cpu_load,
    "listening_sockets": own_network.listening_sockets,
    "network_interfaces": own_network.network_interfaces,
    "recent_changes": own_records.recent_changes,
    "login_sessions": own_records.login_sessions,
    "file_excerpt": own_services.file_excerpt,
    "incident_search": own_records.incident_search,
    "event_query": own_records.event_query,
    "metric_history": own_records.metric_history,
    "timers": own_services.timers,
}
"""As the project's own tools word it today."""
_OWN_WORDING = 0.42
"""How often a result is worded as the project's own tools word it today."""

_TABLE = tomllib.loads(
    (pathlib.Path(__file__).parent / "failures.toml").read_text(encoding="utf-8")
)
_REASONS = tuple(_TABLE.pop("reasons").strip().splitlines())
_ADVICE = tuple(_TABLE.pop("advice").strip().splitlines())
_FAILURES = {name: parse_lines(block) for name, block in _TABLE.items()}


def build(rng: random.Random, question: Question) -> Outcome:
    """What the tool found."""
    writers = OWN if rng.random() < _OWN_WORDING else BUILDERS
    return writers[question.tool](rng, question)


def fail(rng: random.Random, question: Question) -> Outcome:
    """Why the tool found nothing."""
    named = next((name for name in question.arguments if name in _FAILURES), "any")
    kind = named if rng.random() < 0.75 else "any"
    templates = _FAILURES[kind]

    def fill(slot: str) -> str:
        if slot == "value":
            return str(question.arguments[named])
        if slot == "tool":
            return question.tool
        if slot == "number":
            return str(rng.randint(2, 60))
        if slot == "Reason":
            reason = lexicon.pick(rng, _REASONS)
            return reason[0].upper() + reason[1:]
        words = {"reason": _REASONS, "advice": _ADVICE}.get(slot)
        if words is not None:
            return lexicon.pick(rng, words)
        return {"unit": lexicon.unit, "interface": lexicon.interface, "file": lexicon.file}[slot](
            rng
        )

    text = templates[int(rng.random() * len(templates))].expand(rng, fill)
    return single(" ".join(text.split()), ok=False)


def poison(rng: random.Random, outcome: Outcome) -> Outcome:
    """The same result with a sentence in it that tries to instruct the reader."""
    return dataclasses.replace(
        outcome, injected=lines.hostile(rng), injected_first=rng.random() < 0.25
    )

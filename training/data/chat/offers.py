"""Which tools stand beside the right one: those that a retriever takes for it."""

from __future__ import annotations

import random
from collections.abc import Mapping

from training.data.chat.phrasings import TOOLS

NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    "system_overview": ("cpu_load", "memory_usage", "failed_units", "recent_changes", "incident_search"),
    "unit_status": ("unit_log", "failed_units", "process_detail", "timers", "system_overview"),
    "unit_log": ("unit_status", "event_query", "file_excerpt", "failed_units", "incident_search"),
    "failed_units": ("unit_status", "system_overview", "incident_search", "unit_log", "timers"),
    "disk_usage": ("inode_usage", "directory_sizes", "metric_history", "memory_usage", "file_excerpt"),
    "inode_usage": ("disk_usage", "directory_sizes", "file_excerpt", "memory_usage"),
    "directory_sizes": ("disk_usage", "inode_usage", "file_excerpt", "top_processes"),
    "top_processes": ("process_detail", "cpu_load", "memory_usage", "unit_status", "metric_history"),
    "process_detail": ("top_processes", "unit_status", "memory_usage", "listening_sockets"),
    "memory_usage": ("top_processes", "metric_history", "process_detail", "system_overview", "disk_usage", "cpu_load"),
    "cpu_load": ("metric_history", "top_processes", "system_overview", "memory_usage"),
    "listening_sockets": ("network_interfaces", "process_detail", "unit_status", "login_sessions"),
    "network_interfaces": ("listening_sockets", "system_overview", "metric_history", "event_query", "login_sessions"),
    "recent_changes": ("system_overview", "event_query", "incident_search", "timers", "login_sessions"),
    "login_sessions": ("recent_changes", "listening_sockets", "event_query", "network_interfaces", "process_detail"),
    "file_excerpt": ("unit_log", "directory_sizes", "event_query", "disk_usage"),
    "incident_search": ("event_query", "failed_units", "recent_changes", "unit_log", "system_overview"),
    "event_query": ("incident_search", "unit_log", "file_excerpt", "metric_history"),
    "metric_history": ("cpu_load", "memory_usage", "disk_usage", "top_processes", "event_query"),
    "timers": ("unit_status", "recent_changes", "failed_units", "unit_log", "incident_search"),
}  # fmt: skip


def _companions(rng: random.Random, tool: str, count: int) -> list[str]:
    """Others, mostly neighbours."""
    others: list[str] = []
    while len(others) < count:
        pool = NEIGHBOURS[tool] if rng.random() < 0.72 else TOOLS
        name = pool[int(rng.random() * len(pool))]
        if name != tool and name not in others:
            others.append(name)
    return others


def offer(rng: random.Random, tool: str) -> tuple[str, ...]:
    """One to four tools with the right one among them: half of the time first, as a retriever
    ranks it, else anywhere."""
    others = _companions(rng, tool, rng.choice((0, 1, 2, 2, 2, 2, 3, 3)))
    place = 0 if rng.random() < 0.45 else rng.randint(0, len(others))
    return (*others[:place], tool, *others[place:])


def absent_offer(rng: random.Random, tool: str) -> tuple[str, ...]:
    """One to three tools that cannot answer what `tool` answers."""
    far = [name for name in TOOLS if name != tool and name not in NEIGHBOURS[tool]
           and tool not in NEIGHBOURS[name] and name != "system_overview"]  # fmt: skip
    return tuple(rng.sample(far, rng.randint(1, 3)))


def stray_offer(rng: random.Random) -> tuple[str, ...]:
    """One to three tools that a question without a tool brought up by mistake."""
    tool = TOOLS[int(rng.random() * len(TOOLS))]
    names = [tool, *_companions(rng, tool, rng.choice((0, 1, 2, 2)))]
    rng.shuffle(names)
    return tuple(names)

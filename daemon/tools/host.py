"""Puts the tools of this host together."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.tools import changes, network, processes, sessions, storage, system, units
from daemon.tools.files import file_excerpt
from daemon.tools.incidents import Records, event_query, incident_search
from daemon.tools.metrics import MetricRecords, metric_history
from daemon.tools.toolbox import HostToolbox, Tool


def host_toolbox(
    *, records: Records, metrics: MetricRecords, readable: Sequence[str], timeout: float
) -> HostToolbox:
    """All tools of the catalogue. `readable` are globs for file_excerpt; `timeout` in seconds."""
    tools: dict[str, Tool] = {
        "system_overview": system.system_overview,
        "memory_usage": system.memory_usage,
        "cpu_load": system.cpu_load,
        "unit_status": units.unit_status,
        "unit_log": units.unit_log,
        "failed_units": units.failed_units,
        "timers": units.timers,
        "disk_usage": storage.disk_usage,
        "inode_usage": storage.inode_usage,
        "directory_sizes": storage.directory_sizes,
        "top_processes": processes.top_processes,
        "process_detail": processes.process_detail,
        "listening_sockets": network.listening_sockets,
        "network_interfaces": network.network_interfaces,
        "recent_changes": changes.recent_changes,
        "login_sessions": sessions.login_sessions,
        "file_excerpt": file_excerpt(readable=readable),
        "incident_search": incident_search(records=records),
        "event_query": event_query(records=records),
        "metric_history": metric_history(records=metrics),
    }
    return HostToolbox(tools=tools, timeout=timeout)

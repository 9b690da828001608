"""Who is logged in."""

from __future__ import annotations

import time

import psutil

from daemon.tools.words import clock, duration, listed
from tiers.contracts import ToolResult


async def login_sessions() -> ToolResult:
    """Sessions that utmp knows."""
    sessions = psutil.users()
    words = [
        f"{s.name} on {s.terminal or 'no terminal'} from {s.host or 'this host'} since "
        f"{clock(s.started)} ({duration(time.time() - s.started)})"
        for s in sessions
    ]
    if not sessions:
        return ToolResult(
            ok=True, summary="Nobody is logged in: 0 sessions.", data={"sessions": []}
        )
    plural = "session" if len(sessions) == 1 else "sessions"
    return ToolResult(
        ok=True,
        summary=f"{len(sessions)} {plural}: {listed(words, most=8)}.",
        data={"sessions": [s._asdict() for s in sessions]},
    )

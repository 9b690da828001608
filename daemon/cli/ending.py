"""The end of the process: in order, and if something hangs then without it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from daemon.cli.exits import Exit

log = structlog.get_logger()

LAST_SECONDS = 10.0
"""What is left of the process after everything was stopped in order."""


def run_to_the_end(
    main: Coroutine[Any, Any, int], *, flush: Callable[[], None], seconds: float = LAST_SECONDS
) -> int:
    """`asyncio.run`, with a bound on what follows `main`: tasks that ignore being cancelled and
    threads that hang (on a dead network mount) would hold the exit for ever. After `seconds` the
    process ends where it is, with `main`'s exit code; `flush` must not wait long.

    The bound holds until the process is gone: threads are waited for once more at its very end.
    """
    return asyncio.run(_bounded(main, flush=flush, seconds=seconds))


async def _bounded(
    main: Coroutine[Any, Any, int], *, flush: Callable[[], None], seconds: float
) -> int:
    code, said = int(Exit.FAILED), ""
    try:
        code = await main
        return code
    except Exception as error:
        said = str(error)  # told by the caller, which a hanging thread may keep from it
        raise
    finally:
        last = threading.Timer(seconds, _end, args=(code, said, flush, seconds))
        last.daemon = True
        last.start()


def _end(code: int, said: str, flush: Callable[[], None], seconds: float) -> None:
    try:
        log.error(
            "a thread or task did not end: the process ends without it",
            seconds=seconds,
            **({"failed": said} if said else {}),
        )
        flush()
    finally:
        os._exit(code)

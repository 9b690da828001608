"""Ends one process, which is named by number and start time."""

from __future__ import annotations

import signal

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import FailedError
from daemon.helper.processes import MOST_PID, MOST_START

_SIGNALS = {"term": signal.SIGTERM, "kill": signal.SIGKILL}


def _run(arguments: Arguments, context: Context) -> Done:
    pid = arguments.whole("pid", least=1, most=MOST_PID)
    start = arguments.whole("start", least=0, most=MOST_START)
    name = arguments.choice("signal", tuple(_SIGNALS))
    arguments.end()
    with context.lock(f"process {pid}"), context.process(pid, start) as (descriptor, process):
        try:
            signal.pidfd_send_signal(descriptor, _SIGNALS[name])
        except ProcessLookupError:
            raise FailedError(f"the process {pid} ended before it was told to") from None
    return Done(detail=f"sent SIG{name.upper()} to {pid}", data={"name": process.name})


PROCESS_END = Verb(name="process-end", seconds=10.0, run=_run)

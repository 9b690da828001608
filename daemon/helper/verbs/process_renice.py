"""Sets the nice value of one process, which is named by number and start time."""

from __future__ import annotations

import contextlib
import os

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import FailedError
from daemon.helper.processes import MOST_PID, MOST_START, is_over

LEAST, MOST = -5, 19
"""Below -5 a process can starve what keeps the host alive."""
_MOST_THREADS = 10_000


def _run(arguments: Arguments, context: Context) -> Done:
    pid = arguments.whole("pid", least=1, most=MOST_PID)
    start = arguments.whole("start", least=0, most=MOST_START)
    nice = arguments.whole("nice", least=LEAST, most=MOST)
    arguments.end()
    with context.lock(f"process {pid}"), context.process(pid, start) as (descriptor, process):
        before = os.getpriority(os.PRIO_PROCESS, pid)
        # Linux keeps a value for each thread; the folder's descriptor belongs to this process alone
        # and lists nothing once it is over.
        folder = os.open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            threads = [int(entry) for entry in os.listdir(folder)[:_MOST_THREADS]]  # noqa: PTH208
        finally:
            os.close(folder)
        for thread in threads:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, thread, nice)
        if is_over(descriptor):
            raise FailedError(f"the process {pid} ended meanwhile")
    return Done(
        detail=f"set the nice value of {pid} from {before} to {nice}",
        data={"name": process.name, "before": before, "threads": len(threads)},
    )


PROCESS_RENICE = Verb(name="process-renice", seconds=10.0, run=_run)

"""Takes the oldest archived files of the journal away until it is small enough."""

from __future__ import annotations

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb

LEAST_MEGABYTES = 50
"""What is kept at least: the last hours explain what is going on."""


def _run(arguments: Arguments, context: Context) -> Done:
    keep = arguments.whole("keep_megabytes", least=LEAST_MEGABYTES, most=1_000_000)
    arguments.end()
    with context.lock("journal"):
        output = context.programs.must(["journalctl", f"--vacuum-size={keep}M"], seconds=100)
    return Done(detail=output.last)


JOURNAL_VACUUM = Verb(name="journal-vacuum", seconds=120.0, run=_run)

"""Says which verbs are allowed. The one verb that is always answered."""

from __future__ import annotations

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb


def _run(arguments: Arguments, context: Context) -> Done:
    arguments.end()
    config = context.config
    data = {"verbs": sorted(config.verbs), "file": str(config.file), "exists": config.exists}
    return Done(detail=f"{len(config.verbs)} verbs are allowed", data=data)


HELLO = Verb(name="hello", seconds=5.0, run=_run)

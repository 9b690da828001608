"""Restarts one container, and says what containers there are."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from daemon.helper.arguments import Arguments
from daemon.helper.containers import Engine
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import RefusedError

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_GRACE = 10
_MOST = 500


def _restart(arguments: Arguments, context: Context) -> Done:
    engine = _engine(arguments, context)
    container = arguments.text("container", _CONTAINER)
    arguments.end()
    with context.lock(f"container {container}"):
        found = engine.look(container)
        if container != found["name"]:
            raise RefusedError(f"the container is called {found['name']}: name it so")
        if not any(fnmatchcase(container, glob) for glob in context.config.containers):
            raise RefusedError(
                f"{container} is not among the 'containers' of {context.config.file}"
            )
        engine.restart(str(found["id"]), grace=_GRACE, seconds=90.0)
        after = engine.look(container)
    return Done(detail=f"{container} was restarted", data={"before": found, "after": after})


def _look(arguments: Arguments, context: Context) -> Done:
    """All names, or one container in detail where one is named."""
    engine = _engine(arguments, context)
    if not arguments.has("container"):
        arguments.end()
        names = engine.names()[:_MOST]
        return Done(detail=f"there are {len(names)} containers", data={"names": names})
    container = arguments.text("container", _CONTAINER)
    arguments.end()
    found = engine.look(container)
    return Done(detail=f"{container} is {found['status']}", data=found)


def _engine(arguments: Arguments, context: Context) -> Engine:
    name = arguments.choice("engine", ("docker", "podman"))
    config = context.config
    return Engine(name=name, path=config.docker if name == "docker" else config.podman)


CONTAINER_RESTART = Verb(name="container-restart", seconds=150.0, run=_restart)
CONTAINERS = Verb(name="containers", seconds=50.0, run=_look, with_any=("container-restart",))

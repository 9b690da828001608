"""State that a command reads must be there: a command for another state than the daemon's would
otherwise make an empty one, and say that all is well with it.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit
from daemon.config.load import Loaded
from daemon.local_key import read_local_key
from daemon.store.cluster import Cluster
from daemon.store.errors import StoreError
from daemon.store.open import read_dsn

_PROBE_SECONDS = 2.0


def existing_state(shared: Context, loaded: Loaded) -> Path:
    """The state folder, for a command that reads what a daemon has recorded.

    Raises `CommandError` where nothing was ever recorded there. A database that the configuration
    names is asked by whoever opens it, wherever the folder is.
    """
    state = shared.state(loaded)
    try:
        own = read_dsn(loaded.settings.store) is None
    except StoreError as error:
        raise CommandError(str(error)) from error
    if own and not _recorded(state):
        message = f"there is no triaged state in {state}; {_where(other_daemon(shared, state))}"
        raise CommandError(message, code=Exit.NOT_FOUND)
    return state


def other_daemon(shared: Context, state: Path) -> str | None:
    """The address of a daemon that answers and uses another state folder, None where there is
    none. A daemon of this folder left its key there."""
    url = shared.daemon_url()
    if read_local_key(state, url=url) is not None:
        return None
    try:
        answer = httpx.get(f"{url}/healthz", timeout=_PROBE_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return url if "x-request-id" in answer.headers else None


def _recorded(state: Path) -> bool:
    try:
        Cluster(directory=state / "postgres").data.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # there is something that this user may not see: opening it says the rest
        return True
    return True


def _where(other: str | None) -> str:
    if other is None:
        return "run it as the user that the daemon runs as, or name the folder with --state-dir"
    return (
        f"a daemon answers at {other} and uses another state: run it as its user "
        "(runuser -u triaged -- triaged ...) or name its folder with --state-dir"
    )

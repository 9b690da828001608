"""What every command shares: the configuration, the places, the way to print."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from daemon.cli.client import DaemonClient
from daemon.cli.exits import CommandError, Exit
from daemon.config.load import ConfigError, Loaded, load_config
from daemon.local_key import read_local_key

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The options before the command's name."""

    config: Path | None
    state_dir: Path | None
    url: str | None

    def load(self) -> Loaded:
        """The configuration. Raises `CommandError` with every mistake in it."""
        try:
            return load_config(given=self.config)
        except ConfigError as error:
            raise CommandError(str(error), code=Exit.CONFIG) from error

    def state(self, loaded: Loaded) -> Path:
        """Where state is kept: `--state-dir`, `$STATE_DIRECTORY`, the configuration,
        `$XDG_STATE_HOME/triaged`; root's default is /var/lib/triaged."""
        return state_directory(
            given=self.state_dir or loaded.settings.state_dir, environ=os.environ
        )

    def daemon_url(self) -> str:
        """Where the daemon answers: `--url`, `$TRIAGED_URL`, the configuration."""
        named = self.url or os.environ.get("TRIAGED_URL")
        if named:
            return named.rstrip("/")
        api = self.load().settings.api
        host = "127.0.0.1" if api.host in ("0.0.0.0", "::", "") else api.host  # noqa: S104
        return f"http://[{host}]:{api.port}" if ":" in host else f"http://{host}:{api.port}"

    def client(self) -> DaemonClient:
        """The way to the running daemon. Whoever may read its state folder needs no key."""
        url = self.daemon_url()
        try:
            key = read_local_key(self.state(self.load()), url=url)
        except CommandError:  # the address was given, and no configuration is needed
            key = None
        return DaemonClient(url=url, key=key)


def state_directory(*, given: Path | None, environ: Mapping[str, str]) -> Path:
    """The first of: what was given, systemd's state directory, root's place, the user's place."""
    if given is not None:
        return given.expanduser().absolute()
    if systemd := environ.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    if os.geteuid() == 0 and not environ.get("XDG_STATE_HOME"):
        return Path("/var/lib/triaged")
    home = environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(home) / "triaged"


def print_json(value: Any) -> None:
    """JSON on stdout, for scripts: no colour, no wrapping."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    out.file.write(orjson.dumps(value, option=options).decode() + "\n")

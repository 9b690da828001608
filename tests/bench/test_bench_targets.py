"""Where the bench finds the daemon's tiers."""

from __future__ import annotations

from daemon.cli import bench
from daemon.cli.client import DaemonClient
from daemon.cli.context import Context
from daemon.config.load import load_config
from tiers.vocabulary import TierName


def test_the_daemon_is_asked_as_by_every_command() -> None:
    class Asked(Context):
        def client(self) -> DaemonClient:
            return Daemon(url="http://127.0.0.1:9")

    class Daemon(DaemonClient):
        def get(self, path: str, **_: object) -> object:
            assert path == "/api/v1/status"
            entry = {"url": "http://127.0.0.1:7", "pid": 7}
            return {"tiers": [{"tier": str(tier)} | entry for tier in TierName]}

    shared = Asked(config=None, state_dir=None, url=None)
    found = bench._tiers(shared, load_config(given=None), [TierName.META])
    assert [(each.name, each.url, each.pid) for each in found] == [
        ("tier/meta", "http://127.0.0.1:7", 7)
    ]

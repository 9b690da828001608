"""The real facade over a real desk, a real database and a lamp."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from actions_kit import Rig
from facade_kit import FakePeers, Served, assembled, in_process, now

from api.keys.access import Access
from api.keys.key import Key, digest_of
from api.keys.meter import Meter
from api.keys.parse import render_key
from api.keys.ring import KeyRing
from api.roles import Role
from daemon.actions.errors import HostUnavailableError
from daemon.actions.host.host import ProcessState
from daemon.actions.policy.facts import Autonomy
from daemon.views.actions import ActionsView
from daemon.views.effects import EffectsView
from daemon.views.proposals import ProposalsView
from tiers.chat_contracts import ChatAgent

API = "/api/v1/proposals"
ACTIONS = "/api/v1/actions"


class Inventory:
    """Names of units, as systemd would list them."""

    def __init__(self, *names: str) -> None:
        self.listed = list(names)
        self.away = False

    async def names(self) -> Sequence[str]:
        if self.away:
            raise HostUnavailableError("there is no systemd")
        return self.listed

    async def state(self, unit: str) -> Any:
        raise AssertionError("nobody asks")

    async def act(self, verb: str, unit: str) -> str:
        raise AssertionError("nobody acts")


async def process_by_number(pid: int) -> ProcessState | None:
    """One process runs on the host of these tests: 4242."""
    if pid != 4242:
        return None
    return ProcessState(
        pid=pid, start=81_500, name="x", uid=1000, nice=0, state="S", unit="", command="/bin/x"
    )


def real_ports(
    rig: Rig, *, level: str = "suggest", units: Inventory | None = None, **more: Any
) -> Mapping[str, Any]:
    """Ports of the facade that are the daemon's own."""
    return {
        "proposals": ProposalsView(
            database=rig.database,
            desk=rig.desk,
            units=units or Inventory("hall", "nginx.service"),
            process=process_by_number,
            level=Autonomy(level),
        ),
        "actions": ActionsView(database=rig.database, desk=rig.desk),
        **more,
    }


def keys_in(folder: Path) -> Access:
    """A viewer, an operator, and a frontend whose users ask through it."""
    path = folder / "keys.toml"
    kept = [
        Key(name="eve", role=Role.VIEWER, digest=digest_of(b"eve")),
        Key(name="olga", role=Role.OPERATOR, digest=digest_of(b"olga")),
        Key(
            name="webui",
            role=Role.OPERATOR,
            digest=digest_of(b"webui"),
            forwards_users=True,
            user_roles={"admin": Role.OPERATOR, "*": Role.VIEWER},
        ),
    ]
    path.write_text("\n".join(render_key(key) for key in kept))
    path.chmod(0o600)
    ring = KeyRing(path=path, named=True, now=now)
    return Access(ring=ring, keyless=None, meter=Meter(now=now), clock=time.monotonic, now=now)


def facade(
    rig: Rig,
    *,
    access: Access | None = None,
    agent: ChatAgent | None = None,
    level: str = "suggest",
    units: Inventory | None = None,
) -> tuple[Served, httpx.AsyncClient, FakePeers]:
    """The app, a client of it, and who the kernel says is calling."""
    peers = FakePeers()
    more: dict[str, Any] = {"peers": peers}
    if agent is not None:
        more["chat"] = agent
    served = assembled(access=access, real=real_ports(rig, level=level, units=units, **more))
    return served, in_process(served.app), peers


def bearer(name: str, **user: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {name}"}
    headers |= {f"X-OpenWebUI-User-{key.title()}": value for key, value in user.items()}
    return headers


def effects(rig: Rig) -> EffectsView:
    return EffectsView(database=rig.database)


def content_of(response: httpx.Response) -> str:
    """What a chat answered."""
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])

"""Dies where it is told to, and then goes on as the next start would.

Reads a connection string, a folder, and a list of points or a number of actions that are killed at
random, as JSON from its standard input; prints what became of each action. Each life is a process
of its own, forked from this one, so that a kill is a kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from actions_kit import HOST, Lamp, Light, Nobody, Timers, request

from daemon.actions.action import Action
from daemon.actions.catalogue import Catalogue
from daemon.actions.desk import Desk
from daemon.actions.executor import Executor
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Output, Target
from daemon.actions.settings import ActionsSettings
from daemon.actions.weigh import Weigher
from daemon.live import LiveHub
from daemon.store.pool import Database
from daemon.store.settings import StoreSettings

SETTINGS = ActionsSettings.model_validate(
    {
        "autonomy": "auto-safe",
        "steady_seconds": 1,
        "lease_seconds": 5,
        "limits": {"per_hour": 10_000, "per_kind_per_hour": 10_000, "per_target_per_hour": 100},
    }
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingDatabase(Database):
    """Dies in, or right after, its nth transaction that may write."""

    point = ""
    count = 0

    async def retry(
        self, work: Callable[..., Awaitable[Any]], *, seconds: float | None = 60
    ) -> Any:
        self.count += 1

        async def watched(connection: Any) -> Any:
            result = await work(connection)
            if self.point == f"in commit {self.count}":
                die()
            return result

        result = await super().retry(watched, seconds=seconds)
        if self.point == f"after commit {self.count}":
            die()
        return result


class FileLamp(Light):
    """Each run adds a line to a file, in one write, and that is its state: the host outlives the
    daemon."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(Lamp(), name=name)
        self.folder = folder
        self.point = ""

    def at(self, point: str) -> None:
        if self.point == point:
            die()

    def lit(self, target: str) -> bool:
        file = self.folder / "runs"
        return file.exists() and target in file.read_text().split()

    async def find(self, action: Action, host: Host) -> Target:
        self.at("find")
        return Target(name=action.target, type=self.spec.target)

    async def ready(self, action: Action, host: Host) -> None:
        self.at("ready")

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        self.at("before")
        return {"lit": self.lit(action.target)}

    async def run(self, action: Action, host: Host) -> Output:
        self.at("before the effect")
        with (self.folder / "runs").open("ab", buffering=0) as runs:
            runs.write(f"{action.target}\n".encode())
        self.at("after the effect")
        return Output(text="click")

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        self.at("check")
        lit = self.lit(action.target)
        return Check(holds=lit, detail=f"lit: {lit}", final=True)


async def live(conninfo: str, folder: Path, *, target: str, point: str, owner: str) -> None:
    """One life of the daemon: asks (the first one), decides, carries out."""
    database = DyingDatabase(
        conninfo=conninfo, settings=StoreSettings(pool_min=1, pool_max=4), application_name="crash"
    )
    await database.open(wait_seconds=10)
    try:
        lamp = FileLamp(folder, "light")
        lamp.point = database.point = point
        catalogue = Catalogue(kinds=[lamp, FileLamp(folder, "darken")])
        host: Any = object()
        timers, hub = Timers(), LiveHub()
        weigher = Weigher(database=database, catalogue=catalogue, host=host, settings=SETTINGS)
        executor = Executor(
            database=database, catalogue=catalogue, weigher=weigher, host=host, arming=timers,
            settings=SETTINGS, name=HOST, owner=owner, live=hub, told=Nobody(),
        )  # fmt: skip
        desk = Desk(
            database=database, catalogue=catalogue, weigher=weigher, acted_on=host, arming=timers,
            settings=SETTINGS, host=HOST, live=hub, on_approved=executor.wake,
        )  # fmt: skip
        if owner == "first":
            await desk.request(request(target=target))
        await desk.tick()
        while await executor.work_once():
            pass
    finally:
        await database.close()


def in_a_process(*, after: float | None = None, **arguments: Any) -> int:
    """The exit status, negative for a signal. Killed from outside `after` seconds, where given."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(live(**arguments))
        except BaseException:  # noqa: BLE001 (told to the parent by the status)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def one_point(asked: Mapping[str, Any], target: str, point: str) -> tuple[int, int]:
    """Dies at the point, and lives again to the end."""
    common = {"conninfo": asked["conninfo"], "folder": Path(asked["folder"]), "target": target}
    died = in_a_process(**common, point=point, owner="first")
    expire_leases(asked["conninfo"])
    return died, in_a_process(**common, point="", owner="second")


def at_random(asked: Mapping[str, Any], target: str, dice: random.Random) -> tuple[int, int]:
    """Is killed whenever, up to five times, and then lives to the end."""
    common = {"conninfo": asked["conninfo"], "folder": Path(asked["folder"]), "target": target}
    died = 0
    for life in range(5):
        owner = "first" if life == 0 else f"life {life}"
        after = dice.uniform(0.0, asked["seconds"])
        died += in_a_process(**common, point="", owner=owner, after=after) == -signal.SIGKILL
        expire_leases(asked["conninfo"])
    return died, in_a_process(**common, point="", owner="last")


def expire_leases(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("update actions set lease_until = now() where lease_until > now()")


def outcome(asked: Mapping[str, Any], target: str, died: int, second: int) -> dict[str, Any]:
    """What the database and the host hold about one action."""
    with psycopg.connect(asked["conninfo"], autocommit=True) as connection:
        rows = connection.execute(
            "select id, state from actions where target = %s", (target,)
        ).fetchall()
        kinds = connection.execute(
            "select kind from ledger where body ->> 'action_id' = any(%s) order by seq",
            ([str(row[0]) for row in rows],),
        ).fetchall()
        learned = connection.execute(
            "select coalesce(sum(done + failed), 0) from outcomes where target = %s", (target,)
        ).fetchone()
    file = Path(asked["folder"]) / "runs"
    runs = file.read_text().split() if file.exists() else []
    return {
        "died": died,
        "second": second,
        "states": [row[1] for row in rows],
        "runs": runs.count(target),
        "kinds": [row[0] for row in kinds],
        "learned": int(learned[0]) if learned else 0,
    }


def main() -> None:
    asked = json.loads(sys.stdin.read())
    found = {}
    for number, point in enumerate(asked.get("points", ())):
        target = f"lamp{number}"
        found[point] = outcome(asked, target, *one_point(asked, target, point))
    dice = random.Random(asked.get("seed", 0))
    for number in range(asked.get("random", 0)):
        target = f"random{number}"
        found[target] = outcome(asked, target, *at_random(asked, target, dice))
    print(json.dumps(found))


main()

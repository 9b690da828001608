"""A real bus with a stand-in for systemd, and a host on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dbus_fast.aio import MessageBus

from daemon.actions.errors import PrivilegeError
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.host import HelperAnswer, Limits
from daemon.actions.host.local import LocalHost
from daemon.actions.host.units import SystemdUnits
from tests.actions_units.standin import NAME, StandIn

STEADY = 0.3


def missing(what: str) -> None:
    """Skips the test for a missing part; fails where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and in CI nothing may be")
    pytest.skip(f"{what} is missing")


class Bus:
    """A dbus-daemon that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix:path={folder}/bus"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        program = shutil.which("dbus-daemon")
        if program is None:
            missing("dbus-daemon")
        config = self.folder / "bus.conf"
        config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
            '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f"<busconfig><type>custom</type><listen>{self.address}</listen>"
            '<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/>'
            '<allow own="*"/><allow receive_sender="*"/></policy></busconfig>'
        )
        self.process = subprocess.Popen(  # noqa: ASYNC220 -- starting it takes a moment, in a test
            [str(program), "--nofork", f"--config-file={config}"]
        )
        while True:
            with contextlib.suppress(OSError):  # its socket is there before it listens
                _, writer = await asyncio.open_unix_connection(str(self.folder / "bus"))
                writer.close()
                return
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)
            self.process = None
            (self.folder / "bus").unlink(missing_ok=True)

    async def stand_in(self) -> StandIn:
        connection = await MessageBus(bus_address=self.address).connect()
        made = StandIn(connection)
        await connection.request_name(NAME)
        return made


class KnownHelper:
    """Allows what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.allowed: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer = HelperAnswer(ok=True, detail="done")
        self.effect: Any = None

    async def call(
        self, verb: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> HelperAnswer:
        if verb not in self.allowed:
            raise PrivilegeError(f"{verb} is not allowed")
        self.asked.append((verb, dict(arguments)))
        if self.effect is not None:
            self.effect(verb, dict(arguments))
        return self.answer

    async def allows(self, verb: str) -> str | None:
        return None if verb in self.allowed else f"allow {verb} in /etc/triaged/helper.toml"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    made = Bus(tmp_path)
    await made.start()
    yield made
    made.kill()


@pytest.fixture
async def systemd(bus: Bus) -> AsyncIterator[StandIn]:
    made = await bus.stand_in()
    yield made
    made.connection.disconnect()


@pytest.fixture
async def manager(bus: Bus) -> AsyncIterator[ManagerBus]:
    made = ManagerBus(address=bus.address)
    yield made
    made.close()


@pytest.fixture
def helper() -> KnownHelper:
    return KnownHelper()


@pytest.fixture
def host(systemd: StandIn, manager: ManagerBus, helper: KnownHelper) -> LocalHost:
    return LocalHost(
        units=SystemdUnits(bus=manager), helper=helper, limits=Limits(steady_seconds=STEADY)
    )

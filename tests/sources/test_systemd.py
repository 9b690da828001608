"""Units: what their states mean, and systemd's bus with a real dbus-daemon."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from hypothesis import given
from hypothesis import strategies as st

from daemon.sources.base import SourceAbsentError, SourceError
from daemon.sources.settings import SystemdSettings
from daemon.sources.systemd import SystemdSource
from daemon.sources.units import UnitFacts, UnitWatch
from daemon.systemd.names import is_unit, name_of, path_of
from tests.sources.conftest import missing
from tests.sources.kept import Keeper

SETTINGS = SystemdSettings(restart_limit=3, restart_window=60, steady_after=10)


def facts(active: str, sub: str = "", **more: Any) -> UnitFacts:
    return UnitFacts(name="nginx.service", active=active, sub=sub, **more)


def watch(**troubled: str) -> UnitWatch:
    return UnitWatch(settings=SETTINGS, troubled={f"{k}.service": v for k, v in troubled.items()})


def test_a_failure_says_how() -> None:
    seen = watch().observe(
        facts("failed", "failed", result="exit-code", code=1, status=1, restarts=5), at=0
    )
    assert [e.text for e in seen] == [
        "unit nginx.service failed: exit-code (status 1/FAILURE), restarts 5"
    ]
    (killed,) = watch().observe(
        facts("failed", result="signal", code=2, status=11, restarts=0), at=0
    )
    assert killed.text == "unit nginx.service failed: signal (killed by SIGSEGV), restarts 0"


def test_failed_is_said_once_and_start_limit_after_it() -> None:
    units = watch()
    assert len(units.observe(facts("failed", result="exit-code"), at=0)) == 1
    assert units.observe(facts("failed", result="exit-code"), at=1) == []
    assert units.observe(facts("activating", "auto-restart"), at=2) == []
    assert units.observe(facts("failed", result="exit-code"), at=3) == []
    (limit,) = units.observe(facts("failed", result="start-limit-hit", restarts=5), at=4)
    assert limit.state == "start-limit-hit"
    assert "not started again" in limit.text


def test_recovered_only_once_steady() -> None:
    units = watch()
    units.observe(facts("failed", result="exit-code"), at=0)
    units.observe(facts("active", "running", restarts=0), at=5)
    assert units.tick(at=10) == []
    units.observe(facts("active", "running", restarts=1), at=12)
    assert units.tick(at=16) == [], "a restart begins the wait anew"
    (event,) = units.tick(at=22)
    assert event.text == "unit nginx.service recovered: active and steady for 10 s"
    assert event.level == "info"
    assert units.tick(at=50) == []
    assert units.steady_for("nginx.service", at=52) == 40


def test_restart_loop() -> None:
    units = watch()
    seen = []
    for n in range(10):
        seen += units.observe(facts("active", "running", restarts=n, result="exit-code"), at=n)
    assert [e.state for e in seen] == ["restart-loop"]
    assert seen[0].text.startswith("unit nginx.service restarts again and again: 3 restarts in 1 ")
    assert [e.state for e in units.tick(at=30)] == ["active"]


def test_slow_restarts_are_no_loop() -> None:
    units = watch()
    for n in range(20):
        assert units.observe(facts("active", restarts=n), at=n * 40) == []


def test_a_job_that_succeeds_the_next_time_and_a_unit_that_goes() -> None:
    units = watch()
    units.observe(facts("failed", result="exit-code"), at=0)
    (over,) = units.observe(facts("inactive", "dead"), at=1)
    assert over.level == "info"
    units.observe(facts("failed", result="exit-code"), at=2)
    (gone,) = units.keep_only([], at=3)
    assert "not loaded" in gone.text
    assert units.troubled() == {}


def test_cursor_neither_repeats_nor_misses() -> None:
    units = watch(nginx="failed", ghost="nonsense")
    assert units.observe(facts("failed", result="exit-code"), at=0) == []
    units.observe(facts("active", "running"), at=1)
    assert len(units.tick(at=20)) == 1


@given(st.text(min_size=1, max_size=30))
def test_paths_and_names_are_each_others_inverse(name: str) -> None:
    assert name_of(path_of(name)) == name


def test_path_as_systemd_escapes() -> None:
    assert path_of("dbus.service") == "/org/freedesktop/systemd1/unit/dbus_2eservice"
    assert path_of("1-a@b.mount") == "/org/freedesktop/systemd1/unit/_31_2da_40b_2emount"


class FakeSystemd:
    """What stands at the edge: answers as systemd's manager does, on a real bus."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.units: dict[str, dict[str, Any]] = {}
        bus.add_message_handler(self._handle)

    def set(self, name: str, active: str, sub: str, **service: Any) -> None:
        self.units[name] = {"active": active, "sub": sub} | service
        changed = {"ActiveState": Variant("s", active)}
        body: list[Any] = ["org.freedesktop.systemd1.Unit", changed, []]
        self.bus.send(
            Message.new_signal(
                path_of(name),
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                "sa{sv}as",
                body,
            )
        )

    def _row(self, name: str) -> list[Any]:
        unit = self.units.get(name, {"active": "inactive", "sub": "dead"})
        path = path_of(name)
        return [name, "", "loaded", unit["active"], unit["sub"], "", path, 0, "", "/"]

    def _handle(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        rows = "a(ssssssouso)"
        if message.member == "Subscribe":
            return Message.new_method_return(message)
        if message.member == "ListUnits":
            return Message.new_method_return(message, rows, [[self._row(n) for n in self.units]])
        if message.member == "ListUnitsByNames":
            return Message.new_method_return(
                message, rows, [[self._row(n) for n in message.body[0]]]
            )
        if message.member == "Get":
            _, name = message.body
            unit = self.units.get(name_of(message.path or ""), {})
            types = {"Result": "s", "NRestarts": "u", "ExecMainCode": "i", "ExecMainStatus": "i"}
            if name in unit:
                value = Variant(types[name], unit[name])
                return Message.new_method_return(message, "v", [value])
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", name)
        return None


class Bus:
    def __init__(self, *, address: str, process: subprocess.Popen[bytes]) -> None:
        self.address = address
        self.process = process


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    if shutil.which("dbus-daemon") is None:
        missing("dbus-daemon")
    config = tmp_path / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
        '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
        f"<busconfig><type>custom</type><listen>unix:path={tmp_path}/bus</listen>"
        '<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/>'
        '<allow eavesdrop="false"/><allow own="*"/><allow receive_sender="*"/></policy></busconfig>'
    )
    process = subprocess.Popen(  # noqa: ASYNC220 -- starting it takes a moment, in a test
        [shutil.which("dbus-daemon") or "", "--nofork", f"--config-file={config}"]
    )
    while not (tmp_path / "bus").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield Bus(address=f"unix:path={tmp_path}/bus", process=process)
    process.terminate()
    process.wait(5)


@pytest.fixture
async def systemd(bus: Bus) -> AsyncIterator[FakeSystemd]:
    connection = await MessageBus(bus_address=bus.address).connect()
    fake = FakeSystemd(connection)
    await connection.request_name("org.freedesktop.systemd1")
    yield fake
    connection.disconnect()


def source(bus: Bus, **settings: Any) -> SystemdSource:
    defaults = {"restart_limit": 3, "steady_after": 0.2, "ignore": ("ignored-*.service",)}
    return SystemdSource(settings=SystemdSettings(bus_address=bus.address, **(defaults | settings)))


def test_a_signal_that_anybody_sends_names_units_only() -> None:
    root = "/org/freedesktop/systemd1/unit/"
    for bad in ("", "_zz", "_4", "_", "a_", "_00_2eservice", "a_20b_2eservice", "plain", "x" * 300):
        assert not is_unit(name_of(root + bad)), bad
    for name in ("a@.service", "@a.service", "x" * 260 + ".service", "a/b.service", "a.service\n"):
        assert not is_unit(name), name
    for name in ("a.service", "-.mount", "getty@tty1.service", "user@1000.service", "a@b@c.timer"):
        assert is_unit(name_of(path_of(name))), name
    assert is_unit("systemd-fsck@dev-disk-by\\x2duuid.service")


async def test_failed_at_start_fails_later_and_over_a_restart(
    bus: Bus, systemd: FakeSystemd, keeper: Keeper
) -> None:
    failure = {"Result": "exit-code", "ExecMainCode": 1, "ExecMainStatus": 203, "NRestarts": 2}
    systemd.units = {
        "old.service": {"active": "failed", "sub": "failed"} | failure,
        "fine.service": {"active": "active", "sub": "running", "NRestarts": 0},
        "ignored-x.service": {"active": "failed", "sub": "failed"} | failure,
        "data.mount": {"active": "active", "sub": "mounted"},
    }
    async with keeper.running(source(bus)):
        await keeper.until(lambda: len(keeper.texts) == 1)
        systemd.set("data.mount", "failed", "failed", Result="timeout")
        await keeper.until(lambda: len(keeper.texts) == 2)
    async with keeper.running(source(bus)):
        systemd.set("fine.service", "failed", "failed", **failure)
        await keeper.until(lambda: len(keeper.texts) == 3)
    assert keeper.texts == [
        "unit old.service failed: exit-code (status 203/EXEC), restarts 2",
        "unit data.mount failed: timeout, restarts 0",
        "unit fine.service failed: exit-code (status 203/EXEC), restarts 2",
    ]
    event = keeper.events[0]
    assert (event.unit, event.provenance) == ("old", "systemd")
    assert event.attributes == {
        "unit": "old.service",
        "level": "warning",
        "state": "failed",
        "restarts": "2",
    }
    assert keeper.cursor == {
        "troubled": {"old.service": "failed", "data.mount": "failed", "fine.service": "failed"}
    }


async def test_restart_loop_over_the_bus(bus: Bus, systemd: FakeSystemd, keeper: Keeper) -> None:
    service = {"Result": "signal", "ExecMainCode": 2, "ExecMainStatus": 6}
    systemd.units = {"web.service": {"active": "active", "sub": "running", "NRestarts": 0}}
    async with keeper.running(source(bus)):
        await asyncio.sleep(0.3)
        for count in (1, 2, 3):
            systemd.set("web.service", "activating", "auto-restart", NRestarts=count, **service)
            await asyncio.sleep(0.15)
        await keeper.until(lambda: len(keeper.texts) == 1)
    (text,) = keeper.texts
    assert text.startswith("unit web.service restarts again and again: 3 restarts in 10 min, ")
    assert text.endswith("signal (killed by SIGABRT)")


async def test_no_bus_and_no_systemd_are_absent(tmp_path: Path, bus: Bus, keeper: Keeper) -> None:
    nothing = SystemdSettings(bus_address=f"unix:path={tmp_path}/nothing")
    with pytest.raises(SourceAbsentError, match="no system bus"):
        await SystemdSource(settings=nothing).run(cursor=None, emit=keeper.emit)
    with pytest.raises(SourceAbsentError, match="no systemd"):
        await source(bus).run(cursor=None, emit=keeper.emit)


async def test_a_bus_that_goes_away_is_a_failure(
    bus: Bus, systemd: FakeSystemd, keeper: Keeper
) -> None:
    task = asyncio.create_task(source(bus).run(cursor=None, emit=keeper.emit))
    await asyncio.sleep(0.3)
    bus.process.kill()
    with pytest.raises(SourceError, match="gone"):
        await asyncio.wait_for(task, 10)
